import { describe, expect, test } from '@jest/globals';
import { durationMs } from '../../src/plans/index.js';
import { DURATION_PATTERN } from '../../src/protocol/duration.js';

const HOUR = 3_600_000;

describe('durationMs()', () => {
  const durations: [text: string, ms: number][] = [
    ['500ms', 500],
    ['0s', 0],
    ['10s', 10_000],
    ['5m', 300_000],
    ['2h', 2 * HOUR],
    ['3d', 72 * HOUR],
    ['1w', 168 * HOUR],
    ['1h30m', 1.5 * HOUR],
    ['1w2d3h4m5s6ms', 604_800_000 + 172_800_000 + 3 * HOUR + 240_000 + 5_000 + 6],
    ['90m', 1.5 * HOUR],
    ['PT10M', 600_000],
    ['P3D', 72 * HOUR],
    ['P1W', 168 * HOUR],
    ['P1DT12H', 36 * HOUR],
    ['PT0.5S', 500],
    ['PT1M1.25S', 61_250],
  ];
  test.each(durations)('%s', (text, ms) => {
    expect(durationMs(text)).toBe(ms);
    expect(text).toMatch(DURATION_PATTERN);
  });

  test.each([
    '',
    '10',
    '10 s',
    '1.5h',
    '-5m',
    '30m1h',
    '5M',
    '1y',
    'P',
    'PT',
    'P1M',
    'P1Y',
    'P1DT',
    'PT1D',
    '1h 30m',
    'soon',
    '5m\n',
  ])('%j is none', (text) => {
    expect(durationMs(text)).toBeUndefined();
    expect(text).not.toMatch(DURATION_PATTERN);
  });
});
