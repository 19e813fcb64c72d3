import {
  type BatchBounds,
  type BatchControl,
  type BatchStopReason,
  isBatchWeight,
  MOST_CANCELLED_ROWS,
  type RowCounts,
} from '../protocol/batch.js';
import { LIMITS } from '../protocol/defaults.js';

/** Most characters of a row id (as for the ids of messages). */
const ID_CHARACTERS = 200;
const STOP_REASONS: readonly unknown[] = ['deadline', 'maxTokens', 'maxFailures'] satisfies BatchStopReason[];

/**
 * What operators and bounds ask of a batch. Knows nothing of Temporal. What cannot be meant is passed over: the senders of
 * signals hear no answer, and a running batch must not fail by one.
 */
export class BatchControls {
  #paused: BatchControl['paused'];
  #stopped: BatchStopReason | undefined;
  #concurrency: number | undefined;
  #weight: number | undefined;
  readonly #cancelledRows: Set<string>;
  /** Goes up with every change. */
  version = 0;

  constructor(
    private readonly bounds: BatchBounds | undefined,
    earlier: BatchControl | undefined,
  ) {
    this.#paused = earlier?.paused;
    this.#stopped = earlier?.stopped;
    this.#concurrency = earlier?.concurrency;
    this.#weight = earlier?.weight;
    this.#cancelledRows = new Set(earlier?.cancelledRows);
  }

  get isPaused(): boolean {
    return this.#paused !== undefined;
  }

  get stopped(): BatchStopReason | undefined {
    return this.#stopped;
  }

  /** Rows at once, when they were changed. */
  get concurrency(): number | undefined {
    return this.#concurrency;
  }

  get cancelledRows(): readonly string[] {
    return [...this.#cancelledRows];
  }

  pause(reason: unknown, nowMs: number): void {
    if (this.#paused !== undefined) return;
    this.#paused = {
      since: new Date(nowMs).toISOString(),
      ...(typeof reason === 'string' && reason !== '' && { reason: reason.slice(0, LIMITS.reasonCharacters) }),
    };
    this.version++;
  }

  resume(): void {
    if (this.#paused === undefined) return;
    this.#paused = undefined;
    this.version++;
  }

  setConcurrency(concurrency: unknown): void {
    if (typeof concurrency !== 'number' || !Number.isInteger(concurrency) || concurrency < 1) return;
    if (concurrency === this.#concurrency) return;
    this.#concurrency = concurrency;
    this.version++;
  }

  setWeight(weight: unknown): void {
    if (typeof weight !== 'number' || !isBatchWeight(weight) || weight === this.#weight) return;
    this.#weight = weight;
    this.version++;
  }

  cancelRows(ids: unknown): void {
    const before = this.#cancelledRows.size;
    for (const id of Array.isArray(ids) ? ids : []) {
      const isUsable = typeof id === 'string' && id !== '' && id.length <= ID_CHARACTERS;
      if (isUsable && this.#cancelledRows.size < MOST_CANCELLED_ROWS) this.#cancelledRows.add(id);
    }
    if (this.#cancelledRows.size > before) this.version++;
  }

  /** The first reason counts: a batch stops once. */
  stop(reason: unknown): void {
    if (this.#stopped !== undefined || !STOP_REASONS.includes(reason)) return;
    this.#stopped = reason as BatchStopReason;
    this.version++;
  }

  /** Stops when the rows that have ended reach a bound. Lanes see it sooner, as they know of the rows of running shards. */
  check({ tokens, failed }: RowCounts): void {
    const { maxTokens, maxFailures } = this.bounds ?? {};
    if (maxTokens !== undefined && tokens >= maxTokens) this.stop('maxTokens');
    if (maxFailures !== undefined && failed >= maxFailures) this.stop('maxFailures');
  }

  /** All rows have ended: at the deadline they do by their own timers, which may go off before the batch's. */
  noteEnd({ expired }: RowCounts, nowMs: number): void {
    const { deadline } = this.bounds ?? {};
    if (expired > 0 && deadline !== undefined && nowMs >= Date.parse(deadline)) this.stop('deadline');
  }

  /** As it stands in the memo. */
  control(shares: readonly { shard: number; concurrency: number }[]): BatchControl {
    return {
      ...(this.#paused !== undefined && { paused: this.#paused }),
      ...(this.#stopped !== undefined && { stopped: this.#stopped }),
      ...(this.#concurrency !== undefined && { concurrency: this.#concurrency }),
      ...(this.#weight !== undefined && { weight: this.#weight }),
      ...(shares.length > 0 && {
        shares: shares.map(({ shard, concurrency }): [number, number] => [shard, concurrency]),
      }),
      ...(this.#cancelledRows.size > 0 && { cancelledRows: this.cancelledRows as string[] }),
    };
  }
}
