import type { RowProblem } from './row-schema.js';

/** Longer lines are not held in memory: no row may be that long. */
const MOST_LINE_BYTES = 4 * 1024 * 1024;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** One line of a JSONL file: its value, or why there is none. */
export type JsonLine = { line: number } & ({ value: unknown } | { problem: RowProblem });

/** Reads JSON values, one a line. A byte order mark, CRLF and blank lines are accepted. */
export async function* jsonLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<JsonLine, void, void> {
  let line = 0;
  for await (const bytes of splitLines(chunks)) {
    line++;
    if (bytes === 'tooLong') {
      yield { line, problem: { message: `is longer than ${MOST_LINE_BYTES} bytes; write one row a line` } };
      continue;
    }
    const parsed = parseLine(bytes, line === 1);
    if (parsed !== undefined) yield { line, ...parsed };
  }
}

function parseLine(bytes: Buffer, isFirst: boolean): { value: unknown } | { problem: RowProblem } | undefined {
  let text: string;
  try {
    // Drops a byte order mark by itself.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: !isFirst }).decode(bytes);
  } catch {
    return { problem: { message: 'is not UTF-8; save the file as UTF-8' } };
  }
  if (text.trim() === '') return undefined;
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: { message: jsonProblem(text, error) } };
  }
}

function jsonProblem(text: string, error: unknown): string {
  if (/^\s*\[/.test(text)) return 'begins an array; write one JSON object a line instead (JSONL)';
  return `is not valid JSON: ${jsonErrorReason(error)}; mend it, or take it out`;
}

/** V8's reason without the piece of the input that it quotes. */
export function jsonErrorReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const position = / in JSON at position (\d+)/.exec(message)?.[1];
  const reason = message
    .replace(/ in JSON at position.*$/s, '')
    .replace(/, (?:\.\.\.)?".*$/s, '')
    .replace(/ is not valid JSON$/, '');
  return reason + (position === undefined ? '' : ` at column ${Number(position) + 1}`);
}

async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer | 'tooLong', void, void> {
  let pieces: Buffer[] = [];
  let length = 0;
  const take = (): Buffer | 'tooLong' => {
    const line = length > MOST_LINE_BYTES ? 'tooLong' : Buffer.concat(pieces);
    pieces = [];
    length = 0;
    if (line === 'tooLong') return line;
    return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
  };
  const add = (piece: Buffer): void => {
    length += piece.length;
    if (length <= MOST_LINE_BYTES) pieces.push(piece);
    else pieces = [];
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      add(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    add(chunk.subarray(start));
  }
  if (length > 0) yield take();
}
