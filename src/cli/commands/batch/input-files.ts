import { randomUUID } from 'node:crypto';
import type { BatchRow } from '../../../protocol/batch.js';
import { someOf } from '../../batch-text.js';

/** What people call the input. */
export const sourceOf = (paths: readonly string[]): string =>
  paths.map((path) => (path === '-' ? 'stdin' : path)).join(' ');

/** Reading checks: its errors name file, line and field. @throws BatchInputError */
export async function readThrough(rows: AsyncIterable<BatchRow>): Promise<void> {
  for await (const _row of rows);
}

/** Says which columns of a CSV file no answer carries. */
export function extraColumnsText(file: string, columns: readonly string[]): string {
  const names = someOf(columns.map((name) => JSON.stringify(name)));
  const what =
    columns.length === 1 ? `Column ${names} of ${file} is no field` : `Columns ${names} of ${file} are no fields`;
  return `${what} of a row: kept in error rows, not in answers. A column "metadata", of JSON, is kept in both`;
}

/** The id of a batch that was given none: the time, to be sorted by, and something of its own. */
export const newBatchId = (): string =>
  `${new Date().toISOString().slice(0, 16).replace(/[-:]/g, '')}-${randomUUID().slice(0, 8)}`;
