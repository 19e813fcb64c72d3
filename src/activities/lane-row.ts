import { v5 as uuidV5 } from 'uuid';
import type { ExchangeProgress, LaneRow } from '../protocol/activities.js';
import type { RowResult, RowStatus } from '../protocol/batch.js';
import { DEFAULTS } from '../protocol/defaults.js';
import type { ExchangeError, ExchangeMode, ExchangeResult, ParameterInputs } from '../protocol/exchange.js';
import { FAILURE_TYPES } from '../protocol/failures.js';
import { carryOverParameters } from '../protocol/parameters.js';
import {
  ExchangeFailure,
  exchangeErrorOf,
  type ExchangeMemory,
  memoryAfterAnAttempt,
  memoryOf,
  newExchangeMemory,
  retryDecision,
} from './exchange-failure.js';
import {
  ExchangeHeldBack,
  type ExchangeProtocol,
  type ExchangeRequest,
  type FoundExchange,
} from './exchange-protocol.js';
import { unlessHeld } from './holdable.js';
import { sleep } from './sleep.js';

/** What all rows of a lane share. */
export interface RowSettings {
  batchId: string;
  /** Of the batch, as it is now. */
  weight: () => number;
  /** UUID from which the ids of the rows' exchanges are derived. */
  idBase: string;
  mode: ExchangeMode;
  /** Milliseconds. */
  callTimeoutMs: number;
  /** Milliseconds. */
  silenceTimeoutMs: number;
}

/** How a row ends that is stopped before it is finished. */
export interface RowEnd {
  status: 'cancelled' | 'expired';
  error: ExchangeError;
}

/** A row in flight, as people see it. */
export interface RowInFlight {
  id: string;
  phase: string;
  /** ISO 8601. */
  since: string;
}

/**
 * Walks one row turn by turn. The ids of its exchanges are made of the row's index and the turn, so a later attempt, which
 * walks the row from its first turn again, finds what this one has sent.
 */
export class RowWalk {
  readonly #startedAt = new Date().toISOString();
  readonly #exchanges: ExchangeResult[] = [];
  #attempts = 0;
  #tokens = 0;
  #parameters: ParameterInputs | undefined;
  #memory: ExchangeMemory;
  #progress: ExchangeProgress | undefined;
  #backoff: { reason: string; untilMs: number } | undefined;
  #isHeld = false;
  #hold = new AbortController();

  constructor(
    private readonly protocol: ExchangeProtocol,
    private readonly settings: RowSettings,
    private readonly row: LaneRow,
    /** An earlier attempt may have sent the present turn, and turns after it. */
    private earlierMaySend: boolean,
    /** Trace numbers that an earlier attempt has come to, by `index/turn`; saves looking at those below. */
    private readonly traceNumbers: Record<string, number> = {},
    /** When this attempt began: earlier ones have sent nothing since (milliseconds since the epoch). */
    private readonly attemptStartedMs = Date.now(),
  ) {
    this.#parameters = row.parameterInputs;
    this.#memory = this.#memoryOfTurn();
  }

  get id(): string {
    return this.row.id;
  }

  /** Its deadline has passed. */
  get isLate(): boolean {
    return this.row.deadline !== undefined && Date.parse(this.row.deadline) <= Date.now();
  }

  get index(): number {
    return this.row.index;
  }

  /** Something of it may stand in its session, or run at the agent. */
  get isBegun(): boolean {
    const { sends, mayBeSent } = this.#currentMemory();
    return this.#exchanges.length > 0 || sends > 0 || mayBeSent;
  }

  /** Sends nothing more for now: it comes back when what is under way has ended; at once where it only waits. */
  hold(): void {
    this.#isHeld = true;
    this.#hold.abort();
  }

  /** Goes on, unless it has come back. */
  goOn(): void {
    this.#isHeld = false;
    if (this.#hold.signal.aborted) this.#hold = new AbortController();
  }

  /**
   * Walks the row to its end. `expired`: the session was gone before anything was answered, so another one may do.
   * `heldBack`: it may not go on for now (`hold`), and nothing of it is under way.
   *
   * @throws The signal's reason, when it is aborted; the exchange in flight, if any, goes on at the agent.
   */
  async run(signal: AbortSignal): Promise<RowResult | 'expired' | 'heldBack'> {
    try {
      while (this.#exchanges.length < this.row.turns.length) {
        if (this.#isHeld) return 'heldBack';
        const found = await this.#exchange(signal);
        if (found === 'heldBack') return found;
        this.#take(found);
      }
      return this.#result('succeeded');
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      this.#attempts += this.#currentMemory().sends;
      const isExpired = error instanceof ExchangeFailure && error.failureClass === 'expired';
      if (isExpired && this.#exchanges.length === 0 && this.row.lastSession !== true) return 'expired';
      return this.#result('failed', error instanceof ExchangeFailure ? error.error : exchangeErrorOf(error));
    }
  }

  /**
   * After `run` was stopped, or instead of it: ends the exchange in flight at the agent and tells how the row ended. What
   * was answered before the cancel arrived counts.
   */
  async cancel({ status, error: { errorName, message } }: RowEnd): Promise<RowResult> {
    let note = '';
    try {
      while (this.#exchanges.length < this.row.turns.length) {
        const memory = this.#currentMemory();
        const ended = await this.protocol.cancel(this.#request(), memory);
        if (!('result' in ended)) {
          this.#attempts += memory.sends;
          if (ended.mayStillRun === true) note = '; sent by blockingContinue, it cannot be stopped and may still land';
          break;
        }
        this.#take({ result: ended.result, memory });
        // Only an earlier attempt can have gone on to the next turn.
        if (!this.earlierMaySend) break;
      }
    } catch (error) {
      note = `; the agent could not be told: ${exchangeErrorOf(error).message}`;
    }
    if (this.#exchanges.length === this.row.turns.length) return this.#result('succeeded');
    return this.#result(status, { errorName, message: message + note });
  }

  /** What this row is doing. */
  inFlight(): RowInFlight {
    const { turns } = this.row;
    const phase = this.#backoff === undefined ? (this.#progress?.phase ?? 'starting') : 'waitingToRetry';
    const turn = turns.length > 1 ? `turn ${this.#exchanges.length + 1} of ${turns.length}: ` : '';
    return { id: this.row.id, phase: turn + phase, since: this.#startedAt };
  }

  /** Why this row waits, and until when (ISO 8601), if it does. */
  waiting(): { waitingFor: string; waitingUntil?: string } | undefined {
    if (this.#backoff !== undefined) {
      const { reason, untilMs } = this.#backoff;
      return { waitingFor: reason, waitingUntil: new Date(untilMs).toISOString() };
    }
    const { waitingFor, waitingUntil } = this.#progress ?? {};
    if (waitingFor === undefined) return undefined;
    return { waitingFor, ...(waitingUntil !== undefined && { waitingUntil }) };
  }

  /** The trace number of the turn in flight, with its key, when it is above 0. */
  traceNumber(): [key: string, traceNumber: number] | undefined {
    const { traceNumber } = this.#currentMemory();
    return traceNumber > 0 ? [this.#turnKey(), traceNumber] : undefined;
  }

  /** One turn, tried again as its failures ask for. */
  async #exchange(signal: AbortSignal): Promise<FoundExchange | 'heldBack'> {
    const startedMs = Date.now();
    const request = this.#request();
    for (;;) {
      try {
        const onProgress = (progress: ExchangeProgress) => void (this.#progress = progress);
        return await this.protocol.run(request, this.#memory, { signal, hold: this.#hold.signal, onProgress });
      } catch (error) {
        const mayGoOn = error instanceof ExchangeFailure || error instanceof ExchangeHeldBack;
        if (signal.aborted || !mayGoOn) throw error;
        this.#memory = error.memory;
        this.#progress = undefined;
        if (error instanceof ExchangeFailure) await this.#waitToRetry(error, startedMs, signal);
        if (this.#isHeld) return 'heldBack';
      }
    }
  }

  /** Waits until a failed turn may be tried again, or is held back. @throws The failure, when it may not. */
  async #waitToRetry(failure: ExchangeFailure, startedMs: number, signal: AbortSignal): Promise<void> {
    const decision = retryDecision(failure);
    if (decision === 'final') throw failure;
    const { retryAfterMs } = decision;
    const untilMs = Date.now() + retryAfterMs;
    if (untilMs - startedMs > DEFAULTS.exchangeTimeoutMs.batch) {
      const hours = DEFAULTS.exchangeTimeoutMs.batch / 3_600_000;
      const message = `Gave up after ${hours} hours; the last failure: ${failure.error.errorName}: ${failure.error.message}`;
      throw new ExchangeFailure(
        'giveUp',
        { ...failure.error, errorName: FAILURE_TYPES.exchangeTimedOut, message },
        failure.memory,
      );
    }
    this.#backoff = { reason: `the next try after ${failure.error.errorName}`, untilMs };
    try {
      await unlessHeld(signal, this.#hold.signal, (either) => sleep(retryAfterMs, either));
    } finally {
      this.#backoff = undefined;
    }
  }

  #take({ result, memory }: FoundExchange): void {
    this.#exchanges.push(result);
    // Found without a send of ours: an earlier attempt sent it.
    this.#attempts += Math.max(1, memory.sends);
    this.#tokens += result.totalTokensUsed ?? 0;
    this.#parameters = carryOverParameters(this.#parameters ?? {}, result.parameterUpdates);
    // Turns go one after the other: where this attempt had to send one, nobody can have sent the next.
    this.earlierMaySend &&= memory.sends === 0;
    this.#memory = this.#memoryOfTurn();
    this.#progress = undefined;
  }

  #request(): ExchangeRequest {
    const { row, settings } = this;
    const turn = this.#exchanges.length;
    const key = this.#turnKey();
    const request: ExchangeRequest = {
      agentRid: row.agentRid,
      sessionRid: row.sessionRid,
      ids: { messageId: uuidV5(key, settings.idBase), traceIdBase: uuidV5(`${key}/trace`, settings.idBase) },
      text: row.turns[turn] ?? '',
      mode: row.mode ?? settings.mode,
      exchangesBefore: turn,
      callTimeoutMs: settings.callTimeoutMs,
      silenceTimeoutMs: settings.silenceTimeoutMs,
      priority: 'batch',
      flow: { key: settings.batchId, weight: settings.weight() },
    };
    if (this.#parameters !== undefined && Object.keys(this.#parameters).length > 0) {
      request.parameterInputs = this.#parameters;
    }
    if (row.contextsOverride !== undefined) request.contextsOverride = row.contextsOverride;
    return request;
  }

  #turnKey(): string {
    return `${this.row.index}/${this.#exchanges.length}`;
  }

  #memoryOfTurn(): ExchangeMemory {
    const traceNumber = this.traceNumbers[this.#turnKey()] ?? 0;
    const earlier = this.earlierMaySend ? memoryAfterAnAttempt(this.attemptStartedMs) : {};
    return { ...newExchangeMemory(), ...earlier, traceNumber };
  }

  /** The newest there is: of the try in flight, or of the last one that failed. */
  #currentMemory(): ExchangeMemory {
    if (this.#progress === undefined) return this.#memory;
    return { ...this.#memory, ...memoryOf(this.#progress) };
  }

  #result(status: RowStatus, error?: ExchangeError): RowResult {
    return {
      id: this.row.id,
      index: this.row.index,
      status,
      exchanges: this.#exchanges,
      sessionRid: this.row.sessionRid,
      tokens: this.#tokens,
      attempts: this.#attempts,
      startedAt: this.#startedAt,
      finishedAt: new Date().toISOString(),
      ...(error !== undefined && { error }),
    };
  }
}
