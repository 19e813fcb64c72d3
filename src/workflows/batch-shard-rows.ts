import type {
  CreateSessionsInput,
  CreateSessionsResult,
  DeleteSessionsInput,
  LaneResult,
  LaneRow,
} from '../protocol/activities.js';
import {
  type BatchRow,
  type BatchShardInput,
  earlierDeadline,
  noRows,
  type RowCounts,
  type RowResult,
  type RowStatus,
  statusWithoutSession,
} from '../protocol/batch.js';

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
  #sessionsToDelete: DeleteSessionsInput['sessions'] = [];
  #isBegunLeft = false;

  constructor(
    private readonly input: Pick<
      BatchShardInput,
      'rows' | 'firstIndex' | 'agentRid' | 'agentVersion' | 'mode' | 'bounds' | 'deleteSessions'
    >,
  ) {
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
      .map(({ index, row, agentRid, agentVersion }) => {
        const deadline = this.deadlineOf(row);
        return {
          index,
          agentRid,
          ...(agentVersion !== undefined && { agentVersion }),
          ...(title !== undefined && { title }),
          ...(deadline !== undefined && { deadline }),
        };
      });
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
        this.#counts[statusWithoutSession(opened.error)]++;
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
      if (row.mode !== undefined) laneRow.mode = row.mode;
      const deadline = this.deadlineOf(row);
      if (deadline !== undefined) laneRow.deadline = deadline;
      if (begun) laneRow.begun = true;
      if (sessions >= MOST_SESSIONS) laneRow.lastSession = true;
      return [laneRow];
    });
  }

  /** The rows that a lane has begun and left unfinished, as a lane takes them; none any more once nobody could end them. */
  get begun(): LaneRow[] {
    return this.#isBegunLeft ? [] : this.forLane().filter(({ begun }) => begun === true);
  }

  /** The agent could not be told of the rows that are begun. */
  leaveBegun(): void {
    this.#isBegunLeft = true;
  }

  /** The rows that have not ended, in their order. */
  get pending(): readonly Pick<PendingRow, 'index' | 'row' | 'agentRid' | 'agentVersion'>[] {
    return [...this.#pending.values()];
  }

  /** Notes how a row has ended that was a workflow of its own. */
  noteRun(result: RowResult): void {
    const { index, sessionRid } = result;
    if (sessionRid !== undefined) this.#note(index, (pending) => (pending.sessionRid = sessionRid));
    this.noteLane({ results: [result], expired: [], begun: [] });
  }

  /** Notes what a lane has finished, and what the next one must know of the rest. */
  noteLane({ results, expired, begun }: LaneResult): void {
    for (const { index, status, tokens } of results) {
      const pending = this.#pending.get(index);
      if (pending === undefined) continue;
      this.#pending.delete(index);
      const mayStillRun = status === 'cancelled' || status === 'expired';
      if (!mayStillRun || (pending.row.mode ?? this.input.mode) === 'streaming') this.#noteSessionToDelete(pending);
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
  endRemaining(status: RowStatus): void {
    this.#counts[status] += this.#pending.size;
    for (const pending of this.#pending.values()) if (!pending.begun) this.#noteSessionToDelete(pending);
    this.#pending.clear();
  }

  /** The sessions of rows that have ended since this was called last, where they are to be deleted. */
  takeSessionsToDelete(): DeleteSessionsInput['sessions'] {
    return this.#sessionsToDelete.splice(0);
  }

  /** Takes back what could not be deleted now. */
  deleteLater(sessions: DeleteSessionsInput['sessions']): void {
    this.#sessionsToDelete.push(...sessions);
  }

  /** Of a row that cannot answer any more: a blocking exchange that was cancelled may still land, and its session stays. */
  #noteSessionToDelete({ agentRid, sessionRid }: PendingRow): void {
    if (this.input.deleteSessions === true && sessionRid !== undefined) {
      this.#sessionsToDelete.push({ agentRid, sessionRid });
    }
  }

  deadlineOf({ deadline }: BatchRow): string | undefined {
    return earlierDeadline(deadline, this.input.bounds?.deadline);
  }

  #note(index: number, change: (pending: PendingRow) => void): void {
    const pending = this.#pending.get(index);
    if (pending !== undefined) change(pending);
  }
}
