import type { Client } from '@temporalio/client';
import type { PrepareBatchInput, PreparedChildBatch } from '../protocol/activities.js';
import type { BatchInput, RowOutcome } from '../protocol/batch.js';
import { followShard } from './batch-history.js';
import { describedBatch } from './batch-memo.js';
import { prepareBatch } from './batch-submit.js';

/** What activities need for the batches of workflows (`BatchCalls` in `src/activities`). */
export const batchCalls = {
  async prepare(client: Client, taskQueue: string, input: PrepareBatchInput): Promise<PreparedChildBatch> {
    const prepared = await prepareBatch({ client, taskQueue }, input);
    if ('attached' in prepared) return { attached: true };
    const { start, memo } = prepared;
    const { staticSummary, staticDetails } = start;
    return { attached: false, input: start.input as BatchInput, memo, staticSummary, staticDetails };
  },

  outcomes(client: Client, batchId: string, shard: number, signal: AbortSignal): AsyncIterable<RowOutcome[]> {
    return followShard({ client, taskQueue: '' }, batchId, shard, { signal });
  },

  async shardCount(client: Client, batchId: string): Promise<number> {
    return (await describedBatch({ client, taskQueue: '' }, batchId)).memo.shardCount;
  },
};
