import { describe, expect, test } from '@jest/globals';
import {
  type LimitEvent,
  allowedConcurrency,
  allowedRate,
  judgeStart,
  nextLimitState,
} from '../../src/governor/control-law.js';
import { type LimitState, initialLimitState } from '../../src/governor/limit-state.js';
import type { Ceilings } from '../../src/protocol/limits.js';
import { cutRateCurve, guessRate, rateAt } from '../../src/governor/rate-curve.js';
import { slide, sumOf } from '../../src/governor/sliding-window.js';

type Ended = Extract<LimitEvent, { type: 'ended' }>;
const none: Ceilings = {};

function ended(event: Partial<Ended>): Ended {
  const base = {
    type: 'ended',
    outcome: 'ok',
    nowMs: 1_000,
    startedAtMs: 900,
    startedInFlight: 10,
    inFlight: 9,
  } as const;
  return { ...base, settledInFlight: 0, letIn: 0, random: 0.5, ...event };
}

/** Ten calls at once are known to be let in, and the ramp is over. */
function settled(change: Partial<LimitState> = {}): LimitState {
  const proven = { sinceMs: 0, current: 10, previous: 0 };
  const accepted = { sinceMs: 0, current: 40, previous: 0 };
  return { ...initialLimitState(0), limit: 10, isSlowStart: false, callMs: 200, proven, accepted, ...change };
}

test('the state is JSON through and through', () => {
  const states = [
    initialLimitState(0),
    nextLimitState(settled(), ended({ outcome: 'refused', startedInFlight: 11 }), none),
    nextLimitState(settled({ rateSuspicion: 1 }), ended({ outcome: 'refused' }), none),
  ];
  expect(JSON.parse(JSON.stringify(states))).toEqual(states);
});

describe('judgeStart()', () => {
  const rate = { peak: 10, cut: 0.1, climbedMs: 0, cutAtMs: 0 };
  const rows: [name: string, state: LimitState, inFlight: number, ceilings: Ceilings, expected: object][] = [
    ['below the limit', settled(), 9, none, { mayStart: true }],
    ['at the limit', settled(), 10, none, { mayStart: false, reason: 'concurrency', untilMs: 250 }],
    [
      'at the ceiling, with no growth to wait for',
      settled(),
      5,
      { maxConcurrency: 5 },
      { mayStart: false, reason: 'ceiling' },
    ],
    ['in a pause', settled({ pausedUntilMs: 5_000 }), 0, none, { mayStart: false, reason: 'paused', untilMs: 5_000 }],
    ['at the end of a pause', settled({ pausedUntilMs: 0 }), 0, none, { mayStart: true }],
    [
      'under a rate of 9/s with an empty bucket',
      settled({ rate, bucket: { tokens: 0.1, atMs: 0 } }),
      0,
      none,
      { mayStart: false, reason: 'rate', untilMs: 100 },
    ],
    ['under a rate with a full bucket', settled({ rate, bucket: { tokens: 1, atMs: 0 } }), 0, none, { mayStart: true }],
  ];
  test.each(rows)('%s', (_, state, inFlight, ceilings, expected) => {
    expect(judgeStart({ ...state, probedAtMs: 0 }, inFlight, 0, ceilings)).toEqual(expected);
  });
});

describe('a refusal', () => {
  const rows: [name: string, state: LimitState, event: Partial<Ended>, limit: number, rate: number][] = [
    ['above what was let in: concurrency', settled({ limit: 12 }), { startedInFlight: 12, inFlight: 11 }, 11, Infinity],
    ['the first one at what was let in: concurrency still', settled(), { inFlight: 8 }, 8, Infinity],
    ['the second one in succession: rate', settled({ rateSuspicion: 1 }), { inFlight: 8 }, 10, 0.6 * 40],
    [
      'at what was let in, with a rate known: rate',
      settled({ rate: { peak: 20, cut: 0.1, climbedMs: 5_000, cutAtMs: 0 } }),
      {},
      10,
      0.9 * 20,
    ],
    [
      'of a call that started before the rate was cut: nothing new',
      settled({ rate: { peak: 20, cut: 0.1, climbedMs: 5_000, cutAtMs: 950 } }),
      {},
      10,
      20,
    ],
    [
      'when nothing is let in: half the rate',
      settled({ rate: { peak: 20, cut: 0.1, climbedMs: 5_000, cutAtMs: 0 }, refusalsInRow: 1 }),
      {},
      10,
      0.5 * 20,
    ],
  ];
  test.each(rows)('%s', (_, state, event, limit, rate) => {
    const after = nextLimitState(state, ended({ outcome: 'refused', ...event }), none);
    expect(allowedConcurrency(after, none)).toBe(limit);
    expect(allowedRate(after, none)).toBeCloseTo(rate, 5);
    expect(after.isSlowStart).toBe(false);
  });

  const pauses: [name: string, refusalsInRow: number, event: Partial<Ended>, pausedForMs: number][] = [
    ['one', 0, { inFlight: 0 }, 0],
    ['two in a row and nothing in flight', 1, { inFlight: 0 }, 0.5 * 500],
    ['two in a row with others in flight', 1, {}, 0],
    ['three in a row', 2, {}, 0.5 * 1_000],
    ['very many in a row', 50, {}, 0.5 * 30_000],
    ['with the shortest jitter', 50, { random: 0 }, 50],
    ['with a Retry-After beyond the pause', 2, { retryAfterMs: 9_000 }, 9_000],
  ];
  test.each(pauses)('%s pauses for the right time', (_, refusalsInRow, event, pausedForMs) => {
    const after = nextLimitState(settled({ refusalsInRow }), ended({ outcome: 'refused', ...event }), none);
    expect(Math.max(0, after.pausedUntilMs - 1_000)).toBe(pausedForMs);
  });
});

describe('success', () => {
  const rows: [name: string, state: LimitState, event: Partial<Ended>, ceilings: Ceilings, limit: number][] = [
    ['in the ramp, at the limit: one more', initialLimitState(0), { inFlight: 3 }, none, 5],
    ['in the ramp, below the limit: no more', initialLimitState(0), { inFlight: 1 }, none, 4],
    ['in the ramp, at the ceiling: no more', initialLimitState(0), { inFlight: 3 }, { maxConcurrency: 4 }, 4],
    ['long after the last probe: one more', settled({ probedAtMs: 0 }), {}, none, 11],
    ['soon after the last probe: no more', settled({ probedAtMs: 900 }), {}, none, 10],
    [
      'after a probe that held: bolder',
      settled({ limit: 16, isProbing: true, probeStep: 2, proven: { sinceMs: 0, current: 16, previous: 0 } }),
      { inFlight: 15 },
      none,
      20,
    ],
    ['before the last probe is known to hold: no more', settled({ limit: 11 }), { inFlight: 10 }, none, 11],
  ];
  test.each(rows)('%s', (_, state, event, ceilings, limit) => {
    expect(nextLimitState(state, ended(event), ceilings).limit).toBe(limit);
  });

  test('ends a row of refusals, also that of a call which only was not refused', () => {
    expect(nextLimitState(settled({ refusalsInRow: 2 }), ended({}), none).refusalsInRow).toBe(0);
    const waited = { type: 'waited', nowMs: 1_000, settledInFlight: 1, letIn: 1 } as const;
    expect(nextLimitState(settled({ refusalsInRow: 2 }), waited, none).refusalsInRow).toBe(0);
  });
});

describe('a start', () => {
  const start = (nowMs: number, inFlight: number): LimitEvent => ({
    type: 'started',
    nowMs,
    inFlight,
    waitedForRate: false,
  });

  test('after ten idle minutes forgets what was learned; with calls in flight it does not', () => {
    expect(nextLimitState(settled(), start(600_001, 1), none)).toMatchObject({ limit: 4, isSlowStart: true });
    expect(nextLimitState(settled(), start(600_001, 2), none)).toMatchObject({ limit: 10, isSlowStart: false });
    expect(nextLimitState(settled(), start(599_999, 1), none)).toMatchObject({ limit: 10, isSlowStart: false });
  });
});

describe('the rate curve', () => {
  test('rises steeply, stays near the peak, and goes ever faster beyond', () => {
    const curve = cutRateCurve(guessRate(100, 0), false, 0);
    const peak = curve.peak;
    const at = (climbedMs: number): number => rateAt({ ...curve, climbedMs }) / peak;
    expect([0, 2_500, 5_000, 7_500, 10_000, 15_000].map((ms) => Number(at(ms).toFixed(3)))).toEqual([
      0.9, 0.988, 1, 1.019, 1.15, 2.2,
    ]);
  });

  test('never falls to nothing', () => {
    let curve = guessRate(0, 0);
    for (let cut = 0; cut < 50; cut += 1) curve = cutRateCurve(curve, true, 0);
    expect(rateAt(curve)).toBeGreaterThan(1 / 61);
  });
});

test('a sliding window counts the last moments and forgets what is two windows old', () => {
  const plus = (value: number): number => value + 1;
  let window = { sinceMs: 0, current: 0, previous: 0 };
  for (const nowMs of [0, 100, 200, 300]) window = slide(window, nowMs, 1_000, plus);
  expect(sumOf(window, 500, 1_000)).toBe(4);
  window = slide(window, 1_000, 1_000, plus);
  expect(sumOf(window, 1_500, 1_000)).toBe(1 + 4 * 0.5);
  expect(slide(window, 5_000, 1_000, plus)).toEqual({ sinceMs: 5_000, current: 1, previous: 0 });
});
