import {
  ActivityCancellationType,
  CancellationScope,
  ChildWorkflowCancellationType,
  ParentClosePolicy,
  proxyActivities,
  startChild,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Activities } from '../activities/index.js';
import type { BatchResultsPage, PrepareBatchInput, PreparedChildBatch } from '../protocol/activities.js';
import {
  type BatchInput,
  type BatchResult,
  type BatchRow,
  type BatchStopReason,
  batchWorkflowId,
  type RowCounts,
  type RowOutcome,
} from '../protocol/batch.js';
import { DEFAULTS } from '../protocol/defaults.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { interactiveTaskQueue } from '../protocol/task-queues.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';

/** A row: a question alone, or with its choices; ids are made (`row-1`, …) where there are none. */
export type BatchRowInput =
  string | (Omit<BatchRow, 'id' | 'turns'> & { id?: string; text?: string; turns?: string[] });

/** A batch that a workflow runs. At most about 1 MiB of rows: they travel in one payload. */
export interface BatchOptions extends Omit<PrepareBatchInput, 'batchId' | 'rows'> {
  rows: readonly BatchRowInput[];
  /** Unique in the namespace. Default: made of the workflow's id. */
  batchId?: string;
}

/** A batch that has ended. */
export interface FinishedBatch {
  batchId: string;
  rowCount: number;
  counts: RowCounts;
  /** Why rows were left, if any were. */
  stopped?: BatchStopReason;
  /**
   * The outcomes of its rows, a page (at most 512 KiB) at a time, each read by an activity when it is asked for: only what is read
   * is in this workflow's history.
   */
  pages(): AsyncGenerator<RowOutcome[], void, void>;
}

/**
 * Puts questions through an agent as a batch, as a child of this workflow, and waits for its end. Cancelled with its scope, as
 * any child: every row in flight is cancelled at the agent.
 *
 * @throws ActivityFailure When the rows break a rule (its cause is of type `BatchInputError`), or another batch has this id.
 */
export async function runBatch({ rows, batchId: given, ...settings }: BatchOptions): Promise<FinishedBatch> {
  const batchId = given ?? `${workflowInfo().workflowId}/${uuid4().slice(0, 8)}`;
  const input: PrepareBatchInput = { ...settings, batchId, rows: rows.map(rowOf) };
  const result = await runToItsEnd(input);
  const { rowCount, counts, stopped } = result;
  return { batchId, rowCount, counts, ...(stopped !== undefined && { stopped }), pages: () => pagesOf(batchId) };
}

async function runToItsEnd(batch: PrepareBatchInput): Promise<BatchResult> {
  const { batchId } = batch;
  const scope = CancellationScope.current();
  // Shards that are handed over and have no batch would wait for one for ever: it is started in any case, and then cancelled.
  return CancellationScope.nonCancellable(async () => {
    const childScope = new CancellationScope({ cancellable: true });
    const prepared = await batchActivities(`hand over batch ${batchId}`, '10 minutes').prepareBatch(batch);
    const child = prepared.attached ? undefined : await childScope.run(() => startBatch(prepared));
    scope.cancelRequested.catch(() => childScope.cancel());
    if (scope.consideredCancelled) childScope.cancel();
    if (child !== undefined) return child.result();
    return childScope.run(() => batchActivities(`wait for batch ${batchId}`).awaitBatch({ batchId }));
  });
}

/** Undefined when there is one of its id. */
async function startBatch(prepared: Extract<PreparedChildBatch, { attached: false }>) {
  const { input, memo, staticSummary, staticDetails } = prepared;
  const { batchId, agentRid } = input;
  try {
    return await startChild<(input: BatchInput) => Promise<BatchResult>>(WORKFLOW_TYPES.batch, {
      workflowId: batchWorkflowId(batchId),
      args: [input],
      memo: { batch: memo },
      typedSearchAttributes: [
        { key: searchAttributeKeys.agent, value: agentRid },
        { key: searchAttributeKeys.batch, value: batchId },
        { key: searchAttributeKeys.state, value: 'open' },
      ],
      staticSummary,
      staticDetails,
      workflowTaskTimeout: '5 seconds',
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
    throw error;
  }
}

async function* pagesOf(batchId: string): AsyncGenerator<RowOutcome[], void, void> {
  const { readBatchResults } = batchActivities(`read results of batch ${batchId}`, '10 minutes');
  let next: BatchResultsPage['next'] = { shard: 0, from: 0 };
  while (next !== undefined) {
    const page: BatchResultsPage = await readBatchResults({ batchId, ...next });
    if (page.outcomes.length > 0) yield page.outcomes;
    next = page.next;
  }
}

function batchActivities(summary: string, startToCloseTimeout?: '10 minutes') {
  return proxyActivities<Pick<Activities, 'prepareBatch' | 'awaitBatch' | 'readBatchResults'>>({
    taskQueue: interactiveTaskQueue(workflowInfo().taskQueue),
    summary,
    startToCloseTimeout: startToCloseTimeout ?? '365 days',
    heartbeatTimeout: DEFAULTS.heartbeatTimeoutMs.interactive,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds' },
  });
}

function rowOf(row: BatchRowInput, index: number): BatchRow {
  const { id = `row-${index + 1}`, text, turns, ...rest } = typeof row === 'string' ? { text: row } : row;
  return { ...rest, id, turns: turns ?? (text === undefined ? [] : [text]) };
}
