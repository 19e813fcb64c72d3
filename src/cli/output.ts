import type { CliIo } from './command.js';

/** Where a command's words go: results to stdout, everything else to stderr. */
export interface Output {
  /** True when results shall be JSON lines. */
  readonly isJson: boolean;
  /** True when a person sees stderr. */
  readonly isTerminal: boolean;
  /** A result as a line of text. */
  result(text: string): void;
  /** A piece of a result, without a line's end: live text. */
  piece(text: string): void;
  /** A result as one line of JSON. */
  json(value: unknown): void;
  /** A word to the person in front of it. */
  note(text: string): void;
  /** What went wrong. */
  error(text: string): void;
  /** Said with `--verbose` only. */
  detail(text: string): void;
}

/** @param choices.json `--json`; @param choices.verbose `--verbose`. */
export function createOutput(io: CliIo, choices: { json: boolean; verbose: boolean }): Output {
  const isTerminal = io.stderr.isTTY === true;
  const isColoured = isTerminal && !io.env['NO_COLOR'];
  const paint = (code: number, text: string) => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text);
  const line = (stream: CliIo['stdout'], text: string) => stream.write(text.endsWith('\n') ? text : `${text}\n`);
  return {
    isJson: choices.json,
    isTerminal,
    result: (text) => void line(io.stdout, text),
    piece: (text) => void io.stdout.write(text),
    json: (value) => void line(io.stdout, JSON.stringify(value)),
    note: (text) => void line(io.stderr, paint(2, text)),
    error: (text) => void line(io.stderr, paint(31, text)),
    detail: (text) => {
      if (choices.verbose) line(io.stderr, paint(2, text));
    },
  };
}

/** How this program is called from here: by npx, that is not on the PATH, only `npx aip-temporal` works. */
export const programName = (env: CliIo['env']): string =>
  env['npm_command'] === 'exec' ? 'npx aip-temporal' : 'aip-temporal';

/** Rows under headings, in columns as wide as needed. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  return [headings, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A time as people read it: `2026-03-01 09:30:12`, local. */
export function localTime(time: Date | string | undefined): string {
  if (time === undefined) return '';
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return String(time);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** The time of day alone, for what is soon: `09:30:12`. */
export const timeOfDay = (time: Date): string => localTime(time).slice(11);
