import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type BatchSnapshot, lanesAtOnce, noRows } from '../../src/protocol/batch.js';
import { BatchWindow } from '../../src/workflows/batch-window.js';

const shares = (window: BatchWindow) => window.running.reduce((sum, { concurrency }) => sum + concurrency, 0);

describe('BatchWindow', () => {
  test('admits as many shards as fit, each with its share, and prepares as many', () => {
    const window = new BatchWindow({ shardRows: Array<number>(10).fill(50), concurrency: 60 });
    expect(window.admitNext()).toEqual([0, 1, 2].map((shard) => ({ shard, concurrency: 20 })));
    // Sessions ahead of time are opened a few at once: they must not hold up the shards that run.
    expect(window.prepareNext()).toEqual([3, 4, 5].map((shard) => ({ shard, concurrency: 5 })));
    expect([...window.admitNext(), ...window.prepareNext()]).toEqual([]);
    window.finish(1, { ...noRows(), succeeded: 50 });
    expect(window.admitNext()).toEqual([{ shard: 3, concurrency: 20 }]);
    expect(window.prepareNext().map(({ shard }) => shard)).toEqual([6]);
  });

  test('gives larger shares when fewer shards are left than fit', () => {
    const window = new BatchWindow({ shardRows: [10, 10], concurrency: 100 });
    expect(window.admitNext()).toEqual([0, 1].map((shard) => ({ shard, concurrency: 50 })));
  });

  test('counts a shard once, however often it is told of, and knows no others', () => {
    const window = new BatchWindow({ shardRows: [3, 4], concurrency: 1 });
    expect(window.finish(0, { ...noRows(), succeeded: 3, tokens: 7 })).toBe(true);
    expect(window.finish(0, { ...noRows(), succeeded: 3 })).toBe(false);
    expect(window.finish(2, { ...noRows(), succeeded: 9 })).toBe(false);
    expect(window.lose(1)).toBe(true);
    expect(window.lose(1)).toBe(false);
    expect(window.counts).toEqual({ ...noRows(), succeeded: 3, cancelled: 4, tokens: 7 });
    expect(window.isDone).toBe(true);
  });

  test('never gives away more than the concurrency, runs every shard once, and loses nothing to a new run', () => {
    const batch = fc.record({
      shardRows: fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 40 }),
      concurrency: fc.integer({ min: 1, max: 400 }),
    });
    // Each step: which of the running shards ends, and whether a new run begins after it.
    const steps = fc.infiniteStream(fc.record({ ends: fc.nat(), rolls: fc.boolean() }));
    fc.assert(
      fc.property(batch, steps, (input, choices) => {
        let window = new BatchWindow(input);
        const admitted: number[] = [];
        const prepared: number[] = [];
        while (!window.isDone) {
          admitted.push(...window.admitNext().map(({ shard }) => shard));
          prepared.push(...window.prepareNext().map(({ shard }) => shard));
          expect(shares(window)).toBeLessThanOrEqual(input.concurrency);
          expect(window.running.length).toBeGreaterThanOrEqual(1);
          expect(window.running.length).toBeLessThanOrEqual(lanesAtOnce(input.concurrency));
          for (const { concurrency } of window.running) expect(concurrency).toBeGreaterThanOrEqual(1);
          const { ends, rolls } = choices.next().value as { ends: number; rolls: boolean };
          const { shard } = window.running[ends % window.running.length]!;
          window.finish(shard, { ...noRows(), succeeded: input.shardRows[shard]! });
          if (rolls) {
            const snapshot = JSON.parse(JSON.stringify(window.snapshot())) as BatchSnapshot;
            window = new BatchWindow({ ...input, snapshot });
          }
        }
        const all = input.shardRows.map((_, shard) => shard);
        expect(admitted).toEqual(all);
        expect(new Set(prepared).size).toBe(prepared.length);
        expect(window.counts.succeeded).toBe(input.shardRows.reduce((sum, rows) => sum + rows, 0));
      }),
    );
  });

  test('shares a changed concurrency out anew among the shards that run, and leaves room for those that come', () => {
    const window = new BatchWindow({ shardRows: Array<number>(10).fill(50), concurrency: 40 });
    window.admitNext();
    expect(window.setConcurrency(1)).toEqual([
      { shard: 0, concurrency: 1 },
      { shard: 1, concurrency: 0 },
    ]);
    expect(window.admitNext()).toEqual([]);
    expect(window.changedShares).toEqual(window.running);
    window.setConcurrency(100);
    expect(window.running.map(({ concurrency }) => concurrency)).toEqual([20, 20]);
    expect(window.admitNext()).toEqual([2, 3, 4].map((shard) => ({ shard, concurrency: 20 })));
    expect(window.setConcurrency(100)).toEqual([]);
  });

  test('gives the places of shards that have ended to those that wait with a share of 0', () => {
    const window = new BatchWindow({ shardRows: Array<number>(5).fill(50), concurrency: 60 });
    window.admitNext();
    window.setConcurrency(2);
    expect(window.running.map(({ concurrency }) => concurrency)).toEqual([1, 1, 0]);
    expect(window.shareWithWaiting()).toEqual([]);
    window.finish(0, noRows());
    expect(window.shareWithWaiting()).toEqual([{ shard: 2, concurrency: 1 }]);
    expect([window.shareWithWaiting(), window.admitNext()]).toEqual([[], []]);
    window.finish(1, noRows());
    expect(window.shareWithWaiting()).toEqual([]);
    expect(window.admitNext()).toEqual([{ shard: 3, concurrency: 1 }]);
  });

  test('gives all of a changed concurrency to the shards that run when no others are left', () => {
    const window = new BatchWindow({ shardRows: [50, 50], concurrency: 2 });
    window.admitNext();
    window.setConcurrency(101);
    expect(window.running.map(({ concurrency }) => concurrency)).toEqual([51, 50]);
  });

  test('gives the last shards the places of those that have ended, a fifth of all at a time', () => {
    const window = new BatchWindow({ shardRows: Array<number>(6).fill(50), concurrency: 120 });
    window.admitNext();
    expect(window.isWorthSharing).toBe(false);
    window.finish(0, noRows());
    // 20 of 120 are free.
    expect(window.isWorthSharing).toBe(false);
    window.finish(1, noRows());
    expect(window.isWorthSharing).toBe(true);
    expect(window.setConcurrency(120)).toEqual([2, 3, 4, 5].map((shard) => ({ shard, concurrency: 30 })));
    expect(window.isWorthSharing).toBe(false);
    for (const shard of [2, 3, 4, 5]) window.finish(shard, noRows());
    expect(window.isWorthSharing).toBe(false);
  });

  test('keeps the places of shards that have ended for those that wait', () => {
    const window = new BatchWindow({ shardRows: Array<number>(4).fill(50), concurrency: 40 });
    window.admitNext();
    window.finish(0, noRows());
    expect(window.isWorthSharing).toBe(false);
    expect(window.admitNext()).toEqual([{ shard: 2, concurrency: 20 }]);
  });

  test('keeps a changed concurrency and the changed shares over a new run', () => {
    const input = { shardRows: [50, 50, 50, 50], concurrency: 40 };
    const window = new BatchWindow(input);
    window.admitNext();
    window.setConcurrency(10);
    const shares = window.changedShares.map(({ shard, concurrency }): [number, number] => [shard, concurrency]);
    const next = new BatchWindow({
      ...input,
      snapshot: { ...window.snapshot(), control: { concurrency: 10, shares } },
    });
    expect([next.concurrency, next.changedShares]).toEqual([10, window.changedShares]);
    expect(next.admitNext()).toEqual([]);
  });
});
