import type { LaneInput, LaneProgress, LaneResult, LaneRow } from '../protocol/activities.js';
import type { ExchangeProtocol } from './exchange-protocol.js';
import { LaneResults } from './lane-results.js';
import { RowWalk } from './lane-row.js';

/** Rows in flight that heartbeat details list. */
const MOST_LISTED = 25;

/** What an earlier attempt of the same lane leaves behind. */
export interface EarlierAttempt {
  /** True unless this is surely the first: any row may have been sent. */
  mayHaveRun: boolean;
  /** From its last heartbeat; may be missing. */
  traceNumbers: Record<string, number>;
}

/** The rows of one lane: a pool that walks them, and what there is to tell of them. */
export class LanePool {
  readonly #startedMs = Date.now();
  readonly #waiting: LaneRow[];
  readonly #walks = new Map<number, RowWalk>();
  readonly #results = new LaneResults();
  readonly #expired: number[] = [];
  readonly #counts = { succeeded: 0, failed: 0, cancelled: 0, tokens: 0 };

  constructor(
    private readonly protocol: ExchangeProtocol,
    private readonly input: LaneInput,
    private readonly earlier: EarlierAttempt,
  ) {
    // Taken from the end.
    this.#waiting = input.rows.toReversed();
  }

  /** Walks the rows until all have ended, the results near their bound, or the signal is aborted. Does not throw. */
  async run(signal: AbortSignal): Promise<void> {
    const size = Math.max(1, Math.min(this.input.concurrency, this.input.rows.length));
    await Promise.all(Array.from({ length: size }, () => this.#work(signal)));
  }

  /** After `run` was aborted: ends everything in flight at the agent, and everything an earlier attempt may have begun. */
  async cancelAtAgent(): Promise<void> {
    const walks = [...this.#walks.values()];
    for (const row of this.#waiting.toReversed()) if (this.#mayHaveBegun(row)) walks.push(this.#walkOf(row));
    const cancel = async (walk: RowWalk) => {
      const result = await walk.cancel();
      this.#walks.delete(walk.index);
      this.#counts[result.status === 'succeeded' ? 'succeeded' : 'cancelled']++;
      this.#counts.tokens += result.tokens;
      this.#results.add(result);
    };
    // All at once: a cancel must not wait for another.
    await Promise.all(walks.map(cancel));
  }

  result(): LaneResult {
    const { results, left } = this.#results.fitting();
    const notTaken = this.#waiting.filter((row) => this.#mayHaveBegun(row)).map(({ index }) => index);
    return { results, expired: this.#expired, begun: [...left, ...this.#walks.keys(), ...notTaken] };
  }

  /** Heartbeat details; read every second, so nothing is computed elsewhere for it. */
  progress(): LaneProgress {
    const { countsBefore } = this.input;
    const walks = [...this.#walks.values()];
    const succeeded = countsBefore.succeeded + this.#counts.succeeded;
    const failed = countsBefore.failed + this.#counts.failed;
    const waiting = walks.map((walk) => walk.waiting()).find((wait) => wait !== undefined);
    return {
      finished: succeeded + failed + countsBefore.cancelled + countsBefore.expired + this.#counts.cancelled,
      succeeded,
      failed,
      tokens: countsBefore.tokens + this.#counts.tokens,
      running: walks.length,
      inFlight: walks.slice(0, MOST_LISTED).map((walk) => walk.inFlight()),
      ...waiting,
      traceNumbers: Object.fromEntries(walks.map((walk) => walk.traceNumber()).filter((entry) => entry !== undefined)),
    };
  }

  async #work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#results.hasRoomFor(this.#walks.size)) {
      const row = this.#waiting.pop();
      if (row === undefined) return;
      const walk = this.#walkOf(row);
      this.#walks.set(row.index, walk);
      try {
        this.#note(row, await walk.run(signal));
      } catch {
        // Aborted: the walk stays among those in flight, to be cancelled or left to the next attempt.
        return;
      }
    }
  }

  #note(row: LaneRow, ended: Awaited<ReturnType<RowWalk['run']>>): void {
    this.#walks.delete(row.index);
    if (ended === 'expired') {
      this.#expired.push(row.index);
      return;
    }
    this.#counts[ended.status === 'succeeded' ? 'succeeded' : 'failed']++;
    this.#counts.tokens += ended.tokens;
    this.#results.add(ended);
  }

  #mayHaveBegun(row: LaneRow): boolean {
    return this.earlier.mayHaveRun || row.begun === true;
  }

  #walkOf(row: LaneRow): RowWalk {
    return new RowWalk(
      this.protocol,
      this.input,
      row,
      this.#mayHaveBegun(row),
      this.earlier.traceNumbers,
      this.#startedMs,
    );
  }
}
