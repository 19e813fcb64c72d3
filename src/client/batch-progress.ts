import type { LaneProgress } from '../protocol/activities.js';
import {
  batchShardWorkflowId,
  type BatchStatus,
  batchStatusQuery,
  batchWorkflowId,
  noRows,
} from '../protocol/batch.js';
import { type WorkflowExecutionDescription, WorkflowNotFoundError } from '@temporalio/client';
import { BatchNotFoundError } from './batch-errors.js';
import { batchMemo } from './batch-submit.js';
import { addressOf, type ClientContext } from './connection.js';
import { runStatus } from './describe-conversation.js';
import { type EndStatus, NoWorkerError, TemporalUnreachableError } from './errors.js';
import { type PendingActivity, pendingActivities, waitOf } from './pending-activities.js';
import { GRPC, grpcStatus, translateError } from './translate-error.js';
import { queryWorker } from './worker-query.js';

/** How long to wait for a worker's answer before telling that none comes (milliseconds). */
const QUERY_PATIENCE_MS = 3_000;
/** The span over which the rate is taken (milliseconds). */
const RATE_SPAN_MS = 20_000;

/** How long one look at a batch may take (milliseconds). */
const LOOK_TIMEOUT_MS = 10_000;
/** How long Temporal may be out of reach before watching gives up (milliseconds). */
const UNREACHABLE_MS = 5 * 60_000;

/** A lane that waits for a worker for less than this is no news (milliseconds). */
const PICK_UP_MS = 3_000;

/** How a batch stands. */
export interface BatchProgress {
  batchId: string;
  /** `cancelling`: its rows in flight are being cancelled at the agent. */
  state: 'running' | 'cancelling' | EndStatus;
  rowCount: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  expired: number;
  /** Rows in flight now. */
  running: number;
  tokens: number;
  /** Over the last 20 seconds, of this watcher; 0 at first. */
  rowsPerSecond: number;
  /** Seconds until all rows have ended, at this rate; absent while there is none. */
  etaSeconds?: number;
  /** Why it does not go faster, or not at all: a limit, a retry, a missing worker. */
  waitingFor?: string;
  /** ISO 8601. */
  waitingUntil?: string;
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
 * by the heartbeats of their lanes, so the numbers move every second. Without a worker it goes on, and says so; without
 * Temporal for up to five minutes, too.
 *
 * @throws BatchNotFoundError, TemporalUnreachableError
 */
export async function* watchBatch(
  context: ClientContext,
  batchId: string,
  options: WatchOptions = {},
): AsyncGenerator<BatchProgress, void, void> {
  const { intervalMs = 1_000, signal } = options;
  const looker = new BatchLooker(context, batchId);
  while (signal?.aborted !== true) {
    const progress = await looker.lookAgain();
    yield progress;
    if (progress.state !== 'running' && progress.state !== 'cancelling') return;
    await pause(intervalMs, signal);
  }
}

/** How a batch stands now. @throws BatchNotFoundError */
export async function batchProgress(context: ClientContext, batchId: string): Promise<BatchProgress> {
  return new BatchLooker(context, batchId).look();
}

class BatchLooker {
  #status: BatchStatus | undefined;
  #last: BatchProgress | undefined;
  /** Times of looks with the rows that had ended by then. */
  #samples: { atMs: number; ended: number }[] = [];
  /** Since when Temporal does not answer. */
  #awaySinceMs: number | undefined;

  constructor(
    private readonly context: ClientContext,
    private readonly batchId: string,
  ) {}

  /** A look that gets over an outage: while Temporal does not answer it tells what was seen last, and why nothing moves. */
  async lookAgain(): Promise<BatchProgress> {
    const { client } = this.context;
    try {
      const progress = await client.withDeadline(Date.now() + LOOK_TIMEOUT_MS, () => this.look());
      this.#awaySinceMs = undefined;
      return progress;
    } catch (error) {
      const last = this.#last;
      if (last === undefined || !isOutOfReach(error)) throw error;
      this.#awaySinceMs ??= Date.now();
      if (Date.now() - this.#awaySinceMs > UNREACHABLE_MS) throw error;
      this.#samples = [];
      const { etaSeconds: _eta, waitingUntil: _until, ...seen } = last;
      const waitingFor = `Temporal at ${addressOf(client)} does not answer; trying again`;
      return { ...seen, running: 0, rowsPerSecond: 0, waitingFor };
    }
  }

  async look(): Promise<BatchProgress> {
    const description = await this.#describe();
    const noAnswer = await this.#askStatus(description);
    const status = runStatus(description);
    const lanes = status === 'running' ? await this.#lanes() : [];
    const progress = this.#sum(description, lanes.map(laneProgress));
    if (status !== 'running') progress.state = status;
    const wait = noAnswer === undefined ? waitOfLanes(lanes) : { waitingFor: noAnswer };
    if (status === 'running') Object.assign(progress, wait);
    this.#rate(progress);
    this.#last = progress;
    return progress;
  }

  async #describe(): Promise<WorkflowExecutionDescription> {
    try {
      return await this.context.client.workflow.getHandle(batchWorkflowId(this.batchId)).describe();
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) {
        throw new BatchNotFoundError(this.batchId, this.context.client.options.namespace);
      }
      throw translateError(error, this.context, batchWorkflowId(this.batchId));
    }
  }

  /** Asks the batch itself; when no worker answers for it, tells why. */
  async #askStatus({ taskQueue }: WorkflowExecutionDescription): Promise<string | undefined> {
    try {
      this.#status = await queryWorker(this.context, batchWorkflowId(this.batchId), QUERY_PATIENCE_MS, (handle) =>
        handle.query(batchStatusQuery),
      );
      return undefined;
    } catch (error) {
      if (error instanceof NoWorkerError) {
        return `no worker answers on task queue ${taskQueue}; start one with \`aip-temporal worker\``;
      }
      if (!isUnanswered(error)) throw translateError(error, this.context, batchWorkflowId(this.batchId));
      return `the workers on task queue ${taskQueue} do not answer; they are busy, or have just stopped`;
    }
  }

  /** What the running shards are doing. */
  async #lanes(): Promise<PendingActivity[]> {
    const shards = this.#status?.runningShards ?? [];
    const { workflow } = this.context.client;
    const activities = await Promise.all(
      shards.map(async (shard) => {
        try {
          const shardId = batchShardWorkflowId(this.batchId, shard);
          return await pendingActivities(this.context, await workflow.getHandle(shardId).describe());
        } catch {
          // It shows again at the next look, or has ended.
          return [];
        }
      }),
    );
    return activities.flat();
  }

  #sum(description: WorkflowExecutionDescription, lanes: (LaneProgress | undefined)[]): BatchProgress {
    const counts = { ...(this.#status?.counts ?? noRows()) };
    let running = 0;
    for (const lane of lanes) {
      if (lane === undefined) continue;
      counts.succeeded += lane.succeeded;
      counts.failed += lane.failed;
      counts.tokens += lane.tokens;
      running += lane.running;
    }
    const last = this.#last;
    return {
      batchId: this.batchId,
      state: this.#status?.state === 'cancelling' ? 'cancelling' : 'running',
      rowCount: this.#status?.rowCount ?? batchMemo(description)?.rowCount ?? 0,
      // Between a lane's end and the batch's hearing of it its rows show nowhere: numbers do not go back for that.
      succeeded: Math.max(counts.succeeded, last?.succeeded ?? 0),
      failed: Math.max(counts.failed, last?.failed ?? 0),
      cancelled: Math.max(counts.cancelled, last?.cancelled ?? 0),
      expired: Math.max(counts.expired, last?.expired ?? 0),
      running,
      tokens: Math.max(counts.tokens, last?.tokens ?? 0),
      rowsPerSecond: 0,
    };
  }

  #rate(progress: BatchProgress): void {
    const atMs = Date.now();
    const ended = progress.succeeded + progress.failed + progress.cancelled + progress.expired;
    this.#samples.push({ atMs, ended });
    this.#samples = this.#samples.filter((sample) => atMs - sample.atMs <= RATE_SPAN_MS);
    const [first] = this.#samples;
    if (first === undefined || first.atMs === atMs) return;
    progress.rowsPerSecond = (1_000 * (ended - first.ended)) / (atMs - first.atMs);
    if (progress.rowsPerSecond > 0) progress.etaSeconds = (progress.rowCount - ended) / progress.rowsPerSecond;
  }
}

/** True for failures that pass when Temporal comes back. */
function isOutOfReach(error: unknown): boolean {
  // A look that met its time limit is translated like a query that nobody answered.
  if (error instanceof TemporalUnreachableError || error instanceof NoWorkerError) return true;
  const code = grpcStatus(error)?.code;
  return code === GRPC.unavailable || code === GRPC.deadlineExceeded || code === GRPC.resourceExhausted;
}

function laneProgress({ activityType, heartbeat }: PendingActivity): LaneProgress | undefined {
  return activityType === 'runLane' || activityType === 'cancelLane'
    ? (heartbeat as LaneProgress | undefined)
    : undefined;
}

function waitOfLanes(
  lanes: readonly PendingActivity[],
): Pick<BatchProgress, 'waitingFor' | 'waitingUntil'> | undefined {
  for (const lane of lanes) {
    const isFresh = Date.now() - (lane.scheduledAt?.getTime() ?? 0) < PICK_UP_MS;
    const wait = isFresh ? undefined : waitOf(lane);
    if (wait !== undefined) {
      return { waitingFor: wait.reason, ...(wait.until !== undefined && { waitingUntil: wait.until.toISOString() }) };
    }
    const progress = laneProgress(lane);
    if (progress?.waitingFor !== undefined) {
      const { waitingFor, waitingUntil } = progress;
      return { waitingFor, ...(waitingUntil !== undefined && { waitingUntil }) };
    }
  }
  return undefined;
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Past its deadline a query ends with any of these. */
function isUnanswered(error: unknown): boolean {
  const code = grpcStatus(error)?.code;
  return code === GRPC.deadlineExceeded || code === GRPC.cancelled || code === GRPC.failedPrecondition;
}
