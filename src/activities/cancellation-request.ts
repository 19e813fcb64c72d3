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

/** How long a workflow that is asked before a send may take (milliseconds). */
const QUERY_BEFORE_SEND_MS = 2_000;

/** What is asked about: one exchange of one conversation. */
export interface CancelSubject {
  run: Run;
  activityId: string;
  messageId: string;
}

/**
 * Whether an exchange is to be cancelled although its activity was not told yet: its run is closed or has been asked to
 * cancel, or its workflow has. False when nobody can be asked.
 *
 * @param askWorkflow Ask the workflow too, which takes in the signals that wait for it. For attempts that start late: a
 *   cancel can have come while no worker was there to act on it.
 */
export async function isCancelRequested(
  client: Client,
  subject: CancelSubject,
  askWorkflow: boolean,
): Promise<boolean> {
  const { run, activityId, messageId } = subject;
  try {
    const handle = client.workflow.getHandle(run.workflowId, run.runId);
    if (askWorkflow && (await cancellationBySignal(client, run, messageId)) !== null) return true;
    const { raw, status } = await handle.describe();
    if (status.name !== 'RUNNING' && status.name !== 'PAUSED') return true;
    if (raw.workflowExtendedInfo?.cancelRequested === true) return true;
    const pending = raw.pendingActivities?.find((activity) => activity.activityId === activityId);
    return pending?.state === temporal.api.enums.v1.PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return true;
    // Temporal is out of reach for the moment: go on, the heartbeats will tell.
    return false;
  }
}

async function cancellationBySignal(client: Client, run: Run, messageId: string): Promise<ExchangeCancellation | null> {
  const handle = client.workflow.getHandle(run.workflowId, run.runId);
  try {
    return await client.withDeadline(Date.now() + QUERY_BEFORE_SEND_MS, () =>
      handle.query(exchangeCancellationQuery, { messageId }),
    );
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw error;
    return null; // No workflow worker answers; what Temporal itself knows must do.
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
  // Not under the activity's own signal, which has been aborted by now.
  return client.withAbortSignal(new AbortController().signal, async () => {
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
  });
}
