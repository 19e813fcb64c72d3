/**
 * How fast to call an agent whose limits nobody tells: a pure function from what happened to what is allowed next.
 *
 * Two things are learned side by side, because either kind of limit may be there and looks like the other:
 *
 * - **Concurrency.** Starts at 4 and doubles per round trip (or per 50 ms in which nothing was refused, so that long answers do
 *   not hold the ramp up). A refusal tells the edge exactly: what is still in flight was let in, so that is the new limit.
 *   From then on the limit is probed by small steps, rarely while probes fail and faster while they succeed.
 * - **Rate** (calls started per second). Not limited until a refusal comes at a concurrency that was fine a moment ago. Then
 *   it is cut, climbs back quickly to just below where it was refused, stays there for long, and then tries beyond: a cubic
 *   curve, as TCP's CUBIC, so that most time is spent close to the limit.
 *
 * Which of both a refusal speaks of is told by `proven`, the concurrency that was lately seen to be let in: a refusal
 * above it speaks of concurrency, one at or below it of rate. When refusal follows refusal with nothing let in between, a
 * pause comes on top, growing and with full jitter, so that workers do not come back together.
 *
 * A limit of tokens is neither; what tells it, and what it allows, stands in `token-rate.ts`.
 */

import type { Ceilings, LearnedLimit } from '../protocol/limits.js';
import { type LimitState, initialLimitState } from './limit-state.js';
import { type RateCurve, climb, cutRateCurve, guessRate, rateAt, refill } from './rate-curve.js';
import { peakOf, slide, sumOf } from './sliding-window.js';
import {
  type TokenUse,
  tokensAfterLanding,
  tokensAfterLetIn,
  tokensAfterRefusal,
  tokensAfterStart,
  tokensAfterUse,
  tokensOnHold,
  waitForTokens,
} from './token-rate.js';

/** What happened. `inFlight` counts this agent's calls after the event. */
export type LimitEvent =
  | { type: 'started'; nowMs: number; inFlight: number; waitedForRate: boolean }
  /** A call that waits for nothing: it counts, though none may be due. */
  | { type: 'passed'; nowMs: number }
  /** Another worker was refused by the same agent. */
  | { type: 'refusedElsewhere'; nowMs: number; inFlight: number; isOfRate: boolean; askedUntilMs?: number | undefined }
  /** The fleet gives this worker its share of what all have learned. */
  | { type: 'shared'; nowMs: number; share: LearnedLimit; isAlone: boolean }
  /** What the fleet knows of a limit of tokens. */
  | { type: 'tokensShared'; tokens: TokenUse }
  /** Calls wait for the concurrency limit, and nothing else happened for a while. */
  | { type: 'waited'; nowMs: number; settledInFlight: number; letIn: number; letInStartedAtMs?: number | undefined }
  /** The tokens of a call that had ended became known; `taken`: what they were taken to be until then. */
  | { type: 'used'; nowMs: number; tokens: number; taken: number; endedAtMs: number }
  | {
      type: 'ended';
      /** `ok`: let in and done. `refused`: turned away because of a limit. `other`: tells nothing about limits. */
      outcome: 'ok' | 'refused' | 'other';
      nowMs: number;
      startedAtMs: number;
      /** Calls in flight when it started, itself included. */
      startedInFlight: number;
      inFlight: number;
      /** Those in flight before this end that have lasted for `settledAfterMs`: not refused, so let in. */
      settledInFlight: number;
      /** Calls found to be let in since the last end: this one if it is `ok`, and those that have settled. */
      letIn: number;
      /** When the newest call that is known to be let in was started. */
      letInStartedAtMs?: number | undefined;
      retryAfterMs?: number | undefined;
      /** Uniform in [0, 1). */
      random: number;
    };

/** What stands in the way of the next call, and until when if that is known. */
export type Verdict = { mayStart: true } | { mayStart: false; reason: WaitReason; untilMs?: number };

/** `paused`, `rate`, `concurrency`: what was learned. `ceiling`: what was set. */
export type WaitReason = 'paused' | 'rate' | 'concurrency' | 'ceiling';

const SLOW_START_MS = 50;
/** Time between probes: doubled when one is refused, up to the time of so many landings; halved when one holds. */
const PROBE_AFTER = { leastMs: 250, mostMs: 2_000, mostLandings: 50 };
/** Starts are spread in time: at most so many times the pace that keeps all allowed calls busy. */
const SPREAD = 4;
const ACCEPTED_WINDOW = { leastMs: 1_000, mostMs: 10_000 };
const PROVEN_WINDOW_MS = 4_000;
const PAUSE = { baseMs: 500, capMs: 30_000, leastMs: 50 };
const FORGET_AFTER_MS = 10 * 60_000;
/** In flight, of the concurrency allowed: a rate that holds back no more than this leaves is in doubt. */
const DOUBTFUL_SHARE = 0.7;
const SHELVE_AFTER_MOST_MS = 120_000;
/** A rate cut so recently was cut for what other workers tell of now (milliseconds). */
const SAME_REFUSAL_MS = 1_500;

/** Calls allowed in flight: what was learned, at least one, under the ceiling, which may be none. */
export function allowedConcurrency(state: LimitState, ceilings: Ceilings): number {
  return Math.min(Math.max(1, Math.floor(state.limit)), ceilings.maxConcurrency ?? Number.POSITIVE_INFINITY);
}

/** Calls allowed per second: what was learned, under the ceiling; infinite when neither is there. */
export function allowedRate(state: LimitState, ceilings: Ceilings): number {
  const ceiling = ceilings.maxPerMinute === undefined ? Number.POSITIVE_INFINITY : ceilings.maxPerMinute / 60;
  return Math.min(learnedRate(state), ceiling);
}

function learnedRate({ rate }: LimitState): number {
  return rate === null ? Number.POSITIVE_INFINITY : rateAt(rate);
}

/** Calls let in per second, lately. */
export function letInPerSecond(state: LimitState, nowMs: number): number {
  // The window moves on though nothing happens.
  const accepted = slide(state.accepted, nowMs, acceptedWindowMs(state), (count) => count);
  return acceptedPerSecond({ ...state, accepted }, nowMs);
}

/** How long a call must have lasted to be taken as let in, in milliseconds. */
export function settledAfterMs(state: LimitState): number {
  return Math.max(100, 2 * state.refusalMs);
}

/** Tells whether a call may start now. */
export function judgeStart(state: LimitState, inFlight: number, nowMs: number, ceilings: Ceilings): Verdict {
  if (nowMs < state.pausedUntilMs) return { mayStart: false, reason: 'paused', untilMs: state.pausedUntilMs };
  if (inFlight >= (ceilings.maxConcurrency ?? Number.POSITIVE_INFINITY)) return { mayStart: false, reason: 'ceiling' };
  if (inFlight >= allowedConcurrency(state, ceilings))
    return { mayStart: false, reason: 'concurrency', ...growthAt(state, ceilings) };
  const tokensAtMs = waitForTokens(state.tokens, inFlight, nowMs);
  if (tokensAtMs !== undefined) return { mayStart: false, reason: 'rate', untilMs: tokensAtMs };
  const pace = startPace(state, ceilings);
  if (pace === Number.POSITIVE_INFINITY) return { mayStart: true };
  if (pace === 0) return { mayStart: false, reason: 'ceiling' };
  const { tokens } = refill(state.bucket, pace, nowMs);
  if (tokens >= 1) return { mayStart: true };
  const untilMs = nowMs + ((1 - tokens) / pace) * 1000;
  if (pace < allowedRate(state, ceilings)) return { mayStart: false, reason: 'concurrency', untilMs };
  return { mayStart: false, reason: pace < learnedRate(state) ? 'ceiling' : 'rate', untilMs };
}

/** When the limit may grow although no call ends; never at the ceiling. */
function growthAt(state: LimitState, ceilings: Ceilings): { untilMs?: number } {
  if (state.limit >= (ceilings.maxConcurrency ?? Number.POSITIVE_INFINITY)) return {};
  return { untilMs: state.isSlowStart ? state.grownAtMs + SLOW_START_MS : nextProbeAtMs(state) };
}

/**
 * Starts per second: the allowed rate, and once limits were met no more than a few times what keeps all allowed calls busy, as
 * calls that start together are what a strict limit refuses.
 */
function startPace(state: LimitState, ceilings: Ceilings): number {
  const rate = allowedRate(state, ceilings);
  if (state.isSlowStart || state.callMs === 0) return rate;
  return Math.min(rate, (SPREAD * 1000 * allowedConcurrency(state, ceilings)) / state.callMs);
}

/** What is known after an event. */
export function nextLimitState(state: LimitState, event: LimitEvent, ceilings: Ceilings): LimitState {
  switch (event.type) {
    case 'started':
      return afterStart(state, event, ceilings);
    case 'waited':
      return afterWait(countLetIn(state, event), event, ceilings);
    case 'ended':
      return afterEnd(countLetIn(state, event), event, ceilings);
    case 'passed':
      return afterPassing(state, event.nowMs, ceilings);
    case 'refusedElsewhere':
      return afterRefusalElsewhere(state, event);
    case 'shared':
      return afterSharing(state, event);
    case 'tokensShared':
      return withTokens(state, event.tokens);
    case 'used':
      return { ...state, tokens: tokensAfterUse(state.tokens, event) };
  }
}

type StartedEvent = Extract<LimitEvent, { type: 'started' }>;
type WaitedEvent = Extract<LimitEvent, { type: 'waited' }>;
type EndedEvent = Extract<LimitEvent, { type: 'ended' }>;

function afterStart(before: LimitState, event: StartedEvent, ceilings: Ceilings): LimitState {
  const { nowMs } = event;
  const isStale = event.inFlight === 1 && nowMs - before.startedAtMs > FORGET_AFTER_MS;
  const known = isStale ? forgotten(before, nowMs) : before;
  const climbedMs = event.waitedForRate ? nowMs - known.startedAtMs : 0;
  const state = { ...known, tokens: tokensAfterStart(known.tokens, event.inFlight, nowMs, climbedMs) };
  const pace = startPace(state, ceilings);
  if (pace === Number.POSITIVE_INFINITY) return { ...state, startedAtMs: nowMs };
  const bucket = refill(state.bucket, pace, nowMs);
  const next = { ...state, startedAtMs: nowMs, bucket: { ...bucket, tokens: bucket.tokens - 1 } };
  if (state.rate === null || !event.waitedForRate) return next;
  if (isDoubtful(state, event, ceilings)) return shelved(next, state.rate, nowMs);
  return { ...next, rate: climb(state.rate, nowMs - state.startedAtMs) };
}

/** But for what the fleet has just told. */
function forgotten({ tokens }: LimitState, nowMs: number): LimitState {
  const state = initialLimitState(nowMs);
  return tokens.share === null ? state : { ...state, tokens };
}

/**
 * A rate that holds calls back only a little below the concurrency allowed may be no rate: refusals of calls at once look like it
 * when other workers probe for more. Without it little more can start, so that it costs little to see.
 */
function isDoubtful(state: LimitState, { nowMs, inFlight }: StartedEvent, ceilings: Ceilings): boolean {
  if (!state.isShared) return false;
  const limit = allowedConcurrency(state, ceilings);
  return limit > 1 && inFlight >= DOUBTFUL_SHARE * limit && nowMs - state.shelvedAtMs >= state.shelveAfterMs;
}

function shelved(state: LimitState, rate: RateCurve, nowMs: number): LimitState {
  const shelveAfterMs = Math.min(SHELVE_AFTER_MOST_MS, state.shelveAfterMs * 2);
  return { ...state, rate: null, shelvedRate: rate, shelvedAtMs: nowMs, shelveAfterMs, rateSuspicion: 0 };
}

/** It takes from those that wait: the bucket may be overdrawn. */
function afterPassing(state: LimitState, nowMs: number, ceilings: Ceilings): LimitState {
  const pace = allowedRate(state, ceilings);
  if (pace === Number.POSITIVE_INFINITY) return state;
  const bucket = refill(state.bucket, pace, nowMs);
  return { ...state, bucket: { ...bucket, tokens: bucket.tokens - 1 } };
}

function afterWait(state: LimitState, event: WaitedEvent, ceilings: Ceilings): LimitState {
  if (!state.isSlowStart) return probe(withProven(state, event.nowMs, event.settledInFlight), event.nowMs, ceilings);
  if (event.nowMs - state.grownAtMs < SLOW_START_MS) return state;
  return { ...state, limit: grown(state.limit, state.limit * 2, ceilings), grownAtMs: event.nowMs };
}

function countLetIn(before: LimitState, event: EndedEvent | WaitedEvent): LimitState {
  const { letIn, letInStartedAtMs, nowMs } = event;
  const state = letInStartedAtMs === undefined ? before : withNewestLetIn(before, letInStartedAtMs, nowMs);
  if (letIn === 0) return state;
  const accepted = slide(state.accepted, nowMs, acceptedWindowMs(state), (count) => count + letIn);
  return { ...state, accepted, refusalsInRow: 0 };
}

function withNewestLetIn(state: LimitState, startedAtMs: number, nowMs: number): LimitState {
  return withTokens(state, tokensAfterLetIn(state.tokens, startedAtMs, state.callMs, nowMs));
}

function withTokens(state: LimitState, tokens: TokenUse): LimitState {
  const isNewlyBelieved = tokens.rate !== null && state.tokens.rate === null;
  if (!isNewlyBelieved) return { ...state, tokens };
  // What the refusals seemed to say of calls, they said of tokens.
  return {
    ...state,
    tokens,
    limit: tokens.isLed ? state.limit : Math.max(state.limit, tokens.empty?.letInFlight ?? 0),
    rate: null,
    shelvedRate: null,
    rateSuspicion: 0,
  };
}

function afterEnd(state: LimitState, event: EndedEvent, ceilings: Ceilings): LimitState {
  switch (event.outcome) {
    case 'ok':
      return afterSuccess(state, event, ceilings);
    case 'refused':
      return afterRefusal(state, event);
    case 'other':
      return state;
  }
}

function afterSuccess(state: LimitState, event: EndedEvent, ceilings: Ceilings): LimitState {
  const { nowMs } = event;
  const timed = {
    ...state,
    refusalsInRow: 0,
    callMs: smoothed(state.callMs, nowMs - event.startedAtMs),
    tokens: tokensAfterLanding(state.tokens, nowMs),
  };
  const next = withProven(timed, nowMs, Math.max(event.startedInFlight, event.settledInFlight));
  const isAtLimit = event.inFlight + 1 >= allowedConcurrency(state, ceilings);
  if (!isAtLimit) return next;
  if (!next.isSlowStart) return probe(next, nowMs, ceilings);
  return { ...next, limit: grown(next.limit, next.limit + 1, ceilings), grownAtMs: nowMs };
}

/** A level above the limit is one that calls had before the limit was cut: they prove nothing beyond it. */
function withProven(state: LimitState, nowMs: number, level: number): LimitState {
  const windowMs = PROVEN_WINDOW_MS + 4 * state.callMs;
  const proven = slide(state.proven, nowMs, windowMs, (peak) => Math.max(peak, Math.min(level, state.limit)));
  return { ...state, proven };
}

function probe(state: LimitState, nowMs: number, ceilings: Ceilings): LimitState {
  if (nowMs < nextProbeAtMs(state)) return state;
  if (peakOf(state.proven) < Math.floor(state.limit)) {
    return { ...state, probedAtMs: nowMs + PROBE_AFTER.leastMs - state.probeAfterMs };
  }
  // A probe that held makes the next one bolder and sooner.
  const step = state.isProbing ? Math.max(1, Math.min(state.probeStep * 2, Math.floor(state.limit / 4))) : 1;
  return {
    ...state,
    limit: grown(state.limit, state.limit + step, ceilings),
    probeStep: step,
    probeAfterMs: state.isProbing ? Math.max(PROBE_AFTER.leastMs, state.probeAfterMs / 2) : state.probeAfterMs,
    probedAtMs: nowMs,
    isProbing: true,
  };
}

function nextProbeAtMs(state: LimitState): number {
  return state.probedAtMs + state.probeAfterMs;
}

/** A limit that has grown, but not beyond the ceiling; one that a lower ceiling has overtaken stays what was learned. */
function grown(limit: number, wanted: number, { maxConcurrency = Number.POSITIVE_INFINITY }: Ceilings): number {
  return Math.max(limit, Math.min(wanted, maxConcurrency));
}

function afterRefusal(state: LimitState, event: EndedEvent): LimitState {
  const { nowMs, startedAtMs } = event;
  // Calls that were under way at the last refusal tell nothing new about what was done since.
  const isNews = startedAtMs >= state.refusedAtMs;
  const refusalsInRow = state.refusalsInRow + (isNews ? 1 : 0);
  const isAboveProven = event.startedInFlight > peakOf(state.proven);
  // Beside a limit of tokens only the top of what is allowed at once is a question of its own.
  const isOfCalls = isAboveProven && event.startedInFlight >= Math.max(2, Math.floor(state.limit));
  const tokens =
    isNews && !(state.tokens.rate !== null && isOfCalls)
      ? tokensAfterRefusal(state.tokens, { ...event, callsPerSecond: acceptedPerSecond(state, nowMs) })
      : state.tokens;
  // They have pauses of their own.
  const isHeldByTokens = tokens.suspicion !== null || tokens.rate !== null;
  const next: LimitState = {
    ...state,
    tokens,
    isSlowStart: false,
    refusalMs: smoothed(state.refusalMs, nowMs - startedAtMs),
    refusalsInRow,
    refusedAtMs: isNews ? nowMs : state.refusedAtMs,
    askedUntilMs: Math.max(state.askedUntilMs, nowMs + (event.retryAfterMs ?? 0)),
    pausedUntilMs: Math.max(state.pausedUntilMs, pauseUntilMs(event, isNews && !isHeldByTokens ? refusalsInRow : 0)),
  };
  if (tokens.rate !== null && !isOfCalls) return next;
  if (isAboveProven) return cutLimit({ ...next, rateSuspicion: 0 }, event);
  const rateSuspicion = state.rateSuspicion + (isNews ? 1 : 0);
  if (state.rate === null && rateSuspicion < 2) return cutLimit({ ...next, rateSuspicion }, event);
  return cutRate({ ...next, rateSuspicion }, event);
}

/** The rate is everybody's, so all cut it; so is the end of the ramp. Calls at once are cut by whom the refusal has met. */
function afterRefusalElsewhere(
  state: LimitState,
  { nowMs, inFlight, isOfRate, askedUntilMs = 0 }: Extract<LimitEvent, { type: 'refusedElsewhere' }>,
): LimitState {
  const { isSlowStart, rate } = state;
  const isRateNews = isOfRate && rate !== null && nowMs - rate.cutAtMs > SAME_REFUSAL_MS;
  return {
    ...state,
    pausedUntilMs: Math.max(state.pausedUntilMs, askedUntilMs),
    tokens: tokensOnHold(state.tokens, inFlight, 0, nowMs),
    ...(isSlowStart && { isSlowStart: false, limit: Math.max(1, inFlight), probedAtMs: nowMs }),
    ...(isRateNews && { rate: cutRateCurve(rate, false, nowMs), bucket: { tokens: 0, atMs: nowMs } }),
  };
}

function afterSharing(
  state: LimitState,
  { nowMs, share: { limit, rate }, isAlone }: Extract<LimitEvent, { type: 'shared' }>,
): LimitState {
  const { current, previous } = state.proven;
  return {
    ...state,
    isShared: !isAlone,
    isSlowStart: false,
    limit,
    proven: { ...state.proven, current: Math.min(current, limit), previous: Math.min(previous, limit) },
    probeStep: 1,
    probeAfterMs: Math.max(state.probeAfterMs, PROBE_AFTER.mostMs / 2),
    probedAtMs: nowMs,
    isProbing: false,
    limitCutAtMs: nowMs,
    rate: rate === undefined ? null : { ...rate, cutAtMs: nowMs },
    bucket: { tokens: 0, atMs: nowMs },
  };
}

function pauseUntilMs(event: EndedEvent, refusalsInRow: number): number {
  const askedUntilMs = event.nowMs + (event.retryAfterMs ?? 0);
  if (refusalsInRow < (event.inFlight === 0 ? 2 : 3)) return askedUntilMs;
  const boundMs = Math.min(PAUSE.capMs, PAUSE.baseMs * 2 ** (refusalsInRow - 2));
  return Math.max(askedUntilMs, event.nowMs + Math.max(PAUSE.leastMs, event.random * boundMs));
}

function cutLimit(state: LimitState, event: EndedEvent): LimitState {
  const limit = Math.max(1, Math.min(state.limit, event.inFlight));
  const isNews = event.startedAtMs >= state.limitCutAtMs;
  const mostMs = Math.max(PROBE_AFTER.mostMs, (PROBE_AFTER.mostLandings * state.callMs) / limit);
  return {
    ...state,
    limit,
    proven: {
      ...state.proven,
      current: Math.min(state.proven.current, limit),
      previous: Math.min(state.proven.previous, limit),
    },
    probeStep: 1,
    probeAfterMs: isNews ? Math.min(mostMs, state.probeAfterMs * 2) : state.probeAfterMs,
    probedAtMs: event.nowMs,
    isProbing: false,
    limitCutAtMs: event.nowMs,
  };
}

function cutRate(state: LimitState, event: EndedEvent): LimitState {
  const { nowMs, startedAtMs } = event;
  if (state.rate !== null && startedAtMs < state.rate.cutAtMs) return state;
  const rateRefusals = state.rateRefusals + 1;
  const known = state.rate ?? state.shelvedRate;
  const rate =
    known === null
      ? guessRate(acceptedPerSecond(state, nowMs), nowMs)
      : cutRateCurve(known, state.refusalsInRow >= 2, nowMs);
  return { ...state, rate, rateRefusals, bucket: { tokens: 0, atMs: nowMs } };
}

function acceptedWindowMs(state: LimitState): number {
  return Math.min(ACCEPTED_WINDOW.mostMs, Math.max(ACCEPTED_WINDOW.leastMs, 2 * state.callMs));
}

function acceptedPerSecond(state: LimitState, nowMs: number): number {
  const windowMs = acceptedWindowMs(state);
  return (sumOf(state.accepted, nowMs, windowMs) * 1000) / windowMs;
}

function smoothed(value: number, sample: number): number {
  return value === 0 ? sample : value + (sample - value) * 0.1;
}
