import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { planSlices, rowsPerShard } from '../../src/client/batch-slices.js';
import { surveyRows } from '../../src/client/batch-survey.js';
import { BatchInputError, type BatchRow, lanesAtOnce } from '../../src/protocol/batch.js';
import { LIMITS } from '../../src/protocol/defaults.js';

describe('planSlices()', () => {
  test('puts every row into exactly one slice, in order, within both bounds', () => {
    const rowBytes = fc.array(
      fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: LIMITS.shardBytes })),
      {
        maxLength: 600,
      },
    );
    fc.assert(
      fc.property(rowBytes, fc.integer({ min: 1, max: LIMITS.shardRows }), (bytes, most) => {
        const slices = planSlices(bytes, most);
        let next = 0;
        for (const rows of slices) {
          expect(rows).toBeGreaterThanOrEqual(1);
          expect(rows).toBeLessThanOrEqual(most);
          const size = bytes.slice(next, next + rows).reduce((sum, one) => sum + one, 0);
          expect(size).toBeLessThanOrEqual(LIMITS.shardBytes);
          next += rows;
        }
        expect(next).toBe(bytes.length);
      }),
    );
  });
});

describe('rowsPerShard()', () => {
  test('gives every lane the same number of slices, none too large, and small ones only to small batches', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 1_000 }), (rowCount, concurrency) => {
        const rows = rowsPerShard(rowCount, concurrency);
        expect(rows).toBeGreaterThanOrEqual(1);
        expect(rows).toBeLessThanOrEqual(LIMITS.shardRows);
        const lanes = lanesAtOnce(concurrency);
        const shards = Math.ceil(rowCount / rows);
        if (rowCount >= 200 * lanes) {
          expect(rows).toBeGreaterThanOrEqual(80);
          expect(Math.ceil(shards / lanes) * lanes - shards).toBeLessThan(lanes);
        }
      }),
    );
  });

  test.each([
    [2_000, 100, 200],
    [2_000, 50, 167],
    [300, 20, 150],
    [80, 20, 40],
    [300, 1, 150],
    [1, 1_000, 1],
  ])('cuts %i rows at %i at once into slices of %i', (rowCount, concurrency, rows) => {
    expect(rowsPerShard(rowCount, concurrency)).toBe(rows);
  });
});

describe('surveyRows()', () => {
  const rows: BatchRow[] = [
    { id: 'a', turns: ['One?'] },
    { id: 'b', turns: ['Two?', 'Three?'] },
  ];

  test('tells rows and settings apart by the digest, and nothing else', async () => {
    const digest = async (of: BatchRow[], salt: unknown = {}) => (await surveyRows(of, salt)).digest;
    const first = await digest(rows);
    expect(await digest(structuredClone(rows))).toBe(first);
    const others = await Promise.all([
      digest(rows.toReversed()),
      digest(rows.slice(1)),
      digest([rows[0]!, { ...rows[1]!, turns: ['Two?', 'Four?'] }]),
      digest(rows, { mode: 'blocking' }),
    ]);
    expect(new Set([first, ...others]).size).toBe(5);
  });

  test.each([
    ['no rows', [], /there are no rows/],
    ['a repeated id', [rows[0]!, rows[0]!], /row:2: id: repeats/],
    ['an empty id', [{ id: '', turns: ['x'] }], /row:1: id: is no text/],
    ['no turns', [{ id: 'x', turns: [] }], /row:1: turns: holds no text/],
    ['a blank turn', [{ id: 'x', turns: ['y', ' '] }], /row:1: turns\[1\]: is empty/],
    ['a text too long', [{ id: 'x', turns: ['x'.repeat(LIMITS.textBytes + 1)] }], /turns\[0\]: takes 262145 bytes/],
    ['a row too long', [{ id: 'x', turns: Array<string>(4).fill('x'.repeat(140_000)) }], /more than 524288 bytes/],
    ['another mode', [{ ...rows[0]!, mode: 'stream' }], /row:1: mode: is "stream", but must be "streaming" or "bl/],
    [
      'a deadline without a zone',
      [{ ...rows[0]!, deadline: '2026-11-22T18:00' }],
      /row:1: deadline: .* lacks its zone/,
    ],
    ['a deadline that is none', [{ ...rows[0]!, deadline: 5 }], /row:1: deadline: is a number, but must be a date/],
  ] as [string, BatchRow[], RegExp][])('refuses %s', async (_what, bad, text) => {
    await expect(surveyRows(bad, {})).rejects.toThrow(BatchInputError);
    await expect(surveyRows(bad, {})).rejects.toThrow(text);
  });
});
