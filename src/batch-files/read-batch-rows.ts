import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { BatchInputError, type BatchInputProblem, type BatchRow } from '../protocol/batch.js';
import { csvRecords } from './csv-records.js';
import { checkedChunks, ForeignFileError } from './file-kind.js';
import { jsonLines } from './jsonl-lines.js';
import { INPUT_FIELDS, type ParsedRow, parseRow } from './row-schema.js';

/** How rows are written in a file. */
export type BatchFileFormat = 'jsonl' | 'csv';

/** Options of `readBatchRows`. */
export interface ReadBatchOptions {
  /** Default `auto`: JSONL when it begins with a brace; else by its name (`.csv`, `.jsonl`, `.ndjson`, `.json`); else CSV. */
  format?: BatchFileFormat | 'auto';
  /** What to call a file in messages; default: its path. */
  nameOf?: (path: string) => string;
  /** Is told, at each reading, of the columns of a CSV file that are no field of a row: they are kept as `extra`. */
  onExtraColumns?: (file: string, columns: readonly string[]) => void;
}

/**
 * The rows of one or several files, read as they are asked for; a file is never held whole. It can be read any number of
 * times, each from the start.
 *
 * JSONL: `{"id", "question"}` or `{"id", "turns": […]}`, and optionally `agentRid`, `agentVersion`, `parameterInputs`,
 * `contextsOverride`, `mode`, `deadline`, `metadata`; other fields are kept as `extra`, and those of an output row are passed
 * over, so that an error file is input again. Or lines of OpenAI's Batch API, also between others (`readOpenAiLine`). CSV: a
 * header with `id,question`. UTF-8, with or without a byte order mark; CRLF and blank lines are accepted.
 *
 * Of the rows that were read it keeps the ids, which must be unique over all files.
 *
 * @throws BatchInputError at the end of reading, with up to 20 problems: what cannot be read, is malformed, of a wrong
 *   type, empty or too large, a repeated id, no rows at all. Rows before it may have been handed out.
 */
export function readBatchRows(
  paths: string | readonly string[],
  options: ReadBatchOptions = {},
): AsyncIterable<BatchRow> {
  const files = typeof paths === 'string' ? [paths] : paths;
  return { [Symbol.asyncIterator]: () => readAll(files, options) };
}

async function* readAll(paths: readonly string[], options: ReadBatchOptions): AsyncGenerator<BatchRow, void, void> {
  const problems: BatchInputProblem[] = [];
  if (paths.length === 0) problems.push({ message: 'no file is named; name one, or - for standard input' });
  const opened = new Set<string>();
  const ids = new SeenIds();
  for (const path of paths) {
    const file = options.nameOf?.(path) ?? path;
    if (opened.has(resolve(path))) {
      problems.push({ file, message: 'is named twice; name each file once' });
      continue;
    }
    opened.add(resolve(path));
    for await (const read of rowsOf(path, file, options, ids)) {
      if ('problems' in read) problems.push(...read.problems);
      else if (problems.length === 0) yield read.row;
      if (BatchInputError.isEnough(problems)) throw new BatchInputError(problems.slice(0, 20));
    }
  }
  if (problems.length > 0) throw new BatchInputError(problems);
}

/** The rows of one file, and what is wrong with it. */
async function* rowsOf(
  path: string,
  file: string,
  { format = 'auto', onExtraColumns }: ReadBatchOptions,
  ids: SeenIds,
): AsyncGenerator<{ row: BatchRow } | { problems: BatchInputProblem[] }, void, void> {
  let isEmpty = true;
  let known: BatchFileFormat | undefined;
  const onColumns = (names: readonly string[]) => {
    const extra = names.filter((name) => name !== '' && !INPUT_FIELDS.includes(name));
    if (extra.length > 0) onExtraColumns?.(file, extra);
  };
  try {
    known = format === 'auto' ? await formatOf(path) : format;
    for await (const { line, ...parsed } of records(path, known, onColumns)) {
      isEmpty = false;
      const found =
        'problem' in parsed ? { problems: [parsed.problem] } : ids.check(parseRow(parsed.value), file, line);
      yield 'row' in found
        ? { row: found.row }
        : { problems: found.problems.map((problem) => ({ file, line, ...problem })) };
    }
  } catch (error) {
    return void (yield { problems: [{ file, message: unreadable(error) }] });
  }
  const example = known === 'csv' ? 'below the first line, like q1,"…"' : 'a line, like {"id": "q1", "question": "…"}';
  if (isEmpty) yield { problems: [{ file, message: `holds no rows; write one row ${example}` }] };
}

/** The ids of the rows so far, and where each was first met. */
class SeenIds {
  readonly #places = new Map<string, string>();

  /** The row, unless its id is that of another. */
  check(parsed: ParsedRow, file: string, line: number): ParsedRow {
    if ('problems' in parsed) return parsed;
    const { row, idField } = parsed;
    const place = this.#places.get(row.id);
    if (place === undefined) {
      this.#places.set(row.id, `${file}:${line}`);
      return parsed;
    }
    return { problems: [{ field: idField, message: `repeats the id of ${place}; give every row an id of its own` }] };
  }
}

async function* records(path: string, format: BatchFileFormat, onColumns: (names: readonly string[]) => void) {
  const chunks = checkedChunks(createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>);
  yield* format === 'csv' ? csvRecords(chunks, onColumns) : jsonLines(chunks);
}

async function formatOf(path: string): Promise<BatchFileFormat> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 0);
    const head = new TextDecoder().decode(buffer.subarray(0, bytesRead)).trimStart();
    if (head.startsWith('{') || head.startsWith('[')) return 'jsonl';
    const extension = extname(path).toLowerCase();
    if (extension === '.csv') return 'csv';
    return head === '' || ['.jsonl', '.ndjson', '.json'].includes(extension) ? 'jsonl' : 'csv';
  } finally {
    await file.close();
  }
}

function unreadable(error: unknown): string {
  if (error instanceof ForeignFileError) return error.message;
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  switch (code) {
    case 'ENOENT':
      return 'does not exist; check the path';
    case 'EISDIR':
      return 'is a directory; name a file';
    case 'ESPIPE':
      return 'is a pipe, which can be read only once; write it to a file, and name that';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read; check its permissions';
    default:
      return `cannot be read (${code === '' ? String(error) : code}); see that it can, or name another file`;
  }
}
