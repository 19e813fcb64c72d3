import { describe, expect, test } from '@jest/globals';
import { questionsOfMixedLength } from '../../bench/questions.js';
import { firstStartMs, landedIn, shareUsed, type UntoldLimit } from '../../bench/untold-limit.js';
import type { LedgerExchange } from '../../src/simulator/index.js';

const span = { fromMs: 10_000, toMs: 20_000 };
const at = (seconds: number) => new Date(seconds * 1000).toISOString();

function exchange(startedAt: number, endedAt?: number, more: Partial<LedgerExchange> = {}): LedgerExchange {
  return {
    agentRid: 'ri.aip-agents..agent.a',
    agentVersion: '1.0',
    sessionRid: 'ri.aip-agents..session.s',
    mode: 'streaming',
    text: 'x',
    sessionTraceId: 't',
    turn: 1,
    status: endedAt === undefined ? 'answering' : 'landed',
    totalTokensUsed: 100,
    startedAt: at(startedAt),
    ...(endedAt !== undefined && { endedAt: at(endedAt) }),
    ...more,
  };
}

/** Before, into, within, out of and after the span; one that still runs; one that was cancelled. */
const exchanges = [
  exchange(8, 9),
  exchange(9, 12),
  exchange(13, 14),
  exchange(18, 22),
  exchange(20, 21),
  exchange(19),
  exchange(14, 15, { status: 'cancelled' }),
];

describe('shareUsed()', () => {
  test.each<[string, UntoldLimit, boolean, number]>([
    ['calls let in', { kind: 'perSecond', calls: 1, burst: 6 }, false, 4 / 10],
    ['calls let in, with a full bucket', { kind: 'perSecond', calls: 1, burst: 6 }, true, 4 / 16],
    ['time of places', { kind: 'atOnce', calls: 2 }, false, (2 + 1 + 2 + 1 + 1) / 20],
    ['tokens of what landed', { kind: 'perMinute', tokens: 6_000 }, false, 200 / 1_000],
    ['tokens of what landed, with a full bucket', { kind: 'perMinute', tokens: 6_000 }, true, 200 / 7_000],
  ])('%s', (_, limit, isBucketFull, expected) => {
    expect(shareUsed(limit, exchanges, span, isBucketFull)).toBeCloseTo(expected);
  });
});

test('landedIn() and firstStartMs() read the ledger', () => {
  expect(landedIn(exchanges, span)).toHaveLength(2);
  expect(firstStartMs(exchanges)).toBe(8_000);
  expect(() => firstStartMs([])).toThrow('No exchange was let in');
});

test('questionsOfMixedLength() asks for answers of 320 to 16,000 characters, mixed evenly', () => {
  const lengths = questionsOfMixedLength(100).map(({ turns }) => Number(/\[long (\d+)\]/.exec(turns[0] ?? '')?.[1]));
  const mean = (some: number[]) => some.reduce((sum, length) => sum + length, 0) / some.length;
  expect(Math.min(...lengths)).toBeGreaterThanOrEqual(320);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(16_000);
  expect(mean(lengths.slice(0, 50)) / mean(lengths.slice(50))).toBeCloseTo(1, 0);
});
