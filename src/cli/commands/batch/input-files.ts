import { randomUUID } from 'node:crypto';
import type { BatchRow } from '../../../protocol/batch.js';

/** What people call the input. */
export const sourceOf = (paths: readonly string[]): string =>
  paths.map((path) => (path === '-' ? 'stdin' : path)).join(' ');

/** Reading checks: its errors name file, line and field. @throws BatchInputError */
export async function readThrough(rows: AsyncIterable<BatchRow>): Promise<void> {
  for await (const _row of rows);
}

/** The id of a batch that was given none: the time, to be sorted by, and something of its own. */
export const newBatchId = (): string =>
  `${new Date().toISOString().slice(0, 16).replace(/[-:]/g, '')}-${randomUUID().slice(0, 8)}`;
