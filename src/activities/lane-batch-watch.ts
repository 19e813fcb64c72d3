import type { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { LaneInput } from '../protocol/activities.js';
import { batchShardWorkflowId, batchWorkflowId, type RowCounts, shardFinishedSignal } from '../protocol/batch.js';
import { isRunOpen } from './cancellation-action.js';

/** How often a lane looks whether its batch is still open (milliseconds). */
const LOOK_EVERY_MS = 5_000;

/**
 * While a lane runs: looks every 5 seconds whether its batch is still open, and cancels all its shards when it is not. A
 * batch that is terminated cannot tell its shards itself, and nothing of it may be left running.
 *
 * @returns Stops looking.
 */
export function startBatchWatch(context: Context, input: LaneInput): () => void {
  let isLooking = false;
  const look = async () => {
    if (isLooking) return;
    isLooking = true;
    try {
      if (await isRunOpen(context.client, batchWorkflowId(input.batchId))) return;
      context.log.warn('The batch of this lane is closed: cancelling its shards', { batchId: input.batchId });
      await cancelShards(context.client, input);
    } catch (error) {
      // Temporal is out of reach: the next look comes soon.
      context.log.debug('Cannot see whether the batch is open', { batchId: input.batchId, error });
    } finally {
      isLooking = false;
    }
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  return () => clearInterval(timer);
}

async function cancelShards(client: Client, { batchId, shardCount }: LaneInput): Promise<void> {
  for (let shard = 0; shard < shardCount; shard++) {
    try {
      await client.workflow.getHandle(batchShardWorkflowId(batchId, shard)).cancel();
    } catch {
      // It has ended, or is out of reach until the next look.
    }
  }
}

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
