import { lanesAtOnce, noRows, type RowCounts, type RowOutcome } from '../protocol/batch.js';
import { BatchNotFoundError } from './batch-errors.js';
import { followShard } from './batch-history.js';
import { batchMemo } from './batch-submit.js';
import type { ClientContext } from './connection.js';
import { translateError } from './translate-error.js';
import { batchWorkflowId } from '../protocol/batch.js';
import { WorkflowNotFoundError } from '@temporalio/client';

/** Shards looked at beyond those that run, so that the next ones are seen from their start. */
const SHARDS_AHEAD = 2;

/** Takes the outcomes of a batch's rows. */
export interface ResultSink {
  /** Called with some outcomes at a time, never twice at once; each row comes once. */
  write(outcomes: readonly RowOutcome[]): void | Promise<void>;
}

/** How the rows of a batch ended. */
export interface BatchSummary {
  batchId: string;
  rowCount: number;
  counts: RowCounts;
}

/** Options of `collectResults`. */
export interface CollectOptions {
  /** Stops collecting; the batch goes on. */
  signal?: AbortSignal;
  /** Called after outcomes were written. */
  onProgress?: (collected: BatchSummary) => void;
}

/**
 * Hands the outcomes of all rows of a batch to a sink, in the order in which they end, and resolves when the last one has:
 * while the batch runs, after it, on any machine, as often as wanted. A batch that was cancelled, or failed, has an outcome
 * for each of its rows, too. Neither a worker nor the input file is needed.
 *
 * @throws BatchNotFoundError when Temporal does not know the batch, or no longer has all of it.
 * @throws The signal's reason; and what the sink throws.
 */
export async function collectResults(
  context: ClientContext,
  batchId: string,
  sink: ResultSink,
  options: CollectOptions = {},
): Promise<BatchSummary> {
  const memo = await describedMemo(context, batchId);
  const summary: BatchSummary = { batchId, rowCount: memo.rowCount, counts: noRows() };
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  let writing: Promise<void> = Promise.resolve();
  const write = async (outcomes: RowOutcome[]) => {
    await sink.write(outcomes);
    for (const { result } of outcomes) {
      summary.counts[result.status]++;
      summary.counts.tokens += result.tokens;
    }
    options.onProgress?.(summary);
  };
  // Shards are admitted in their order: the first unfinished ones are those that run.
  const shards = Array.from({ length: memo.shardCount }, (_, shard) => shard).values();
  const followNext = async () => {
    for (const shard of shards) {
      for await (const outcomes of followShard(context, batchId, shard, signal)) {
        writing = writing.then(() => write(outcomes));
        await writing;
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: lanesAtOnce(memo.concurrency) + SHARDS_AHEAD }, followNext));
    return summary;
  } catch (error) {
    throw options.signal?.aborted === true ? error : translateError(error, context, batchWorkflowId(batchId));
  } finally {
    stop.abort();
  }
}

/** The memo of a batch that was submitted. */
export async function describedMemo(context: ClientContext, batchId: string) {
  try {
    const memo = batchMemo(await context.client.workflow.getHandle(batchWorkflowId(batchId)).describe());
    if (memo !== undefined) return memo;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw translateError(error, context, batchWorkflowId(batchId));
  }
  throw new BatchNotFoundError(batchId, context.client.options.namespace);
}
