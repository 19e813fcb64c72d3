import type { LaneInput, LaneProgress, LaneResult, LaneRow } from '../protocol/activities.js';
import { type BatchControl, endOfLeftRows, type RowResult } from '../protocol/batch.js';
import { FAILURE_TYPES } from '../protocol/failures.js';
import type { ExchangeProtocol } from './exchange-protocol.js';
import { LanePlaces } from './lane-places.js';
import { LaneResults } from './lane-results.js';
import { type RowEnd, RowWalk } from './lane-row.js';

/** Rows in flight that heartbeat details list. */
const MOST_LISTED = 25;
/** Timers take no more (milliseconds); no lane lasts that long. */
const MOST_TIMER_MS = 2 ** 31 - 1;

/** What an earlier attempt of the same lane leaves behind. */
export interface EarlierAttempt {
  /** True unless this is surely the first: any row may have been sent. */
  mayHaveRun: boolean;
  /** From its last heartbeat; may be missing. */
  traceNumbers: Record<string, number>;
}

/** How a row ends that somebody has cancelled. */
const CANCELLED: RowEnd = {
  status: 'cancelled',
  error: { errorName: FAILURE_TYPES.exchangeCancelled, message: 'Cancelled before it was finished' },
};
const EXPIRED: RowEnd = endOfLeftRows('deadline') as RowEnd;

/** A row is ended before its time; the lane goes on. */
class RowStop extends Error {
  constructor(readonly end: RowEnd) {
    super(end.error.message);
  }
}

/** A row in flight. */
interface Walking {
  walk: RowWalk;
  stop: AbortController;
}

/**
 * The rows of one lane: a pool that walks them, and what there is to tell of them.
 *
 * Every row ends up in exactly one of: the results, those whose session expired, those that the next lane must look for
 * (`begun`), or untouched.
 */
export class LanePool {
  readonly #startedMs = Date.now();
  readonly #waiting: LaneRow[];
  readonly #walks = new Map<number, Walking>();
  readonly #results = new LaneResults();
  readonly #expired: number[] = [];
  /** Rows that wait, unfinished, for the batch to be resumed. */
  readonly #heldBack: number[] = [];
  readonly #counts = { succeeded: 0, failed: 0, cancelled: 0, expired: 0, tokens: 0 };
  #share: number;
  #isPaused = false;
  #isStopped = false;
  #givesWay = false;
  #weight: number;
  #active = 0;
  #isRunning = false;
  #isAborted = false;
  #places = new LanePlaces();
  #whenIdle: () => void = () => undefined;

  constructor(
    private readonly protocol: ExchangeProtocol,
    private readonly input: LaneInput,
    private readonly earlier: EarlierAttempt,
    /** True when a bound of the batch is reached: no row may be begun. */
    private readonly isBoundReached: () => boolean = () => false,
  ) {
    // Taken from the end.
    this.#waiting = input.rows.toReversed();
    this.#share = Math.max(1, input.concurrency);
    this.#weight = input.weight ?? 1;
  }

  get batchId(): string {
    return this.input.batchId;
  }

  get shard(): number {
    return this.input.shard;
  }

  get share(): number {
    return this.#share;
  }

  get active(): number {
    return this.#active;
  }

  get left(): number {
    return this.#waiting.length;
  }

  /**
   * Walks the rows until all have ended, the results are near their bound, the batch has them wait or stop, or the signal is
   * aborted. Does not throw.
   *
   * @param places Shared with the other lanes of the batch in this worker.
   */
  async run(signal: AbortSignal, places = new LanePlaces()): Promise<void> {
    const abort = () => {
      this.#isAborted = true;
      // Before its rows: they may go on at the agent, so that their places are not free.
      places.remove(this);
      for (const { stop } of this.#walks.values()) stop.abort(signal.reason);
      this.endWhenIdle();
    };
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
      this.#isRunning = true;
      this.#places = places;
      places.add(this);
    });
    places.remove(this);
    signal.removeEventListener('abort', abort);
  }

  /** Does what is asked of the batch: how many rows at once, with which weight, whether any may be begun, which are cancelled. */
  apply({ paused, stopped, weight, shares, cancelledRows }: BatchControl): void {
    const share = shares?.find(([shard]) => shard === this.input.shard)?.[1];
    this.#share = share ?? Math.max(1, this.input.concurrency);
    this.#weight = weight ?? this.input.weight ?? 1;
    this.#isPaused = paused !== undefined;
    this.#isStopped = stopped !== undefined;
    this.#holdOrGoOn();
    if (cancelledRows !== undefined) this.#cancelRows(new Set(cancelledRows));
    if (this.#isRunning) this.#places.fill();
  }

  /** Of `LaneTurns`: begins no more rows, so that it ends soon; the shard's next lane goes on with them. */
  giveWay(): void {
    this.#givesWay = true;
    this.#holdOrGoOn();
    this.endWhenIdle();
  }

  /** After `run` was aborted: ends everything in flight at the agent, and everything an earlier attempt may have begun. */
  async cancelAtAgent(): Promise<void> {
    for (const row of this.#waiting.filter((one) => this.#mayHaveBegun(one))) {
      this.#walks.set(row.index, { walk: this.#walkOf(row), stop: new AbortController() });
    }
    // All at once: a cancel must not wait for another.
    const ends = [...this.#walks.values()].map(({ walk }) => this.#end(walk, walk.isLate ? EXPIRED : CANCELLED));
    await Promise.all(ends);
  }

  result(): LaneResult {
    const { results, left } = this.#results.fitting();
    const notTaken = this.#waiting.filter((row) => this.#mayHaveBegun(row)).map(({ index }) => index);
    return {
      results,
      expired: this.#expired,
      begun: [...left, ...this.#heldBack, ...this.#walks.keys(), ...notTaken],
    };
  }

  /** What this shard has used, with its earlier lanes. */
  totals(): Pick<LaneProgress, 'tokens' | 'failed'> {
    const { countsBefore } = this.input;
    return { tokens: countsBefore.tokens + this.#counts.tokens, failed: countsBefore.failed + this.#counts.failed };
  }

  /** Heartbeat details; read every second, so nothing is computed elsewhere for it. */
  progress(): LaneProgress {
    const { countsBefore } = this.input;
    const walks = [...this.#walks.values()].map(({ walk }) => walk);
    const succeeded = countsBefore.succeeded + this.#counts.succeeded;
    const { tokens, failed } = this.totals();
    const cancelled = countsBefore.cancelled + this.#counts.cancelled;
    const expired = countsBefore.expired + this.#counts.expired;
    const hasNoPlace = this.#isRunning && walks.length === 0 && this.#mayBegin();
    const waiting = hasNoPlace
      ? { waitingFor: 'rows of other lanes to end, which have its places' }
      : walks.map((walk) => walk.waiting()).find((wait) => wait !== undefined);
    return {
      finished: succeeded + failed + cancelled + expired,
      succeeded,
      failed,
      cancelled,
      expired,
      tokens,
      running: walks.length,
      inFlight: walks.slice(0, MOST_LISTED).map((walk) => walk.inFlight()),
      ...waiting,
      traceNumbers: Object.fromEntries(walks.map((walk) => walk.traceNumber()).filter((entry) => entry !== undefined)),
    };
  }

  /** Of `LanePlaces`: begins one more row, if one may be begun. */
  beginOne(): boolean {
    if (!this.#mayBegin()) return false;
    const row = this.#waiting.pop();
    if (row === undefined) return false;
    this.#work(this.#walk(row));
    return true;
  }

  /** Counts what takes a place until it has ended. */
  #work(work: Promise<void>): void {
    this.#active++;
    void work.finally(() => {
      this.#active--;
      if (this.#isRunning) this.#places.fill();
      // Stopped, it has no place any more.
      this.endWhenIdle();
    });
  }

  /** Of `LanePlaces`: ends, unless rows are walked or may be begun, as soon as others give back what they have borrowed. */
  endWhenIdle(): void {
    if (!this.#isRunning || this.#active > 0 || this.#mayBegin()) return;
    this.#isRunning = false;
    this.#whenIdle();
  }

  #mayBegin(): boolean {
    if (!this.#isRunning || this.#isAborted || this.#isPaused || this.#isStopped || this.#givesWay) return false;
    if (this.#share === 0 || this.#waiting.length === 0) return false;
    return this.#results.hasRoomFor(this.#walks.size) && !this.isBoundReached();
  }

  /** Walks a row to its end. Does not throw. */
  async #walk(row: LaneRow): Promise<void> {
    const walk = this.#walkOf(row);
    const stop = new AbortController();
    this.#walks.set(row.index, { walk, stop });
    const leftMs = row.deadline === undefined ? MOST_TIMER_MS : Date.parse(row.deadline) - Date.now();
    if (leftMs <= 0) return this.#end(walk, EXPIRED);
    const timer = leftMs < MOST_TIMER_MS ? setTimeout(() => stop.abort(new RowStop(EXPIRED)), leftMs) : undefined;
    try {
      this.#note(row, walk, await walk.run(stop.signal));
    } catch (reason) {
      // Stopped with the lane, the walk stays among those in flight, to be cancelled or left to the next attempt.
      if (reason instanceof RowStop) await this.#end(walk, reason.end);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends a single row at the agent. */
  async #end(walk: RowWalk, end: RowEnd): Promise<void> {
    const result = await walk.cancel(end);
    // The lane may have been cancelled meanwhile, and this row with it.
    if (this.#walks.delete(walk.index)) this.#add(result);
  }

  #cancelRows(ids: ReadonlySet<string>): void {
    for (const { walk, stop } of this.#walks.values()) if (ids.has(walk.id)) stop.abort(new RowStop(CANCELLED));
    for (const row of this.#waiting.filter(({ id }) => ids.has(id))) {
      this.#waiting.splice(this.#waiting.indexOf(row), 1);
      const walk = this.#walkOf(row);
      this.#walks.set(row.index, { walk, stop: new AbortController() });
      this.#work(this.#end(walk, CANCELLED));
    }
  }

  #note(row: LaneRow, walk: RowWalk, ended: Awaited<ReturnType<RowWalk['run']>>): void {
    this.#walks.delete(row.index);
    if (ended === 'expired') this.#expired.push(row.index);
    else if (ended !== 'heldBack') this.#add(ended);
    else if (walk.isBegun) this.#heldBack.push(row.index);
    else this.#waiting.push(row);
  }

  /** A pause holds back whatever waits; a stop, or giving way, only what is not begun, as the others go on to their end. */
  #holdOrGoOn(): void {
    for (const { walk } of this.#walks.values()) {
      if (this.#isPaused || ((this.#isStopped || this.#givesWay) && !walk.isBegun)) walk.hold();
      else walk.goOn();
    }
  }

  #add(result: RowResult): void {
    this.#counts[result.status]++;
    this.#counts.tokens += result.tokens;
    this.#results.add(result);
  }

  #mayHaveBegun(row: LaneRow): boolean {
    return this.earlier.mayHaveRun || row.begun === true;
  }

  #walkOf(row: LaneRow): RowWalk {
    return new RowWalk(
      this.protocol,
      { ...this.input, weight: () => this.#weight },
      row,
      this.#mayHaveBegun(row),
      this.earlier.traceNumbers,
      this.#startedMs,
    );
  }
}
