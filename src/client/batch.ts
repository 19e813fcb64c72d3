import type { BatchCanary, BatchControl, BatchMemo, BatchShardInput } from '../protocol/batch.js';
import { shardInput } from './batch-inputs.js';
import { batchControl, describedBatch } from './batch-memo.js';
import { batchProgress, type BatchProgress, watchBatch } from './batch-progress.js';
import { type BatchSummary, type CollectOptions, collectResults, type ResultSink } from './batch-results.js';
import { batchState, hasEnded } from './batch-state.js';
import { type BatchSubmission, submitBatch, type SubmittedBatch } from './batch-submit.js';
import type { ClientContext } from './connection.js';
import { translateError } from './translate-error.js';

export {
  cancelBatch,
  cancelRows,
  pauseBatch,
  resumeBatch,
  type RowCancellation,
  setBatchConcurrency,
  setBatchWeight,
} from './batch-control.js';
export { BatchEndedError, BatchExistsError, BatchNotEndedError, BatchNotFoundError } from './batch-errors.js';
export { type BatchFilter, type BatchListing, listBatches } from './batch-list.js';
export { batchProgress, type BatchProgress, watchBatch, type WatchOptions } from './batch-progress.js';
export { rerunBatch, type RerunOptions, rerunSubmission } from './batch-rerun.js';
export {
  type BatchSummary,
  type CollectOptions,
  collectResults,
  type ResultOrder,
  type ResultSink,
} from './batch-results.js';
export type { BatchState } from './batch-state.js';
export { type BatchSubmission, submitBatch, type SubmittedBatch } from './batch-submit.js';
export type { BatchRows } from './batch-survey.js';
export type { VersionFigures } from './batch-versions.js';

/** How the rows of a batch are run, as submitted; see `BatchSubmission`. */
export interface BatchSettings
  extends
    Pick<BatchShardInput, 'agentRid' | 'agentVersion' | 'mode' | 'title' | 'callTimeoutMs'>,
    Required<Pick<BatchShardInput, 'isolation' | 'deleteSessions'>> {
  /** Rows at once; what they were changed to since stands in `BatchProgress`. */
  concurrency: number;
  /** Beside other batches of the same agent; what it was changed to since stands in `BatchDescription.control`. */
  weight: number;
  bounds?: BatchMemo['bounds'];
  canary?: BatchCanary;
}

/** A batch: what was submitted, and how it stands. */
export interface BatchDescription extends Pick<
  BatchMemo,
  'batchId' | 'rowCount' | 'shardCount' | 'source' | 'submittedAt' | 'rerunOf'
> {
  closedAt?: Date;
  /** Absent when Temporal no longer has the shards. */
  settings?: BatchSettings;
  /** What operators and bounds have asked for since. */
  control: Omit<BatchControl, 'shares'>;
  progress: BatchProgress;
}

/** What was submitted as this batch, and how it stands now. Without a worker its counts are missing. @throws BatchNotFoundError */
export async function describeBatch(context: ClientContext, batchId: string): Promise<BatchDescription> {
  const { description, memo } = await describedBatch(context, batchId);
  const { rowCount, shardCount, source, submittedAt, rerunOf } = memo;
  const { shares: _shares, ...control } = batchControl(description);
  const closedAt = hasEnded(batchState(description)) ? description.closeTime : undefined;
  try {
    const first = await shardInput(context, batchId, 0);
    return {
      batchId,
      rowCount,
      shardCount,
      submittedAt,
      ...(source !== undefined && { source }),
      ...(rerunOf !== undefined && { rerunOf }),
      ...(closedAt !== undefined && { closedAt }),
      ...(first !== undefined && { settings: settingsOf(memo, first) }),
      control,
      progress: await batchProgress(context, batchId),
    };
  } catch (error) {
    throw translateError(error, context, description.workflowId);
  }
}

function settingsOf({ concurrency, bounds, canary, weight = 1 }: BatchMemo, first: BatchShardInput): BatchSettings {
  const { agentRid, agentVersion, mode, title, callTimeoutMs, isolation = 'lane', deleteSessions = false } = first;
  return {
    agentRid,
    ...(agentVersion !== undefined && { agentVersion }),
    mode,
    concurrency,
    weight,
    callTimeoutMs,
    isolation,
    deleteSessions,
    ...(title !== undefined && { title }),
    ...(bounds !== undefined && { bounds }),
    ...(canary !== undefined && { canary }),
  };
}

/** How long to watch for the end of a batch whose rows have all ended (milliseconds). */
const END_PATIENCE_MS = 10_000;

/** Options of `runBatch`. */
export interface RunBatchOptions extends Pick<CollectOptions, 'signal' | 'order'> {
  /** Called once, when all of the batch is in Temporal: from then on it goes on by itself. */
  onSubmitted?: (batch: SubmittedBatch) => void;
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
  const { onProgress, onSubmitted, ...collect } = options;
  const submitted = await submitBatch(context, submission);
  onSubmitted?.(submitted);
  const stopWatching = new AbortController();
  const watching =
    onProgress === undefined ? undefined : tell(context, submission.batchId, stopWatching.signal, onProgress);
  try {
    const summary = await collectResults(context, submission.batchId, sink, collect);
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
