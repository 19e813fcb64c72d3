import type { BatchProgress } from '../client/index.js';
import type { CliIo } from './command.js';
import { waitingText } from './exchange-output.js';

/** Pause between lines of progress where nobody watches a bar (milliseconds). */
const LINE_INTERVAL_MS = 10_000;
const BAR_CELLS = 24;

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

/** What a batch's progress says in words, the important first. */
export function progressText(progress: BatchProgress): string {
  const { failed, cancelled, expired, running, rowsPerSecond, etaSeconds, tokens } = progress;
  const rate = rowsPerSecond >= 10 ? rowsPerSecond.toFixed(0) : rowsPerSecond.toFixed(1);
  const wait =
    progress.waitingFor === undefined
      ? []
      : [
          waitingText({
            reason: progress.waitingFor,
            ...(progress.waitingUntil === undefined ? {} : { until: new Date(progress.waitingUntil) }),
          }),
        ];
  return [
    `${ended(progress)}/${progress.rowCount}`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
    ...(expired > 0 ? [`${expired} expired`] : []),
    ...(running > 0 ? [`${running} running`] : []),
    ...(rowsPerSecond > 0 ? [`${rate}/s`] : []),
    ...(etaSeconds !== undefined && etaSeconds > 0 ? [`${duration(etaSeconds)} left`] : []),
    `${tokens} tokens`,
    ...(progress.state === 'running' || progress.state === 'completed' ? [] : [progress.state]),
    ...wait,
  ].join('  ');
}

/** One line of at most `width` columns: a bar, and what the progress says. */
export function progressBar(progress: BatchProgress, width: number): string {
  const share = progress.rowCount === 0 ? 0 : ended(progress) / progress.rowCount;
  const full = Math.min(BAR_CELLS, Math.floor(share * BAR_CELLS));
  const line = `${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)}  ${progressText(progress)}`;
  return line.length < width ? line : `${line.slice(0, Math.max(0, width - 2))}…`;
}

/** Shows a batch's progress on stderr: a bar where a person looks, else a line now and then, JSON with `--json`. */
export class BatchDisplay {
  private last: BatchProgress | undefined;
  private lastLineMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly stderr: CliIo['stderr'],
    private readonly isJson: boolean,
    private readonly now: () => number = Date.now,
  ) {}

  update(progress: BatchProgress): void {
    this.last = progress;
    if (this.isBar) {
      this.stderr.write(`\r${progressBar(progress, this.stderr.columns ?? 80)}\u001b[K`);
      return;
    }
    if (this.now() - this.lastLineMs < LINE_INTERVAL_MS) return;
    this.lastLineMs = this.now();
    this.stderr.write(this.isJson ? `${JSON.stringify(progress)}\n` : `${progressText(progress)}\n`);
  }

  /** Leaves the bar as it stands, so that what is said next begins on a line of its own. */
  end(): void {
    if (this.isBar && this.last !== undefined) this.stderr.write('\n');
  }

  private get isBar(): boolean {
    return this.stderr.isTTY === true && !this.isJson;
  }
}
