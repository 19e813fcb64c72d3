import { describe, expect, test } from '@jest/globals';
import { checkCanary, isOfCanary, withCanary, withoutCanary } from '../../src/client/batch-canary.js';
import { rerunId } from '../../src/client/batch-rerun.js';
import { checkSubmission } from '../../src/client/batch-submission-check.js';
import { VersionComparison } from '../../src/client/batch-versions.js';
import { InvalidCallError } from '../../src/client/errors.js';
import type { BatchRow, RowOutcome, RowResult } from '../../src/protocol/batch.js';

const ids = Array.from({ length: 10_000 }, (_, n) => `row-${n}`);

describe('the canary', () => {
  test.each([0.5, 10, 12.5, 50, 99])('takes about %d %% of the rows, the same each time', (percent) => {
    const taken = ids.filter((id) => isOfCanary(id, percent));
    expect(Math.abs(taken.length / 100 - percent)).toBeLessThan(1.5);
    expect(ids.filter((id) => isOfCanary(id, percent))).toEqual(taken);
  });

  test('keeps its rows when its share grows', () => {
    const few = ids.filter((id) => isOfCanary(id, 10));
    expect(few.every((id) => isOfCanary(id, 20))).toBe(true);
  });

  test('leaves rows with an agent or a version of their own alone, and can be taken back', async () => {
    const canary = { agentVersion: '2.1', percent: 50 };
    const rows = ids.slice(0, 300).map((id, n): BatchRow => {
      if (n % 3 === 0) return { id, turns: ['x'] };
      return { id, turns: ['x'], ...(n % 3 === 1 ? { agentRid: 'ri.a' } : { agentVersion: '1.0' }) };
    });
    const changed: BatchRow[] = [];
    for await (const row of withCanary(rows, canary)) changed.push(row);
    const moved = changed.filter(({ agentVersion }) => agentVersion === '2.1');
    expect(moved.length).toBeGreaterThan(30);
    expect(moved.every(({ id, agentRid }) => agentRid === undefined && isOfCanary(id, 50))).toBe(true);
    expect(changed.map((row) => withoutCanary(row, canary))).toEqual(rows);
  });

  test.each([
    [{ agentVersion: '', percent: 10 }, /without a version/],
    [{ agentVersion: '2.1', percent: 0 }, /0 % of the rows/],
    [{ agentVersion: '2.1', percent: 100 }, /above 0 and below 100/],
    [{ agentVersion: '2.1', percent: Number.NaN }, /NaN/],
    [{ agentVersion: '2.0', percent: 10 }, /with itself/],
  ])('refuses %j', (canary, message) => {
    expect(() => checkCanary(canary, '2.0')).toThrow(message);
  });
});

describe('VersionComparison', () => {
  const outcome = (agentVersion: string | undefined, ms: number, more: Partial<RowResult> = {}): RowOutcome => {
    const [startedAt, finishedAt] = [0, ms].map((at) => new Date(at).toISOString()) as [string, string];
    const result: Omit<RowResult, 'finishedAt'> = {
      id: 'a',
      index: 0,
      status: 'succeeded',
      exchanges: [],
      tokens: ms,
      attempts: 1,
    };
    const row: BatchRow = { id: 'a', turns: ['x'] };
    return {
      row,
      result: { ...result, startedAt, finishedAt, ...more },
      ...(agentVersion !== undefined && { agentVersion }),
    };
  };

  test('tells nothing while there is one version', () => {
    const comparison = new VersionComparison();
    comparison.add(outcome(undefined, 1));
    comparison.add({ ...outcome('9.9', 1), row: { id: 'b', turns: ['x'], agentRid: 'ri.other' } });
    expect(comparison.figures).toBeUndefined();
  });

  test('tells rows, success, tokens and latency of each', () => {
    const comparison = new VersionComparison();
    for (let ms = 1; ms <= 100; ms++) comparison.add(outcome(undefined, ms));
    comparison.add(outcome('2.1', 10));
    comparison.add(outcome('2.1', 5_000, { status: 'failed' }));
    comparison.add(outcome('2.2', 5_000, { status: 'cancelled' }));
    expect(comparison.figures).toEqual([
      { rows: 100, succeeded: 100, succeededPercent: 100, tokensPerRow: 50.5, latencyMs: { p50: 50, p95: 95 } },
      {
        agentVersion: '2.1',
        rows: 2,
        succeeded: 1,
        succeededPercent: 50,
        tokensPerRow: 10,
        latencyMs: { p50: 10, p95: 10 },
      },
      { agentVersion: '2.2', rows: 1, succeeded: 0, succeededPercent: 0 },
    ]);
  });
});

describe('rerunId()', () => {
  test.each([
    ['monday', undefined, 'monday.2'],
    ['monday.2', 'monday', 'monday.3'],
    ['monday.9', 'monday.8', 'monday.10'],
    ['release-1.4', undefined, 'release-1.4.2'],
    ['again', 'monday', 'again.2'],
  ])('of %s, a rerun of %s, is %s', (batchId, rerunOf, id) => {
    expect(rerunId({ batchId, ...(rerunOf !== undefined && { rerunOf }) })).toBe(id);
  });
});

describe('checkSubmission()', () => {
  const submission = { batchId: 'b', agentRid: 'ri.a', rows: [] };

  test.each([
    [{ bounds: { deadline: 'soon' } }, /until "soon"/],
    [{ bounds: { maxTokens: 0 } }, /a budget of 0 tokens/],
    [{ bounds: { maxFailures: 1.5 } }, /a bound of 1.5 failures/],
    [{ callTimeoutMs: -1 }, /a call timeout of -1 ms/],
    [{ concurrency: 0 }, /0 rows at once/],
    [{ weight: 0 }, /a weight of 0: give a number from 0.1 to 100/],
    [{ weight: 101 }, /a weight of 101/],
    [{ weight: Number.NaN }, /a weight of NaN/],
    [{ batchId: '' }, /without a usable id: it is empty/],
    [{ batchId: 'x'.repeat(201) }, /it has 201 characters; give it at most 200/],
    [{ batchId: 'two\nlines' }, /it holds a control character/],
    [{ batchId: 'orders/shard-00001' }, /it ends as the parts of a batch do \(\/shard-00001\); give it another end/],
    [{ batchId: 'orders/row-0000001' }, /\/row-0000001/],
    [{ agentRid: '' }, /without an agent/],
  ])('refuses %j', (wrong, message) => {
    expect(() => checkSubmission({ ...submission, ...wrong })).toThrow(message);
    expect(() => checkSubmission({ ...submission, ...wrong })).toThrow(InvalidCallError);
  });

  test('takes bounds and a canary', () => {
    const bounds = { deadline: '2026-03-01T09:00:00.000Z', maxTokens: 1, maxFailures: 1 };
    checkSubmission({ ...submission, bounds, canary: { agentVersion: '2.1', percent: 10 } });
  });
});
