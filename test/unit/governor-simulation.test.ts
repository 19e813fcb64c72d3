import { describe, expect, test } from '@jest/globals';
import {
  type ServerLimit,
  type SimulationInput,
  atOnce,
  equalTokens,
  mixedTokens,
  perSecond,
  simulate,
  tokensPerMinute,
} from './governor-simulation.js';

type Load = Omit<SimulationInput, 'limit'>;

const always = (value: number) => (): number => value;
const halved = (value: number) => (nowMs: number) => (nowMs >= 30_000 && nowMs < 60_000 ? value / 2 : value);

describe('work meets a limit that nobody told, from a cold start', () => {
  /** How much is wanted, how long calls take; the least share of the limit to use, the most refusals per landing. */
  const rows: [name: string, limit: () => ServerLimit, input: Load, used: number, refused: number][] = [
    ['20 at once', () => atOnce(always(20)), { wanted: 100, callMs: 200, durationMs: 30_000 }, 0.95, 0.05],
    [
      '20 at once, refusals nearly as slow as answers',
      () => atOnce(always(20)),
      { wanted: 300, callMs: 200, refusalMs: 100, durationMs: 30_000 },
      0.8,
      0.05,
    ],
    [
      '20 at once, long answers',
      () => atOnce(always(20)),
      { wanted: 300, callMs: 10_000, durationMs: 300_000 },
      0.9,
      0.1,
    ],
    ['3 at once', () => atOnce(always(3)), { wanted: 100, callMs: 200, durationMs: 30_000 }, 0.85, 0.05],
    ['1 at once', () => atOnce(always(1)), { wanted: 100, callMs: 200, durationMs: 30_000 }, 0.85, 0.1],
    ['200 at once', () => atOnce(always(200)), { wanted: 400, callMs: 200, durationMs: 12_000 }, 0.93, 0.05],
    ['50/s, burst 50', () => perSecond(always(50), 50), { wanted: 100, callMs: 200, durationMs: 30_000 }, 0.95, 0.05],
    ['50/s, burst 5', () => perSecond(always(50), 5), { wanted: 100, callMs: 200, durationMs: 30_000 }, 0.9, 0.05],
    ['50/s, no latency', () => perSecond(always(50), 50), { wanted: 100, callMs: 1, durationMs: 30_000 }, 0.95, 0.05],
    [
      '50/s, 2 s answers',
      () => perSecond(always(50), 50),
      { wanted: 300, callMs: 2_000, durationMs: 60_000 },
      0.9,
      0.05,
    ],
    ['2/s', () => perSecond(always(2), 2), { wanted: 50, callMs: 1_000, durationMs: 120_000 }, 0.85, 0.15],
    ['1 per 5 s', () => perSecond(always(0.2), 1), { wanted: 50, callMs: 1_000, durationMs: 600_000 }, 0.8, 0.2],
    [
      '100/s, halved and doubled',
      () => perSecond(halved(100), 50),
      { wanted: 200, callMs: 200, durationMs: 90_000 },
      0.85,
      0.05,
    ],
    [
      '20 at once, halved and doubled',
      () => atOnce(halved(20)),
      { wanted: 200, callMs: 200, durationMs: 90_000 },
      0.9,
      0.05,
    ],
  ];

  const withMixedTokens = rows.map(([name, limit, load, used, refused]): (typeof rows)[number] => [
    `${name}, answers of mixed length`,
    ...([limit, { ...load, tokensOf: mixedTokens }, used, refused] as const),
  ]);

  test.each([...rows, ...withMixedTokens])('%s', (_, limit, load, used, refused) => {
    const results = [1, 2].map((seed) => simulate({ ...load, limit: limit(), seed }));
    expect(Math.min(...results.map((result) => result.used))).toBeGreaterThanOrEqual(used);
    expect(Math.max(...results.map((result) => result.refusedPerLanding))).toBeLessThanOrEqual(refused);
  });

  test('a halved limit is met again within ten seconds, and a doubled one within twenty', () => {
    for (const limit of [perSecond(halved(100), 50), atOnce(halved(20))]) {
      const { perSecond: landings } = simulate({ limit, wanted: 200, callMs: 200, durationMs: 90_000 });
      const mean = (from: number, to: number): number =>
        landings.slice(from, to).reduce((sum, count) => sum + count, 0) / (to - from);
      expect(mean(40, 60)).toBeGreaterThan(0.8 * 50);
      expect(mean(80, 90)).toBeGreaterThan(0.9 * 100);
    }
  });
});

describe('work meets a limit of tokens that nobody told, from a cold start', () => {
  const mixed = { wanted: 100, callMs: 2_000, tokensOf: mixedTokens };
  const rows: [name: string, limit: () => ServerLimit, input: Load, used: number, refused: number][] = [
    [
      '60,000 a minute, answers of mixed length',
      () => tokensPerMinute(always(60_000)),
      { ...mixed, durationMs: 120_000 },
      0.9,
      0.1,
    ],
    [
      '60,000 a minute, for ten minutes',
      () => tokensPerMinute(always(60_000)),
      { ...mixed, durationMs: 600_000 },
      0.9,
      0.05,
    ],
    [
      '60,000 a minute, answers of one length',
      () => tokensPerMinute(always(60_000)),
      { ...mixed, tokensOf: equalTokens, durationMs: 120_000 },
      0.9,
      0.1,
    ],
    [
      '60,000 a minute, tokens known late',
      () => tokensPerMinute(always(60_000)),
      { ...mixed, readMs: 1_000, durationMs: 300_000 },
      0.9,
      0.1,
    ],
    [
      '60,000 a minute, short calls',
      () => tokensPerMinute(always(60_000)),
      { ...mixed, callMs: 200, durationMs: 300_000 },
      0.9,
      0.1,
    ],
    [
      '60,000 a minute, long calls',
      () => tokensPerMinute(always(60_000)),
      { ...mixed, callMs: 10_000, durationMs: 600_000 },
      0.85,
      0.1,
    ],
    ['600,000 a minute', () => tokensPerMinute(always(600_000)), { ...mixed, durationMs: 300_000 }, 0.9, 0.05],
    [
      '600,000 a minute, halved and doubled',
      () => tokensPerMinute((nowMs) => (nowMs >= 200_000 && nowMs < 400_000 ? 300_000 : 600_000)),
      { ...mixed, durationMs: 600_000 },
      0.9,
      0.05,
    ],
    [
      '600,000 a minute, of which a full bucket holds ten seconds',
      () => tokensPerMinute(always(600_000), 10),
      { ...mixed, durationMs: 300_000 },
      0.6,
      0.05,
    ],
  ];

  test.each(rows)('%s', (_, limit, load, used, refused) => {
    const results = [1, 2, 3, 4, 5, 6].map((seed) => simulate({ ...load, limit: limit(), seed }));
    expect(Math.min(...results.map((result) => result.used))).toBeGreaterThanOrEqual(used);
    expect(Math.max(...results.map((result) => result.refusedPerLanding))).toBeLessThanOrEqual(refused);
  });

  test('what was learned is told', () => {
    const { status } = simulate({ ...mixed, callMs: 200, limit: tokensPerMinute(always(60_000)), durationMs: 300_000 });
    expect(status.tokensPerMinute).toBeGreaterThan(50_000);
    expect(status.tokensPerMinute).toBeLessThan(70_000);
    expect(status.ratePerSecond).toBeUndefined();
  });
});

describe('where there is no limit, it does not hinder', () => {
  const unlimited = (): SimulationInput => ({ limit: atOnce(always(1e9)), wanted: 100, callMs: 1, durationMs: 300 });

  test('100 calls without latency are all in flight after a few round trips', () => {
    const { landed, refused, peakInFlight } = simulate(unlimited());
    expect({ refused, peakInFlight }).toEqual({ refused: 0, peakInFlight: 100 });
    expect(landed).toBeGreaterThan(0.95 * 30_000);
  });

  test('100 calls of 30 s are all in flight within half a second', () => {
    const { peakInFlight } = simulate({ ...unlimited(), callMs: 30_000, durationMs: 500 });
    expect(peakInFlight).toBe(100);
  });

  test('100 calls of 300 ms lose less than a third of a second to the ramp', () => {
    const { landed } = simulate({ ...unlimited(), callMs: 300, durationMs: 10_000 });
    expect(landed).toBeGreaterThan(((10 - 0.33 - 0.3) * 100) / 0.3);
  });
});

describe('ceilings hold whatever would be let in', () => {
  test('maxConcurrency', () => {
    const input = { limit: atOnce(always(1e9)), wanted: 100, callMs: 20, durationMs: 5_000 };
    const { peakInFlight, refused, used } = simulate({ ...input, ceilings: { maxConcurrency: 30 } });
    expect({ peakInFlight, refused }).toEqual({ peakInFlight: 30, refused: 0 });
    expect(used * 1e9).toBeGreaterThan(0.95 * 30);
  });

  test('maxPerMinute', () => {
    const input = { limit: atOnce(always(1e9)), wanted: 100, callMs: 20, durationMs: 60_000 };
    const { landed } = simulate({ ...input, ceilings: { maxPerMinute: 600 } });
    expect(landed).toBeLessThanOrEqual(601);
    expect(landed).toBeGreaterThan(590);
  });
});
