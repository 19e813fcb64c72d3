/**
 * A limit of tokens per time, as far as it can be learned from refusals and from what landed calls used.
 *
 * Such a server keeps a bucket: it lets calls in while any tokens are left, and takes a call's tokens off when the call has ended, so
 * that the bucket may be overdrawn. A full one holds a minute's worth, mostly. That looks like no limit of calls: nothing is refused
 * for long, then everything is, until what had been let in before is paid. So:
 *
 * - **Noticed** when refusal follows refusal although calls ended in between: a limit of calls lets one in again soon. From then on
 *   single calls **probe** it, ever more seldom, or when what landed should be paid. The first rate is what was used until the
 *   first refusal, shared by the time until then and a minute.
 * - **Believed** once a probe is let in, if the bucket was shut for long, and the rate that this speaks of agrees roughly with the first.
 * - **Learned** as the rate of calls is: a cubic curve, here of tokens. Each refusal says that the bucket is empty, so what landed
 *   between two of them was filled in meanwhile: a measure of the rate.
 * - **Kept** by a bucket like the server's. Calls in flight count by the mean until their tokens are known.
 * - **Given up** when calls are refused although none has ended since one was let in: tokens do not explain that.
 */
import { type RateCurve, climb, rateAt } from './rate-curve.js';
import { type SlidingWindow, slide, sumOf } from './sliding-window.js';

/** What is known of the tokens that calls use, and of a limit of them: plain JSON. */
export interface TokenUse {
  /** Mean tokens of a call, and of how many calls it is known; the last ones count most. */
  mean: number;
  known: number;
  /** Tokens of the calls that landed in the last minute. */
  recent: SlidingWindow;
  /** When a call landed last. */
  landedAtMs: number;
  /** When the newest call that is known to be let in was started. */
  letInStartedAtMs: number;
  /** The last refusal before which calls were let in: the bucket was empty. Null: none yet. */
  empty: EmptyBucket | null;
  /** There may be a limit of tokens; null while nothing looks like it, and when one is believed. */
  suspicion: Suspicion | null;
  /** The limit as learned; null while none is believed. */
  rate: TokenRate | null;
}

interface EmptyBucket {
  atMs: number;
  /** When the refused call was started, and the one that was refused last. */
  startedAtMs: number;
  lastStartedAtMs: number;
  /** Refusals since with none let in between them; 0 when one was. */
  refusals: number;
  /** Tokens of what landed until then, in so much time; and of what has landed since. */
  landedBefore: number;
  beforeMs: number;
  landed: number;
  /** Calls let in per second until then, and how many were in flight. */
  callsPerSecond: number;
  letInFlight: number;
}

interface Suspicion {
  /** A call may try then, whatever should be paid. */
  probeAtMs: number;
  probes: number;
  /** Of the first guess of a rate: what is left of it after refusals at times when all should have been paid. */
  share: number;
}

interface TokenRate {
  /** In units per second of so many tokens: of a call, or of a second where that is more. */
  curve: RateCurve;
  unit: number;
  /** What the server's bucket should hold: without the tokens of calls in flight. */
  level: number;
  levelAtMs: number;
  /** A call may try then, whatever the level. */
  probeAtMs: number;
  /** Refusals that tokens do not explain, in succession. */
  unexplained: number;
}

/** A refusal as the law of tokens sees it. */
export interface TokenRefusal {
  nowMs: number;
  startedAtMs: number;
  startedInFlight: number;
  inFlight: number;
  /** Calls let in per second, lately. */
  callsPerSecond: number;
}

const MINUTE_MS = 60_000;
/** The mean of tokens follows the last calls: so much of each. */
const MEAN_SHARE = 0.05;
const NOTICED_AFTER_REFUSALS = 3;
/** Pauses between probes: the first, how they grow, and the longest. */
const PROBE = { firstMs: 50, growth: 4, mostMs: 30_000 };
/**
 * Believed when it was shut for the time of so many starts (else it is one of calls per second), longer than most calls take (else it is
 * one of calls at once), and when both rates differ by no more than this.
 */
const BELIEF = { starts: 10, leastMs: 1_500, callTimes: 1.5, mostTimes: 10 };
/**
 * How far the rate falls: the curve begins below its peak, which lies between what was measured and what was refused, but at no less than
 * a share of the latter; and by how much when nothing is let in where it should be.
 */
const CUT = { curve: 0.1, towardsRefused: 0.25, least: 0.5, inRow: 0.9 };
/** A shorter time between two refusals measures nothing. */
const LEAST_MEASURE_MS = 5_000;
/** What may start together after idle times, in seconds of the rate. */
const BURST_SECONDS = 10;
const MOST_UNEXPLAINED = 3;
/** Keeps what is divided by tokens finite. */
const LEAST_TOKENS = 1;
/** Before any time of a clock. */
const NEVER = -1;

export function initialTokenUse(nowMs: number): TokenUse {
  return {
    mean: 0,
    known: 0,
    recent: { sinceMs: nowMs, current: 0, previous: 0 },
    landedAtMs: NEVER,
    letInStartedAtMs: NEVER,
    empty: null,
    suspicion: null,
    rate: null,
  };
}

/** Tokens allowed per second; infinite while no limit of them is believed. */
export function allowedTokens({ rate }: TokenUse): number {
  return rate === null ? Number.POSITIVE_INFINITY : perSecond(rate);
}

/** Until when a call has to wait for tokens; undefined when it may start. */
export function waitForTokens(use: TokenUse, inFlight: number, nowMs: number): number | undefined {
  const { suspicion, rate } = use;
  const probeAtMs = rate?.probeAtMs ?? suspicion?.probeAtMs;
  if (probeAtMs === undefined || nowMs >= probeAtMs) return undefined;
  const free = (rate === null ? suspectedLevel(use, nowMs) : levelAt(rate, nowMs)) - inFlight * use.mean;
  if (free > 0) return undefined;
  const tokensPerSecond = rate === null ? suspectedRate(use) : perSecond(rate);
  return Math.min(probeAtMs, nowMs + ((1 - free) / tokensPerSecond) * 1000);
}

/** After a start; `inFlight` counts it. */
export function tokensAfterStart(use: TokenUse, inFlight: number, nowMs: number, climbedMs: number): TokenUse {
  const { suspicion, rate } = use;
  const probeAtMs = nowMs + PROBE.mostMs;
  if (rate === null) return suspicion === null ? use : { ...use, suspicion: { ...suspicion, probeAtMs } };
  // What is left unused for long is no promise of the server's.
  const most = (inFlight - 1) * use.mean + perSecond(rate) * BURST_SECONDS;
  const level = Math.min(most, levelAt(rate, nowMs));
  const curve = climbedMs > 0 ? climb(rate.curve, climbedMs) : rate.curve;
  return { ...use, rate: { ...rate, curve, level, levelAtMs: nowMs, probeAtMs } };
}

/** After the end of a call whose tokens are not known yet: they are taken to be the mean. */
export function tokensAfterLanding(use: TokenUse, nowMs: number): TokenUse {
  return { ...withTokens(use, use.mean, nowMs, nowMs), landedAtMs: nowMs };
}

/** After the tokens of a call that had ended then became known, in place of what they were taken to be. */
export function tokensAfterUse(
  use: TokenUse,
  { tokens, taken, endedAtMs, nowMs }: { tokens: number; taken: number; endedAtMs: number; nowMs: number },
): TokenUse {
  const known = use.known + 1;
  const mean = use.mean + (tokens - use.mean) * Math.max(MEAN_SHARE, 1 / known);
  return { ...withTokens(use, tokens - taken, endedAtMs, nowMs), mean, known };
}

function withTokens(before: TokenUse, tokens: number, endedAtMs: number, nowMs: number): TokenUse {
  const use = { ...before, recent: slide(before.recent, nowMs, MINUTE_MS, (sum) => sum + tokens) };
  const { empty, rate } = use;
  if (empty !== null && endedAtMs < empty.atMs) {
    return { ...use, empty: { ...empty, landedBefore: empty.landedBefore + tokens } };
  }
  return {
    ...use,
    empty: empty && { ...empty, landed: empty.landed + tokens },
    rate: rate && { ...rate, level: levelAt(rate, nowMs) - tokens, levelAtMs: nowMs },
  };
}

/** After it became known that a call which was started then was let in. */
export function tokensAfterLetIn(before: TokenUse, startedAtMs: number, callMs: number, nowMs: number): TokenUse {
  if (startedAtMs <= before.letInStartedAtMs) return before;
  const use = { ...before, letInStartedAtMs: startedAtMs };
  const { empty, suspicion, rate } = use;
  if (empty === null || empty.refusals === 0) return use;
  const isLearning = suspicion !== null || rate !== null;
  if (startedAtMs <= (isLearning ? empty.lastStartedAtMs : empty.startedAtMs)) return use;
  const opened = { ...use, suspicion: null, empty: { ...empty, refusals: 0 } };
  const shutMs = nowMs - empty.atMs;
  // What was paid meanwhile was filled in meanwhile.
  const paidPerSecond = (empty.landed * 1000) / shutMs;
  if (rate === null) {
    if (suspicion === null || !isBelievable(empty, paidPerSecond, callMs)) return opened;
  } else if (empty.refusals === 1 || paidPerSecond <= perSecond(rate)) return opened;
  const ratePerSecond = Math.max(paidPerSecond, rate === null ? suspectedRate(use) : perSecond(rate));
  const level = (ratePerSecond * shutMs) / 1000 - empty.landed - use.mean;
  return { ...opened, rate: { ...rateOf(use, ratePerSecond, 0, nowMs), level } };
}

function isBelievable(empty: EmptyBucket, paidPerSecond: number, callMs: number): boolean {
  const leastMs = Math.max(BELIEF.leastMs, BELIEF.callTimes * callMs, (BELIEF.starts * 1000) / empty.callsPerSecond);
  const shutMs = empty.lastStartedAtMs - empty.startedAtMs;
  return shutMs >= leastMs && paidPerSecond <= BELIEF.mostTimes * firstRate(empty);
}

/** After a refusal of a call that was started since the refusal before. */
export function tokensAfterRefusal(use: TokenUse, refusal: TokenRefusal): TokenUse {
  const { nowMs, startedAtMs } = refusal;
  const { empty, rate } = use;
  if (empty !== null && empty.refusals > 0) {
    const shut = { ...use, empty: { ...empty, lastStartedAtMs: startedAtMs, refusals: empty.refusals + 1 } };
    return rate === null ? stillSuspected(shut, refusal) : stillShut(shut, rate, refusal);
  }
  const { recent } = use;
  const found: EmptyBucket = {
    ...{ atMs: nowMs, startedAtMs, lastStartedAtMs: startedAtMs, refusals: 1, landed: 0 },
    landedBefore: sumOf(recent, nowMs, MINUTE_MS),
    beforeMs: recent.previous > 0 ? MINUTE_MS : Math.min(MINUTE_MS, nowMs - recent.sinceMs),
    callsPerSecond: refusal.callsPerSecond,
    letInFlight: refusal.startedInFlight - 1,
  };
  return rate === null ? { ...use, empty: found } : foundEmpty(use, rate, found, nowMs);
}

/** Refused again, with none let in between: by a limit of tokens, maybe. */
function stillSuspected(use: TokenUse, { nowMs, inFlight }: TokenRefusal): TokenUse {
  const { empty, suspicion } = use;
  if (empty === null || empty.refusals < NOTICED_AFTER_REFUSALS || empty.landed <= 0) return use;
  const { probes, share } = suspicion ?? { probes: 0, share: 1 };
  const isDue = suspicion !== null && suspectedLevel(use, nowMs) - inFlight * use.mean > 0;
  const pauseMs = Math.min(PROBE.mostMs, PROBE.firstMs * PROBE.growth ** probes);
  const next = { probeAtMs: nowMs + pauseMs, probes: probes + 1, share: isDue ? share * CUT.inRow : share };
  return { ...use, suspicion: next };
}

/** The rate that what landed until the first refusal speaks of, if a full bucket holds a minute's worth. */
function firstRate({ landedBefore, beforeMs }: EmptyBucket): number {
  return Math.max(LEAST_TOKENS, landedBefore) / ((MINUTE_MS + beforeMs) / 1000);
}

function suspectedRate({ empty, suspicion }: TokenUse): number {
  return empty === null ? 0 : firstRate(empty) * (suspicion?.share ?? 1);
}

function suspectedLevel(use: TokenUse, nowMs: number): number {
  const { empty } = use;
  if (empty === null) return 0;
  return (suspectedRate(use) * (nowMs - empty.atMs)) / 1000 - empty.landed - use.mean;
}

/** The first refusal since calls were let in: the bucket is empty. */
function foundEmpty(use: TokenUse, rate: TokenRate, empty: EmptyBucket, nowMs: number): TokenUse {
  const isExplained = use.landedAtMs >= use.letInStartedAtMs;
  const unexplained = isExplained ? Math.max(0, rate.unexplained - 1) : rate.unexplained + 1;
  if (unexplained >= MOST_UNEXPLAINED) return { ...use, empty, rate: null };
  const refused = perSecond(rate);
  const sinceMs = nowMs - (use.empty?.atMs ?? nowMs);
  const measured = ((use.empty?.landed ?? 0) * 1000) / sinceMs;
  // A bucket that was full meanwhile filled no more, and a rate that overshoots is refused late: the truth is in between.
  const between = measured + (refused - measured) * CUT.towardsRefused;
  const next = sinceMs < LEAST_MEASURE_MS ? refused : Math.min(refused, Math.max(refused * CUT.least, between));
  const level = Math.min(0, levelAt(rate, nowMs)) - use.mean;
  return { ...use, empty, rate: { ...rateOf(use, next, CUT.curve, nowMs), level, unexplained } };
}

/** Refused again, with none let in between: not all is paid. */
function stillShut(use: TokenUse, rate: TokenRate, { nowMs, inFlight }: TokenRefusal): TokenUse {
  const { empty } = use;
  const probeAtMs = nowMs + PROBE.mostMs;
  // A probe before the time says nothing new.
  if (empty === null || levelAt(rate, nowMs) - inFlight * use.mean <= 0)
    return { ...use, rate: { ...rate, probeAtMs } };
  const next = perSecond(rate) * CUT.inRow;
  const due = (next * (nowMs - empty.atMs)) / 1000 - empty.landed - use.mean;
  const level = Math.min(due, -use.mean * (empty.refusals - 1));
  return { ...use, rate: { ...rateOf(use, next, 0, nowMs), level, unexplained: rate.unexplained } };
}

function rateOf({ mean }: TokenUse, tokensPerSecond: number, cut: number, nowMs: number): TokenRate {
  // A bucket that holds a minute's worth answers late, so the climb must be slow even where calls are many.
  const unit = Math.max(LEAST_TOKENS, mean, tokensPerSecond);
  return {
    curve: { peak: tokensPerSecond / unit, cut, climbedMs: 0, cutAtMs: nowMs },
    unit,
    level: 0,
    levelAtMs: nowMs,
    probeAtMs: nowMs + PROBE.mostMs,
    unexplained: 0,
  };
}

function perSecond({ curve, unit }: TokenRate): number {
  return rateAt(curve) * unit;
}

function levelAt(rate: TokenRate, nowMs: number): number {
  return rate.level + (perSecond(rate) * Math.max(0, nowMs - rate.levelAtMs)) / 1000;
}
