import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { extname } from 'node:path';
import { BatchInputError, type BatchInputProblem, type BatchRow } from '../protocol/batch.js';
import { csvRecords } from './csv-records.js';
import { jsonLines } from './jsonl-lines.js';
import { parseRow } from './row-schema.js';

/** How rows are written in a file. */
export type BatchFileFormat = 'jsonl' | 'csv';

/** Options of `readBatchRows`. */
export interface ReadBatchOptions {
  /** Default `auto`: by the file's name (`.csv`, `.jsonl`, `.ndjson`), else by its first character. */
  format?: BatchFileFormat | 'auto';
  /** What to call a file in messages; default: its path. */
  nameOf?: (path: string) => string;
}

/**
 * The rows of one or several files, read as they are asked for; a file is never held whole. It can be read any number of
 * times, each from the start.
 *
 * JSONL: `{"id", "question"}` or `{"id", "turns": […]}`, and optionally `agentRid`, `agentVersion`, `parameterInputs`,
 * `contextsOverride`, `metadata`; other fields are kept as `extra`, and those of an output row are passed over, so that an
 * error file is input again. CSV: a header with `id,question`. UTF-8, with or without a byte order mark; CRLF and blank
 * lines are accepted.
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
  /** Where each id was first met. */
  const places = new Map<string, string>();
  for (const path of paths) {
    const file = options.nameOf?.(path) ?? path;
    let rows = 0;
    try {
      for await (const { line, ...parsed } of records(path, options.format ?? 'auto')) {
        rows++;
        const found = 'problem' in parsed ? { problems: [parsed.problem] } : parseRow(parsed.value);
        if ('problems' in found) {
          problems.push(...found.problems.map((problem) => ({ file, line, ...problem })));
        } else {
          const place = places.get(found.row.id);
          if (place === undefined) places.set(found.row.id, `${file}:${line}`);
          else
            problems.push({
              file,
              line,
              field: 'id',
              message: `repeats the id of ${place}; give every row an id of its own`,
            });
          if (problems.length === 0) yield found.row;
        }
        if (BatchInputError.isEnough(problems)) throw new BatchInputError(problems.slice(0, 20));
      }
      if (rows === 0)
        problems.push({ file, message: 'holds no rows; write one row a line, like {"id": "q1", "question": "…"}' });
    } catch (error) {
      if (error instanceof BatchInputError) throw error;
      problems.push({ file, message: unreadable(error) });
    }
  }
  if (problems.length > 0) throw new BatchInputError(problems);
}

async function* records(path: string, format: BatchFileFormat | 'auto') {
  const known = format === 'auto' ? await formatOf(path) : format;
  const chunks = createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>;
  yield* known === 'csv' ? csvRecords(chunks) : jsonLines(chunks);
}

async function formatOf(path: string): Promise<BatchFileFormat> {
  const extension = extname(path).toLowerCase();
  if (extension === '.csv') return 'csv';
  if (extension === '.jsonl' || extension === '.ndjson' || extension === '.json') return 'jsonl';
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 0);
    const head = new TextDecoder().decode(buffer.subarray(0, bytesRead)).trimStart();
    return head === '' || head.startsWith('{') || head.startsWith('[') ? 'jsonl' : 'csv';
  } finally {
    await file.close();
  }
}

function unreadable(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  switch (code) {
    case 'ENOENT':
      return 'does not exist; check the path';
    case 'EISDIR':
      return 'is a directory; name a file';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read; check its permissions';
    default:
      return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}
