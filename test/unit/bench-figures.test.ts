import { describe, expect, test } from '@jest/globals';
import { distribution } from '../../bench/distribution.js';
import { type Figure, figureTable, isMet } from '../../bench/figure.js';
import { checkLedger } from '../../bench/ledger-check.js';
import { SimulatorControl } from '../../bench/simulator-control.js';
import { startSimulator } from '../../src/simulator/index.js';

describe('distribution()', () => {
  test('gives values that were measured, whatever their order', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(distribution(values)).toEqual({ p50: 50, p95: 95, p99: 99, count: 100 });
    expect(distribution([7])).toEqual({ p50: 7, p95: 7, p99: 7, count: 1 });
  });

  test('refuses to make a number of nothing', () => {
    expect(() => distribution([])).toThrow('Nothing was measured');
  });
});

describe('isMet()', () => {
  test.each<[Figure['aim'], number, boolean | undefined]>([
    [{ atLeast: 300 }, 300, true],
    [{ atLeast: 300 }, 299.9, false],
    [{ atMost: 11 }, 11, true],
    [{ atMost: 11 }, 11.01, false],
    // What could not be measured meets nothing.
    [{ atMost: 11 }, NaN, false],
    [undefined, 1, undefined],
  ])('with the aim %j, %d is %s', (aim, value, expected) => {
    const figure: Figure = { subject: 's', name: 'n', value, unit: '' };
    expect(isMet(aim === undefined ? figure : { ...figure, aim })).toBe(expected);
  });
});

test('figureTable() names each subject once and says which aims are missed', () => {
  const table = figureTable([
    { subject: 'ask', name: 'overhead, p50', value: 12.345, unit: 'ms' },
    { subject: 'ask', name: 'events', value: 12, unit: '', aim: { atMost: 11 } },
    { subject: 'batch', name: 'questions per second', value: 612.4, unit: '/s', aim: { atLeast: 300 } },
  ]);
  expect(table.split('\n').map((line) => line.replace(/ +/g, ' ').trim())).toEqual([
    'ask',
    'overhead, p50 12.3 ms',
    'events 12 MISSES ≤ 11',
    '',
    'batch',
    'questions per second 612 /s meets ≥ 300',
  ]);
});

test('checkLedger() finds turns that were asked twice, and turns that were not asked', async () => {
  const simulator = await startSimulator();
  try {
    const base = `${simulator.url}/api/v2/aipAgents/agents/${simulator.agentRid}/sessions`;
    const post = async (path: string, body: unknown) => {
      const headers = { authorization: `Bearer ${simulator.token}`, 'content-type': 'application/json' };
      const answer = await fetch(`${base}${path}?preview=true`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      return (await answer.json()) as { rid: string };
    };
    const { rid } = await post('', {});
    for (const text of ['one', 'one', 'two']) {
      await post(`/${rid}/blockingContinue`, { userInput: { text }, parameterInputs: {} });
    }
    const control = new SimulatorControl(simulator.url, simulator.token);
    const row = (...turns: string[]) => ({ id: turns.join(), turns });
    const each = { expected: 3, landed: 3 };
    expect(await checkLedger(control, [row('one'), row('one', 'two')])).toEqual({ ...each, tooOften: 0, missing: 0 });
    expect(await checkLedger(control, [row('one', 'two'), row('x')])).toEqual({ ...each, tooOften: 1, missing: 1 });
  } finally {
    await simulator.close();
  }
});
