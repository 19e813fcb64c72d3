import { lanesAtOnce } from '../protocol/batch.js';
import { LIMITS } from '../protocol/defaults.js';

/** Below this many rows a slice costs more in history events than smaller lanes gain. */
const LEAST_ROWS = 100;
/** Turns that each lane takes at least, if there are rows enough: the results of a slice are handed over together. */
const TURNS = 2;

/**
 * The most rows of a slice. Slices are cut so that every lane gets the same number of them, as the last ones would otherwise
 * run beside idle lanes.
 */
export function rowsPerShard(rowCount: number, concurrency: number): number {
  const lanes = lanesAtOnce(concurrency);
  const wanted = Math.min(TURNS, Math.max(1, Math.floor(rowCount / (LEAST_ROWS * lanes))));
  const turns = Math.max(wanted, Math.ceil(rowCount / (LIMITS.shardRows * lanes)));
  return Math.max(1, Math.ceil(rowCount / (turns * lanes)));
}

/**
 * Cuts rows into slices of at most `most` rows and 512 KiB, in their order.
 *
 * @param rowBytes Bytes of each row as JSON.
 * @returns The number of rows of each slice.
 */
export function planSlices(rowBytes: readonly number[], most: number): number[] {
  const slices: number[] = [];
  let rows = 0;
  let bytes = 0;
  for (const size of rowBytes) {
    if (rows > 0 && (rows >= most || bytes + size > LIMITS.shardBytes)) {
      slices.push(rows);
      rows = 0;
      bytes = 0;
    }
    rows++;
    bytes += size;
  }
  if (rows > 0) slices.push(rows);
  return slices;
}
