/**
 * A learned rate, in calls per second, as a curve over the time in which it was what held calls back: from `1 - cut` of the
 * peak, steeply up, flat around the peak, then ever faster beyond it. Plain JSON.
 */
export interface RateCurve {
  /** Where it was refused. */
  peak: number;
  /** How far it fell below the peak, as a share of it. */
  cut: number;
  climbedMs: number;
  cutAtMs: number;
}

/** Calls that may start now, with the time at which that was so. */
export interface TokenBucket {
  tokens: number;
  atMs: number;
}

/** How far the rate falls: at the first refusal, when the rate is a guess; later; and when nothing is let in at all. */
const RATE_CUT = { first: 0.4, later: 0.1, inRow: 0.5 };
/** The climb back to the peak takes this long, or the time of so many calls, whichever is longer. */
const CLIMB = { leastMs: 5_000, calls: 30 };
const LEAST_RATE = 1 / 60;
/** Starts that may come together when the clock was late, as a share of a second's worth. */
const BURST_SECONDS = 0.02;

/** The first curve: what was let in per second, well below it, as it may hold a burst. */
export function guessRate(acceptedPerSecond: number, nowMs: number): RateCurve {
  return { peak: Math.max(LEAST_RATE, acceptedPerSecond), cut: RATE_CUT.first, climbedMs: 0, cutAtMs: nowMs };
}

/** The curve after a refusal; `isInRow`: nothing was let in since the refusal before. */
export function cutRateCurve(rate: RateCurve, isInRow: boolean, nowMs: number): RateCurve {
  const refused = rateAt(rate);
  // Refused on the way up to the old peak: the limit is lower now, so aim lower than where it was met.
  const peak = Math.max(LEAST_RATE, refused < rate.peak ? refused * 0.98 : refused);
  return { peak, cut: isInRow ? RATE_CUT.inRow : RATE_CUT.later, climbedMs: 0, cutAtMs: nowMs };
}

/** The curve further up. A rate is only raised while it is what holds calls back: an unused one proves nothing. */
export function climb(rate: RateCurve, elapsedMs: number): RateCurve {
  return { ...rate, climbedMs: rate.climbedMs + Math.min(elapsedMs, climbTimeMs(rate) / 10) };
}

/** Calls per second that the curve allows. */
export function rateAt(rate: RateCurve): number {
  const x = rate.climbedMs / climbTimeMs(rate) - 1;
  return Math.max(LEAST_RATE, rate.peak * (1 + (x < 0 ? rate.cut : Math.max(rate.cut, 0.15)) * x ** 3));
}

function climbTimeMs(rate: RateCurve): number {
  // A first guess is not worth waiting long for.
  if (rate.cut === RATE_CUT.first) return CLIMB.leastMs;
  return Math.max(CLIMB.leastMs, (CLIMB.calls / rate.peak) * 1000);
}

/** The bucket as time has filled it at a pace of so many per second. */
export function refill(bucket: TokenBucket, rate: number, nowMs: number): TokenBucket {
  const capacity = Math.max(1, rate * BURST_SECONDS);
  const elapsedMs = Math.max(0, nowMs - bucket.atMs);
  return { tokens: Math.min(capacity, bucket.tokens + (elapsedMs / 1000) * rate), atMs: nowMs };
}
