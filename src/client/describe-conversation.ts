import type { WorkflowExecutionDescription, WorkflowExecutionInfo, WorkflowHandle } from '@temporalio/client';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import type { ClientContext } from './connection.js';
import type { PendingActivity, Wait } from './pending-activities.js';
import { pendingActivities, waitOf } from './pending-activities.js';
import type { EndStatus } from './errors.js';

/** A conversation as lists show it. */
export interface ConversationSummary {
  conversationId: string;
  runId: string;
  status: 'running' | EndStatus;
  /** The last three are absent until the workflow has begun. */
  agentRid?: string;
  sessionRid?: string;
  /** Where it stands: `open`, `closing`, … */
  state?: string;
  needsAttention: boolean;
  startedAt: Date;
  closedAt?: Date;
}

/** A conversation with what it does right now. */
export interface ConversationDescription extends ConversationSummary {
  taskQueue: string;
  /** Events in this run's history. */
  historyLength: number;
  pendingActivities: PendingActivity[];
  /** Why nothing happens; absent while something does. */
  wait?: Wait;
}

/** How a run stands, in the client's words. */
export function runStatus(info: Pick<WorkflowExecutionInfo, 'status'>): ConversationSummary['status'] {
  switch (info.status.name) {
    case 'RUNNING':
    case 'PAUSED':
    case 'CONTINUED_AS_NEW':
      return 'running';
    case 'CANCELLED':
      return 'cancelled';
    case 'TERMINATED':
      return 'terminated';
    case 'TIMED_OUT':
      return 'timedOut';
    case 'FAILED':
      return 'failed';
    default:
      return 'completed';
  }
}

/** What a list entry or a description of Temporal's says of a conversation. */
export function summaryOf(info: WorkflowExecutionInfo | WorkflowExecutionDescription): ConversationSummary {
  const attributes = info.typedSearchAttributes;
  const agentRid = attributes.get(searchAttributeKeys.agent);
  const sessionRid = attributes.get(searchAttributeKeys.session);
  const state = attributes.get(searchAttributeKeys.state);
  return {
    conversationId: info.workflowId,
    runId: info.runId,
    status: runStatus(info),
    ...(agentRid === undefined ? {} : { agentRid }),
    ...(sessionRid === undefined ? {} : { sessionRid }),
    ...(state === undefined ? {} : { state }),
    needsAttention: attributes.get(searchAttributeKeys.needsAttention) ?? false,
    startedAt: info.startTime,
    ...(info.closeTime === undefined ? {} : { closedAt: info.closeTime }),
  };
}

/** Reads one conversation's run and pending activities; neither a worker nor a history event is needed. */
export async function describeConversation(
  context: ClientContext,
  handle: WorkflowHandle,
): Promise<ConversationDescription> {
  const description = await handle.describe();
  const activities = await pendingActivities(context, description);
  const wait = activities.map(waitOf).find((found) => found !== undefined);
  return {
    ...summaryOf(description),
    taskQueue: description.taskQueue,
    historyLength: description.historyLength,
    pendingActivities: activities,
    ...(wait === undefined ? {} : { wait }),
  };
}
