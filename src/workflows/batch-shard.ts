import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  patched,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  TemporalFailure,
  upsertSearchAttributes,
  workflowInfo,
  type ActivityOptions,
} from '@temporalio/workflow';
import type { LaneActivities } from '../activities/lane-activities.js';
import type { LaneInput, LaneRow } from '../protocol/activities.js';
import {
  admitShardSignal,
  type BatchShardInput,
  type BatchShardResult,
  type BatchStopReason,
  batchWorkflowId,
  cancelRowsSignal,
  endOfLeftRows,
  pauseShardSignal,
  prepareShardSignal,
  resumeShardSignal,
  shardFinishedSignal,
  shardWaitingSignal,
  signOfLifeSignal,
  stopShardSignal,
} from '../protocol/batch.js';
import { DEFAULTS } from '../protocol/defaults.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { summaryLine } from '../protocol/summary-line.js';
import { batchTaskQueue } from '../protocol/task-queues.js';
import { runRowsAsWorkflows } from './batch-row-runs.js';
import { ShardRows } from './batch-shard-rows.js';
import { detailsText } from './details-text.js';

/** How often a waiting shard sees whether its batch still lives: one that was terminated will never admit it. */
const WAITING_CHECK_INTERVAL = '24 hours';
/** Limit for one attempt of a lane; its rows have limits of their own, and missed heartbeats tell of a dead worker. */
const LANE_TIMEOUT = '30 days';
const SESSIONS_TIMEOUT = '24 hours';
/** How long sessions are tried to be deleted. */
const DELETE_TIMEOUT = '1 hour';
const DELETES_AT_ONCE = 5;

/**
 * Rows of a hurried first lane, as rounds of its pool: so long that the other sessions are open when it ends, and not the same
 * for all, so that some lanes are in their midst when others end.
 */
const hurriedRounds = (shard: number): number => 2 + (shard % 3);

/** What the batch has said: rows at once, and whether the shard may run. */
interface Turn {
  /** It is among the first of its batch, and may open sessions before the batch is there. */
  isFirst?: true;
  prepared?: number;
  /** 0: the batch has fewer rows at once than shards that run, and this one waits. */
  admitted?: number;
  isPaused: boolean;
  stopped?: BatchStopReason;
  /** Ids of rows, of this shard and others (isolation `workflow`). */
  readonly cancelledRows: Set<string>;
  /** Sessions are being opened; ends when the batch stops, as it can wait for a limit for hours. */
  opening?: CancellationScope;
}

const mayRun = ({ admitted, isPaused, stopped }: Turn): boolean =>
  (admitted !== undefined && admitted > 0 && !isPaused) || stopped !== undefined;
const mayPrepare = (turn: Turn): boolean => mayRun(turn) || (turn.prepared !== undefined && !turn.isPaused);

/**
 * Works off a slice of a batch: when its turn comes near it opens the sessions of its rows, when admitted it runs them in
 * lanes, and it tells the batch how they ended. When the batch stops it leaves the rows that are not begun.
 *
 * Cancelled, it ends as Canceled after its lane has cancelled the rows in flight at the agent; what was finished stands in
 * its history. `collectResults` reads the results there, in all cases.
 */
export async function batchShardWorkflow(input: BatchShardInput): Promise<BatchShardResult> {
  const turn: Turn = { isPaused: false, cancelledRows: new Set() };
  // A worker that does not know of it may have begun this run.
  if (input.sessionsAtStart !== undefined && patched('sessions-at-start')) {
    turn.prepared = input.sessionsAtStart;
    turn.isFirst = true;
  }
  setHandler(prepareShardSignal, ({ concurrency }) => void (turn.prepared ??= concurrency), {
    description: 'Open the sessions: the turn of this shard comes next',
  });
  setHandler(admitShardSignal, ({ concurrency }) => void (turn.admitted = concurrency), {
    description: 'Run, with this many rows at once',
  });
  setHandler(pauseShardSignal, () => void (turn.isPaused = true), { description: 'Begin no lane until resumed' });
  setHandler(resumeShardSignal, () => void (turn.isPaused = false), { description: 'Go on after a pause' });
  setHandler(
    stopShardSignal,
    ({ reason }) => {
      turn.stopped = reason;
      turn.opening?.cancel();
    },
    { description: 'The batch begins no more rows: leave those that are not begun, and end' },
  );
  setHandler(cancelRowsSignal, ({ ids }) => ids.forEach((id) => turn.cancelledRows.add(id)), {
    description: 'Cancel single rows that are runs of their own. {"ids": ["…"]}',
  });
  const rows = new ShardRows(input);
  let cancelledRows: string[] = [];
  setHandler(signOfLifeSignal, () => undefined, { description: 'The batch sees whether this shard still lives' });
  let failure: TemporalFailure | undefined;
  try {
    if (input.isolation === 'workflow') cancelledRows = await runEach(input, rows, turn);
    else await workOff(input, rows, turn);
    if (turn.stopped !== undefined) {
      await endBegun(input, rows);
      rows.endRemaining(endOfLeftRows(turn.stopped).status);
    }
  } catch (error) {
    // Anything else is a fault of this code: it fails the workflow task, and is tried again after a fix.
    if (!(error instanceof TemporalFailure)) throw error;
    // A dead worker's activity that was cancelled fails, instead of ending as cancelled.
    const isCancelled = isCancellation(error) || CancellationScope.current().consideredCancelled;
    failure = isCancelled && !isCancellation(error) ? new CancelledFailure('Shard cancelled') : error;
    await CancellationScope.nonCancellable(() => endBegun(input, rows));
    rows.endRemaining(isCancelled ? 'cancelled' : 'failed');
  }
  upsertSearchAttributes([{ key: searchAttributeKeys.state, value: isCancellation(failure) ? 'cancelled' : 'closed' }]);
  describe(input, rows, '**finished**');
  await tellBatch(input, rows);
  await CancellationScope.nonCancellable(() => deleteSessions(input, rows));
  if (failure !== undefined) throw failure;
  return {
    shard: input.shard,
    counts: rows.counts,
    ...(turn.stopped !== undefined && { stopped: turn.stopped }),
    ...(cancelledRows.length > 0 && { cancelledRows }),
  };
}

async function workOff(input: BatchShardInput, rows: ShardRows, turn: Turn): Promise<void> {
  describe(input, rows, `**waiting** for its turn in batch ${input.batchId}`);
  await untilItsTurn(input, () => mayPrepare(turn));
  for (let lane = 1; rows.remaining > 0 && turn.stopped === undefined; lane++) {
    describe(input, rows, '**opening sessions**');
    // Admitted before it could prepare, or soon: a short first lane runs while the sessions of the next one are opened.
    const isHurried = lane === 1 && (turn.isFirst === true || turn.admitted !== undefined);
    const concurrency = turn.admitted ?? turn.prepared ?? 1;
    const most = isHurried ? hurriedRounds(input.shard) * concurrency : Infinity;
    await unlessStopped(turn, () => openSessions(input, rows, { lane, concurrency, most }));
    if (!mayRun(turn))
      describe(
        input,
        rows,
        `**waiting** ${turn.isPaused ? 'until the batch is resumed' : 'for its turn, sessions open'}`,
      );
    await untilItsTurn(input, () => mayRun(turn));
    if (turn.stopped !== undefined) break;
    describe(input, rows, `**running** lane ${lane} (rows in flight: see Pending Activities)`);
    const ahead = { lane: lane + 1, concurrency: Math.ceil(concurrency / 4), most: Infinity };
    await allOf([
      runLane(input, rows, turn.admitted ?? 1, lane),
      ...(isHurried ? [unlessStopped(turn, () => openSessions(input, rows, ahead))] : []),
      deleteSessions(input, rows),
    ]);
    // A cancelled lane hands back what it has instead of failing.
    if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('Shard cancelled');
  }
}

/** Runs each row as a workflow of its own; returns the ids of rows that were cancelled before they had one. */
async function runEach(input: BatchShardInput, rows: ShardRows, turn: Turn): Promise<string[]> {
  describe(input, rows, `**waiting** for its turn in batch ${input.batchId}`);
  await untilItsTurn(input, () => mayRun(turn));
  return runRowsAsWorkflows(input, rows, turn, () =>
    describe(input, rows, '**running** each row as a workflow of its own (see Relationships)'),
  );
}

/** Opens sessions until the batch stops. */
async function unlessStopped(turn: Turn, open: () => Promise<void>): Promise<void> {
  turn.opening = new CancellationScope();
  try {
    await turn.opening.run(open);
  } catch (error) {
    const isStopped = turn.stopped !== undefined && !CancellationScope.current().consideredCancelled;
    if (!isStopped || !isCancellation(error)) throw error;
  } finally {
    delete turn.opening;
  }
}

/** Waits for all before it fails with the first failure: what a cancelled lane hands back must be noted. */
async function allOf(works: Promise<void>[]): Promise<void> {
  for (const ended of await Promise.allSettled(works)) if (ended.status === 'rejected') throw ended.reason;
}

async function untilItsTurn(input: BatchShardInput, isItsTurn: () => boolean): Promise<void> {
  while (!isItsTurn() && !(await condition(isItsTurn, WAITING_CHECK_INTERVAL))) {
    try {
      await getExternalWorkflowHandle(batchWorkflowId(input.batchId)).signal(shardWaitingSignal, {
        shard: input.shard,
      });
    } catch (error) {
      if (isCancellation(error)) throw error;
      throw ApplicationFailure.nonRetryable(
        `Cannot run shard ${input.shard}: its batch ${input.batchId} is no longer there to admit it; submit it again under another id`,
        'BatchGone',
      );
    }
  }
}

/** Opens sessions for rows that have none, the first `most` of them. */
async function openSessions(
  input: BatchShardInput,
  rows: ShardRows,
  { lane, concurrency, most }: { lane: number; concurrency: number; most: number },
): Promise<void> {
  const needed = rows.withoutSession(input.title).slice(0, most);
  if (needed.length === 0) return;
  const { createSessions } = laneActivities({
    startToCloseTimeout: SESSIONS_TIMEOUT,
    activityId: `sessions-${lane}`,
    summary: `open ${needed.length} sessions`,
  });
  const { batchId, weight } = input;
  const sessions = await createSessions({
    batchId,
    rows: needed,
    concurrency,
    ...(weight !== undefined && { weight }),
  });
  rows.noteSessions(needed, sessions);
}

/** Deletes the sessions of rows that have ended, where that is wanted. What fails is left: it changes no result. */
async function deleteSessions(input: BatchShardInput, rows: ShardRows): Promise<void> {
  const sessions = rows.takeSessionsToDelete();
  if (sessions.length === 0) return;
  const activities = laneActivities({
    startToCloseTimeout: SESSIONS_TIMEOUT,
    scheduleToCloseTimeout: DELETE_TIMEOUT,
    summary: `delete ${sessions.length} sessions`,
  });
  try {
    await activities.deleteSessions({ batchId: input.batchId, sessions, concurrency: DELETES_AT_ONCE });
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    // Cancelled with the shard, which deletes what is left at its end.
    if (isCancellation(error)) rows.deleteLater(sessions);
    else log.warn('Sessions could not be deleted', { error: error.message });
  }
}

function laneInputOf(input: BatchShardInput, rows: ShardRows, laneRows: LaneRow[], concurrency: number): LaneInput {
  const { batchId, shard, shardCount, idBase, mode, callTimeoutMs } = input;
  return {
    batchId,
    shard,
    shardCount,
    shardRows: input.rows.length,
    countsBefore: rows.counts,
    idBase,
    concurrency,
    mode,
    callTimeoutMs,
    silenceTimeoutMs: DEFAULTS.silenceTimeoutMs,
    rows: laneRows,
    ...(input.bounds !== undefined && { bounds: input.bounds }),
    ...(input.weight !== undefined && { weight: input.weight }),
  };
}

async function runLane(input: BatchShardInput, rows: ShardRows, concurrency: number, lane: number): Promise<void> {
  const laneRows = rows.forLane();
  if (laneRows.length === 0) return;
  const laneInput = laneInputOf(input, rows, laneRows, concurrency);
  const activities = laneActivities({
    startToCloseTimeout: LANE_TIMEOUT,
    activityId: `lane-${lane}`,
    summary: summaryLine(`lane ${lane}: ${laneRows.length} rows, ${concurrency} at once: ${spanOf(laneRows)}`),
  });
  try {
    rows.noteLane(await activities.runLane(laneInput));
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    // Its worker was dead, or it was between two attempts: what the rows do at the agent, nobody has ended.
    await CancellationScope.nonCancellable(() => endLane(laneInput, rows, `lane-${lane}`));
    throw error;
  }
}

/** Ends the rows that a lane has left unfinished, between two turns for a pause, when no other lane comes for them. */
async function endBegun(input: BatchShardInput, rows: ShardRows): Promise<void> {
  const { begun } = rows;
  if (begun.length > 0) await endLane(laneInputOf(input, rows, begun, begun.length), rows, 'begun');
}

/** The shard's own clean-up of a lane; bounded, because the run stays open until it has ended. */
async function endLane(laneInput: LaneInput, rows: ShardRows, name: string): Promise<void> {
  const { cancelLane } = laneActivities({
    scheduleToCloseTimeout: DEFAULTS.cancelExchangeTimeoutMs,
    activityId: `cancel-${name}`,
    summary: `end the rows of ${name} at the agent`,
  });
  try {
    rows.noteLane(await cancelLane(laneInput));
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    rows.leaveBegun();
    log.warn('The rows of a lane could not be ended at the agent', { name, error: error.message });
  }
}

/** The ids of the first and the last row, for whoever looks for one. */
function spanOf(rows: readonly { id: string }[]): string {
  const [first, last] = [rows[0]?.id ?? '', rows.at(-1)?.id ?? ''];
  return first === last ? first : `${first} … ${last}`;
}

function laneActivities(options: ActivityOptions & { summary: string }) {
  return proxyActivities<LaneActivities>({
    ...options,
    taskQueue: batchTaskQueue(workflowInfo().taskQueue),
    heartbeatTimeout: DEFAULTS.heartbeatTimeoutMs.batch,
    // A lane retries its rows by itself; another attempt of the lane is for a dead or stopped worker.
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds' },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  });
}

/** Where the shard stands, for the Temporal UI. */
function describe({ batchId, rows: { length } }: BatchShardInput, rows: ShardRows, state: string): void {
  const { failed, cancelled, expired } = rows.counts;
  const ended = `- rows: ${length - rows.remaining} of ${length} have ended; ${failed} failed, ${cancelled} cancelled, ${expired} expired`;
  setCurrentDetails(detailsText([state, '', ended, `- batch: ${batchId}`]));
}

async function tellBatch(input: BatchShardInput, rows: ShardRows): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    try {
      const batch = getExternalWorkflowHandle(batchWorkflowId(input.batchId));
      await batch.signal(shardFinishedSignal, { shard: input.shard, counts: rows.counts });
    } catch {
      // The batch is gone (terminated, or done waiting for a cancel): nobody counts any more, and the results stand here.
    }
  });
}
