import { type BatchInput, type BatchSnapshot, lanesAtOnce, noRows, type RowCounts } from '../protocol/batch.js';

/** A shard that may go on, with the rows at once that it gets. */
export interface ShardShare {
  shard: number;
  concurrency: number;
}

/**
 * Sessions opened ahead have the time of a whole lane, and come on top of the rows in flight: with a lane's full share they
 * held up the first lanes (bench, 2,000 rows of 300 ms, 100 at once: 0.58 of the ideal time against 0.65, same minutes).
 */
const PREPARE_SLOWER = 4;

/** Part of the rows at once that is shared out anew once so much of it is free and no shard waits: few signals, at any size. */
const WORTH_SHARING = 1 / 5;

/**
 * Which shards of a batch run, and with how many rows at once. Knows nothing of Temporal.
 *
 * 1. The shares of the running shards never add up to more than the batch's concurrency. A share of 0 is a shard that waits,
 *    after the concurrency was set lower than the number of running shards.
 * 2. Shards are admitted in their order, so whoever reads results needs to look at the first unfinished ones only.
 * 3. A shard is counted once, however often its end is told.
 */
export class BatchWindow {
  readonly #shardRows: readonly number[];
  #concurrency: number;
  readonly #finished: Set<number>;
  readonly #admitted: Map<number, number>;
  readonly #prepared: Set<number>;
  /** Shards whose shares were changed since they were admitted. */
  readonly #changed: Set<number>;
  readonly #counts: RowCounts;
  /** Of shards that have not ended, as they told last. */
  readonly #progress: Map<number, RowCounts>;

  constructor(input: Pick<BatchInput, 'shardRows' | 'concurrency' | 'snapshot'>) {
    this.#shardRows = input.shardRows;
    this.#concurrency = input.snapshot?.control?.concurrency ?? input.concurrency;
    this.#finished = new Set(input.snapshot?.finishedShards);
    this.#admitted = new Map(input.snapshot?.admitted);
    this.#prepared = new Set(input.snapshot?.prepared);
    this.#changed = new Set(input.snapshot?.control?.shares?.map(([shard]) => shard));
    this.#counts = { ...(input.snapshot?.counts ?? noRows()) };
    this.#progress = new Map(input.snapshot?.progress);
  }

  get counts(): RowCounts {
    const sum = { ...this.#counts };
    for (const counts of this.#progress.values()) addTo(sum, counts);
    return sum;
  }

  /** Rows at once, over all shards. */
  get concurrency(): number {
    return this.#concurrency;
  }

  /** The shares that were changed since their shards were admitted. */
  get changedShares(): ShardShare[] {
    return this.running.filter(({ shard }) => this.#changed.has(shard));
  }

  /** Shards that have ended, in the order of their end. */
  get finishedShards(): number[] {
    return [...this.#finished];
  }

  get finishedCount(): number {
    return this.#finished.size;
  }

  /** Shards that were admitted and have not ended, with their shares. */
  get running(): ShardShare[] {
    return [...this.#admitted]
      .filter(([shard]) => !this.#finished.has(shard))
      .map(([shard, concurrency]) => ({ shard, concurrency }));
  }

  get isDone(): boolean {
    return this.#finished.size === this.#shardRows.length;
  }

  /** Shards that have not ended, admitted or not. */
  get unfinishedShards(): number[] {
    return this.#shardRows.map((_, shard) => shard).filter((shard) => !this.#finished.has(shard));
  }

  /**
   * Admits as many shards as fit beside the running ones, each with its share of what is free. When fewer are left than
   * fit, their shares are larger.
   */
  admitNext(): ShardShare[] {
    const waiting = this.#waiting();
    const running = this.running;
    const places = Math.min(lanesAtOnce(this.#concurrency) - running.length, waiting.length);
    let free = this.#free;
    const admitted: ShardShare[] = [];
    for (const [position, shard] of waiting.slice(0, Math.max(0, places)).entries()) {
      if (free <= 0) break;
      const concurrency = Math.ceil(free / (places - position));
      free -= concurrency;
      this.#admitted.set(shard, concurrency);
      admitted.push({ shard, concurrency });
    }
    return admitted;
  }

  /** Changes the rows at once, and shares them out anew among the running shards. Returns the shares that have changed. */
  setConcurrency(concurrency: number): ShardShare[] {
    this.#concurrency = concurrency;
    const { running } = this;
    const lanes = Math.max(running.length, Math.min(lanesAtOnce(concurrency), this.#left));
    const changed: ShardShare[] = [];
    for (const [position, { shard, concurrency: before }] of running.entries()) {
      const share = Math.floor(concurrency / lanes) + (position < concurrency % lanes ? 1 : 0);
      if (share === before) continue;
      this.#admitted.set(shard, share);
      this.#changed.add(shard);
      changed.push({ shard, concurrency: share });
    }
    return changed;
  }

  /** Gives what is free to running shards that wait with a share of 0. Returns the shares that have changed. */
  shareWithWaiting(): ShardShare[] {
    const hasWaiting = this.running.some(({ concurrency }) => concurrency === 0);
    return hasWaiting && this.#free > 0 ? this.setConcurrency(this.#concurrency) : [];
  }

  /** Whether the last shards could use the places of those that have ended. */
  get isWorthSharing(): boolean {
    return this.#waiting().length === 0 && !this.isDone && this.#free >= this.#concurrency * WORTH_SHARING;
  }

  /** The shards that come next and were not told yet to open their sessions. */
  prepareNext(): ShardShare[] {
    const lanes = lanesAtOnce(this.#concurrency);
    const next = this.#waiting()
      .slice(0, lanes)
      .filter((shard) => !this.#prepared.has(shard));
    for (const shard of next) this.#prepared.add(shard);
    return next.map((shard) => ({ shard, concurrency: Math.ceil(this.#concurrency / lanes / PREPARE_SLOWER) }));
  }

  /** Counts a shard that has ended; false when it was counted before. */
  finish(shard: number, counts: RowCounts): boolean {
    if (this.#finished.has(shard) || this.#shardRows[shard] === undefined) return false;
    this.#finished.add(shard);
    this.#changed.delete(shard);
    this.#progress.delete(shard);
    addTo(this.#counts, counts);
    return true;
  }

  /** Notes how far a shard is that has not ended. */
  noteProgress(shard: number, counts: RowCounts): void {
    if (this.#shardRows[shard] !== undefined && !this.#finished.has(shard)) this.#progress.set(shard, counts);
  }

  /** Counts a shard that is gone without having told its end (terminated): nobody will hear of its rows any more. */
  lose(shard: number): boolean {
    const told = this.#progress.get(shard) ?? noRows();
    const { succeeded, failed, expired } = told;
    return this.finish(shard, { ...told, cancelled: (this.#shardRows[shard] ?? 0) - succeeded - failed - expired });
  }

  /** Everything that the next run needs. */
  snapshot(): BatchSnapshot {
    return {
      finishedShards: this.finishedShards,
      admitted: [...this.#admitted].filter(([shard]) => !this.#finished.has(shard)),
      prepared: [...this.#prepared].filter((shard) => !this.#finished.has(shard)),
      counts: { ...this.#counts },
      ...(this.#progress.size > 0 && { progress: [...this.#progress] }),
    };
  }

  /** Rows at once that no running shard has as its share. */
  get #free(): number {
    return this.running.reduce((free, { concurrency }) => free - concurrency, this.#concurrency);
  }

  /** Number of shards that have not ended. */
  get #left(): number {
    return this.#shardRows.length - this.#finished.size;
  }

  #waiting(): number[] {
    return this.unfinishedShards.filter((shard) => !this.#admitted.has(shard));
  }
}

function addTo(sum: RowCounts, counts: RowCounts): void {
  for (const key of Object.keys(sum) as (keyof RowCounts)[]) sum[key] += counts[key];
}
