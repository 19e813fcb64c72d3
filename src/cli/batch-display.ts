import type { BatchProgress } from '../client/index.js';
import { CLOSED_AGENT_WAIT } from '../protocol/limits.js';
import type { CliIo } from './command.js';
import { waitingText } from './exchange-output.js';
import { outageNews } from './outage-news.js';
import { timeOfDay } from './output.js';
import { cut, oneLine, Redrawing } from './terminal.js';

/** Pause between lines of progress where nobody watches a bar (milliseconds). */
const LINE_INTERVAL_MS = 10_000;
const MOST_BAR_CELLS = 24;
const LEAST_BAR_CELLS = 8;

/** Rows that have ended, however. */
const ended = (progress: BatchProgress): number =>
  progress.succeeded + progress.failed + progress.cancelled + progress.expired;

/** `1h 02m`, `3m 20s`, `12s` */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  if (hours > 0) return `${hours}h ${two(minutes)}m`;
  return minutes > 0 ? `${minutes}m ${two(rest)}s` : `${rest}s`;
}

/** What a batch's progress says in words, the important first; in one line. */
export function progressText(progress: BatchProgress, { withStop = true }: { withStop?: boolean } = {}): string {
  const why = withStop ? whyText(progress) : waitText(progress);
  return [...numbers(progress), ...(why === undefined ? [] : [why])].join('  ');
}

/** The numbers, and where it stands when it does not just run. What can be spared comes last. */
function numbers(progress: BatchProgress): string[] {
  const { state, failed, cancelled, expired, running, rowsPerSecond, etaSeconds, tokens, concurrency } = progress;
  const rate = rowsPerSecond >= 10 ? rowsPerSecond.toFixed(0) : rowsPerSecond.toFixed(1);
  return [
    `${ended(progress)}/${progress.rowCount}`,
    ...(state === 'running' || state === 'completed' ? [] : [state]),
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
    ...(expired > 0 ? [`${expired} expired`] : []),
    ...(rowsPerSecond > 0 ? [`${rate}/s`] : []),
    ...(etaSeconds !== undefined && etaSeconds > 0 ? [`${duration(etaSeconds)} left`] : []),
    `${tokens} tokens`,
    ...(running > 0 ? [`${running} of ${concurrency} running`] : []),
  ];
}

/** Why a batch begins no more rows, in words. */
export const STOP_REASONS: Record<NonNullable<BatchProgress['stopped']>, string> = {
  deadline: 'its deadline has passed',
  maxTokens: 'it has used the tokens it may',
  maxFailures: 'too many of its rows have failed',
};

/** Why no rows are begun, or why it does not go faster. */
function whyText(progress: BatchProgress): string | undefined {
  const { paused, stopped } = progress;
  if (stopped !== undefined) return `… no more rows are begun: ${STOP_REASONS[stopped]}`;
  if (paused === undefined) return waitText(progress);
  const since = `paused since ${timeOfDay(new Date(paused.since))}`;
  return `… ${since}${paused.reason === undefined ? '' : `: ${oneLine(paused.reason)}`}`;
}

function waitText({ waitingFor, waitingUntil }: BatchProgress): string | undefined {
  if (waitingFor === undefined) return undefined;
  const reason = waitingFor === CLOSED_AGENT_WAIT ? `waits: ${waitingFor}` : waitingFor;
  return waitingText({ reason, ...(waitingUntil && { until: new Date(waitingUntil) }) });
}

/**
 * One or two lines of less than `width` columns: a bar with numbers, of which the last are left out where there is no room,
 * and why it does not go on.
 */
export function progressBar(progress: BatchProgress, width: number): string[] {
  const share = progress.rowCount === 0 ? 0 : ended(progress) / progress.rowCount;
  const parts = numbers(progress);
  while (parts.length > 1 && parts.join('  ').length + 2 + LEAST_BAR_CELLS >= width) parts.pop();
  const text = parts.join('  ');
  const cells = Math.min(MOST_BAR_CELLS, Math.max(LEAST_BAR_CELLS, width - text.length - 3));
  const full = Math.min(cells, Math.floor(share * cells));
  const why = whyText(progress);
  const lines = [`${'█'.repeat(full)}${'░'.repeat(cells - full)}  ${text}`, ...(why === undefined ? [] : [why])];
  return lines.map((line) => cut(line, width));
}

/** Shows a batch's progress on stderr: a bar where a person looks, else a line now and then, JSON with `--json`. */
export class BatchDisplay {
  private last: BatchProgress | undefined;
  private lastLineMs = Number.NEGATIVE_INFINITY;
  private readonly bar: Redrawing;

  constructor(
    private readonly stderr: CliIo['stderr'],
    private readonly isJson: boolean,
    private readonly now: () => number = Date.now,
  ) {
    this.bar = new Redrawing(stderr);
  }

  update(progress: BatchProgress): void {
    const before = this.last;
    this.last = progress;
    if (this.isBar) return this.bar.draw(progressBar(progress, this.stderr.columns ?? 80));
    const news = outageNews(before, progress);
    if (news !== undefined && !this.isJson) this.stderr.write(`${news}\n`);
    const isNews = before?.state !== progress.state || (news !== undefined && this.isJson);
    if (!isNews && this.now() - this.lastLineMs < LINE_INTERVAL_MS) return;
    this.lastLineMs = this.now();
    this.stderr.write(this.isJson ? `${JSON.stringify(progress)}\n` : `${progressText(progress)}\n`);
  }

  /** Leaves the bar as it stands, so that what is said next begins on a line of its own. */
  end(): void {
    this.bar.end();
  }

  private get isBar(): boolean {
    return this.stderr.isTTY === true && !this.isJson;
  }
}
