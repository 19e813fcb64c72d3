import { describe, expect, test } from '@jest/globals';
import { changedSettings, leastOf, sensibleChange } from '../../src/protocol/limits.js';

const NOW = '2026-01-31T12:00:00.000Z';

describe('sensibleChange()', () => {
  test.each<[string, unknown, object]>([
    ['ceilings', { maxConcurrency: 30, maxPerMinute: 5_000 }, { maxConcurrency: 30, maxPerMinute: 5_000 }],
    ['their end', { maxConcurrency: null }, { maxConcurrency: null }],
    ['numbers that are no ceilings', { maxConcurrency: 0, maxPerMinute: 1.5 }, {}],
    ['words in place of numbers', { maxConcurrency: '30', maxPerMinute: 'many' }, {}],
    ['nothing', undefined, {}],
    ['a word', 'close', {}],
    ['a closing without words', { closed: {} }, { closed: { since: NOW } }],
    [
      'a closing with a time',
      { closed: { until: '2026-02-01T00:00Z' } },
      { closed: { since: NOW, until: '2026-02-01T00:00Z' } },
    ],
    ['a closing with no time', { closed: { until: 'tomorrow', reason: 7 } }, { closed: { since: NOW } }],
    ['a long reason', { closed: { reason: 'x'.repeat(300) } }, { closed: { since: NOW, reason: 'x'.repeat(200) } }],
    ['an opening', { closed: null }, { closed: null }],
    ['closed: true', { closed: true }, {}],
  ])('%s', (_, change, sensible) => {
    expect(sensibleChange(change, NOW)).toEqual(sensible);
  });
});

test('changedSettings() keeps what is not changed, and drops what is taken away', () => {
  const settings = { maxConcurrency: 3, closed: { since: NOW } };
  expect(changedSettings(settings, { maxPerMinute: 60, closed: null })).toEqual({
    maxConcurrency: 3,
    maxPerMinute: 60,
  });
});

test('leastOf() takes the least of each ceiling', () => {
  expect(leastOf([{}, { maxConcurrency: 5 }, { maxConcurrency: 3, maxPerMinute: 60 }])).toEqual({
    maxConcurrency: 3,
    maxPerMinute: 60,
  });
  expect(leastOf([{}, {}])).toEqual({});
});
