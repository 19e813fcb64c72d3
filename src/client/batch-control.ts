import { WorkflowNotFoundError } from '@temporalio/client';
import type { SignalDefinition } from '@temporalio/common';
import {
  batchShardWorkflowId,
  batchWorkflowId,
  cancelRowsSignal,
  MOST_CANCELLED_ROWS,
  pauseBatchSignal,
  resumeBatchSignal,
  setConcurrencySignal,
  setWeightSignal,
} from '../protocol/batch.js';
import { BatchEndedError, BatchNotFoundError } from './batch-errors.js';
import { followShard } from './batch-history.js';
import { shardInput } from './batch-inputs.js';
import { batchControl, describedBatch } from './batch-memo.js';
import { batchState, hasEnded } from './batch-state.js';
import { checkConcurrency, checkWeight } from './batch-submission-check.js';
import type { ClientContext } from './connection.js';
import { eachAtOnce } from './each-at-once.js';
import { InvalidCallError } from './errors.js';
import { checkReason } from './reason-check.js';
import { translateError } from './translate-error.js';

/** Histories that are read at once. */
const READS_AT_ONCE = 8;
/** Shards that are cancelled at once. */
const CANCELS_AT_ONCE = 8;

/**
 * Asks a batch to begin no more rows; what is in flight goes on to its end. It holds until `resumeBatch`, over restarts of
 * workers and clients. A batch that is paused already keeps its first reason.
 *
 * @param options.reason At most 200 characters, for whoever looks at the batch.
 * @throws BatchNotFoundError, BatchEndedError, InvalidCallError
 */
export async function pauseBatch(
  context: ClientContext,
  batchId: string,
  options: { reason?: string } = {},
): Promise<void> {
  const { reason } = options;
  checkReason('pause', reason);
  await signalBatch(context, batchId, 'pause', pauseBatchSignal, [reason === undefined ? {} : { reason }]);
}

/** Asks a batch to go on after a pause; one that is not paused stays as it is. @throws BatchNotFoundError, BatchEndedError */
export async function resumeBatch(context: ClientContext, batchId: string): Promise<void> {
  await signalBatch(context, batchId, 'resume', resumeBatchSignal, []);
}

/**
 * Asks a batch to run so many rows at once from now on, over all workers. Rows in flight beyond a lower number go on to their
 * end.
 *
 * @param concurrency A whole number from 1.
 * @throws BatchNotFoundError, BatchEndedError, InvalidCallError
 */
export async function setBatchConcurrency(context: ClientContext, batchId: string, concurrency: number): Promise<void> {
  checkConcurrency(concurrency);
  await signalBatch(context, batchId, 'change', setConcurrencySignal, [{ concurrency }]);
}

/**
 * Asks a batch to take another part of what its agent lets in, beside the other batches of the agent, from now on.
 *
 * @param weight 0.1 to 100; a batch of weight 3 gets three times as much as one of weight 1 while both have rows waiting.
 * @throws BatchNotFoundError, BatchEndedError, InvalidCallError Also where its rows are workflows of their own: they keep the
 * weight that the batch was submitted with.
 */
export async function setBatchWeight(context: ClientContext, batchId: string, weight: number): Promise<void> {
  checkWeight(weight);
  const first = await shardInput(context, batchId, 0);
  if (first?.isolation === 'workflow') {
    throw new InvalidCallError(
      `Cannot change the weight of batch ${batchId}: its rows are workflows of their own (isolation: workflow), which keep the weight of its submit; set --concurrency instead`,
    );
  }
  await signalBatch(context, batchId, 'change', setWeightSignal, [{ weight }]);
}

/** What became of the request to cancel a row. */
export interface RowCancellation {
  id: string;
  /**
   * `asked`: it is cancelled, at the agent too, unless it ends just now; `collectResults` tells. `ended`: its outcome stands.
   * `unknown`: the batch has no such row.
   */
  state: 'asked' | 'ended' | 'unknown';
}

/**
 * Asks a batch to cancel single rows, at the agent where they are in flight; the others go on. The rows are looked up in the
 * inputs of the batch's shards, so that a mistyped id is told.
 *
 * @param ids At most 1,000 over the life of a batch; whoever cancels more cancels the batch.
 * @returns What became of each id, in the order given.
 * @throws BatchNotFoundError, BatchEndedError, InvalidCallError
 */
export async function cancelRows(
  context: ClientContext,
  batchId: string,
  ids: readonly string[],
): Promise<RowCancellation[]> {
  const wanted = [...new Set(ids)];
  if (wanted.length === 0) throw new InvalidCallError('Cannot cancel no rows: give the ids of some');
  const { memo } = await steerable(context, batchId, 'cancel rows of');
  try {
    const shards = await shardsOf(context, batchId, memo.shardCount, wanted);
    const ended = await endedIds(context, batchId, new Set(shards.values()));
    const states = wanted.map((id): RowCancellation => {
      if (!shards.has(id)) return { id, state: 'unknown' };
      return { id, state: ended.has(id) ? 'ended' : 'asked' };
    });
    const asked = states.filter(({ state }) => state === 'asked').map(({ id }) => id);
    if (asked.length > 0) await askToCancel(context, batchId, asked);
    return states;
  } catch (error) {
    throw translateError(error, context, batchWorkflowId(batchId));
  }
}

/** The batch passes over what is beyond its bound, and signals have no answer: so the bound is looked at here. */
async function askToCancel(context: ClientContext, batchId: string, ids: string[]): Promise<void> {
  const { control } = await steerable(context, batchId, 'cancel rows of');
  const all = new Set([...(control.cancelledRows ?? []), ...ids]);
  if (all.size > MOST_CANCELLED_ROWS) {
    throw new InvalidCallError(
      `Cannot cancel ${ids.length} more rows of batch ${batchId}: a batch takes ${MOST_CANCELLED_ROWS} of them in all; cancel the batch, and run the rest again`,
    );
  }
  await signalBatch(context, batchId, 'cancel rows of', cancelRowsSignal, [{ ids }]);
}

/** The shards of the rows that there are, by row id. */
async function shardsOf(
  context: ClientContext,
  batchId: string,
  shardCount: number,
  ids: readonly string[],
): Promise<Map<string, number>> {
  const missing = new Set(ids);
  const found = new Map<string, number>();
  const shards = Array.from({ length: shardCount }, (_, shard) => shard);
  await eachAtOnce(shards, READS_AT_ONCE, async (shard) => {
    if (missing.size === 0) return;
    const input = await shardInput(context, batchId, shard);
    for (const { id } of input?.rows ?? []) if (missing.delete(id)) found.set(id, shard);
  });
  return found;
}

/** Ids of the rows of these shards whose outcomes stand in the history. */
async function endedIds(context: ClientContext, batchId: string, shards: ReadonlySet<number>): Promise<Set<string>> {
  const ids = new Set<string>();
  await eachAtOnce(shards, READS_AT_ONCE, async (shard) => {
    for await (const outcomes of followShard(context, batchId, shard, { whenRunning: 'leave' })) {
      for (const { result } of outcomes) ids.add(result.id);
    }
  });
  return ids;
}

/**
 * Asks for the cancellation of a batch and returns at once. Its rows in flight are cancelled at the agent; what was finished
 * is kept, and `collectResults` delivers it. On a batch that has ended it sees that no shard of it goes on.
 *
 * @returns False when the batch had ended before.
 * @throws BatchNotFoundError
 */
export async function cancelBatch(context: ClientContext, batchId: string): Promise<boolean> {
  const { description, memo } = await describedBatch(context, batchId);
  const { workflow } = context.client;
  try {
    if (!hasEnded(batchState(description))) {
      await workflow.getHandle(batchWorkflowId(batchId)).cancel();
      return true;
    }
  } catch (error) {
    throw translateError(error, context, batchWorkflowId(batchId));
  }
  const shards = Array.from({ length: memo.shardCount }, (_, shard) => shard);
  await eachAtOnce(shards, CANCELS_AT_ONCE, async (shard) => {
    try {
      await workflow.getHandle(batchShardWorkflowId(batchId, shard)).cancel();
    } catch {
      // It has ended: so it should be.
    }
  });
  return false;
}

/** A batch that can be steered. @param what What is asked, for the error: `pause`. */
async function steerable(context: ClientContext, batchId: string, what: string) {
  const described = await describedBatch(context, batchId);
  const state = batchState(described.description);
  if (state === 'cancelling' || hasEnded(state)) throw new BatchEndedError(batchId, what, state);
  return { ...described, control: batchControl(described.description) };
}

async function signalBatch<Args extends unknown[]>(
  context: ClientContext,
  batchId: string,
  what: string,
  signal: SignalDefinition<Args>,
  args: Args,
): Promise<void> {
  await steerable(context, batchId, what);
  const workflowId = batchWorkflowId(batchId);
  try {
    await context.client.workflow.getHandle(workflowId).signal(signal, ...args);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw translateError(error, context, workflowId);
    // It has ended in this moment.
    await steerable(context, batchId, what);
    throw new BatchNotFoundError(batchId, context.client.options.namespace);
  }
}
