import type { Context } from '@temporalio/activity';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';

/** A lane that has a place in this worker. */
export interface LaneInTurn {
  readonly batchId: string;
  /** Begins no more rows; ends when those in flight have, and its shard goes on with the others in a lane that queues again. */
  giveWay(): void;
}

/** How often it is looked whether others wait (milliseconds). */
const LOOK_EVERY_MS = 5_000;
/** Others wait when the first of them has done so for this long (milliseconds). */
const WAITING_MS = 2_000;
/** A lane has its place for so long at least: beside others of its batch, and as the only one (milliseconds). */
const TURN_MS = { ofSeveral: 10_000, ofOne: 30_000 };

const { TaskQueueType, DescribeTaskQueueMode } = proto.temporal.api.enums.v1;

/**
 * Turns of the lanes of a worker: where they have all its places and others wait for one, the batch that has most of them gives one
 * back. So a batch of many rows at once, or one at an agent that lets little in, holds up no other for longer than a turn.
 */
export class LaneTurns {
  readonly #lanes = new Map<LaneInTurn, { sinceMs: number; givesWay: boolean }>();
  #timer: NodeJS.Timeout | undefined;

  /** @param places Lanes at once in this worker; absent: turns are not looked after. */
  constructor(private readonly places: number | undefined) {}

  /** @returns To be called when the lane has ended. */
  join({ client, info, log }: Context, lane: LaneInTurn): () => void {
    this.#lanes.set(lane, { sinceMs: Date.now(), givesWay: false });
    const look = async (): Promise<void> => {
      if (this.places === undefined || this.#lanes.size < this.places || this.#next() === undefined) return;
      try {
        // This activity may end, and its client with it, unless another signal takes its place.
        const answer = await client.withAbortSignal(new AbortController().signal, () =>
          client.workflowService.describeTaskQueue({
            namespace: client.options.namespace,
            taskQueue: { name: info.taskQueue },
            apiMode: DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED,
            versions: { allActive: true, unversioned: true },
            taskQueueTypes: [TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY],
            reportStats: true,
          }),
        );
        if (longestWaitMs(answer) >= WAITING_MS) this.#giveWay();
      } catch (error) {
        log.debug('Cannot see whether other lanes wait', { error });
      }
    };
    this.#timer ??= setInterval(() => void look(), LOOK_EVERY_MS);
    return () => {
      this.#lanes.delete(lane);
      if (this.#lanes.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  #giveWay(): void {
    const lane = this.#next();
    if (lane === undefined) return;
    this.#lanes.set(lane, { sinceMs: this.#lanes.get(lane)?.sinceMs ?? 0, givesWay: true });
    lane.giveWay();
  }

  /** Of the batch that has most lanes here, the one that has had its place longest; undefined while none has had its turn. */
  #next(): LaneInTurn | undefined {
    const counts = new Map<string, number>();
    for (const [{ batchId }, { givesWay }] of this.#lanes)
      if (!givesWay) counts.set(batchId, (counts.get(batchId) ?? 0) + 1);
    const nowMs = Date.now();
    const had = [...this.#lanes]
      .filter(([{ batchId }, { sinceMs, givesWay }]) => {
        const turnMs = (counts.get(batchId) ?? 0) > 1 ? TURN_MS.ofSeveral : TURN_MS.ofOne;
        return !givesWay && nowMs - sinceMs >= turnMs;
      })
      .toSorted(([a, { sinceMs: aMs }], [b, { sinceMs: bMs }]) => {
        return (counts.get(b.batchId) ?? 0) - (counts.get(a.batchId) ?? 0) || aMs - bMs;
      });
    return had[0]?.[0];
  }
}

type Answer = Pick<proto.temporal.api.workflowservice.v1.IDescribeTaskQueueResponse, 'versionsInfo'>;

/** How long the task has waited that has done so longest, on any partition (milliseconds). Not their count: it may be too low, even 0. */
function longestWaitMs({ versionsInfo }: Answer): number {
  const ages = Object.values(versionsInfo ?? {}).flatMap(({ typesInfo }) =>
    Object.values(typesInfo ?? {}).map(({ stats }) => optionalTsToMs(stats?.approximateBacklogAge) ?? 0),
  );
  return Math.max(0, ...ages);
}
