import {
  type BatchMemo,
  type BatchStopReason,
  batchWorkflowId,
  lanesAtOnce,
  noRows,
  type RowCounts,
  type RowOutcome,
} from '../protocol/batch.js';
import { followShard } from './batch-history.js';
import { batchControl, describedBatch } from './batch-memo.js';
import { VersionComparison, type VersionFigures } from './batch-versions.js';
import type { ClientContext } from './connection.js';
import { translateError } from './translate-error.js';

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
  /** Why the batch began no more rows before all were done. */
  stopped?: BatchStopReason;
  /** The versions of the agent beside each other, when rows went to more than one. */
  versions?: VersionFigures[];
}

/** In which order outcomes are handed over: as they end, or as the rows stand in the input. */
export type ResultOrder = 'completion' | 'input';

/** Options of `collectResults`. */
export interface CollectOptions {
  /** Default `completion`. `input` holds an outcome back until those before it are there, in memory at most a shard's (200). */
  order?: ResultOrder;
  /** Stops collecting; the batch goes on. */
  signal?: AbortSignal;
  /** Called after outcomes were written. */
  onProgress?: (collected: Pick<BatchSummary, 'batchId' | 'rowCount' | 'counts'>) => void;
}

/**
 * Hands the outcomes of all rows of a batch to a sink, and resolves when the last one has ended: while the batch runs, after
 * it, on any machine, as often as wanted. A batch that was cancelled, stopped at a bound, or failed, has an outcome for each
 * of its rows, too. Neither a worker nor the input file is needed.
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
  const { memo } = await describedBatch(context, batchId);
  const collection = new Collection(memo, sink, options.onProgress);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  // Shards are admitted in their order: the first unfinished ones are those that run.
  const shards = Array.from({ length: memo.shardCount }, (_, shard) => shard).values();
  const inputOrder = options.order === 'input' ? new InputOrder() : undefined;
  const followNext = async () => {
    for (const shard of shards) {
      for await (const outcomes of followShard(context, batchId, shard, { signal })) {
        await collection.write(inputOrder === undefined ? outcomes : inputOrder.take(outcomes));
      }
    }
  };
  // In the order of the input one shard after the other: what the others have meanwhile waits in Temporal.
  const atOnce = inputOrder === undefined ? lanesAtOnce(memo.concurrency) + SHARDS_AHEAD : 1;
  try {
    await Promise.all(Array.from({ length: atOnce }, followNext));
    const { stopped } = batchControl((await describedBatch(context, batchId)).description);
    const { versions } = collection;
    return {
      ...collection.summary,
      ...(stopped !== undefined && { stopped }),
      ...(versions !== undefined && { versions }),
    };
  } catch (error) {
    throw options.signal?.aborted === true ? error : translateError(error, context, batchWorkflowId(batchId));
  } finally {
    stop.abort();
  }
}

/** Writes outcomes one bunch after the other, and counts them. */
class Collection {
  readonly #counts = noRows();
  readonly #versions = new VersionComparison();
  #writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly memo: BatchMemo,
    private readonly sink: ResultSink,
    private readonly onProgress: CollectOptions['onProgress'],
  ) {}

  get summary(): BatchSummary {
    const { batchId, rowCount } = this.memo;
    return { batchId, rowCount, counts: { ...this.#counts } };
  }

  get versions(): VersionFigures[] | undefined {
    return this.#versions.figures;
  }

  write(outcomes: readonly RowOutcome[]): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      if (outcomes.length === 0) return;
      await this.sink.write(outcomes);
      for (const outcome of outcomes) {
        this.#counts[outcome.result.status]++;
        this.#counts.tokens += outcome.result.tokens;
        this.#versions.add(outcome);
      }
      this.onProgress?.(this.summary);
    });
    return this.#writing;
  }
}

/** Puts outcomes into the order of the input: each is held back until those before it are there. */
class InputOrder {
  readonly #held = new Map<number, RowOutcome>();
  #next = 0;

  /** Those that can go on now. */
  take(outcomes: readonly RowOutcome[]): RowOutcome[] {
    for (const outcome of outcomes) this.#held.set(outcome.result.index, outcome);
    const ready: RowOutcome[] = [];
    for (let next = this.#held.get(this.#next); next !== undefined; next = this.#held.get(this.#next)) {
      this.#held.delete(this.#next++);
      ready.push(next);
    }
    return ready;
  }
}
