import type { RowOutcome } from '../protocol/batch.js';

/** How the rows went that were meant for one version of the batch's agent. */
export interface VersionFigures {
  /** Absent: the latest published one. */
  agentVersion?: string;
  rows: number;
  succeeded: number;
  /** Of `rows`, 0–100. */
  succeededPercent: number;
  /** Mean of the rows that succeeded; absent when none did. */
  tokensPerRow?: number;
  /** From the row's start to its end, all its turns, of the rows that succeeded (milliseconds); absent when none did. */
  latencyMs?: { p50: number; p95: number };
}

interface Tally {
  rows: number;
  tokens: number;
  /** Of rows that succeeded. */
  latenciesMs: number[];
}

/** Compares the versions of the batch's agent that rows went to. Rows with an agent of their own do not count. */
export class VersionComparison {
  readonly #tallies = new Map<string | undefined, Tally>();

  add({ row, result, agentVersion }: RowOutcome): void {
    if (row.agentRid !== undefined) return;
    const tally = this.#tallies.get(agentVersion) ?? { rows: 0, tokens: 0, latenciesMs: [] };
    this.#tallies.set(agentVersion, tally);
    tally.rows++;
    if (result.status !== 'succeeded') return;
    tally.tokens += result.tokens;
    tally.latenciesMs.push(Date.parse(result.finishedAt) - Date.parse(result.startedAt ?? result.finishedAt));
  }

  /** The figures, most rows first; absent when all rows went to the same version. */
  get figures(): VersionFigures[] | undefined {
    if (this.#tallies.size < 2) return undefined;
    return [...this.#tallies].map(figuresOf).toSorted((a, b) => b.rows - a.rows);
  }
}

function figuresOf([agentVersion, { rows, tokens, latenciesMs }]: [string | undefined, Tally]): VersionFigures {
  const succeeded = latenciesMs.length;
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  return {
    ...(agentVersion !== undefined && { agentVersion }),
    rows,
    succeeded,
    succeededPercent: (100 * succeeded) / rows,
    ...(succeeded > 0 && {
      tokensPerRow: tokens / succeeded,
      latencyMs: { p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95) },
    }),
  };
}

/** The least value that at least this share of the values does not exceed. */
const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
