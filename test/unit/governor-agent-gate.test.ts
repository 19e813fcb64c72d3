import { beforeEach, describe, expect, test } from '@jest/globals';
import { AgentGate, type Permit, type Priority, type Wait } from '../../src/governor/agent-gate.js';
import type { Ceilings } from '../../src/protocol/limits.js';
import { createWorld } from './governor-simulation.js';

let world: ReturnType<typeof createWorld>;
let gate: AgentGate;
let granted: string[];
let permits: Permit[];

function open(ceilings: Ceilings = {}): void {
  world = createWorld(1);
  gate = new AgentGate(world.clock, ceilings);
  granted = [];
  permits = [];
}

function ask(name: string, priority: Priority = 'batch', onWait?: (wait: Wait) => void): void {
  gate.enter({
    priority,
    onWait,
    grant(permit) {
      granted.push(name);
      permits.push(permit);
    },
  });
}

function askFor(count: number): void {
  for (let index = 0; index < count; index += 1) ask(`${index}`);
}

beforeEach(() => open());

describe('a gate that knows nothing yet', () => {
  test('lets four calls in at once and doubles every 50 ms while nothing is refused', () => {
    askFor(100);
    const counts = [0, 50, 100, 150, 200].map((ms) => {
      world.runUntil(ms);
      return granted.length;
    });
    expect(counts).toEqual([4, 8, 16, 32, 64]);
  });

  test('grows by one with each call that ends well', () => {
    askFor(20);
    permits.slice(0, 4).forEach((permit) => permit.release('ok'));
    expect(gate.status()).toMatchObject({ limit: 8, inFlight: 8 });
  });

  test('learns nothing from a call whose end says nothing about limits', () => {
    askFor(20);
    permits.slice(0, 4).forEach((permit) => permit.release('other'));
    expect(gate.status()).toMatchObject({ limit: 4, inFlight: 4, waiting: { interactive: 0, batch: 12 } });
  });

  test('stops growing when nobody waits', () => {
    for (let round = 0; round < 50; round += 1) {
      ask('alone');
      permits.pop()?.release('ok');
    }
    world.runUntil(10_000);
    expect(gate.status().limit).toBe(4);
  });
});

describe('after a refusal', () => {
  test('what is still in flight is the new limit, and nothing more starts', () => {
    askFor(20);
    world.runUntil(1);
    permits[3]?.release('refused');
    expect(gate.status()).toMatchObject({ limit: 3, inFlight: 3 });
    world.runUntil(150);
    expect(granted).toHaveLength(4);
  });

  test('the limit never falls below one', () => {
    askFor(2);
    permits.forEach((permit) => permit.release('refused'));
    expect(gate.status().limit).toBe(1);
  });

  test('a Retry-After is honoured, and all who wait are told until when', () => {
    const waits: Wait[] = [];
    askFor(4);
    ask('waits', 'interactive', (wait) => waits.push(wait));
    permits[0]?.release('refused', 7_000);
    expect(waits).toEqual([{ reason: 'concurrency' }, { reason: 'paused', untilMs: 7_000 }]);
    permits.forEach((permit) => permit.release('other'));
    expect(gate.status()).toMatchObject({ inFlight: 0, pausedUntilMs: 7_000 });
    world.runUntil(6_999);
    expect(granted).not.toContain('waits');
    world.runUntil(7_001);
    expect(granted).toContain('waits');
    expect(gate.status().pausedUntilMs).toBeUndefined();
  });

  test('refusal upon refusal brings pauses that grow to half a minute and no further', () => {
    let calls = 0;
    const count = (): void =>
      gate.enter({
        priority: 'batch',
        grant: (permit) => {
          calls += 1;
          world.after(1, () => {
            permit.release('refused');
            count();
          });
        },
      });
    count();
    world.runUntil(60_000);
    const inFirstMinute = calls;
    world.runUntil(3_660_000);
    const perMinuteLater = (calls - inFirstMinute) / 60;
    expect(inFirstMinute).toBeLessThan(20);
    expect(perMinuteLater).toBeGreaterThan(1);
    expect(perMinuteLater).toBeLessThan(6);
  });
});

describe('who goes first', () => {
  test('interactive calls go ahead of batch calls, each kind in order of arrival', () => {
    open({ maxConcurrency: 1 });
    ask('running');
    ask('b1');
    ask('i1', 'interactive');
    ask('b2');
    ask('i2', 'interactive');
    for (let turn = 0; turn < 5; turn += 1) {
      permits.at(-1)?.release('ok');
      world.runUntil(turn + 1);
    }
    expect(granted).toEqual(['running', 'i1', 'i2', 'b1', 'b2']);
  });

  test('batches share the places by weight, behind interactive calls', () => {
    open({ maxConcurrency: 4 });
    const running: Record<string, Permit[]> = { light: [], heavy: [] };
    const enter = (key: string, weight: number) =>
      gate.enter({
        priority: 'batch',
        flow: { key, weight },
        grant(permit) {
          granted.push(key);
          running[key]?.push(permit);
        },
      });
    for (let n = 0; n < 100; n += 1) enter('light', 1);
    for (let n = 0; n < 300; n += 1) enter('heavy', 3);
    expect(granted).toEqual(['light', 'light', 'light', 'light']);
    ask('person', 'interactive');
    running['light']?.shift()?.release('ok');
    expect(granted.at(-1)).toBe('person');
    permits[0]?.release('ok');
    while (granted.length < 205)
      [...running['light']!.splice(0), ...running['heavy']!.splice(0)].forEach((permit) => permit.release('ok'));
    const light = granted.slice(5, 205).filter((name) => name === 'light').length;
    expect(Math.abs(light - 50)).toBeLessThanOrEqual(1);
  });

  test('one who left is passed over', () => {
    open({ maxConcurrency: 1 });
    ask('running');
    const gone = { priority: 'batch' as const, grant: () => granted.push('gone') };
    gate.enter(gone);
    ask('next');
    gate.leave(gone);
    permits[0]?.release('ok');
    expect(granted).toEqual(['running', 'next']);
  });
});

test('a permit counts once, however often it is released', () => {
  askFor(1);
  permits[0]?.release('ok');
  permits[0]?.release('refused', 9_000);
  expect(gate.status()).toMatchObject({ inFlight: 0, limit: 4 });
  expect(gate.status().pausedUntilMs).toBeUndefined();
});

test('a call that waits is told why, once', () => {
  const waits: Wait[] = [];
  open({ maxConcurrency: 1 });
  ask('first', 'batch', (wait) => waits.push(wait));
  ask('second', 'batch', (wait) => waits.push(wait));
  expect(waits).toEqual([{ reason: 'ceiling' }]);
});

test('a ceiling per minute paces calls and tells when the next may start', () => {
  open({ maxPerMinute: 60 });
  const waits: Wait[] = [];
  ask('now');
  ask('in a second', 'batch', (wait) => waits.push(wait));
  expect(waits).toEqual([{ reason: 'ceiling', untilMs: 1_000 }]);
  world.runUntil(999);
  expect(granted).toEqual(['now']);
  world.runUntil(1_001);
  expect(granted).toEqual(['now', 'in a second']);
  expect(gate.status().ratePerSecond).toBe(1);
});
