/** One measured number, with what it is meant to be. */
export interface Figure {
  /** What was measured, unique in a run: `batch, streaming, 50 at once`. */
  subject: string;
  /** Which number: `questions per second`. */
  name: string;
  value: number;
  /** Shown behind the value: `ms`, `MiB`; empty for a ratio. */
  unit: string;
  aim?: { atLeast: number } | { atMost: number };
  /** True where the aim is a promise, such as that no row is asked twice: one that is broken fails the benchmark. */
  isPromise?: true;
}

/** A count that must be 0. */
export function promisedNone(subject: string, name: string, value: number): Figure {
  return { subject, name, value, unit: '', aim: { atMost: 0 }, isPromise: true };
}

/** Whether the aim is met; undefined without one. */
export function isMet({ value, aim }: Figure): boolean | undefined {
  if (aim === undefined) return undefined;
  return 'atLeast' in aim ? value >= aim.atLeast : value <= aim.atMost;
}

/** The figures as a table for people, grouped by subject. */
export function figureTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    `${figure.name}`,
    `${rounded(figure.value)}${figure.unit === '' ? '' : ` ${figure.unit}`}`,
    aimText(figure),
  ]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines: string[] = [];
  for (const [index, figure] of figures.entries()) {
    if (figures[index - 1]?.subject !== figure.subject) lines.push(...(index === 0 ? [] : ['']), figure.subject);
    const [name = '', value = '', aim = ''] = rows[index] ?? [];
    lines.push(`  ${name.padEnd(widths[0] ?? 0)}  ${value.padStart(widths[1] ?? 0)}  ${aim}`.trimEnd());
  }
  return lines.join('\n');
}

function aimText(figure: Figure): string {
  const { aim } = figure;
  if (aim === undefined) return '';
  const bound = 'atLeast' in aim ? `≥ ${aim.atLeast}` : `≤ ${aim.atMost}`;
  if (isMet(figure) === true) return `meets ${bound}`;
  return `${figure.isPromise === true ? 'BREAKS' : 'MISSES'} ${bound}`;
}

/** Three digits that matter, whole numbers in full. */
function rounded(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
