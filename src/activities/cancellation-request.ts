import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import protobuf from '@temporalio/proto';
import { exchangeCancellationQuery, type ExchangeCancellation } from '../protocol/conversation.js';
import { sleep } from './sleep.js';

const { temporal } = protobuf;

interface Run {
  workflowId: string;
  runId: string;
}

/** Pauses between asks of a workflow that does not answer (milliseconds). */
const QUERY_PAUSES_MS = [0, 100, 300, 1_000, 2_000];

/** Whether an activity's run is closed, or the activity was already asked to cancel. False when Temporal cannot be asked. */
export async function isCancelRequested(client: Client, run: Run, activityId: string): Promise<boolean> {
  try {
    const { raw, status } = await client.workflow.getHandle(run.workflowId, run.runId).describe();
    if (status.name !== 'RUNNING' && status.name !== 'PAUSED') return true;
    const pending = raw.pendingActivities?.find((activity) => activity.activityId === activityId);
    return pending?.state === temporal.api.enums.v1.PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return true;
    // Temporal is out of reach for the moment: go on, the heartbeats will tell.
    return false;
  }
}

/**
 * What the conversation wants done about its exchange: a cancellation request carries no data, so its workflow is asked.
 *
 * When it cannot answer (closed, or its worker is gone), the exchange is cancelled without a response.
 */
export async function exchangeCancellationOf(
  client: Client,
  run: Run,
  messageId: string,
): Promise<ExchangeCancellation> {
  const handle = client.workflow.getHandle(run.workflowId, run.runId);
  for (const pauseMs of QUERY_PAUSES_MS) {
    if (pauseMs > 0) await sleep(pauseMs);
    try {
      return (await handle.query(exchangeCancellationQuery, { messageId })) ?? { kind: 'withoutResponse' };
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) break;
      // Not answered this time: the workflow's worker may be starting.
    }
  }
  return { kind: 'withoutResponse' };
}
