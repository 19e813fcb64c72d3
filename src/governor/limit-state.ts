import type { RateCurve, TokenBucket } from './rate-curve.js';
import type { SlidingWindow } from './sliding-window.js';
import { type TokenUse, initialTokenUse } from './token-rate.js';

/** All that is known about one agent's limits: plain JSON. Times in milliseconds of the caller's clock. */
export interface LimitState {
  /** Calls allowed in flight; whole calls count. */
  limit: number;
  isSlowStart: boolean;
  grownAtMs: number;
  /** By how much the next probe raises the limit, and how long after the last one. */
  probeStep: number;
  probeAfterMs: number;
  probedAtMs: number;
  /** The limit was raised by a probe that no refusal has answered. */
  isProbing: boolean;
  limitCutAtMs: number;
  /** The rate curve; null while no rate was learned. Calls per second. */
  rate: RateCurve | null;
  /** Other workers call the agent too: what they do looks like the doing of this one. */
  isShared: boolean;
  /** A rate that is left aside to see whether it was the concurrency all the time; it counts again when a refusal tells so. */
  shelvedRate: RateCurve | null;
  /** When the rate is left aside next, and how long that is after it was learned: twice as long each time. */
  shelvedAtMs: number;
  shelveAfterMs: number;
  /** Paces starts at the rate. */
  bucket: TokenBucket;
  /** The tokens that calls use, and a limit of them. */
  tokens: TokenUse;
  /** Calls that were let in, over the last moments. */
  accepted: SlidingWindow;
  /** Greatest concurrency seen to be let in, lately. */
  proven: SlidingWindow;
  /** Smoothed time that calls took, and that refusals took. */
  callMs: number;
  refusalMs: number;
  /** Refusals with no call let in between them. */
  refusalsInRow: number;
  /** Refusals that were taken for the rate's. */
  rateRefusals: number;
  /** Refusals in succession that came at a concurrency which had been let in. */
  rateSuspicion: number;
  refusedAtMs: number;
  pausedUntilMs: number;
  /** Until when the agent itself asked to wait (`Retry-After`). */
  askedUntilMs: number;
  startedAtMs: number;
}

const FIRST_LIMIT = 4;
const FIRST_PROBE_AFTER_MS = 250;
export const FIRST_SHELVE_AFTER_MS = 4_000;
/** Before any time of a clock; infinity is no JSON. */
const NEVER = -1;

/** What is assumed of an agent that was never called, or not for ten minutes. */
export function initialLimitState(nowMs: number): LimitState {
  return {
    limit: FIRST_LIMIT,
    isSlowStart: true,
    grownAtMs: nowMs,
    probeStep: 1,
    probeAfterMs: FIRST_PROBE_AFTER_MS,
    probedAtMs: nowMs,
    isProbing: false,
    limitCutAtMs: NEVER,
    rate: null,
    isShared: false,
    shelvedRate: null,
    shelvedAtMs: NEVER,
    shelveAfterMs: FIRST_SHELVE_AFTER_MS,
    bucket: { tokens: 1, atMs: nowMs },
    tokens: initialTokenUse(nowMs),
    accepted: { sinceMs: nowMs, current: 0, previous: 0 },
    proven: { sinceMs: nowMs, current: 0, previous: 0 },
    callMs: 0,
    refusalMs: 0,
    refusalsInRow: 0,
    rateRefusals: 0,
    rateSuspicion: 0,
    refusedAtMs: NEVER,
    pausedUntilMs: NEVER,
    askedUntilMs: NEVER,
    startedAtMs: nowMs,
  };
}
