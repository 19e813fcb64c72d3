import type { Ceilings, Flow, LearnedLimit, MemberReport } from '../protocol/limits.js';
import {
  type LimitEvent,
  type Verdict,
  type WaitReason,
  allowedConcurrency,
  allowedRate,
  judgeStart,
  letInPerSecond,
  nextLimitState,
  settledAfterMs,
} from './control-law.js';
import { FairQueue } from './fair-queue.js';
import { type LimitState, initialLimitState } from './limit-state.js';
import { rateAt } from './rate-curve.js';
import { type TokenUse, allowedTokens, reportOfTokens } from './token-rate.js';

/** Interactive calls go ahead of batch calls. */
export type Priority = 'interactive' | 'batch';

/** Why a call waits, and until when if that is known (milliseconds of the governor's clock). */
export interface Wait {
  /** `closed`: an operator has closed the agent. `foundry`: a ceiling over all agents. */
  reason: WaitReason | 'closed' | 'foundry';
  untilMs?: number;
}

/** A call that asks to start. `grant` is called once, when it may. */
export interface Waiter {
  priority: Priority;
  /** Of a batch call: batches share what is left to them by weight. */
  flow?: Flow | undefined;
  grant: (permit: Permit) => void;
  /** Called when it has to wait, and again whenever a pause begins or is prolonged, or the agent is closed or opened. */
  onWait?: ((wait: Wait) => void) | undefined;
}

/** The right to make one call. */
export interface Permit {
  /**
   * Says how the call ended; must be called once, later calls are ignored. `ok`: the limits let it in. `refused`: a limit turned it
   * away. `other`: neither can be said (cancelled, failed for another reason, no answer).
   *
   * @param retryAfterMs what the server asked for, if it did.
   */
  release(outcome: 'ok' | 'refused' | 'other', retryAfterMs?: number): void;
  /**
   * Says how many tokens the call used: once, as soon as that is known, which may be long after its release as `ok`; else it is ignored.
   */
  used(tokens: number): void;
}

/** Clock, chance and timers: real ones, or those of a simulation. */
export interface GateClock {
  now: () => number;
  random: () => number;
  /** Calls back once after `ms`; the returned function takes it back. */
  setTimer: (callback: () => void, ms: number) => () => void;
}

/** What is known of an agent's limits, for people. */
export interface GateStatus {
  /** Calls allowed in flight. */
  limit: number;
  /** Calls allowed per second; absent: no rate is known. */
  ratePerSecond?: number;
  /** Tokens allowed per minute; absent: no limit of them is known. */
  tokensPerMinute?: number;
  inFlight: number;
  waiting: { interactive: number; batch: number };
  /** Present during a pause. */
  pausedUntilMs?: number;
  /** Present while an operator has closed the agent: until then, or without end (infinite). */
  closedUntilMs?: number;
}

/** What a gate tells the other workers of its agent. */
export type GateReport = Pick<
  MemberReport,
  | 'limit'
  | 'rate'
  | 'ratePerSecond'
  | 'tokensPerMinute'
  | 'tokens'
  | 'isRamping'
  | 'inFlight'
  | 'waiting'
  | 'perSecond'
  | 'letIn'
  | 'refusals'
  | 'rateRefusals'
  | 'askedUntilMs'
>;

type Judgement = Verdict | { mayStart: false; reason: 'closed'; untilMs?: number };

interface Call {
  startedAtMs: number;
  /** Calls in flight when it started, itself included, without those that were refused since. */
  startedInFlight: number;
  isSettled: boolean;
  /** From its end on until its tokens are known: when it ended, and what they are taken to be. */
  unread?: { endedAtMs: number; taken: number };
}

/** Timers take no more (milliseconds). */
const MOST_TIMER_MS = 2 ** 31 - 1;

/** The gate before one agent: holds calls back as the control law says, interactive ones first, batches by weight. */
export class AgentGate {
  #state: LimitState;
  /** Calls in flight, in the order of their starts. */
  readonly #calls = new Set<Call>();
  #settledInFlight = 0;
  /** Start of the newest call that is known to be let in. */
  #letInStartedAtMs: number | undefined;
  /** Calls by start time, of which the oldest have not been looked at for having settled. */
  readonly #unsettled: Call[] = [];
  #unsettledFrom = 0;
  readonly #interactive = new Set<Waiter>();
  readonly #batch = new FairQueue<Waiter>();
  readonly #clock: GateClock;
  #ceilings: Ceilings;
  #closedUntilMs = Number.NEGATIVE_INFINITY;
  #letIn = 0;
  #refusals = 0;
  #timer: { atMs: number; cancel: () => void } | undefined;
  #waitedForRate = false;
  #announcedPauseMs = Number.NEGATIVE_INFINITY;

  /** @param beside Closed and opened along with this one. */
  constructor(
    clock: GateClock,
    ceilings: Ceilings,
    private readonly beside?: AgentGate,
  ) {
    this.#clock = clock;
    this.#ceilings = ceilings;
    this.#state = initialLimitState(clock.now());
  }

  /** Grants the waiter at once if it may start, or queues it. */
  enter(waiter: Waiter): void {
    this.#queueOf(waiter).add(waiter);
    this.#admit();
    if (!this.#queueOf(waiter).has(waiter) || waiter.onWait === undefined) return;
    waiter.onWait(waitOf(this.#judge()));
  }

  /** Takes a waiter that was not granted out of the queue. */
  leave(waiter: Waiter): void {
    this.#queueOf(waiter).delete(waiter);
    this.#rearm();
  }

  /**
   * Takes a place, whether there is room or not: for an exchange that goes on at the agent without a call of ours, or for a call
   * that shall not wait (`isCall`), which counts for the rate, too.
   *
   * @returns Gives the place back.
   */
  occupy({ isCall }: { isCall: boolean }): () => void {
    const nowMs = this.#clock.now();
    if (isCall) this.#apply({ type: 'passed', nowMs });
    const call: Call = { startedAtMs: nowMs, startedInFlight: this.#calls.size + 1, isSettled: false };
    this.#calls.add(call);
    return () => {
      if (this.#calls.delete(call)) this.#admit();
    };
  }

  /** Calls refused so far. */
  get refusals(): number {
    return this.#refusals;
  }

  get ceilings(): Ceilings {
    return this.#ceilings;
  }

  /** Puts other ceilings in place of those before. Calls in flight beyond them go on to their end. */
  setCeilings(ceilings: Ceilings): void {
    this.#ceilings = ceilings;
    this.#admit();
  }

  /** Lets no call start until then; one that goes on is left alone. `undefined` opens the gate again. */
  close(untilMs: number | undefined): void {
    this.beside?.close(untilMs);
    const until = untilMs ?? Number.NEGATIVE_INFINITY;
    if (until === this.#closedUntilMs) return;
    this.#closedUntilMs = until;
    this.#admit();
    this.#tellWaiting();
  }

  /** Another worker was refused by this agent, which may have asked for a pause. */
  refusedElsewhere({ isOfRate, askedUntilMs }: { isOfRate: boolean; askedUntilMs: number | undefined }): void {
    const nowMs = this.#clock.now();
    this.#apply({ type: 'refusedElsewhere', nowMs, inFlight: this.#calls.size, isOfRate, askedUntilMs });
    this.#announcePause();
    this.#rearm();
  }

  /** Goes on from this share of what the workers of this agent have learned together. */
  takeShare(share: LearnedLimit, isAlone: boolean): void {
    this.#apply({ type: 'shared', nowMs: this.#clock.now(), share, isAlone });
    this.#admit();
  }

  /** What is known of the tokens of its calls. */
  get tokens(): TokenUse {
    return this.#state.tokens;
  }

  /** Goes on from what the fleet knows of a limit of tokens. */
  takeTokens(tokens: TokenUse): void {
    this.#apply({ type: 'tokensShared', tokens });
    this.#admit();
  }

  report(): GateReport {
    const { limit, rate, isSlowStart, rateRefusals, askedUntilMs } = this.#state;
    const tokens = allowedTokens(this.#state.tokens);
    const nowMs = this.#clock.now();
    return {
      limit,
      ...(rate !== null && {
        rate: { peak: rate.peak, cut: rate.cut, climbedMs: rate.climbedMs },
        ratePerSecond: rateAt(rate),
      }),
      ...(tokens !== Number.POSITIVE_INFINITY && { tokensPerMinute: tokens * 60 }),
      tokens: reportOfTokens(this.#state.tokens, this.#state.callMs, nowMs),
      isRamping: isSlowStart,
      inFlight: this.#calls.size,
      waiting: this.#interactive.size + this.#batch.size,
      perSecond: letInPerSecond(this.#state, nowMs),
      letIn: this.#letIn,
      refusals: this.#refusals,
      rateRefusals,
      ...(askedUntilMs > nowMs && { askedUntilMs }),
    };
  }

  status(): GateStatus {
    const rate = allowedRate(this.#state, this.#ceilings);
    const tokens = allowedTokens(this.#state.tokens);
    const { pausedUntilMs } = this.#state;
    const nowMs = this.#clock.now();
    return {
      limit: allowedConcurrency(this.#state, this.#ceilings),
      ...(rate === Number.POSITIVE_INFINITY ? {} : { ratePerSecond: rate }),
      ...(tokens === Number.POSITIVE_INFINITY ? {} : { tokensPerMinute: tokens * 60 }),
      inFlight: this.#calls.size,
      waiting: { interactive: this.#interactive.size, batch: this.#batch.size },
      ...(pausedUntilMs > nowMs && { pausedUntilMs }),
      ...(this.#closedUntilMs > nowMs && { closedUntilMs: this.#closedUntilMs }),
    };
  }

  #queueOf(waiter: Waiter): Set<Waiter> | FairQueue<Waiter> {
    return waiter.priority === 'interactive' ? this.#interactive : this.#batch;
  }

  #judge(): Judgement {
    const closedUntilMs = this.#closedUntilMs;
    if (closedUntilMs === Number.POSITIVE_INFINITY) return { mayStart: false, reason: 'closed' };
    if (closedUntilMs > this.#clock.now()) return { mayStart: false, reason: 'closed', untilMs: closedUntilMs };
    return judgeStart(this.#state, this.#calls.size, this.#clock.now(), this.#ceilings);
  }

  #admit(): void {
    for (;;) {
      const [interactive] = this.#interactive;
      const waiter = interactive ?? this.#batch.first();
      if (waiter === undefined) break;
      const verdict = this.#judge();
      if (!verdict.mayStart) {
        if (verdict.reason === 'rate') this.#waitedForRate = true;
        break;
      }
      if (interactive === undefined) this.#batch.take();
      else this.#interactive.delete(interactive);
      waiter.grant(this.#start());
    }
    this.#rearm();
  }

  #start(): Permit {
    const nowMs = this.#clock.now();
    const inFlight = this.#calls.size + 1;
    this.#apply({ type: 'started', nowMs, inFlight, waitedForRate: this.#waitedForRate });
    this.#waitedForRate = false;
    const call: Call = { startedAtMs: nowMs, startedInFlight: inFlight, isSettled: false };
    this.#calls.add(call);
    this.#unsettled.push(call);
    return {
      release: (outcome, retryAfterMs) => this.#end(call, outcome, retryAfterMs),
      used: (tokens) => this.#use(call, tokens),
    };
  }

  #end(call: Call, outcome: 'ok' | 'refused' | 'other', retryAfterMs: number | undefined): void {
    if (!this.#calls.has(call)) return;
    const nowMs = this.#clock.now();
    const settled = this.#settle(nowMs);
    const letIn = settled + (outcome === 'ok' && !call.isSettled ? 1 : 0);
    if (outcome === 'ok') {
      this.#noteLetIn(call);
      call.unread = { endedAtMs: nowMs, taken: this.#state.tokens.mean };
    }
    const settledInFlight = this.#settledInFlight;
    this.#letIn += letIn;
    if (outcome === 'refused') this.#refusals += 1;
    this.#calls.delete(call);
    if (outcome === 'refused') this.#discount(call);
    if (call.isSettled) this.#settledInFlight -= 1;
    this.#apply({
      type: 'ended',
      outcome,
      nowMs,
      startedAtMs: call.startedAtMs,
      startedInFlight: call.startedInFlight,
      inFlight: this.#calls.size,
      settledInFlight,
      letIn,
      letInStartedAtMs: this.#letInStartedAtMs,
      retryAfterMs,
      random: this.#clock.random(),
    });
    this.#announcePause();
    this.#admit();
  }

  #use(call: Call, tokens: number): void {
    const { unread } = call;
    if (unread === undefined) return;
    delete call.unread;
    this.#apply({ type: 'used', nowMs: this.#clock.now(), tokens, ...unread });
    this.#admit();
  }

  #noteLetIn({ startedAtMs }: Call): void {
    this.#letInStartedAtMs = Math.max(startedAtMs, this.#letInStartedAtMs ?? startedAtMs);
  }

  /** A refused call took no place at the server: calls that started beside it were fewer than they looked. */
  #discount(refused: Call): void {
    for (const call of this.#calls) if (call.startedAtMs >= refused.startedAtMs) call.startedInFlight -= 1;
  }

  /** Finds the calls that have by now lasted long enough to be taken as let in; returns how many more there are. */
  #settle(nowMs: number): number {
    const settledBefore = this.#settledInFlight;
    const bornBeforeMs = nowMs - settledAfterMs(this.#state);
    for (let call = this.#unsettled[this.#unsettledFrom]; call !== undefined;) {
      if (this.#calls.has(call)) {
        if (call.startedAtMs > bornBeforeMs) break;
        call.isSettled = true;
        this.#noteLetIn(call);
        this.#settledInFlight += 1;
      }
      this.#unsettledFrom += 1;
      call = this.#unsettled[this.#unsettledFrom];
    }
    if (this.#unsettledFrom >= 1_000) {
      this.#unsettled.splice(0, this.#unsettledFrom);
      this.#unsettledFrom = 0;
    }
    return this.#settledInFlight - settledBefore;
  }

  #apply(event: LimitEvent): void {
    this.#state = nextLimitState(this.#state, event, this.#ceilings);
  }

  /** Nothing ends, so that the limit may have to grow on what has settled. */
  #noteWait(): void {
    const nowMs = this.#clock.now();
    const letIn = this.#settle(nowMs);
    this.#letIn += letIn;
    this.#apply({
      type: 'waited',
      nowMs,
      letIn,
      letInStartedAtMs: this.#letInStartedAtMs,
      settledInFlight: this.#settledInFlight,
    });
  }

  #announcePause(): void {
    const { pausedUntilMs } = this.#state;
    if (pausedUntilMs <= this.#clock.now() || pausedUntilMs <= this.#announcedPauseMs) return;
    this.#announcedPauseMs = pausedUntilMs;
    for (const queue of [this.#interactive, this.#batch])
      for (const waiter of queue) waiter.onWait?.({ reason: 'paused', untilMs: pausedUntilMs });
  }

  #tellWaiting(): void {
    const wait = waitOf(this.#judge());
    for (const queue of [this.#interactive, this.#batch]) for (const waiter of queue) waiter.onWait?.(wait);
  }

  /** One timer, for the moment when the head of the queue may start if nothing else happens before. */
  #rearm(): void {
    const verdict = this.#interactive.size + this.#batch.size > 0 ? this.#judge() : undefined;
    const atMs = verdict === undefined || verdict.mayStart ? undefined : verdict.untilMs;
    if (this.#timer !== undefined && this.#timer.atMs === atMs) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (atMs === undefined) return;
    const isRamp = verdict?.mayStart === false && verdict.reason === 'concurrency';
    const delayMs = Math.min(MOST_TIMER_MS, Math.max(0, Math.ceil(atMs - this.#clock.now())));
    const cancel = this.#clock.setTimer(() => {
      this.#timer = undefined;
      if (isRamp) this.#noteWait();
      this.#admit();
    }, delayMs);
    this.#timer = { atMs, cancel };
  }
}

function waitOf(verdict: Judgement): Wait {
  if (verdict.mayStart) return { reason: 'concurrency' };
  const { reason, untilMs } = verdict;
  // A concurrency limit in its ramp is looked at again soon, but when a place comes free is not known.
  return untilMs === undefined || reason === 'concurrency' ? { reason } : { reason, untilMs };
}
