import type { CreateSessionsInput, CreateSessionsResult, LaneResult, LaneRow } from '../protocol/activities.js';
import { type BatchRow, type BatchShardInput, noRows, type RowCounts } from '../protocol/batch.js';

/** Sessions that a row may use up by their expiry before it has failed. */
const MOST_SESSIONS = 3;

interface PendingRow {
  index: number;
  row: BatchRow;
  agentRid: string;
  agentVersion?: string;
  sessionRid?: string;
  sessions: number;
  begun: boolean;
}

/**
 * The rows of a shard that have not ended, and the counts of those that have. Knows nothing of Temporal.
 *
 * Every row ends in exactly one of: a result of a lane, an error of `createSessions`, or, when the shard closes with rows
 * left, the shard's own end. `collectResults` reads the same three out of the history.
 */
export class ShardRows {
  readonly #pending: Map<number, PendingRow>;
  readonly #counts: RowCounts = noRows();

  constructor(input: Pick<BatchShardInput, 'rows' | 'firstIndex' | 'agentRid' | 'agentVersion'>) {
    this.#pending = new Map(
      input.rows.map((row, position) => {
        const index = input.firstIndex + position;
        // The batch's version is one of the batch's agent: a row with an agent of its own does not inherit it.
        const agentVersion = row.agentVersion ?? (row.agentRid === undefined ? input.agentVersion : undefined);
        const agentRid = row.agentRid ?? input.agentRid;
        const pending = { index, row, agentRid, sessions: 0, begun: false };
        return [index, agentVersion === undefined ? pending : { ...pending, agentVersion }];
      }),
    );
  }

  get counts(): RowCounts {
    return { ...this.#counts };
  }

  /** Rows that have not ended. */
  get remaining(): number {
    return this.#pending.size;
  }

  /** Rows that need a session, as `createSessions` takes them. */
  withoutSession(title: string | undefined): CreateSessionsInput['rows'] {
    return [...this.#pending.values()]
      .filter(({ sessionRid }) => sessionRid === undefined)
      .map(({ index, agentRid, agentVersion }) => ({
        index,
        agentRid,
        ...(agentVersion !== undefined && { agentVersion }),
        ...(title !== undefined && { title }),
      }));
  }

  /** Notes the sessions that were opened; a row that got none has failed. */
  noteSessions(rows: CreateSessionsInput['rows'], { sessions }: CreateSessionsResult): void {
    for (const [position, { index }] of rows.entries()) {
      const pending = this.#pending.get(index);
      const opened = sessions[position];
      if (pending === undefined || opened === undefined) continue;
      if ('sessionRid' in opened) {
        pending.sessionRid = opened.sessionRid;
        pending.sessions++;
      } else {
        this.#pending.delete(index);
        this.#counts.failed++;
      }
    }
  }

  /** The rows that have a session, as a lane takes them. */
  forLane(): LaneRow[] {
    return [...this.#pending.values()].flatMap(({ index, row, agentRid, sessionRid, sessions, begun }) => {
      if (sessionRid === undefined) return [];
      const { id, turns, parameterInputs, contextsOverride } = row;
      const laneRow: LaneRow = { index, id, turns, agentRid, sessionRid };
      if (parameterInputs !== undefined) laneRow.parameterInputs = parameterInputs;
      if (contextsOverride !== undefined) laneRow.contextsOverride = contextsOverride;
      if (begun) laneRow.begun = true;
      if (sessions >= MOST_SESSIONS) laneRow.lastSession = true;
      return [laneRow];
    });
  }

  /** Notes what a lane has finished, and what the next one must know of the rest. */
  noteLane({ results, expired, begun }: LaneResult): void {
    for (const { index, status, tokens } of results) {
      if (!this.#pending.delete(index)) continue;
      this.#counts[status]++;
      this.#counts.tokens += tokens;
    }
    for (const index of begun) this.#note(index, (pending) => (pending.begun = true));
    for (const index of expired) {
      this.#note(index, (pending) => {
        delete pending.sessionRid;
        // Ids are made of the session too: in a new one nothing has been sent.
        pending.begun = false;
      });
    }
  }

  /** Counts the rows that are left when the shard ends early. */
  endRemaining(status: 'cancelled' | 'failed'): void {
    this.#counts[status] += this.#pending.size;
    this.#pending.clear();
  }

  #note(index: number, change: (pending: PendingRow) => void): void {
    const pending = this.#pending.get(index);
    if (pending !== undefined) change(pending);
  }
}
