import type { WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import type { LaneProgress } from '../protocol/activities.js';
import {
  type BatchControl,
  type BatchInput,
  type BatchIsolation,
  type BatchMemo,
  batchShardWorkflowId,
  type BatchResult,
  type BatchStopReason,
  batchStatusQuery,
  batchWorkflowId,
  noRows,
  type RowCounts,
} from '../protocol/batch.js';
import { CLOSED_AGENT_WAIT } from '../protocol/limits.js';
import { followShard } from './batch-history.js';
import { batchControl, describedBatch } from './batch-memo.js';
import { batchState, hasEnded, type BatchState } from './batch-state.js';
import type { ClientContext } from './connection.js';
import { NoWorkerError, UnansweredError } from './errors.js';
import { lookAgain } from './outage.js';
import { type PendingActivity, pendingActivities, waitOf } from './pending-activities.js';
import { translateError } from './translate-error.js';
import { queryWorker } from './worker-query.js';

/** How long to wait for a worker's answer before telling that none comes (milliseconds). */
const QUERY_PATIENCE_MS = 3_000;
/** The span over which the rate is taken (milliseconds). */
const RATE_SPAN_MS = 20_000;

/** How long the histories of shards may be read for a look (milliseconds). */
const READ_TIMEOUT_MS = 5_000;
/** A lane that waits for a worker for less than this is no news (milliseconds). */
const PICK_UP_MS = 3_000;

/** How a batch stands. */
export interface BatchProgress {
  batchId: string;
  state: BatchState;
  rowCount: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  expired: number;
  /** Rows in flight now. */
  running: number;
  /** Rows that nothing was done about yet. */
  queued: number;
  tokens: number;
  /** Rows at once, as it is now. */
  concurrency: number;
  /** Since when no row is begun, and why, while it is paused. */
  paused?: NonNullable<BatchControl['paused']>;
  /** Why no row is begun any more, also after the end. */
  stopped?: BatchStopReason;
  /** Over the last 20 seconds, of this watcher; 0 at first. */
  rowsPerSecond: number;
  /** Seconds until all rows have ended, at this rate; absent while there is none, unless it just runs, and while it waits for a closed agent. */
  etaSeconds?: number;
  /** Why it does not go faster, or not at all: a limit, a retry, a missing worker. */
  waitingFor?: string;
  /** ISO 8601. */
  waitingUntil?: string;
  /** Why all of it is old: Temporal does not answer. */
  outage?: string;
}

/** Options of `watchBatch`. */
export interface WatchOptions {
  /** Pause between looks (milliseconds). Default 1,000. */
  intervalMs?: number;
  /** Ends watching; the batch goes on. */
  signal?: AbortSignal;
}

/**
 * Tells how a batch stands, again and again, until it has ended; the last one is its end. Rows of running shards are counted
 * by the heartbeats of their lanes, so the numbers move every second; rows that are runs of their own (isolation `workflow`)
 * when their shard tells of them. Without a worker it goes on, and says so; without
 * Temporal for up to five minutes, too.
 *
 * @throws BatchNotFoundError, TemporalUnreachableError
 */
export async function* watchBatch(
  context: ClientContext,
  batchId: string,
  options: WatchOptions = {},
): AsyncGenerator<BatchProgress, void, void> {
  const looker = new BatchLooker(context, batchId);
  for await (const { seen, outage } of lookAgain(context, () => looker.look(), options)) {
    yield outage === undefined ? seen : looker.away(seen, outage);
    if (hasEnded(seen.state)) return;
  }
}

/** How a batch stands now. @throws BatchNotFoundError */
export async function batchProgress(context: ClientContext, batchId: string): Promise<BatchProgress> {
  return new BatchLooker(context, batchId).look();
}

type Batch = (input: BatchInput) => Promise<BatchResult>;

/** A running shard. */
interface ShardLook {
  activities: PendingActivity[];
  counts: Partial<RowCounts>;
  /** Rows in flight. */
  running: number;
}

class BatchLooker {
  #counts: RowCounts | undefined;
  #runningShards: readonly number[] = [];
  #isolation: BatchIsolation = 'lane';
  /** What was read out of the histories of shards. */
  readonly #recorded = new Map<number, { historyLength: number; counts: RowCounts }>();
  #last: BatchProgress | undefined;
  /** Times of looks with the rows that had ended by then. */
  #samples: { atMs: number; ended: number }[] = [];

  constructor(
    private readonly context: ClientContext,
    private readonly batchId: string,
  ) {}

  /** What was seen last, and why nothing moves: what goes on meanwhile is not known, and says nothing of the pace. */
  away(last: BatchProgress, outage: string): BatchProgress {
    this.#samples = [];
    const { etaSeconds: _eta, waitingUntil: _until, ...seen } = last;
    const queued = last.queued + last.running;
    return { ...seen, running: 0, queued, rowsPerSecond: 0, waitingFor: outage, outage };
  }

  async look(): Promise<BatchProgress> {
    const { description, memo } = await describedBatch(this.context, this.batchId);
    const state = batchState(description);
    const noAnswer = await this.#askStatus(description, state);
    const shards = hasEnded(state) ? [] : await this.#shards();
    const lanes = shards.flatMap(({ activities }) => activities);
    const progress = this.#sum(memo, batchControl(description), shards);
    progress.state = state;
    if (hasEnded(state)) delete progress.paused;
    // The counts of one that has ended come from a worker as well.
    const wait = noAnswer === undefined ? waitOfLanes(lanes) : { waitingFor: noAnswer };
    if (!hasEnded(state) || this.#counts === undefined) Object.assign(progress, wait);
    this.#rate(progress);
    this.#last = progress;
    return progress;
  }

  /** Asks the batch itself; when no worker answers for it, tells why. */
  async #askStatus({ taskQueue }: WorkflowExecutionDescription, state: BatchState): Promise<string | undefined> {
    const workflowId = batchWorkflowId(this.batchId);
    try {
      if (state === 'completed') {
        // Stands in the history: that needs no worker.
        const { counts } = await this.context.client.workflow.getHandle<Batch>(workflowId).result();
        this.#counts = counts;
        return undefined;
      }
      const ask = (handle: WorkflowHandle) => handle.query(batchStatusQuery);
      const {
        counts,
        runningShards,
        isolation = 'lane',
      } = await queryWorker(this.context, workflowId, QUERY_PATIENCE_MS, ask);
      this.#counts = counts;
      this.#runningShards = runningShards;
      this.#isolation = isolation;
      return undefined;
    } catch (error) {
      if (error instanceof NoWorkerError) {
        return `no worker answers on task queue ${taskQueue}; start one with \`aip-temporal worker\``;
      }
      if (error instanceof UnansweredError) {
        return `the workers on task queue ${taskQueue} do not answer; they are busy, or have just stopped`;
      }
      throw translateError(error, this.context, batchWorkflowId(this.batchId));
    }
  }

  /** What the running shards are doing, and how far they are. */
  async #shards(): Promise<ShardLook[]> {
    return Promise.all(
      this.#runningShards.map(async (shard) => {
        try {
          const handle = this.context.client.workflow.getHandle(batchShardWorkflowId(this.batchId, shard));
          const description = await handle.describe();
          if (this.#isolation === 'workflow') return await this.#rowRuns(description);
          const activities = await pendingActivities(this.context, description);
          const lane = activities.map(laneProgress).find((progress) => progress !== undefined);
          if (lane !== undefined) return { activities, counts: lane, running: lane.running };
          return { activities, counts: await this.#recordedCounts(shard, description.historyLength), running: 0 };
        } catch {
          // It shows again at the next look, or has ended.
          return { activities: [], counts: noRows(), running: 0 };
        }
      }),
    );
  }

  /** A shard whose rows are runs of their own: the batch itself was told how many have ended. One of them tells what they wait for. */
  async #rowRuns({ raw }: WorkflowExecutionDescription): Promise<ShardLook> {
    const runs = raw.pendingChildren ?? [];
    const [{ workflowId } = {}] = runs;
    const activities = workflowId ? await this.#activitiesOf(workflowId) : [];
    return { activities, counts: noRows(), running: runs.length };
  }

  /** None when the run has just ended. */
  async #activitiesOf(workflowId: string): Promise<PendingActivity[]> {
    try {
      const description = await this.context.client.workflow.getHandle(workflowId).describe();
      return await pendingActivities(this.context, description);
    } catch {
      return [];
    }
  }

  /** What a shard without a lane has done by now, as when it is paused: nobody else tells. */
  async #recordedCounts(shard: number, historyLength: number): Promise<RowCounts> {
    const known = this.#recorded.get(shard);
    if (known?.historyLength === historyLength) return known.counts;
    const counts = noRows();
    // A reader goes on through an outage; a look does not.
    const options = { whenRunning: 'leave', signal: AbortSignal.timeout(READ_TIMEOUT_MS) } as const;
    for await (const outcomes of followShard(this.context, this.batchId, shard, options)) {
      for (const { result } of outcomes) {
        counts[result.status]++;
        counts.tokens += result.tokens;
      }
    }
    this.#recorded.set(shard, { historyLength, counts });
    return counts;
  }

  #sum(memo: BatchMemo, control: BatchControl, shards: readonly ShardLook[]): BatchProgress {
    const counts = { ...(this.#counts ?? noRows()) };
    let running = 0;
    for (const shard of shards) {
      for (const kind of KINDS) counts[kind] += shard.counts[kind] ?? 0;
      running += shard.running;
    }
    // Between a lane's end and the batch's hearing of it its rows show nowhere: numbers do not go back for that.
    for (const kind of KINDS) counts[kind] = Math.max(counts[kind], this.#last?.[kind] ?? 0);
    const { rowCount } = memo;
    const { paused, stopped } = control;
    return {
      batchId: this.batchId,
      state: 'running',
      rowCount,
      ...counts,
      running,
      queued: Math.max(0, rowCount - endedRows(counts) - running),
      concurrency: control.concurrency ?? memo.concurrency,
      ...(paused !== undefined && { paused }),
      ...(stopped !== undefined && { stopped }),
      rowsPerSecond: 0,
    };
  }

  #rate(progress: BatchProgress): void {
    // What stood still, and what was only left, says nothing of the pace.
    if (progress.state !== 'running') this.#samples = [];
    const atMs = Date.now();
    const ended = progress.succeeded + progress.failed;
    this.#samples.push({ atMs, ended });
    this.#samples = this.#samples.filter((sample) => atMs - sample.atMs <= RATE_SPAN_MS);
    const [first] = this.#samples;
    if (first === undefined || first.atMs === atMs) return;
    progress.rowsPerSecond = (1_000 * (ended - first.ended)) / (atMs - first.atMs);
    // Nobody knows when an operator opens the agent again.
    if (progress.rowsPerSecond > 0 && progress.waitingFor !== CLOSED_AGENT_WAIT) {
      progress.etaSeconds = (progress.rowCount - endedRows(progress)) / progress.rowsPerSecond;
    }
  }
}

const KINDS = ['succeeded', 'failed', 'cancelled', 'expired', 'tokens'] as const;

/** Rows that have ended, however. */
export const endedRows = ({ succeeded, failed, cancelled, expired }: RowCounts): number =>
  succeeded + failed + cancelled + expired;

function laneProgress({ activityType, heartbeat }: PendingActivity): LaneProgress | undefined {
  return activityType === 'runLane' || activityType === 'cancelLane'
    ? (heartbeat as LaneProgress | undefined)
    : undefined;
}

/** Of its lanes, or of the opening of its sessions. */
function waitOfLanes(
  lanes: readonly PendingActivity[],
): Pick<BatchProgress, 'waitingFor' | 'waitingUntil'> | undefined {
  for (const lane of lanes) {
    const isFresh = Date.now() - (lane.scheduledAt?.getTime() ?? 0) < PICK_UP_MS;
    const wait = isFresh ? undefined : waitOf(lane);
    if (wait !== undefined) {
      return { waitingFor: wait.reason, ...(wait.until !== undefined && { waitingUntil: wait.until.toISOString() }) };
    }
    const { waitingFor, waitingUntil } = (lane.heartbeat ?? {}) as Partial<LaneProgress>;
    if (waitingFor === undefined) continue;
    // Heartbeats are some seconds old: a time that has passed says nothing.
    const isToCome = waitingUntil !== undefined && Date.parse(waitingUntil) > Date.now();
    return { waitingFor, ...(isToCome && { waitingUntil }) };
  }
  return undefined;
}
