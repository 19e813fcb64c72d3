import { describe, expect, test } from '@jest/globals';
import { type BatchControl, MOST_CANCELLED_ROWS, noRows } from '../../src/protocol/batch.js';
import { BatchControls } from '../../src/workflows/batch-controls.js';

const NOW = Date.parse('2030-01-01T00:00:00Z');
const controls = (earlier?: BatchControl) =>
  new BatchControls({ maxTokens: 100, maxFailures: 3, deadline: '2030-01-02T00:00:00Z' }, earlier);

describe('BatchControls', () => {
  test('ask for nothing at first', () => {
    expect(controls().control([])).toEqual({});
    expect(controls().version).toBe(0);
  });

  test('keep since when and why a batch is paused; a second pause changes nothing', () => {
    const asked = controls();
    asked.pause('the agent is being mended', NOW);
    asked.pause('another reason', NOW + 1_000);
    expect(asked.control([])).toEqual({
      paused: { since: '2030-01-01T00:00:00.000Z', reason: 'the agent is being mended' },
    });
    expect(asked.version).toBe(1);
    asked.resume();
    asked.resume();
    expect(asked.control([])).toEqual({});
    expect(asked.version).toBe(2);
  });

  test.each([undefined, null, 0, -1, 1.5, '20', Number.NaN, {}])('pass over %p rows at once', (concurrency) => {
    const asked = controls();
    asked.setConcurrency(concurrency);
    expect([asked.version, asked.control([])]).toEqual([0, {}]);
  });

  test.each([undefined, null, 'a', [7], [''], ['x'.repeat(201)], {}])('pass over %p as ids of rows', (ids) => {
    const asked = controls();
    asked.cancelRows(ids);
    expect([asked.version, asked.control([])]).toEqual([0, {}]);
  });

  test.each([undefined, null, 'tired', {}])('pass over %p as the reason of a stop', (reason) => {
    const asked = controls();
    asked.stop(reason);
    expect([asked.version, asked.stopped]).toEqual([0, undefined]);
  });

  test('keep the ids of cancelled rows, each once, within a bound', () => {
    const asked = controls();
    asked.cancelRows(['a', 'b', 'a']);
    asked.cancelRows(['b']);
    expect([asked.version, asked.cancelledRows]).toEqual([1, ['a', 'b']]);
    asked.cancelRows(Array.from({ length: 2 * MOST_CANCELLED_ROWS }, (_, n) => `${n}`));
    expect(asked.cancelledRows).toHaveLength(MOST_CANCELLED_ROWS);
  });

  test.each([
    ['tokens', { tokens: 100 }, 'maxTokens'],
    ['failures', { failed: 3 }, 'maxFailures'],
    ['less of both', { tokens: 99, failed: 2 }, undefined],
  ])('stop by %s', (_name, counts, stopped) => {
    const asked = controls();
    asked.check({ ...noRows(), ...counts });
    expect(asked.stopped).toBe(stopped);
    asked.stop('deadline');
    expect(asked.stopped).toBe(stopped ?? 'deadline');
  });

  test.each([
    ['when rows have expired by its deadline', { expired: 1 }, '2030-01-02T00:00:00Z', 'deadline'],
    ['not when rows expired by deadlines of their own', { expired: 1 }, '2030-01-01T23:59:59Z', undefined],
    ['not when all were answered in time', { succeeded: 1 }, '2030-01-03T00:00:00Z', undefined],
  ])('have stopped at the end %s', (_name, counts, now, stopped) => {
    const asked = controls();
    asked.noteEnd({ ...noRows(), ...counts }, Date.parse(now));
    expect(asked.stopped).toBe(stopped);
  });

  test.each([undefined, null, '3', 0, 0.05, 101, Number.NaN])('pass over a weight of %j', (weight) => {
    const asked = controls();
    asked.setWeight(weight);
    expect([asked.version, asked.control([])]).toEqual([0, {}]);
  });

  test('go over to a next run whole', () => {
    const asked = controls();
    asked.pause(undefined, NOW);
    asked.setConcurrency(7);
    asked.setWeight(3);
    asked.cancelRows(['a']);
    asked.stop('maxTokens');
    const control = asked.control([{ shard: 2, concurrency: 4 }]);
    expect(control).toMatchObject({
      ...{ concurrency: 7, weight: 3, shares: [[2, 4]] },
      ...{ stopped: 'maxTokens', cancelledRows: ['a'] },
    });
    expect(controls(control).control([{ shard: 2, concurrency: 4 }])).toEqual(control);
  });
});
