import type { AipClient } from '../src/client/index.js';
import { batchShardWorkflowId, batchWorkflowId } from '../src/protocol/batch.js';

/** Number of events in the history of a workflow's newest run. */
export async function historyEvents({ client }: AipClient, workflowId: string): Promise<number> {
  return (await client.workflow.getHandle(workflowId).describe()).historyLength;
}

/** Number of events in the histories of a batch and of all its shards. */
export async function batchEvents(client: AipClient, batchId: string, shardCount: number): Promise<number> {
  const shards = Array.from({ length: shardCount }, (_, shard) => batchShardWorkflowId(batchId, shard));
  const counts = await Promise.all([batchWorkflowId(batchId), ...shards].map((id) => historyEvents(client, id)));
  return counts.reduce((sum, count) => sum + count, 0);
}
