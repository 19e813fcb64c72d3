import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { BatchInputError, type BatchRow } from '../protocol/batch.js';
import { readBatchRows, type ReadBatchOptions } from './read-batch-rows.js';
import { spoolToFile } from './spool.js';

/** The rows of files, to be read any number of times, until `remove` is called. */
export interface OpenedBatchInput {
  rows: AsyncIterable<BatchRow>;
  /** Removes the copies of what could be read only once. */
  remove(): Promise<void>;
}

/** Options of `openBatchInput`. */
export interface BatchInputOptions extends Pick<ReadBatchOptions, 'format' | 'onExtraColumns'> {
  /** What `-` reads; default: the process's own. */
  stdin?: NodeJS.ReadableStream;
  /** Ends the copying of `-` and of pipes. */
  signal?: AbortSignal;
}

/**
 * The rows of files named by a user, `-` being standard input. That and pipes (`<(…)` of a shell) are copied to temporary
 * files: a batch reads its rows twice, so that nothing is started before all of them were checked.
 *
 * @throws BatchInputError when `-` is named twice; what is wrong with the files is found by reading them. `AbortError` by the signal.
 */
export async function openBatchInput(
  paths: readonly string[],
  options: BatchInputOptions = {},
): Promise<OpenedBatchInput> {
  const { stdin = process.stdin, signal, ...reading } = options;
  if (paths.filter((path) => path === '-').length > 1)
    throw new BatchInputError([{ file: 'stdin', message: 'is named twice; name - once' }]);
  const copies: { path: string; remove(): Promise<void> }[] = [];
  const remove = async () => {
    await Promise.all(copies.map((copy) => copy.remove()));
  };
  const names = new Map<string, string>();
  const files: string[] = [];
  try {
    for (const path of paths) {
      if (path !== '-' && !(await isReadOnlyOnce(path))) {
        files.push(path);
        continue;
      }
      const copy = await spoolToFile(path === '-' ? stdin : createReadStream(path), signal);
      copies.push(copy);
      files.push(copy.path);
      names.set(copy.path, path === '-' ? 'stdin' : path);
    }
  } catch (error) {
    await remove();
    throw error;
  }
  const nameOf = (path: string) => names.get(path) ?? path;
  return { rows: readBatchRows(files, { nameOf, ...reading }), remove };
}

async function isReadOnlyOnce(path: string): Promise<boolean> {
  try {
    const stats = await stat(path);
    return stats.isFIFO() || stats.isSocket() || stats.isCharacterDevice();
  } catch {
    // It is not there: reading it says so.
    return false;
  }
}
