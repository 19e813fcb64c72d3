import { createHash } from 'node:crypto';
import { deadlineProblem } from '../checks/deadline.js';
import { shown } from '../checks/shown-value.js';
import { BatchInputError, type BatchInputProblem, type BatchRow } from '../protocol/batch.js';
import { LIMITS } from '../protocol/defaults.js';

/**
 * The rows of a batch. They are read twice, from the start each time: a generator that is used up after once will not do.
 */
export type BatchRows = Iterable<BatchRow> | AsyncIterable<BatchRow>;

/** What the first reading of the rows tells. */
export interface BatchSurvey {
  /** Bytes of each row as JSON. */
  rowBytes: number[];
  /** SHA-256 (hex) of all rows and of what else decides the answers. */
  digest: string;
}

/**
 * Reads all rows once, before anything is started, and keeps none of them.
 *
 * @param salt What else makes it another batch: agent, version, mode.
 * @throws BatchInputError for no rows, a repeated id, empty or oversized texts, a mode or deadline that is none; and
 *   whatever the rows themselves throw.
 */
export async function surveyRows(rows: BatchRows, salt: unknown): Promise<BatchSurvey> {
  const hash = createHash('sha256').update(JSON.stringify(salt));
  const rowBytes: number[] = [];
  const ids = new Set<string>();
  const problems: BatchInputProblem[] = [];
  for await (const row of rows) {
    const line = rowBytes.length + 1;
    problems.push(...rowProblems(row, ids).map((problem) => ({ line, ...problem })));
    if (BatchInputError.isEnough(problems)) throw new BatchInputError(problems.slice(0, 20));
    ids.add(row.id);
    const json = JSON.stringify(row);
    rowBytes.push(Buffer.byteLength(json));
    hash.update(`\n${json}`);
  }
  if (rowBytes.length === 0) problems.push({ message: 'there are no rows; give at least one' });
  if (problems.length > 0) throw new BatchInputError(problems);
  return { rowBytes, digest: hash.digest('hex') };
}

/** The rules that hold for rows of any origin; files are checked more closely by their reader. */
function rowProblems(row: BatchRow, ids: ReadonlySet<string>): BatchInputProblem[] {
  const problems: BatchInputProblem[] = [];
  if (typeof row.id !== 'string' || row.id === '') {
    problems.push({ field: 'id', message: 'is no text; give every row an id of its own' });
  } else if (ids.has(row.id)) {
    problems.push({ field: 'id', message: 'repeats the id of an earlier row; give every row an id of its own' });
  }
  problems.push(...settingProblems(row));
  if (!Array.isArray(row.turns) || row.turns.length === 0) {
    return [...problems, { field: 'turns', message: 'holds no text; give at least one' }];
  }
  for (const [turn, text] of row.turns.entries()) {
    const message = textProblem(text);
    if (message !== undefined) problems.push({ field: `turns[${turn}]`, message });
  }
  if (problems.length === 0 && Buffer.byteLength(JSON.stringify(row)) > LIMITS.shardBytes) {
    problems.push({ message: `takes more than ${LIMITS.shardBytes} bytes; shorten its texts, or split it` });
  }
  return problems;
}

function settingProblems({ mode, deadline }: { mode?: unknown; deadline?: unknown }): BatchInputProblem[] {
  const problems: BatchInputProblem[] = [];
  if (mode !== undefined && mode !== 'streaming' && mode !== 'blocking') {
    const message = `is ${shown(mode)}, but must be "streaming" or "blocking"; give one of these, or leave it out`;
    problems.push({ field: 'mode', message });
  }
  const message = deadline === undefined ? undefined : deadlineProblem(deadline);
  if (message !== undefined) problems.push({ field: 'deadline', message });
  return problems;
}

function textProblem(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.trim() === '') return 'is empty or no text; give it one, or take the row out';
  if (Buffer.byteLength(text) <= LIMITS.textBytes) return undefined;
  return `takes ${Buffer.byteLength(text)} bytes, and at most ${LIMITS.textBytes} are sent in one message; shorten or split it`;
}
