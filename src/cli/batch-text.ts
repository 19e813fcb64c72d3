import type { BatchDescription, BatchListing, BatchSummary, VersionFigures } from '../client/index.js';
import type { BatchStopReason } from '../protocol/batch.js';
import { duration, progressText, STOP_REASONS } from './batch-display.js';
import { localTime, table } from './output.js';

/** `Batch orders: 238 of 240 rows succeeded, 2 failed; 68447 tokens` */
export function summaryText({ batchId, rowCount, counts }: BatchSummary): string {
  const { succeeded, failed, cancelled, expired, tokens } = counts;
  const others = Object.entries({ failed, cancelled, expired }).filter(([, count]) => count > 0);
  const parts = [`${succeeded} of ${rowCount} rows succeeded`, ...others.map(([name, count]) => `${count} ${name}`)];
  return `Batch ${batchId}: ${parts.join(', ')}; ${tokens} tokens`;
}

/** Why a batch began no more rows. */
export const stopText = (reason: BatchStopReason): string => `It began no more rows: ${STOP_REASONS[reason]}`;

/** Versions of the agent beside each other. */
export function versionsTable(versions: readonly VersionFigures[]): string {
  const rows = versions.map(({ agentVersion, rows: count, succeededPercent, tokensPerRow, latencyMs }) => [
    agentVersion ?? 'latest',
    String(count),
    // Rounded down: 100 % is said of all rows alone.
    `${(Math.floor(10 * succeededPercent) / 10).toFixed(1)} %`,
    tokensPerRow === undefined ? '-' : tokensPerRow.toFixed(0),
    seconds(latencyMs?.p50),
    seconds(latencyMs?.p95),
  ]);
  return table(['VERSION', 'ROWS', 'SUCCEEDED', 'TOKENS/ROW', 'P50', 'P95'], rows);
}

const seconds = (ms: number | undefined): string => (ms === undefined ? '-' : `${(ms / 1_000).toFixed(1)} s`);

/** What `batch show` tells, a line a field. */
export function batchLines({ progress, settings, control, ...batch }: BatchDescription): string[] {
  const { state, paused, stopped, concurrency } = progress;
  const changed = settings !== undefined && concurrency !== settings.concurrency;
  const bounds = settings?.bounds ?? {};
  const fields: [string, string | undefined][] = [
    ['batch', batch.batchId],
    ['state', state],
    ['paused', paused && `since ${localTime(paused.since)}${paused.reason === undefined ? '' : `: ${paused.reason}`}`],
    ['stopped', stopped && STOP_REASONS[stopped]],
    ['rows', progressText({ ...progress, state: 'running' }, { withStop: false })],
    ['rerun of', batch.rerunOf],
    ['source', batch.source],
    ['submitted', localTime(batch.submittedAt)],
    ['ended', batch.closedAt && localTime(batch.closedAt)],
    ['rows at once', changed ? `${concurrency} (submitted with ${settings.concurrency})` : String(concurrency)],
    ['weight', weightText(settings?.weight ?? 1, control.weight)],
    ['deadline', bounds.deadline && localTime(bounds.deadline)],
    ['most tokens', bounds.maxTokens?.toString()],
    ['most failures', bounds.maxFailures?.toString()],
    ['cancel asked', control.cancelledRows && someOf(control.cancelledRows)],
    ['agent', settings?.agentRid],
    ['version', settings && (settings.agentVersion ?? 'latest published')],
    ['canary', settings?.canary && `${settings.canary.percent} % of the rows to ${settings.canary.agentVersion}`],
    ['mode', settings?.mode],
    ['title', settings?.title],
    ['call timeout', settings && duration(settings.callTimeoutMs / 1_000)],
    ['isolation', settings?.isolation],
    ['sessions', settings?.deleteSessions === true ? 'deleted when their row has ended' : undefined],
    ['shards', String(batch.shardCount)],
  ];
  return fields.filter(([, value]) => Boolean(value)).map(([name, value]) => `${name.padEnd(16)}${value}`);
}

/** Undefined where it is that of all. */
function weightText(submitted: number, now = submitted): string | undefined {
  if (now !== submitted) return `${now} (submitted with ${submitted})`;
  return now === 1 ? undefined : String(now);
}

/** The first of many. */
export const someOf = (ids: readonly string[]): string =>
  ids.length <= 5 ? ids.join(', ') : `${ids.slice(0, 5).join(', ')} and ${ids.length - 5} more`;

/**
 * A list of batches: a table, or where that is wider than the terminal two lines for each.
 *
 * @param width Columns of the terminal; absent: none, any width will do.
 */
export function batchTable(batches: readonly BatchListing[], width?: number): string {
  const facts = batches.map(({ state, stopped, rowCount, startedAt }) => [
    stopped === undefined ? state : `${state} (${stopped})`,
    String(rowCount),
    localTime(startedAt),
  ]);
  const headings = ['STATE', 'ROWS', 'STARTED'];
  const whole = table(
    ['BATCH', ...headings],
    batches.map(({ batchId }, index) => [batchId, ...(facts[index] ?? [])]),
  );
  if (width === undefined || whole.split('\n').every((line) => line.length <= width)) return whole;
  const lines = table(headings, facts).split('\n').slice(1);
  return batches.map(({ batchId }, index) => `${batchId}\n  ${lines[index] ?? ''}`).join('\n');
}
