import type { Context } from '@temporalio/activity';
import { type Client, type WorkflowExecutionDescription, WorkflowNotFoundError } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { LaneInput, LaneProgress } from '../protocol/activities.js';
import {
  BATCH_CONTROL_MEMO,
  type BatchBounds,
  type BatchControl,
  batchShardWorkflowId,
  type BatchStatus,
  batchStatusQuery,
  type BatchStopReason,
  batchWorkflowId,
  type RowCounts,
  shardFinishedSignal,
  stopBatchSignal,
} from '../protocol/batch.js';
import { LanePlaces } from './lane-places.js';
import { sleep } from './sleep.js';

/** How often the lanes of a batch look what is asked of it, and whether it is still open (milliseconds). */
const LOOK_EVERY_MS = 2_000;
/** A batch that hears of a shard's end gives its places to others within this time, mostly (milliseconds). */
const SHARED_AGAIN_MS = 200;
/** How long a lane waits for its first look: Temporal may be out of reach (milliseconds). */
const FIRST_LOOK_MS = 3_000;
/** A batch hears of a bound, and tells its shards, within this time, mostly (milliseconds). */
const STOP_HEARD_MS = 1_000;
/** How long a bound that was reached is remembered where no lane of the batch is left (milliseconds). */
const REMEMBERED_MS = 10_000;

/** A lane, as its batch's watch sees it. */
export interface WatchedLane {
  readonly shard: number;
  /** Told at first, and on every change. */
  apply(control: BatchControl): void;
  /** Counts of the whole shard. */
  totals(): ShardTotals;
}

export type ShardTotals = Pick<LaneProgress, 'tokens' | 'failed'>;

/** The batches that lanes of this worker work on: one watch for each, however many lanes it has here. */
export class BatchWatches {
  readonly #watches = new Map<string, BatchWatch>();

  /** Watches the batch for a lane, which has been told what is asked of it when this resolves. */
  async join(context: Context, input: LaneInput, lane: WatchedLane): Promise<JoinedWatch> {
    const { batchId } = input;
    let watch = this.#watches.get(batchId);
    if (watch === undefined) this.#watches.set(batchId, (watch = new BatchWatch(context, input)));
    await watch.join(lane);
    const joined = watch;
    return {
      places: joined.places,
      reached: () => joined.reached(),
      untilStopIsHeard: () => joined.untilStopIsHeard(),
      leave: () => {
        if (joined.leave(lane) > 0) return;
        const drop = () => {
          if (joined.isDeserted && this.#watches.get(batchId) === joined) this.#watches.delete(batchId);
        };
        // A lane that comes before the batch has heard of the bound must know of it.
        if (joined.reached() === undefined) drop();
        else setTimeout(drop, REMEMBERED_MS).unref();
      },
    };
  }
}

/** A lane's hold on the watch of its batch. */
export interface JoinedWatch {
  /** Rows at once of all lanes of the batch in this worker. */
  readonly places: LanePlaces;
  /** The bound of the batch that is reached, if one is: no row may be begun. */
  reached(): BatchStopReason | undefined;
  /** Once a bound is reached: resolves when the batch knows, within a second or so. */
  untilStopIsHeard(): Promise<void>;
  leave(): void;
}

/**
 * Looks every two seconds what is asked of a batch (`BatchControl` in the memo of its run) and tells its lanes. A batch that is
 * closed cannot tell its shards itself, and nothing of it may be left running: then they are cancelled.
 *
 * Where the batch has bounds, it also adds up what its shards have used: those of this worker as they are, the others by their
 * heartbeats, the ended ones as the batch has counted them.
 */
class BatchWatch {
  readonly places = new LanePlaces();
  readonly #lanes = new Set<WatchedLane>();
  readonly #client: Client;
  readonly #log: Context['log'];
  readonly #batchId: string;
  readonly #shardCount: number;
  readonly #bounds: BatchBounds | undefined;
  #control: BatchControl = {};
  #controlText = '{}';
  #lookedAtMs = 0;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Of the shards that had ended, and of those that had not, by number. */
  #ended: ShardTotals = { tokens: 0, failed: 0 };
  readonly #open = new Map<number, ShardTotals>();
  #reached: BatchStopReason | undefined;
  #stop: Promise<void> | undefined;

  constructor({ client, log }: Context, { batchId, shardCount, bounds }: LaneInput) {
    this.#client = client;
    this.#log = log;
    this.#batchId = batchId;
    this.#shardCount = shardCount;
    this.#bounds = bounds;
  }

  async join(lane: WatchedLane): Promise<void> {
    this.#lanes.add(lane);
    this.#timer ??= setInterval(() => void this.#look(), LOOK_EVERY_MS);
    // What held a lane back may be over by now.
    const isHeld = this.#controlText !== '{}';
    const isOld = Date.now() - this.#lookedAtMs > LOOK_EVERY_MS;
    if (isHeld || isOld) await withinTime(this.#look(), FIRST_LOOK_MS);
    lane.apply(this.#control);
  }

  /** Returns how many lanes are left. */
  leave(lane: WatchedLane): number {
    this.#note(lane.shard, lane.totals());
    this.#lanes.delete(lane);
    if (this.#lanes.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else setTimeout(() => void (this.#lanes.size > 0 && this.#look()), SHARED_AGAIN_MS).unref();
    return this.#lanes.size;
  }

  get isDeserted(): boolean {
    return this.#lanes.size === 0;
  }

  /** Once reached, a bound stays so. */
  reached(): BatchStopReason | undefined {
    if (this.#bounds === undefined) return undefined;
    this.#reached ??= this.#reachedNow(this.#bounds);
    if (this.#reached !== undefined) this.#stop ??= this.#tellStop(this.#reached);
    return this.#reached;
  }

  #reachedNow({ maxTokens = Infinity, maxFailures = Infinity }: BatchBounds): BatchStopReason | undefined {
    for (const lane of this.#lanes) this.#note(lane.shard, lane.totals());
    let { tokens, failed } = this.#ended;
    for (const shard of this.#open.values()) {
      tokens += shard.tokens;
      failed += shard.failed;
    }
    if (tokens >= maxTokens) return 'maxTokens';
    return failed >= maxFailures ? 'maxFailures' : undefined;
  }

  /** What a shard has used never gets less: a heartbeat may be older than what its lane has told here. */
  #note(shard: number, { tokens, failed }: ShardTotals): void {
    const known = this.#open.get(shard);
    this.#open.set(shard, {
      tokens: Math.max(tokens, known?.tokens ?? 0),
      failed: Math.max(failed, known?.failed ?? 0),
    });
  }

  async untilStopIsHeard(): Promise<void> {
    await this.#stop;
  }

  async #tellStop(reason: BatchStopReason): Promise<void> {
    try {
      await this.#call(() => this.#handle().signal(stopBatchSignal, { reason }));
    } catch (error) {
      this.#log.warn('Cannot tell the batch that a bound is reached; trying again', { reason, error });
      this.#stop = undefined;
    }
    await sleep(STOP_HEARD_MS);
  }

  #look(): Promise<void> {
    return (this.#looking ??= this.#lookOnce().finally(() => (this.#looking = undefined)));
  }

  async #lookOnce(): Promise<void> {
    try {
      const description = await this.#describe(batchWorkflowId(this.#batchId));
      this.#lookedAtMs = Date.now();
      if (description === undefined || !isOpen(description)) {
        this.#log.warn('The batch of these lanes is closed: cancelling its shards', { batchId: this.#batchId });
        await this.#cancelShards();
        return;
      }
      this.#take(description.memo?.[BATCH_CONTROL_MEMO] ?? {});
      const { maxTokens, maxFailures } = this.#bounds ?? {};
      if (maxTokens !== undefined || maxFailures !== undefined) await this.#addUp();
    } catch (error) {
      // Temporal is out of reach: the next look comes soon.
      this.#log.debug('Cannot see what is asked of the batch', { batchId: this.#batchId, error });
    }
  }

  #take(control: BatchControl): void {
    const text = JSON.stringify(control);
    if (text === this.#controlText) return;
    this.#control = control;
    this.#controlText = text;
    for (const lane of this.#lanes) lane.apply(control);
  }

  /** What all shards have used by now. */
  async #addUp(): Promise<void> {
    const status: BatchStatus = await this.#call(() => this.#handle().query(batchStatusQuery));
    const here = new Set([...this.#lanes].map(({ shard }) => shard));
    const elsewhere = status.runningShards.filter((shard) => !here.has(shard));
    const totals = await Promise.all(elsewhere.map(async (shard) => [shard, await this.#totalsOf(shard)] as const));
    this.#ended = status.counts;
    for (const shard of status.finishedShards) this.#open.delete(shard);
    for (const [shard, of] of totals) if (of !== undefined) this.#note(shard, of);
    this.reached();
  }

  async #totalsOf(shard: number): Promise<ShardTotals | undefined> {
    const description = await this.#describe(batchShardWorkflowId(this.#batchId, shard));
    if (description === undefined) return undefined;
    const lane = description.raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'runLane');
    const { loadedDataConverter } = this.#client.options;
    const [heartbeat] = await decodeArrayFromPayloads(loadedDataConverter, lane?.heartbeatDetails?.payloads);
    return heartbeat as LaneProgress | undefined;
  }

  async #describe(workflowId: string): Promise<WorkflowExecutionDescription | undefined> {
    try {
      return await this.#call(() => this.#client.workflow.getHandle(workflowId).describe());
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  }

  async #cancelShards(): Promise<void> {
    for (let shard = 0; shard < this.#shardCount; shard++) {
      try {
        await this.#call(() => this.#client.workflow.getHandle(batchShardWorkflowId(this.#batchId, shard)).cancel());
      } catch {
        // It has ended, or is out of reach until the next look.
      }
    }
  }

  /** The client is that of the lane that came first, and ends with it unless another signal takes its place. */
  #call<T>(call: () => Promise<T>): Promise<T> {
    return this.#client.withAbortSignal(new AbortController().signal, call);
  }

  #handle() {
    return this.#client.workflow.getHandle(batchWorkflowId(this.#batchId));
  }
}

/** Resolves when the work has ended, or after so many milliseconds. */
async function withinTime(work: Promise<void>, ms: number): Promise<void> {
  const patience = new AbortController();
  const passed = sleep(ms, patience.signal).catch(() => undefined);
  await Promise.race([work, passed]);
  patience.abort();
}

const isOpen = ({ status }: WorkflowExecutionDescription): boolean =>
  status.name === 'RUNNING' || status.name === 'PAUSED';

/**
 * Tells the batch that this shard is gone, in place of a shard that was terminated and can no longer do so itself. What its
 * lane had not handed over counts as cancelled.
 */
export async function tellBatchOfLostShard(context: Context, input: LaneInput): Promise<void> {
  const { countsBefore, shard, shardRows } = input;
  const ended = countsBefore.succeeded + countsBefore.failed + countsBefore.cancelled + countsBefore.expired;
  const counts: RowCounts = { ...countsBefore, cancelled: countsBefore.cancelled + shardRows - ended };
  const { client } = context;
  try {
    // This activity is cancelled, and its client with it, unless another signal takes its place.
    await client.withAbortSignal(new AbortController().signal, () =>
      client.workflow.getHandle(batchWorkflowId(input.batchId)).signal(shardFinishedSignal, { shard, counts }),
    );
  } catch {
    // The batch is gone too: nobody counts.
  }
}
