import { createHash } from 'node:crypto';
import type { BatchCanary, BatchRow } from '../protocol/batch.js';
import type { BatchRows } from './batch-survey.js';
import { InvalidCallError } from './errors.js';

/**
 * True for the rows of the canary: the same for the same ids and share, whatever else the batch holds. A larger share takes
 * in all rows of a smaller one.
 */
export function isOfCanary(rowId: string, percent: number): boolean {
  const hash = createHash('sha256').update(rowId).digest().readUInt32BE(0);
  return hash / 2 ** 32 < percent / 100;
}

/** The rows again, those of the canary with its version. Rows with an agent or a version of their own stay as they are. */
export function withCanary(rows: BatchRows, { agentVersion, percent }: BatchCanary): BatchRows {
  return mapRows(rows, (row) => {
    const isFree = row.agentRid === undefined && row.agentVersion === undefined;
    return isFree && isOfCanary(row.id, percent) ? { ...row, agentVersion } : row;
  });
}

/** The rows as they were before `withCanary`. */
export function withoutCanary(row: BatchRow, { agentVersion, percent }: BatchCanary): BatchRow {
  const isCanary = row.agentRid === undefined && row.agentVersion === agentVersion && isOfCanary(row.id, percent);
  if (!isCanary) return row;
  const { agentVersion: _canary, ...before } = row;
  return before;
}

/** @throws InvalidCallError */
export function checkCanary({ agentVersion, percent }: BatchCanary, other: string | undefined): void {
  if (agentVersion === '') throw new InvalidCallError('Cannot send rows to a canary without a version: name one');
  if (!(percent > 0 && percent < 100)) {
    throw new InvalidCallError(
      `Cannot send ${percent} % of the rows to version ${agentVersion}: give a share above 0 and below 100 %`,
    );
  }
  if (agentVersion === other) {
    throw new InvalidCallError(
      `Cannot compare version ${agentVersion} with itself: give the canary another version than the batch`,
    );
  }
}

/** The same rows, changed one by one, as often as they are read. */
export function mapRows(rows: BatchRows, change: (row: BatchRow) => BatchRow): AsyncIterable<BatchRow> {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const row of rows) yield change(row);
    },
  };
}
