import type { WorkflowExecutionInfo } from '@temporalio/client';
import type { BatchMemo, BatchStopReason } from '../protocol/batch.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import { batchControl, batchMemo } from './batch-memo.js';
import { batchState, type BatchState, hasEnded } from './batch-state.js';
import type { ClientContext } from './connection.js';
import { translateError } from './translate-error.js';

/** A batch as lists show it. */
export interface BatchListing extends Pick<BatchMemo, 'batchId' | 'rowCount' | 'concurrency'> {
  state: BatchState;
  agentRid?: string;
  source?: string;
  /** Id of the batch whose rows these are again. */
  rerunOf?: string;
  /** Why it began no more rows. */
  stopped?: BatchStopReason;
  /** When it was submitted. */
  startedAt: Date;
  closedAt?: Date;
}

/** Which batches to list; all that is given must hold. */
export interface BatchFilter {
  state?: BatchState;
  agentRid?: string;
  /** At most so many, the newest. Default 50. */
  limit?: number;
}

/** The states that Temporal can be asked for. */
const EXECUTION_STATUS: Partial<Record<BatchState, string>> = {
  completed: 'Completed',
  cancelled: 'Canceled',
  terminated: 'Terminated',
  timedOut: 'TimedOut',
  failed: 'Failed',
};

/** The filter as a list query of Temporal's, as far as that can tell. */
export function batchQuery({ state, agentRid }: BatchFilter): string {
  const quoted = (value: string) => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const status = state === undefined ? [] : [`ExecutionStatus = '${EXECUTION_STATUS[state] ?? 'Running'}'`];
  const agent = agentRid === undefined ? [] : [`${searchAttributeKeys.agent.name} = ${quoted(agentRid)}`];
  return [`WorkflowType = '${WORKFLOW_TYPES.batch}'`, ...status, ...agent].join(' AND ');
}

/**
 * Lists batches, the newest first. Temporal lists by end, so all that match are looked at. A list is a second or so behind.
 * Needs no worker.
 *
 * @throws SearchAttributesMissingError, TemporalUnreachableError
 */
export async function listBatches(context: ClientContext, filter: BatchFilter = {}): Promise<BatchListing[]> {
  const { state, limit = 50 } = filter;
  let newest: BatchListing[] = [];
  const keepNewest = () => {
    newest = newest.toSorted((a, b) => b.startedAt.getTime() - a.startedAt.getTime()).slice(0, limit);
  };
  try {
    for await (const info of context.client.workflow.list({ query: batchQuery(filter), pageSize: 200 })) {
      // Runs that went on as a new run are the same batch.
      const listing = info.status.name === 'CONTINUED_AS_NEW' ? undefined : listingOf(info);
      if (listing === undefined || (state !== undefined && listing.state !== state)) continue;
      newest.push(listing);
      if (newest.length >= 2 * limit + 1_000) keepNewest();
    }
  } catch (error) {
    throw translateError(error, context, 'the list of batches');
  }
  keepNewest();
  return newest;
}

/** Absent for a run that `submitBatch` did not start. */
function listingOf(info: WorkflowExecutionInfo): BatchListing | undefined {
  const memo = batchMemo(info);
  if (memo === undefined) return undefined;
  const { batchId, rowCount, source, rerunOf, submittedAt } = memo;
  const control = batchControl(info);
  const state = batchState(info);
  const agentRid = info.typedSearchAttributes.get(searchAttributeKeys.agent);
  return {
    batchId,
    state,
    rowCount,
    concurrency: control.concurrency ?? memo.concurrency,
    ...(agentRid !== undefined && { agentRid }),
    ...(source !== undefined && { source }),
    ...(rerunOf !== undefined && { rerunOf }),
    ...(control.stopped !== undefined && { stopped: control.stopped }),
    startedAt: new Date(submittedAt),
    ...(hasEnded(state) && info.closeTime !== undefined && { closedAt: info.closeTime }),
  };
}
