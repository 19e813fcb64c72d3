import { Context } from '@temporalio/activity';
import type { AgentsApi } from '../agents-api/client.js';
import type { Governor } from '../governor/governor.js';
import type {
  CreateSessionsInput,
  CreateSessionsResult,
  DeleteSessionsInput,
  LaneInput,
  LaneResult,
} from '../protocol/activities.js';
import { BatchWatches } from './batch-watch.js';
import { createSessions } from './create-sessions.js';
import { deleteSessions } from './delete-sessions.js';
import type { ExchangeProtocol } from './exchange-protocol.js';
import { cancelLane, runLane } from './lane.js';
import { LaneTurns } from './lane-turns.js';

/** What the activities of batches work with. */
export interface LaneDependencies {
  api: Pick<AgentsApi, 'createSession' | 'updateTitle' | 'deleteSession'>;
  governor: Governor;
  exchangeProtocol: ExchangeProtocol;
  /** Lanes at once in this worker. */
  lanesAtOnce?: number | undefined;
}

/** The activities of batches, as workflows see them. */
export type LaneActivities = ReturnType<typeof createLaneActivities>;

/** Makes the activities of batches; they run on `batchTaskQueue`. */
export function createLaneActivities(dependencies: LaneDependencies) {
  const watches = new BatchWatches();
  const turns = new LaneTurns(dependencies.lanesAtOnce);
  return {
    /**
     * Opens one session per row, several at once; a row whose session is refused for good gets the error instead. A retry
     * opens only what its heartbeats do not tell of; a crash costs at most a second's worth of empty sessions.
     *
     * @see AIP Agents v2 (preview), Create Session.
     */
    createSessions: (input: CreateSessionsInput): Promise<CreateSessionsResult> =>
      createSessions(dependencies, input, Context.current()),

    /**
     * Runs many rows, `input.concurrency` at once, each turn by turn, and resolves with how they ended. It comes back early
     * when the results near 512 KiB. Failures of rows are results; it throws only when it is stopped.
     *
     * A retry finds the rows of the earlier attempt by their ids: none is asked again. Cancelled, it ends the rows in
     * flight at the agent and resolves with what there is (docs/design.md, "Cancellation, by its reason").
     */
    runLane: (input: LaneInput): Promise<LaneResult> =>
      runLane({ ...dependencies, watches, turns }, input, Context.current()),

    /**
     * Deletes sessions, several at once; those that are gone already are no failure.
     *
     * @see AIP Agents v2 (preview), Delete Session.
     */
    deleteSessions: (input: DeleteSessionsInput): Promise<void> =>
      deleteSessions(dependencies, input, Context.current()),

    /** Ends rows at the agent that no lane ends: its worker was dead when it was cancelled, or they wait for a resume. */
    cancelLane: (input: LaneInput): Promise<LaneResult> => cancelLane(dependencies, input, Context.current()),
  };
}
