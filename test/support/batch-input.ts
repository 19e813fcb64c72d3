import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import { readBatchRows, type ReadBatchOptions } from '../../src/batch-files/index.js';
import { BatchInputError, type BatchInputProblem, type BatchRow } from '../../src/protocol/batch.js';

/** Files of a test file, in a folder that is removed after it. To be called at the top of a test file. */
export function inputFiles(): {
  folder: () => string;
  /** Writes a file and returns its path; without a name it gets one of its own, `input-0.jsonl` and so on. */
  file: (content: string | Buffer, name?: string) => Promise<string>;
} {
  let folder = '';
  let files = 0;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'batch-input-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return {
    folder: () => folder,
    async file(content, name = `input-${files++}.jsonl`) {
      const path = join(folder, name);
      await writeFile(path, content);
      return path;
    },
  };
}

/** All of what is read. */
export async function allRows(rows: AsyncIterable<BatchRow>): Promise<BatchRow[]> {
  const found: BatchRow[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

/** What reading these files finds wrong, and the rows that were handed out before. Throws when all of it is accepted. */
export async function refusal(
  paths: string | readonly string[],
  options?: ReadBatchOptions,
): Promise<{ rows: BatchRow[]; problems: readonly BatchInputProblem[]; message: string }> {
  const rows: BatchRow[] = [];
  try {
    for await (const row of readBatchRows(paths, options)) rows.push(row);
  } catch (error) {
    if (error instanceof BatchInputError) return { rows, problems: error.problems, message: error.message };
    throw error;
  }
  throw new Error(`All ${rows.length} rows were accepted`);
}

/** A line of JSONL. */
export const jsonLine = (fields: unknown): string => `${JSON.stringify(fields)}\n`;
/** A line of JSONL with a good row. */
export const goodLine = (id: string): string => jsonLine({ id, question: `What is ${id}?` });
