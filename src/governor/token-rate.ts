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
 *
 * In a fleet the leader does this for all, with what the others tell, and leaves a share to each: see `fleet-tokens.ts`.
 */
import type { EmptyBucket, TokenFinding, TokenRate, TokenReport, TokenShare } from '../protocol/token-limit.js';
import { climb, rateAt } from './rate-curve.js';
import { type SlidingWindow, slide, sumOf } from './sliding-window.js';

/** What is known of the tokens that calls use, and of a limit of them: plain JSON. */
export interface TokenUse extends TokenFinding {
  /** Of how many calls the tokens are known. The last ones count most in the mean. */
  known: number;
  /** Tokens of the calls that landed, since the beginning and in the last minute. */
  used: number;
  recent: SlidingWindow;
  startedAtMs: number;
  /** When the call that was refused last was started. */
  refusedStartedAtMs: number;
  /** What the fleet's leader leaves to this worker; null while it is alone, or none is known in the fleet. */
  share: TokenShare | null;
  /** The leader of the fleet says what is known of the limit: what happens here does not change it. */
  isLed: boolean;
  /** Of the leader of a fleet: calls of the other members. */
  others: { inFlight: number; callsPerSecond: number };
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
/** A shorter time between two refusals measures nothing; in a fleet what each has in flight makes it less sure. */
const LEAST_MEASURE_MS = { alone: 5_000, inFleet: 15_000 };
/** What may start together after idle times, in seconds of the rate. */
const BURST_SECONDS = 10;
const MOST_UNEXPLAINED = 3;
/** What the others of a fleet do is known by then. */
const HEARD_WITHIN_MS = 1_500;
/** Keeps what is divided by tokens finite. */
const LEAST_TOKENS = 1;
/** Before any time of a clock. */
const NEVER = -1;

export function initialTokenUse(nowMs: number): TokenUse {
  return {
    mean: 0,
    known: 0,
    used: 0,
    recent: { sinceMs: nowMs, current: 0, previous: 0 },
    startedAtMs: NEVER,
    landedAtMs: NEVER,
    letInStartedAtMs: NEVER,
    refusedStartedAtMs: NEVER,
    empty: null,
    suspicion: null,
    rate: null,
    share: null,
    isLed: false,
    others: { inFlight: 0, callsPerSecond: 0 },
  };
}

/** Tokens allowed per second; infinite while no limit of them is believed. */
export function allowedTokens({ rate, share }: TokenUse): number {
  if (rate === null) return Number.POSITIVE_INFINITY;
  return share === null ? perSecond(rate) : share.perSecond;
}

/** What a worker tells the others. */
export function reportOfTokens(use: TokenUse, callMs: number, nowMs: number): TokenReport {
  const { used, mean, known, landedAtMs, letInStartedAtMs, refusedStartedAtMs, isLed, share } = use;
  const hasFound = !isLed && share === null && (use.suspicion !== null || use.rate !== null);
  return {
    ...{ used, recent: sumOf(use.recent, nowMs, MINUTE_MS), mean, known, callMs },
    ...{ landedAtMs, letInStartedAtMs, refusedStartedAtMs },
    ...(hasFound && { finding: findingOf(use) }),
  };
}

/** What is known of a limit, apart from the calls of this worker. */
export function findingOf({ mean, landedAtMs, letInStartedAtMs, empty, suspicion, rate }: TokenFinding): TokenFinding {
  return { mean, landedAtMs, letInStartedAtMs, empty, suspicion, rate };
}

/** Tokens per second that the limit is taken to be, of all workers together; 0 where there is none. */
export function totalRate(use: TokenUse): number {
  return use.rate === null ? suspectedRate(use) : perSecond(use.rate);
}

/** Tokens that may be used now, less a mean for each call in flight; below 0: until so much is paid, nothing starts. */
export function freeTokens(use: TokenUse, inFlight: number, nowMs: number): number {
  const { rate, share, mean } = use;
  const level = rate === null ? suspectedLevel(use, nowMs) : levelAt(rate, nowMs);
  return (share === null ? level : creditAt(share, nowMs) - use.used) - inFlight * mean;
}

/** What a share amounts to by then. */
export function creditAt({ credit, perSecond, atMs }: TokenShare, nowMs: number): number {
  return credit + (perSecond * (nowMs - atMs)) / 1000;
}

/** Until when a call has to wait for tokens; undefined when it may start. */
export function waitForTokens(use: TokenUse, inFlight: number, nowMs: number): number | undefined {
  const { suspicion, rate, share } = use;
  if (suspicion === null && rate === null) return undefined;
  const probeAtMs = (share ?? rate ?? suspicion)?.probeAtMs ?? Number.POSITIVE_INFINITY;
  if (nowMs >= probeAtMs) return undefined;
  const free = freeTokens(use, inFlight, nowMs);
  if (free > 0) return undefined;
  const tokensPerSecond = share?.perSecond ?? totalRate(use);
  return Math.min(probeAtMs, nowMs + ((1 - free) / tokensPerSecond) * 1000);
}

/** After a start; `inFlight` counts it. */
export function tokensAfterStart(before: TokenUse, inFlight: number, nowMs: number, climbedMs: number): TokenUse {
  const use = { ...before, startedAtMs: nowMs, share: before.share && probed(before.share, nowMs) };
  if (use.isLed) return use;
  const { suspicion, rate } = use;
  const probeAtMs = nowMs + PROBE.mostMs;
  if (rate === null) return suspicion === null ? use : { ...use, suspicion: { ...suspicion, probeAtMs } };
  if (use.share !== null) return { ...use, rate: { ...rate, probeAtMs } };
  return { ...use, rate: { ...grownRate(use, rate, inFlight - 1, climbedMs, nowMs), probeAtMs } };
}

/** The rate further up its curve, and no more saved up than may start together. */
export function grownRate(
  { mean }: TokenUse,
  rate: TokenRate,
  inFlight: number,
  climbedMs: number,
  nowMs: number,
): TokenRate {
  // What is left unused for long is no promise of the server's.
  const most = inFlight * mean + perSecond(rate) * BURST_SECONDS;
  const level = Math.min(most, levelAt(rate, nowMs));
  const curve = climbedMs > 0 ? climb(rate.curve, climbedMs) : rate.curve;
  return { ...rate, curve, level, levelAtMs: nowMs };
}

/** A member that was to try has done so. */
function probed(share: TokenShare, nowMs: number): TokenShare {
  return share.probeAtMs === undefined ? share : { ...share, probeAtMs: nowMs + PROBE.mostMs };
}

/** After a share came from the leader. A probe that it asks for may have been made already. */
export function tokensAfterSharing(use: TokenUse, share: TokenShare | null): TokenUse {
  // What was heard of since the last one holds until the next.
  if (share !== null && use.share !== null && share.atMs <= use.share.atMs) return use;
  const isProbed = share?.probeAtMs !== undefined && share.probeAtMs <= use.startedAtMs;
  return { ...use, share: isProbed ? probed(share, use.startedAtMs) : share };
}

/** After a refusal in the fleet, here or elsewhere: nothing starts before so many tokens more are paid. */
export function tokensOnHold(use: TokenUse, inFlight: number, toPay: number, nowMs: number): TokenUse {
  if (use.share === null) return use;
  const excess = Math.max(0, freeTokens(use, inFlight, nowMs)) + toPay;
  return { ...use, share: { ...use.share, credit: use.share.credit - excess } };
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

/** The mean after so many calls more, made elsewhere, of which this is the mean. */
export function meanAfter(mean: number, ofOthers: number, calls: number): number {
  return mean + (ofOthers - mean) * (1 - (1 - MEAN_SHARE) ** Math.max(0, calls));
}

function withTokens(before: TokenUse, tokens: number, endedAtMs: number, nowMs: number): TokenUse {
  const recent = slide(before.recent, nowMs, MINUTE_MS, (sum) => sum + tokens);
  const use = { ...before, used: before.used + tokens, recent };
  return use.isLed ? use : withLanded(use, tokens, endedAtMs, nowMs);
}

/** The limit as it stands after these tokens landed, wherever they did. */
export function withLanded(use: TokenUse, tokens: number, endedAtMs: number, nowMs: number): TokenUse {
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
  if (use.isLed || empty === null || empty.refusals === 0) return use;
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
export function tokensAfterRefusal(before: TokenUse, refusal: TokenRefusal): TokenUse {
  const { mean, others } = before;
  const refused = { ...before, refusedStartedAtMs: Math.max(before.refusedStartedAtMs, refusal.startedAtMs) };
  const use = tokensOnHold(refused, refusal.inFlight, mean, refusal.nowMs);
  if (use.isLed) return use;
  const inFlight = refusal.inFlight + others.inFlight;
  const callsPerSecond = refusal.callsPerSecond + others.callsPerSecond;
  return limitAfterRefusal(use, { ...refusal, inFlight, callsPerSecond });
}

/** The limit as it stands after this refusal, wherever it was. */
export function limitAfterRefusal(use: TokenUse, refusal: TokenRefusal): TokenUse {
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
  const heardLateMs = use.share === null ? 0 : HEARD_WITHIN_MS;
  const isExplained = use.landedAtMs + heardLateMs >= use.letInStartedAtMs;
  const unexplained = isExplained ? Math.max(0, rate.unexplained - 1) : rate.unexplained + 1;
  if (unexplained >= MOST_UNEXPLAINED) return { ...use, empty, rate: null };
  const refused = perSecond(rate);
  const sinceMs = nowMs - (use.empty?.atMs ?? nowMs);
  const measured = ((use.empty?.landed ?? 0) * 1000) / sinceMs;
  // A bucket that was full meanwhile filled no more, and a rate that overshoots is refused late: the truth is in between.
  const between = measured + (refused - measured) * CUT.towardsRefused;
  const leastMs = use.share === null ? LEAST_MEASURE_MS.alone : LEAST_MEASURE_MS.inFleet;
  const next = sinceMs < leastMs ? refused : Math.min(refused, Math.max(refused * CUT.least, between));
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
