import { describe, expect, test } from '@jest/globals';
import {
  canaryOption,
  durationOption,
  numberOption,
  pastTimeOption,
  repeated,
  timeOption,
} from '../../src/cli/option-values.js';

const NOW = Date.parse('2026-03-01T12:00:00.000Z');

describe('durationOption()', () => {
  test.each([
    ['90s', 90_000],
    ['20m', 1_200_000],
    ['6h', 21_600_000],
    ['2d', 172_800_000],
    ['1d2h3m4s', 93_784_000],
  ])('reads %s', (text, ms) => {
    expect(durationOption('--x')(text)).toBe(ms);
  });

  test.each(['', '10', 'h', '0s', '-1h', '1.5h', '6 h', '3m2h', '9999999d'])('refuses "%s"', (text) => {
    expect(() => durationOption('--x')(text)).toThrow(`Mend --x: "${text}" is no duration`);
  });
});

describe('timeOption()', () => {
  test.each([
    ['6h', '2026-03-01T18:00:00.000Z'],
    ['90m', '2026-03-01T13:30:00.000Z'],
    ['2026-03-02T09:00Z', '2026-03-02T09:00:00.000Z'],
    ['2026-03-02T09:00:00+02:00', '2026-03-02T07:00:00.000Z'],
    // One that has passed is for the submit to judge: the batch may be there already.
    ['2020-01-01T00:00Z', '2020-01-01T00:00:00.000Z'],
  ])('reads %s', (text, iso) => {
    expect(timeOption('--x', () => NOW)(text)).toBe(iso);
  });

  test.each(['', 'tomorrow', '2026', '2026-03-01', '2026-03-01T10:00', '2026-13-01T00:00Z', '0h', '6'])(
    'refuses "%s"',
    (text) => {
      expect(() => timeOption('--x', () => NOW)(text)).toThrow(`Mend --x: "${text}" is neither`);
    },
  );
});

describe('pastTimeOption()', () => {
  test.each([
    ['6h', '2026-03-01T06:00:00.000Z'],
    ['7d', '2026-02-22T12:00:00.000Z'],
    ['2026-03-01T09:00+02:00', '2026-03-01T07:00:00.000Z'],
  ])('reads %s', (text, iso) => {
    expect(pastTimeOption('--x', () => NOW)(text)).toBe(iso);
  });

  test.each(['', 'yesterday', '2026-03-01', '2026-03-02T09:00Z', '0h'])('refuses "%s"', (text) => {
    expect(() => pastTimeOption('--x', () => NOW)(text)).toThrow(
      `Mend --x: "${text}" is neither a time that has passed`,
    );
  });
});

describe('numberOption()', () => {
  test.each([
    ['0.1', 0.1],
    ['3', 3],
    ['100', 100],
  ])('reads %s', (text, value) => {
    expect(numberOption('--x', 0.1, 100)(text)).toBe(value);
  });

  test.each(['', '0', '0.09', '101', '-1', '1e1', '.5', '3x'])('refuses "%s"', (text) => {
    expect(() => numberOption('--x', 0.1, 100)(text)).toThrow(`Mend --x: "${text}" is not a number from 0.1 to 100`);
  });
});

describe('canaryOption()', () => {
  test.each([
    ['2.1=10%', { agentVersion: '2.1', percent: 10 }],
    ['2.1=12.5%', { agentVersion: '2.1', percent: 12.5 }],
    ['a=b=0.1%', { agentVersion: 'a=b', percent: 0.1 }],
  ])('reads %s', (text, canary) => {
    expect(canaryOption(text)).toEqual(canary);
  });

  test.each(['', '2.1', '=10%', '2.1=10', '2.1=0%', '2.1=100%', '2.1=-1%', '2.1=x%', '2.1=1e1%'])(
    'refuses "%s"',
    (text) => {
      expect(() => canaryOption(text)).toThrow(`Mend --canary: "${text}"`);
    },
  );
});

test('repeated() collects', () => {
  expect(repeated('b', repeated('a', undefined))).toEqual(['a', 'b']);
});
