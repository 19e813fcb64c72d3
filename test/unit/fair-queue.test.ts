import { beforeEach, describe, expect, test } from '@jest/globals';
import { FairQueue } from '../../src/governor/fair-queue.js';
import { createWorld } from './governor-simulation.js';

interface Item {
  name: string;
  flow?: { key: string; weight: number };
}

let queue: FairQueue<Item>;
beforeEach(() => {
  queue = new FairQueue();
});

const item = (key: string, weight: number, number = 0): Item => ({ name: `${key}${number}`, flow: { key, weight } });

function add(key: string, weight: number, count = 1): Item[] {
  const items = Array.from({ length: count }, (_, number) => item(key, weight, number));
  items.forEach((one) => queue.add(one));
  return items;
}

const takeNames = (count: number): string[] => Array.from({ length: count }, () => queue.take()?.name ?? '-');

/** Takes so many; each is followed by another of its flow. Returns how many of each flow. */
function takeEndlessly(count: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let n = 0; n < count; n += 1) {
    const { key, weight } = queue.take()!.flow!;
    counts[key] = (counts[key] ?? 0) + 1;
    add(key, weight);
  }
  return counts;
}

describe('a fair queue', () => {
  test('of one flow, or of none, is first come, first served', () => {
    add('a', 1, 3);
    expect(takeNames(4)).toEqual(['a0', 'a1', 'a2', '-']);
    const nameless = ['x', 'y'].map((name) => ({ name }));
    nameless.forEach((one) => queue.add(one));
    expect(queue.first()?.name).toBe('x');
    expect(takeNames(3)).toEqual(['x', 'y', '-']);
  });

  test('takes turns between flows of one weight, in the order of their coming', () => {
    add('a', 1, 3);
    add('b', 1, 3);
    expect(takeNames(6)).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'b2']);
  });

  test.each([
    [{ a: 1, b: 3 }],
    [{ a: 0.1, b: 100 }],
    [{ a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 10 }],
    [{ a: 0.3, b: 0.7, c: 1.1, d: 2.9, e: 31 }],
  ])('gives each of %j its part, within 1 at every step', (weights: Record<string, number>) => {
    const flows = Object.entries(weights);
    const sum = flows.reduce((total, [, weight]) => total + weight, 0);
    for (const [key, weight] of flows) add(key, weight, 2);
    const counts = new Map<string, number>();
    let most = 0;
    for (let taken = 1; taken <= 20_000; taken += 1) {
      const { key, weight } = queue.take()!.flow!;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      add(key, weight);
      for (const [one, itsWeight] of flows) {
        most = Math.max(most, Math.abs((counts.get(one) ?? 0) - (taken * itsWeight) / sum));
      }
    }
    expect(most).toBeLessThan(1 + 1e-6);
  });

  test('leaves the part of a flow that has nothing waiting to the others', () => {
    add('a', 1, 100);
    add('b', 3, 2);
    expect(takeNames(50).filter((name) => name.startsWith('b'))).toHaveLength(2);
    expect(queue.size).toBe(52);
  });

  test('gives no credit for the time in which a flow had nothing waiting', () => {
    add('a', 1);
    add('b', 1);
    takeEndlessly(10);
    const [idle] = [...queue].filter(({ flow }) => flow?.key === 'b');
    queue.delete(idle!);
    expect(takeEndlessly(1_000)).toEqual({ a: 1_000 });
    add('b', 1);
    const { a, b } = takeEndlessly(20);
    expect(Math.abs(a! - b!)).toBeLessThanOrEqual(2);
  });

  test('gives a flow that has one at a time no more than its part', () => {
    // One comes for each that was taken, so that its flow is empty in between, and forgets nothing.
    add('a', 1, 1);
    add('b', 3, 50);
    const { a, b } = takeEndlessly(4_000);
    expect([a, b]).toEqual([expect.any(Number), expect.any(Number)]);
    expect(Math.abs(a! - 1_000)).toBeLessThanOrEqual(1);
  });

  test('does not let flows that come and go hold back one that stays, nor a new one', () => {
    const { random } = createWorld(7).clock;
    add('stays', 1, 3);
    let stays = 0;
    let present = 0;
    for (let round = 0; round < 5_000; round += 1) {
      if (random() < 0.5) add(`goes ${round}`, 10 * random() + 0.1);
      const { key } = queue.take()!.flow!;
      if (key === 'stays') {
        stays += 1;
        add(key, 1);
      }
      present = Math.max(present, queue.size);
    }
    // All that come are served, so that half is left.
    expect(stays).toBeGreaterThan(2_000);
    expect(present).toBeLessThan(60);
    add('new', 1, 50);
    expect(takeEndlessly(20)['new']).toBeGreaterThanOrEqual(5);
  });

  test('charges nothing for what is deleted', () => {
    const items = add('a', 1, 20);
    add('b', 1, 20);
    items.slice(0, 10).forEach((one) => queue.delete(one));
    queue.delete(items[0]!);
    expect([queue.size, queue.has(items[0]!), queue.has(items[10]!)]).toEqual([30, false, true]);
    expect(takeNames(4)).toEqual(['a10', 'b0', 'a11', 'b1']);
  });

  test('takes a weight that is none for 1', () => {
    for (const [n, weight] of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1].entries()) add(`f${n}`, weight, 2);
    expect(takeNames(5)).toEqual(['f00', 'f10', 'f20', 'f30', 'f40']);
  });

  test('tells who waits', () => {
    add('a', 1, 2);
    add('b', 5, 1);
    queue.take();
    expect([...queue].map(({ name }) => name).toSorted()).toEqual(['a0', 'a1']);
    queue.add(queue.first()!);
    expect(queue.size).toBe(2);
  });
});
