import { describe, expect, test } from '@jest/globals';
import { AgentGate } from '../../src/governor/agent-gate.js';
import { MemberOfFleet } from '../../src/governor/fleet-member.js';
import { type FleetMember, NO_SHARES, shareCeilings, waterFill } from '../../src/governor/fleet-shares.js';
import type { Ceilings, MemberReport } from '../../src/protocol/limits.js';
import {
  type FleetSimulationInput,
  type FleetSimulationResult,
  type ServerLimit,
  atOnce,
  createWorld,
  perSecond,
  simulateFleet,
} from './governor-simulation.js';

const always = (value: number) => (): number => value;
const noLimit = (): ServerLimit => atOnce(always(1e9));

/** Four workers, one started after the other; the second is killed. */
const FOUR = [
  { fromMs: 0, wanted: 100 },
  { fromMs: 10_000, wanted: 100, killedAtMs: 45_000 },
  { fromMs: 15_000, wanted: 100 },
  { fromMs: 20_000, wanted: 100 },
];
const SEEDS = [1, 2, 3, 4];

const runs = (limit: () => ServerLimit, more: Partial<FleetSimulationInput> = {}): FleetSimulationResult[] =>
  SEEDS.map((seed) => simulateFleet({ limit: limit(), workers: FOUR, callMs: 200, durationMs: 90_000, seed, ...more }));

const mean = (counts: readonly number[], from: number, to: number): number =>
  counts.slice(from, to).reduce((sum, count) => sum + count, 0) / (to - from);

describe('four workers meet a limit that nobody told as one', () => {
  /** Landings per second that the limit allows; the least share of it, the most refusals per landing. */
  const rows: [name: string, limit: () => ServerLimit, callMs: number, most: number, used: number, refused: number][] =
    [
      ['50/s', () => perSecond(always(50), 50), 200, 50, 0.95, 0.05],
      ['20 at once', () => atOnce(always(20)), 200, 100, 0.92, 0.05],
      ['200 at once', () => atOnce(always(200)), 2_000, 100, 0.92, 0.05],
      ['3 at once, fewer than workers', () => atOnce(always(3)), 200, 15, 0.9, 0.08],
    ];

  test.each(rows)('%s', (_, limit, callMs, most, used, refused) => {
    const workers = FOUR.map((worker) => ({ ...worker, wanted: 1.5 * most }));
    for (const { perSecond: landings, refusedPerLanding } of runs(limit, { callMs, workers })) {
      expect(mean(landings, 0, 90) / most).toBeGreaterThanOrEqual(used);
      expect(refusedPerLanding).toBeLessThanOrEqual(refused);
    }
  });

  test('a limit that is halved, then doubled, is met again within 30 seconds', () => {
    const halved = (value: number) => (nowMs: number) => (nowMs >= 60_000 && nowMs < 100_000 ? value / 2 : value);
    for (const limit of [() => perSecond(halved(50), 50), () => atOnce(halved(20))]) {
      for (const { perSecond: landings } of runs(limit, { durationMs: 150_000 })) {
        const whole = mean(landings, 50, 60);
        expect(mean(landings, 90, 100) / (whole / 2)).toBeGreaterThan(0.85);
        expect(mean(landings, 140, 150) / whole).toBeGreaterThan(0.85);
      }
    }
  });
});

describe('ceilings hold for the sum of all workers', () => {
  test('calls at once: never passed, and used', () => {
    for (const run of runs(noLimit, { settings: () => ({ maxConcurrency: 30 }) })) {
      expect(run.peakInFlight).toBe(30);
      expect(mean(run.perSecond, 25, 45) / 150).toBeGreaterThan(0.95);
    }
  });

  test('what a dead worker held is back within 15 seconds', () => {
    for (const run of runs(noLimit, { settings: () => ({ maxConcurrency: 30 }) })) {
      expect(mean(run.perSecond, 60, 90) / 150).toBeGreaterThan(0.97);
    }
  });

  test('fewer calls than workers: each has its turn', () => {
    for (const run of runs(noLimit, { settings: () => ({ maxConcurrency: 3 }) })) {
      expect(run.peakInFlight).toBe(3);
      expect(Math.min(...run.byWorker)).toBeGreaterThan(50);
      expect(mean(run.perSecond, 60, 90) / 15).toBeGreaterThan(0.9);
    }
  });

  test('calls per minute', () => {
    for (const run of runs(noLimit, { settings: () => ({ maxPerMinute: 600 }), durationMs: 120_000 })) {
      const anyMinute = run.perSecond.slice(0, 60).map((_, second) => mean(run.perSecond, second, second + 60) * 60);
      // Calls of varying length land closer together than they started.
      expect(Math.max(...anyMinute)).toBeLessThanOrEqual(606);
      expect(mean(run.perSecond, 70, 120)).toBeGreaterThan(9.5);
    }
  });

  test('set, lowered, and taken away, while all work', () => {
    const settings = (nowMs: number) =>
      nowMs < 30_000 ? {} : { maxConcurrency: nowMs >= 50_000 && nowMs < 70_000 ? 8 : 40 };
    for (const run of runs(noLimit, { settings })) {
      expect(mean(run.perSecond, 33, 50) / 200).toBeGreaterThan(0.85);
      expect(Math.max(...run.perSecond.slice(33, 50))).toBeLessThanOrEqual(230);
      expect(Math.max(...run.perSecond.slice(53, 70))).toBeLessThanOrEqual(52);
      expect(mean(run.perSecond, 56, 70) / 40).toBeGreaterThan(0.85);
      expect(mean(run.perSecond, 75, 90) / 200).toBeGreaterThan(0.85);
    }
  });
});

test('a closed agent is called by nobody, and by all when it opens by itself', () => {
  const until = new Date(60_000).toISOString();
  const closed = { since: new Date(30_000).toISOString(), until };
  for (const run of runs(() => atOnce(always(20)), { settings: (nowMs) => (nowMs < 30_000 ? {} : { closed }) })) {
    expect(mean(run.perSecond, 32, 60)).toBe(0);
    expect(mean(run.perSecond, 65, 90) / 100).toBeGreaterThan(0.9);
  }
});

describe('shareCeilings()', () => {
  const report = (held: Ceilings): MemberReport => ({
    ...{ identity: 'worker', limit: 50, isRamping: true, inFlight: 10, waiting: 10, wanted: 20, perSecond: 10 },
    ...{ letIn: 100, refusals: 0, rateRefusals: 0, configured: {}, held, taken: { ceilings: 0, learned: 0 } },
  });
  const share = (members: FleetMember[]) => shareCeilings({ maxConcurrency: 30 }, members, NO_SHARES.ceilings, 0).of;

  test('gives nobody more while somebody has told nothing yet, as it may hold anything', () => {
    const members = [{ id: 'a', report: report({ maxConcurrency: 10 }) }, { id: 'b' }];
    expect(share(members)).toEqual({ a: { maxConcurrency: 10 }, b: { maxConcurrency: 0 } });
  });

  test('gives nobody more while somebody has not heard of the ceiling', () => {
    const members = [
      { id: 'a', report: report({ maxConcurrency: 10 }) },
      { id: 'b', report: report({}) },
    ];
    expect(share(members)).toEqual({ a: { maxConcurrency: 10 }, b: { maxConcurrency: 15 } });
  });

  test('gives what nobody holds', () => {
    const members = [
      { id: 'a', report: report({ maxConcurrency: 20 }) },
      { id: 'b', report: report({ maxConcurrency: 0 }) },
    ];
    expect(share(members)).toEqual({ a: { maxConcurrency: 15 }, b: { maxConcurrency: 10 } });
  });
});

test('where the ramp of a worker stood that has left, no limit is taken over', () => {
  const { clock } = createWorld(1);
  const gate = new AgentGate(clock, {});
  const member = new MemberOfFleet({ id: 'a', identity: 'a', configured: {} }, gate, clock.now);
  const other: MemberReport = {
    ...{ identity: 'b', limit: 64, isRamping: true, inFlight: 0, waiting: 0, wanted: 0, perSecond: 0 },
    ...{ letIn: 0, refusals: 0, rateRefusals: 0, configured: {}, held: {}, taken: { ceilings: 0, learned: 0 } },
  };
  member.look({ settings: {}, members: [{ id: 'a' }, { id: 'b', report: other }] });
  gate.takeShare({ limit: 20 }, true);
  const { shares, limit } = member.look({ settings: {}, members: [{ id: 'a' }] });
  expect({ version: shares?.learned.version, limit }).toEqual({ version: 0, limit: 20 });
});

describe('waterFill', () => {
  test.each([
    { total: 30, wanted: [100, 100, 100], floor: 0, shares: [10, 10, 10] },
    { total: 30, wanted: [2, 100, 100], floor: 0, shares: [2, 14, 14] },
    { total: 30, wanted: [2, 3, 100], floor: 0, shares: [2, 3, 25] },
    { total: 30, wanted: [1, 1, 1], floor: 0, shares: [10, 10, 10] },
    { total: 30, wanted: [0, 100], floor: 1, shares: [1, 29] },
    { total: 30, wanted: [Infinity, 0], floor: 0, shares: [30, 0] },
  ])('$total for $wanted, at least $floor', ({ total, wanted, floor, shares }) => {
    expect(waterFill(total, wanted, floor)).toEqual(shares);
  });
});
