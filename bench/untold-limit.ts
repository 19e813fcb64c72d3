import type { LedgerExchange, SimulatorSettings } from '../src/simulator/index.js';

/** A limit that the simulator keeps and nobody tells the worker. */
export type UntoldLimit =
  | { kind: 'perSecond'; calls: number; burst: number }
  | { kind: 'atOnce'; calls: number }
  | { kind: 'perMinute'; tokens: number };

/** A stretch of time, in milliseconds since the epoch. */
export interface Span {
  fromMs: number;
  toMs: number;
}

/** The limit as the simulator takes it. */
export function limitSettings(limit: UntoldLimit): NonNullable<SimulatorSettings['limits']> {
  switch (limit.kind) {
    case 'perSecond':
      return { requestsPerSecond: limit.calls, burst: limit.burst };
    case 'atOnce':
      return { concurrent: limit.calls };
    case 'perMinute':
      return { tokensPerMinute: limit.tokens };
  }
}

/**
 * What was used of a limit, as a share of what it allowed: calls let in, time of places, or tokens.
 *
 * @param exchanges Those the simulator let in; an exchange without an end still runs.
 * @param isBucketFull Whether the bucket of a limit by time was full when the span began, so that it counts as allowed.
 */
export function shareUsed(
  limit: UntoldLimit,
  exchanges: readonly LedgerExchange[],
  span: Span,
  isBucketFull: boolean,
): number {
  const seconds = (span.toMs - span.fromMs) / 1000;
  switch (limit.kind) {
    case 'perSecond': {
      const letIn = exchanges.filter(({ startedAt }) => isWithin(startedAt, span)).length;
      return letIn / (limit.calls * seconds + (isBucketFull ? limit.burst : 0));
    }
    case 'atOnce':
      return busySeconds(exchanges, span) / (limit.calls * seconds);
    case 'perMinute':
      return tokensUsed(exchanges, span) / ((limit.tokens * seconds) / 60 + (isBucketFull ? limit.tokens : 0));
  }
}

/** Exchanges that landed within a span. */
export function landedIn(exchanges: readonly LedgerExchange[], span: Span): LedgerExchange[] {
  return exchanges.filter(({ status, endedAt }) => status === 'landed' && isWithin(endedAt, span));
}

/** When the first exchange was let in. @throws Error when none was. */
export function firstStartMs(exchanges: readonly LedgerExchange[]): number {
  if (exchanges.length === 0) throw new Error('No exchange was let in');
  return exchanges.map(({ startedAt }) => Date.parse(startedAt)).reduce((least, ms) => Math.min(least, ms));
}

function isWithin(at: string | undefined, { fromMs, toMs }: Span): boolean {
  const ms = at === undefined ? NaN : Date.parse(at);
  return ms >= fromMs && ms < toMs;
}

function busySeconds(exchanges: readonly LedgerExchange[], { fromMs, toMs }: Span): number {
  const busyMs = exchanges.map(({ startedAt, endedAt }) => {
    const endMs = endedAt === undefined ? toMs : Math.min(toMs, Date.parse(endedAt));
    return Math.max(0, endMs - Math.max(fromMs, Date.parse(startedAt)));
  });
  return busyMs.reduce((sum, ms) => sum + ms, 0) / 1000;
}

/** The simulator takes an exchange's tokens off when it ends. */
function tokensUsed(exchanges: readonly LedgerExchange[], span: Span): number {
  return landedIn(exchanges, span).reduce((sum, { totalTokensUsed }) => sum + totalTokensUsed, 0);
}

/** The most exchanges that were let in at once. */
export function mostAtOnce(exchanges: readonly LedgerExchange[]): number {
  const changes = exchanges.flatMap(({ startedAt, endedAt }) => [
    { atMs: Date.parse(startedAt), by: 1 },
    ...(endedAt === undefined ? [] : [{ atMs: Date.parse(endedAt), by: -1 }]),
  ]);
  // One that ends in the millisecond in which another begins makes room for it.
  changes.sort((a, b) => a.atMs - b.atMs || a.by - b.by);
  let [now, most] = [0, 0];
  for (const { by } of changes) most = Math.max(most, (now += by));
  return most;
}
