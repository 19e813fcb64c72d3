import type { BatchRow } from '../src/protocol/batch.js';
import type { SimulatorControl } from './simulator-control.js';

/** What the simulator has to say about the rows that it was asked since its last reset. */
export interface LedgerCheck {
  /** Turns that were to be asked. */
  expected: number;
  landed: number;
  /** Turns asked too often and too seldom; both 0 when each was answered exactly once. */
  tooOften: number;
  missing: number;
}

/** Compares rows with the simulator's ledger, by their texts: rows may hold the same text, and are then asked as often. */
export async function checkLedger(simulator: SimulatorControl, rows: readonly BatchRow[]): Promise<LedgerCheck> {
  const { exchanges, running } = await simulator.ledger();
  const open = new Map<string, number>();
  for (const text of rows.flatMap(({ turns }) => turns)) open.set(text, (open.get(text) ?? 0) + 1);
  const expected = [...open.values()].reduce((sum, count) => sum + count, 0);
  let tooOften = running.length;
  const landed = exchanges.filter(({ status }) => status === 'landed');
  for (const { text } of landed) {
    const left = open.get(text) ?? 0;
    if (left === 0) tooOften++;
    else open.set(text, left - 1);
  }
  const missing = [...open.values()].reduce((sum, count) => sum + count, 0);
  return { expected, landed: landed.length, tooOften, missing };
}
