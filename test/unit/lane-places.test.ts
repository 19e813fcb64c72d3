import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LanePlaces, type PlaceTaker } from '../../src/activities/lane-places.js';

/** A lane that begins rows as it is told, and ends them when the test does. */
class FakeLane implements PlaceTaker {
  active = 0;

  constructor(
    private readonly places: LanePlaces,
    public share: number,
    public left: number,
  ) {}

  beginOne(): boolean {
    if (this.left === 0) return false;
    this.left--;
    this.active++;
    return true;
  }

  endWhenIdle(): void {
    // It ends when the test says so.
  }

  end(): void {
    this.active--;
    this.places.fill();
  }
}

const active = (...lanes: FakeLane[]) => lanes.map((lane) => lane.active);

describe('LanePlaces', () => {
  test('lends the places of a lane without more rows to the one nearest its end, and takes them back first', () => {
    const places = new LanePlaces();
    const [ending, near, far] = [
      new FakeLane(places, 3, 3),
      new FakeLane(places, 3, 10),
      new FakeLane(places, 3, 50),
    ] as const;
    for (const lane of [ending, far, near]) places.add(lane);
    expect(active(ending, near, far)).toEqual([3, 3, 3]);
    ending.end();
    ending.end();
    expect(active(ending, near, far)).toEqual([1, 5, 3]);
    ending.end();
    places.remove(ending);
    expect(active(near, far)).toEqual([6, 3]);
    // The next shard has the share of the one that has ended: it begins as rows end.
    const next = new FakeLane(places, 3, 50);
    places.add(next);
    expect(active(near, far, next)).toEqual([6, 3, 0]);
    far.end();
    near.end();
    expect(active(near, far, next)).toEqual([5, 3, 1]);
    near.end();
    near.end();
    expect(active(near, far, next)).toEqual([3, 3, 3]);
  });

  test('never has more rows at once than the shares add up to, unless shares became smaller, and leaves none empty', () => {
    const lanes = fc.array(fc.record({ share: fc.nat(6), left: fc.nat(30) }), { minLength: 1, maxLength: 6 });
    const steps = fc.array(fc.record({ lane: fc.nat(), what: fc.constantFrom('end', 'add', 'share') }), {
      maxLength: 120,
    });
    fc.assert(
      fc.property(lanes, steps, (given, todo) => {
        const places = new LanePlaces();
        const waiting = given.map(({ share, left }) => new FakeLane(places, share, left));
        const running: FakeLane[] = [];
        for (const { lane, what } of todo) {
          const sum = (of: (one: FakeLane) => number) => running.reduce((all, one) => all + of(one), 0);
          const before = sum(({ active }) => active);
          if (what === 'add' && waiting.length > 0) {
            running.push(waiting.pop()!);
            places.add(running.at(-1)!);
          }
          const one = running[lane % Math.max(1, running.length)];
          if (what === 'end' && one !== undefined && one.active > 0) one.end();
          if (what === 'share' && one !== undefined) {
            one.share = (one.share + 3) % 7;
            places.fill();
          }
          const shares = sum(({ share }) => share);
          const now = sum(({ active }) => active);
          expect(now).toBeLessThanOrEqual(Math.max(shares, before));
          if (sum(({ left }) => left) > 0) expect(now).toBeGreaterThanOrEqual(shares);
        }
      }),
    );
  });
});
