import { type BatchMemo, batchShardWorkflowId, batchWorkflowId } from '../protocol/batch.js';
import { batchProgress, type BatchProgress, watchBatch } from './batch-progress.js';
import {
  type BatchSummary,
  type CollectOptions,
  collectResults,
  describedMemo,
  type ResultSink,
} from './batch-results.js';
import { type BatchSubmission, submitBatch } from './batch-submit.js';
import type { ClientContext } from './connection.js';
import { translateError } from './translate-error.js';

export { BatchExistsError, BatchNotFoundError } from './batch-errors.js';
export { batchProgress, type BatchProgress, watchBatch, type WatchOptions } from './batch-progress.js';
export { type BatchSummary, type CollectOptions, collectResults, type ResultSink } from './batch-results.js';
export { type BatchSubmission, submitBatch, type SubmittedBatch } from './batch-submit.js';
export type { BatchRows } from './batch-survey.js';

/** A batch: what was submitted, and how it stands. */
export interface BatchDescription extends Omit<BatchMemo, 'digest' | 'rowsPerShard'> {
  progress: BatchProgress;
}

/** What was submitted as this batch, and how it stands now. @throws BatchNotFoundError */
export async function describeBatch(context: ClientContext, batchId: string): Promise<BatchDescription> {
  const { digest: _digest, rowsPerShard: _rowsPerShard, ...memo } = await describedMemo(context, batchId);
  return { ...memo, progress: await batchProgress(context, batchId) };
}

/**
 * Asks for the cancellation of a batch and returns at once. Its rows in flight are cancelled at the agent; what was finished
 * is kept, and `collectResults` delivers it. On a batch that has ended it sees that no shard of it goes on.
 *
 * @returns False when the batch had ended before.
 * @throws BatchNotFoundError
 */
export async function cancelBatch(context: ClientContext, batchId: string): Promise<boolean> {
  const { shardCount } = await describedMemo(context, batchId);
  const { workflow } = context.client;
  try {
    const handle = workflow.getHandle(batchWorkflowId(batchId));
    const { status } = await handle.describe();
    if (status.name === 'RUNNING' || status.name === 'PAUSED') {
      await handle.cancel();
      return true;
    }
  } catch (error) {
    throw translateError(error, context, batchWorkflowId(batchId));
  }
  for (let shard = 0; shard < shardCount; shard++) {
    try {
      await workflow.getHandle(batchShardWorkflowId(batchId, shard)).cancel();
    } catch {
      // It has ended: so it should be.
    }
  }
  return false;
}

/** How long to watch for the end of a batch whose rows have all ended (milliseconds). */
const END_PATIENCE_MS = 10_000;

/** Options of `runBatch`. */
export interface RunBatchOptions extends Pick<CollectOptions, 'signal'> {
  /** Called about once a second while the batch runs, and at its end. */
  onProgress?: (progress: BatchProgress) => void;
}

/**
 * Submits a batch, or attaches to it, and collects its results until it has ended.
 *
 * A killed caller calls it again, with the same id and rows. When the signal is aborted the batch goes on: `cancelBatch`
 * stops it.
 *
 * @throws BatchInputError, BatchExistsError, what the sink throws, and the signal's reason.
 */
export async function runBatch(
  context: ClientContext,
  submission: BatchSubmission,
  sink: ResultSink,
  options: RunBatchOptions = {},
): Promise<BatchSummary> {
  const { signal, onProgress } = options;
  await submitBatch(context, submission);
  const stopWatching = new AbortController();
  const watching =
    onProgress === undefined ? undefined : tell(context, submission.batchId, stopWatching.signal, onProgress);
  try {
    const summary = await collectResults(context, submission.batchId, sink, signal === undefined ? {} : { signal });
    // The batch itself ends a moment after its last row, if a worker still runs: the last look tells so.
    setTimeout(() => stopWatching.abort(), END_PATIENCE_MS).unref();
    await watching;
    return summary;
  } finally {
    stopWatching.abort();
    await watching;
  }
}

/** Watches for the sake of a display: a look that fails ends the display, not the batch. */
async function tell(
  context: ClientContext,
  batchId: string,
  signal: AbortSignal,
  onProgress: (progress: BatchProgress) => void,
): Promise<void> {
  try {
    for await (const progress of watchBatch(context, batchId, { signal })) onProgress(progress);
  } catch {
    // Results are collected on their own, and fail by themselves when Temporal is gone for good.
  }
}
