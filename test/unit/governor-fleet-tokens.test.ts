import { describe, expect, test } from '@jest/globals';
import { AgentGate } from '../../src/governor/agent-gate.js';
import { MemberOfFleet } from '../../src/governor/fleet-member.js';
import { followTokens, leadTokens } from '../../src/governor/fleet-tokens.js';
import { type TokenUse, allowedTokens, initialTokenUse, reportOfTokens } from '../../src/governor/token-rate.js';
import type { MemberReport } from '../../src/protocol/limits.js';
import {
  type FleetSimulationInput,
  type FleetSimulationResult,
  type ServerLimit,
  createWorld,
  mixedTokens,
  simulateFleet,
  tokensPerMinute,
} from './governor-simulation.js';

type Workers = FleetSimulationInput['workers'];

const SEEDS = [1, 2, 3, 4];
const DURATION_MS = 600_000;
const always = (value: number) => (): number => value;
/** A full bucket holds a minute's worth, or ten seconds'. */
const ofMinute = (): ServerLimit => tokensPerMinute(always(60_000));
const ofTenSeconds = (): ServerLimit => tokensPerMinute(always(60_000), 10);

const startedAt = (...froms: number[]): Workers => froms.map((fromMs) => ({ fromMs, wanted: 100 }));
const killed = (workers: Workers, which: number, killedAtMs: number): Workers =>
  workers.map((worker, index) => (index === which ? { ...worker, killedAtMs } : worker));
const older = (workers: Workers, which: number): Workers =>
  workers.map((worker, index) => (index === which ? { ...worker, isOlder: true } : worker));

const TWO = startedAt(0, 10_000);
const FOUR = startedAt(0, 10_000, 15_000, 20_000);
const BUSY_FOLLOWERS: Workers = [{ fromMs: 0, wanted: 1 }, ...FOUR.slice(1)];

const runs = (
  limit: () => ServerLimit,
  workers: Workers,
  more: Partial<FleetSimulationInput> = {},
): FleetSimulationResult[] => {
  const load = { callMs: 2_000, tokensOf: mixedTokens, readMs: 10, durationMs: DURATION_MS };
  return SEEDS.map((seed) => simulateFleet({ ...load, ...more, limit: limit(), workers, seed }));
};

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
const usedOf = (results: readonly FleetSimulationResult[]): number[] => results.map(({ used }) => used);
const refusedOf = (results: readonly FleetSimulationResult[]): number[] =>
  results.map(({ refusedPerLanding }) => refusedPerLanding);

describe('workers meet a limit of tokens that nobody told as one', () => {
  /** From when on a worker may not starve (milliseconds): what they begin with has to be paid first. */
  const rows: [name: string, limit: () => ServerLimit, workers: Workers, starvedFromMs: number][] = [
    ['two', ofMinute, TWO, 180_000],
    ['four, the second is killed', ofMinute, killed(FOUR, 1, 150_000), 180_000],
    ['four, the leader is killed', ofMinute, killed(FOUR, 0, 150_000), 180_000],
    ['four, most of them come when the limit is known', ofMinute, startedAt(0, 150_000, 200_000, 250_000), 300_000],
    ['four that start together', ofMinute, startedAt(0, 0, 0, 0), 450_000],
    ['four, the leader has little to do', ofMinute, BUSY_FOLLOWERS, 180_000],
    ['two, a full bucket holds ten seconds', ofTenSeconds, TWO, 180_000],
    ['four, a full bucket holds ten seconds', ofTenSeconds, killed(FOUR, 1, 150_000), 180_000],
  ];

  test.each(rows)('%s', (_, limit, workers, starvedFromMs) => {
    const results = runs(limit, workers, { starvedFromMs });
    expect(mean(usedOf(results))).toBeGreaterThanOrEqual(0.9);
    expect(Math.min(...usedOf(results))).toBeGreaterThanOrEqual(0.85);
    expect(Math.max(...refusedOf(results))).toBeLessThanOrEqual(0.1);
    for (const { starvedMs } of results) expect(Math.max(...starvedMs)).toBeLessThan(40_000);
  });

  test('a large limit that is halved, then doubled', () => {
    const change = (nowMs: number): number => (nowMs >= 200_000 && nowMs < 400_000 ? 300_000 : 600_000);
    const results = runs(() => tokensPerMinute(change), FOUR);
    expect(Math.min(...usedOf(results))).toBeGreaterThanOrEqual(0.9);
    expect(Math.max(...refusedOf(results))).toBeLessThanOrEqual(0.05);
  });
});

test('what each may use sums up to the limit', () => {
  const totals = runs(ofMinute, FOUR).map(({ status }) =>
    status.reduce((total, { tokensPerMinute: of = Number.NaN }) => total + of, 0),
  );
  expect(mean(totals)).toBeGreaterThan(48_000);
  expect(mean(totals)).toBeLessThan(84_000);
});

describe('beside workers of an older version, which do not tell of tokens', () => {
  test.each([
    ['that lead', older(FOUR, 0)],
    ['that follow', older(FOUR, 2)],
  ])('%s', (_, workers) => {
    const results = runs(ofMinute, workers, { starvedFromMs: 180_000 });
    expect(Math.min(...usedOf(results))).toBeGreaterThanOrEqual(0.85);
    for (const { starvedMs } of results) expect(Math.max(...starvedMs)).toBeLessThan(60_000);
  });
});

describe('what the leader makes of reports', () => {
  const nowMs = 100_000;
  /** 1,000 tokens a second, all of it paid. */
  const knowing: TokenUse = {
    ...initialTokenUse(0),
    mean: 1_000,
    rate: {
      curve: { peak: 1, cut: 0, climbedMs: 0, cutAtMs: 0 },
      ...{ unit: 1_000, level: 0, levelAtMs: nowMs, probeAtMs: nowMs + 30_000, unexplained: 0 },
    },
  };
  const report = (tokens?: Partial<MemberReport['tokens']>): MemberReport => ({
    ...{ identity: 'worker', limit: 50, isRamping: false, inFlight: 3, waiting: 10, wanted: 13, perSecond: 1 },
    ...{ letIn: 100, refusals: 0, rateRefusals: 0, configured: {}, held: {}, taken: { ceilings: 0, learned: 0 } },
    ...(tokens !== undefined && { tokens: { ...reportOfTokens(initialTokenUse(0), 2_000, nowMs), ...tokens } }),
  });
  const lead = (other: MemberReport, departed: MemberReport[] = []) => {
    const members = [
      { id: 'a', report: report({}) },
      { id: 'b', report: other },
    ];
    return leadTokens(knowing, undefined, { self: 'a', members, departed, nowMs });
  };

  test('all who tell of tokens share the rate', () => {
    const { shares, tokens } = lead(report({}));
    expect(shares?.of).toMatchObject({ a: { perSecond: 500 }, b: { perSecond: 500 } });
    expect(allowedTokens(tokens)).toBe(500);
  });

  test('a worker of an older version is left to itself', () => {
    expect(lead(report()).shares?.of).toEqual({ a: expect.objectContaining({ perSecond: 1_000 }) });
  });

  test('what a worker that is gone had in flight is taken to be used', () => {
    const [before, after] = [lead(report({})), lead(report({}), [report({})])];
    expect(after.tokens.rate?.level).toBe((before.tokens.rate?.level ?? 0) - 3_000);
  });

  test('a limit that the leader gives up is given up by all', () => {
    const view = { self: 'b', members: [], nowMs };
    const led = followTokens(initialTokenUse(0), lead(report({})).shares, view);
    expect(allowedTokens(led)).toBe(500);
    expect(allowedTokens(followTokens(led, undefined, view))).toBe(Number.POSITIVE_INFINITY);
  });

  test('a worker whose only call was refused waits', () => {
    const { clock, runUntil } = createWorld(1);
    const gate = new AgentGate(clock, {});
    const starts: number[] = [];
    const ask = (): void =>
      gate.enter({
        priority: 'batch',
        grant(permit) {
          starts.push(clock.now());
          clock.setTimer(() => {
            permit.release('refused');
            ask();
          }, 5);
        },
      });
    runUntil(nowMs);
    gate.takeShare({ limit: 1 }, false);
    gate.takeTokens(followTokens(gate.tokens, lead(report({})).shares, { self: 'b', members: [], nowMs }));
    ask();
    // A call's mean of 1,000 tokens is paid by half of the rate.
    runUntil(nowMs + 1_900);
    expect(starts).toHaveLength(1);
  });

  test('a share is used up by what was used since the report that it answers', () => {
    const { shares } = lead(report({}));
    const { credit } = shares?.of['b'] ?? { credit: Number.NaN };
    // Of the 6 calls in flight together 6,000 tokens are owed: 3,000 by each, beside its own calls.
    expect(credit).toBe(3_000 - 3_000);
  });
});

test('a report is what workers of an older version read, and more', () => {
  const { clock } = createWorld(1);
  const gate = new AgentGate(clock, {});
  const member = new MemberOfFleet({ id: 'a', identity: 'a', configured: {} }, gate, clock.now);
  const { tokens, ...older } = member.look({ settings: {}, members: [{ id: 'a' }] });
  expect(tokens).toMatchObject({ used: 0 });
  expect(older).toEqual({
    ...{ identity: 'a', limit: 4, isRamping: true, inFlight: 0, waiting: 0, wanted: 0, perSecond: 0 },
    ...{ letIn: 0, refusals: 0, rateRefusals: 0, configured: {}, held: {}, taken: { ceilings: 1, learned: 0 } },
    shares: {
      ceilings: { version: 1, of: { a: {} } },
      learned: { version: 0, of: {}, targets: {}, isSettled: true },
    },
  });
});
