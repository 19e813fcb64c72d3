import { once } from 'node:events';
import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { jsonProblem } from './json-problems.js';
import { suggestKey } from '../checks/misspelt-keys.js';
import type { RowProblem } from './row-problems.js';
import { exampleFor } from './row-schema.js';

/** A longer record means that a quote is not closed. */
const MOST_RECORD_BYTES = 4 * 1024 * 1024;
/** Columns whose cells hold JSON. */
const JSON_COLUMNS: ReadonlySet<string> = new Set(['turns', 'parameterInputs', 'contextsOverride', 'metadata']);

/** One record of a CSV file as the value of a row, or why there is none. */
export type CsvRecord = { line: number } & ({ value: unknown } | { problem: RowProblem });

interface ParsedRecord {
  record: string[];
  info: { bytes: number };
}

/**
 * Reads the records of a CSV file (commas, double quotes, RFC 4180) whose first line names the columns: `id` and
 * `question`, and any other. Empty cells count as absent. A byte order mark, CRLF and blank lines are accepted.
 *
 * @param onColumns Is told of the names in the first line.
 */
export async function* csvRecords(
  chunks: AsyncIterable<Buffer>,
  onColumns?: (names: readonly string[]) => void,
): AsyncGenerator<CsvRecord, void, void> {
  const lines = new LineCounter();
  const source = Readable.from(lines.watch(chunks));
  const parser = source.pipe(
    parse({
      bom: true,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: MOST_RECORD_BYTES,
      // Called at once, while an error drops the records that nobody has read yet.
      on_record: (record: string[], { bytes }) => {
        lines.bytesRead = bytes;
        return record;
      },
    }),
  );
  // `pipe` hands on no errors: those of the file and of its encoding come out here.
  lines.onError = (error) => parser.destroy(error);
  let columns: string[] | undefined;
  try {
    for await (const parsed of parser as AsyncIterable<ParsedRecord>) {
      const line = lines.startOf(parsed);
      if (columns === undefined) {
        columns = parsed.record.map((name) => name.trim());
        const problem = headerProblem(columns);
        if (problem !== undefined) return void (yield { line, problem });
        onColumns?.(columns);
      } else {
        yield { line, ...valueOf(columns, parsed.record) };
      }
    }
  } catch (error) {
    if (error instanceof NotUtf8Error) yield { line: error.line, problem: { message: error.message } };
    else if (error instanceof CsvError)
      yield { line: lines.afterRecordsRead(), problem: { message: csvProblem(error) } };
    else throw error;
  } finally {
    // Whoever stops reading ends the parser alone, and the file would stay open.
    const isClosed = source.closed ? undefined : once(source, 'close');
    source.destroy();
    await isClosed;
  }
}

function headerProblem(columns: string[]): RowProblem | undefined {
  const repeated = columns.find((name, position) => name !== '' && columns.indexOf(name) !== position);
  if (repeated !== undefined) return { field: repeated, message: 'names two columns; rename one of them' };
  const missing = ['id', 'question'].filter((name) => !columns.includes(name));
  const lacking = missing.filter((name) => name === 'id' || !columns.includes('turns'));
  if (lacking.length === 0) return undefined;
  const names = lacking.map((name) => `"${name}"`).join(' and ');
  return { message: `must name the columns, and lacks ${names}; ${headerRemedy(columns, lacking)}` };
}

function headerRemedy(columns: string[], lacking: string[]): string {
  const [header = ''] = columns;
  const separator = columns.length === 1 ? [';', '\t', '|'].find((mark) => header.includes(mark)) : undefined;
  if (separator !== undefined)
    return `the columns seem to be separated by ${JSON.stringify(separator)}, separate them by commas`;
  if (/^[{[]/.test(header)) return 'it looks like JSON, name the file .jsonl';
  const near = lacking.flatMap((name) =>
    columns.filter((column) => suggestKey(column, [name]) !== undefined).slice(0, 1),
  );
  if (near.length === lacking.length)
    return `rename ${near.map((column, nth) => `${JSON.stringify(column)} to "${lacking[nth]}"`).join(' and ')}`;
  return 'begin the file with a line like id,question';
}

function valueOf(columns: string[], record: string[]): { value: unknown } | { problem: RowProblem } {
  if (record.length !== columns.length) return { problem: { message: cellCountProblem(columns.length, record) } };
  const value: Record<string, unknown> = {};
  for (const [position, name] of columns.entries()) {
    const cell = record[position] ?? '';
    const isRequired = name === 'id' || (name === 'question' && !columns.includes('turns'));
    if (cell === '' && !isRequired) continue;
    const found = cellValue(name, cell, position);
    if ('problem' in found) return found;
    value[name] = found.value;
  }
  return { value };
}

function cellCountProblem(columnCount: number, record: string[]): string {
  const met = `has ${record.length} ${record.length === 1 ? 'cell' : 'cells'}, but the first line names ${columnCount} columns`;
  if (record.length > columnCount) return `${met}; put cells with commas in double quotes`;
  return `${met}; add the cells that are missing, empty ones too`;
}

function cellValue(name: string, cell: string, position: number): { value: unknown } | { problem: RowProblem } {
  // Spreadsheets leave columns without a name behind, and then they are empty.
  if (name === '')
    return { problem: { message: `has text in column ${position + 1}, which has no name; name it in the first line` } };
  const problem = (message: string) => ({ problem: { field: name, message } });
  if (cell.includes('\0')) return problem('holds a NUL character; save the file as UTF-8 without them');
  if (position === 0 && cell.startsWith('\uFEFF'))
    return problem('begins with a byte order mark, which stands at the beginning of a file only; remove it');
  if (!JSON_COLUMNS.has(name)) return { value: cell };
  try {
    return { value: JSON.parse(cell) as unknown };
  } catch (error) {
    const example = (exampleFor(name) ?? '').replaceAll('"', '""');
    const { reason, remedy = 'mend it' } = jsonProblem(cell, error);
    return problem(`must hold JSON: ${reason}; ${remedy}, or write the cell like "${example}"`);
  }
}

function csvProblem(error: CsvError): string {
  switch (error.code) {
    case 'CSV_QUOTE_NOT_CLOSED':
      return 'begins a record whose double quote is not closed; close it';
    case 'CSV_MAX_RECORD_SIZE':
      return `begins a record longer than ${MOST_RECORD_BYTES} bytes, as where a double quote is not closed; close it, or shorten the record`;
    case 'CSV_INVALID_CLOSING_QUOTE':
    case 'INVALID_OPENING_QUOTE':
    case 'CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE':
      return 'has a double quote inside a cell; put the whole cell in quotes, and write the one inside twice';
    default:
      return `cannot be read as CSV (${error.code}); mend it`;
  }
}

class NotUtf8Error extends Error {
  constructor(readonly line: number) {
    super('is not UTF-8; save the file as UTF-8');
  }
}

/** Knows on which line a record starts: the parser counts a CRLF inside quotes twice. */
class LineCounter {
  /** Bytes up to the end of the last good record. */
  bytesRead = 0;
  onError: (error: Error) => void = () => undefined;
  /** Offsets of line feeds beyond the record read last. */
  #newlines: number[] = [];
  #offset = 0;
  #lines = 1;

  async *watch(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    try {
      for await (const chunk of chunks) {
        try {
          decoder.decode(chunk, { stream: true });
        } catch {
          throw new NotUtf8Error(this.#lines + this.#newlines.length + linesBeforeFault(chunk));
        }
        for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, at + 1))
          this.#newlines.push(this.#offset + at);
        this.#offset += chunk.length;
        yield chunk;
      }
      if (!isWhole(decoder)) throw new NotUtf8Error(this.#lines + this.#newlines.length);
    } catch (error) {
      this.onError(error as Error);
    }
  }

  /** The line after the last good record. */
  afterRecordsRead(): number {
    return this.#lines + this.#newlines.filter((offset) => offset < this.bytesRead).length;
  }

  /** The line, from 1, on which a record starts; to be asked for every record in turn. */
  startOf({ record, info }: ParsedRecord): number {
    // The record's own line feed is the last byte that the parser has taken.
    const before = this.#newlines.findIndex((offset) => offset >= info.bytes - 1);
    const passed = before === -1 ? this.#newlines.length : before;
    this.#lines += passed;
    this.#newlines.splice(0, passed);
    return this.#lines - record.reduce((sum, cell) => sum + cell.split('\n').length - 1, 0);
  }
}

function linesBeforeFault(chunk: Buffer): number {
  const [before = ''] = new TextDecoder().decode(chunk).split('\uFFFD', 1);
  return before.split('\n').length - 1;
}

/** Whether the text does not end inside a character. */
function isWhole(decoder: TextDecoder): boolean {
  try {
    decoder.decode();
    return true;
  } catch {
    return false;
  }
}
