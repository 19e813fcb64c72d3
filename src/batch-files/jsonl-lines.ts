import { jsonProblem } from './json-problems.js';
import { isObject, type RowProblem } from './row-problems.js';

/** Longer lines are not held in memory: no row may be that long. */
const MOST_LINE_BYTES = 4 * 1024 * 1024;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** One line of a JSONL file: its value, or why there is none. */
export type JsonLine = { line: number } & ({ value: unknown } | { problem: RowProblem });

type ParsedLine = { value: unknown } | { problem: RowProblem; isTorn?: boolean; isWholeFile?: boolean };

/**
 * Reads JSON values, one a line. A byte order mark, CRLF and blank lines are accepted.
 *
 * A value that is written over several lines is one problem, not one for each: after a line that ends too early, those that
 * hold no object are passed over.
 */
export async function* jsonLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<JsonLine, void, void> {
  let line = 0;
  let isFirst = true;
  let isInTornValue = false;
  for await (const bytes of splitLines(chunks)) {
    line++;
    const parsed = bytes === 'tooLong' ? TOO_LONG : parseLine(bytes, line === 1, isFirst);
    if (parsed === undefined) continue;
    isFirst = false;
    if ('value' in parsed) {
      if (isInTornValue && !isObject(parsed.value)) continue;
      isInTornValue = false;
      yield { line, value: parsed.value };
      continue;
    }
    if (isInTornValue) continue;
    isInTornValue = parsed.isTorn === true;
    yield { line, problem: parsed.problem };
    if (parsed.isWholeFile === true) return;
  }
}

const TOO_LONG: ParsedLine = {
  problem: { message: `is longer than ${MOST_LINE_BYTES} bytes; write one row a line` },
};

/** @param isFirst Nothing but blank lines stands before it. */
function parseLine(bytes: Buffer, isAtStart: boolean, isFirst: boolean): ParsedLine | undefined {
  let text: string;
  try {
    // Drops a byte order mark by itself.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: !isAtStart }).decode(bytes);
  } catch {
    return { problem: { message: 'is not UTF-8; save the file as UTF-8' } };
  }
  // `trim` takes a byte order mark for a space.
  if (/^[^\S\uFEFF]*$/.test(text)) return undefined;
  if (text.includes('\0'))
    return { problem: { message: 'holds a NUL character; save the file as UTF-8 without them' } };
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    if (isFirst && /^\s*\[/.test(text)) return { problem: { message: BEGINS_ARRAY }, isWholeFile: true };
    if (isFirst && CSV_HEADER.test(text)) return { problem: { message: IS_CSV }, isWholeFile: true };
    const { reason, remedy = 'mend it, or take it out', isTorn } = jsonProblem(text, error);
    const message = `is not valid JSON: ${reason}; ${isTorn ? WHOLE_ON_ONE_LINE : remedy}`;
    return { problem: { message }, isTorn };
  }
}

const CSV_HEADER = /^"?(?:id|question)"?[,;\t]/i;
const IS_CSV = 'looks like the header of a CSV file; name the file .csv';
const WHOLE_ON_ONE_LINE = 'write each row whole on one line (jq -c . makes such lines)';
const BEGINS_ARRAY = `begins an array; write one JSON object a line instead (jq -c '.[]' makes such lines)`;

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
