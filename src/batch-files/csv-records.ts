import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { jsonErrorReason } from './jsonl-lines.js';
import type { RowProblem } from './row-schema.js';

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
 */
export async function* csvRecords(chunks: AsyncIterable<Buffer>): AsyncGenerator<CsvRecord, void, void> {
  const lines = new LineCounter();
  const parser = Readable.from(lines.watch(chunks)).pipe(
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
      } else {
        yield { line, ...valueOf(columns, parsed.record) };
      }
    }
  } catch (error) {
    if (error instanceof NotUtf8Error) yield { line: error.line, problem: { message: error.message } };
    else if (error instanceof CsvError)
      yield { line: lines.afterRecordsRead(), problem: { message: csvProblem(error) } };
    else throw error;
  }
}

function headerProblem(columns: string[]): RowProblem | undefined {
  const missing = ['id', 'question'].filter((name) => !columns.includes(name));
  const hasText = columns.includes('turns');
  const lacking = missing.filter((name) => name === 'id' || !hasText);
  const repeated = columns.find((name, position) => columns.indexOf(name) !== position);
  if (repeated !== undefined) return { field: repeated, message: 'names two columns; rename one of them' };
  if (lacking.length === 0) return undefined;
  const separator = columns.length === 1 ? [';', '\t', '|'].find((mark) => columns[0]?.includes(mark)) : undefined;
  const hint =
    separator === undefined ? '' : `; the columns seem to be separated by ${JSON.stringify(separator)}, use commas`;
  const names = lacking.map((name) => `"${name}"`).join(' and ');
  return { message: `must name the columns, and lacks ${names}; begin the file with a line like id,question${hint}` };
}

function valueOf(columns: string[], record: string[]): { value: unknown } | { problem: RowProblem } {
  if (record.length !== columns.length) {
    const message = `has ${record.length} cells, but the first line names ${columns.length} columns; put cells with commas in double quotes`;
    return { problem: { message } };
  }
  const value: Record<string, unknown> = {};
  for (const [position, name] of columns.entries()) {
    const cell = record[position] ?? '';
    const isRequired = name === 'id' || (name === 'question' && !columns.includes('turns'));
    if (cell === '' && !isRequired) continue;
    if (!JSON_COLUMNS.has(name)) {
      value[name] = cell;
      continue;
    }
    try {
      value[name] = JSON.parse(cell) as unknown;
    } catch (error) {
      return { problem: { field: name, message: `must hold JSON: ${jsonErrorReason(error)}; mend the cell` } };
    }
  }
  return { value };
}

function csvProblem(error: CsvError): string {
  switch (error.code) {
    case 'CSV_QUOTE_NOT_CLOSED':
    case 'CSV_MAX_RECORD_SIZE':
      return 'begins a record whose double quote is not closed; close it';
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
      this.onError(error instanceof Error ? error : new Error(String(error)));
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
