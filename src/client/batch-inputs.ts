import { decodeFromPayloadsAtIndex } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { WorkflowNotFoundError } from '@temporalio/client';
import { type BatchShardInput, batchShardWorkflowId } from '../protocol/batch.js';
import type { ClientContext } from './connection.js';
import { GRPC, grpcStatus } from './translate-error.js';

/** The input of a shard, as its history keeps it; absent when Temporal no longer has it. Needs no worker. */
export async function shardInput(
  context: ClientContext,
  batchId: string,
  shard: number,
): Promise<BatchShardInput | undefined> {
  const { workflowService, options } = context.client;
  const workflowId = batchShardWorkflowId(batchId, shard);
  const { namespace, loadedDataConverter } = options;
  try {
    const request = { namespace, execution: { workflowId }, maximumPageSize: 1 };
    const { history } = await workflowService.getWorkflowExecutionHistory(request);
    const payloads = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads;
    return await decodeFromPayloadsAtIndex<BatchShardInput>(loadedDataConverter, 0, payloads, {
      type: 'workflow',
      namespace,
      workflowId,
    });
  } catch (error) {
    if (error instanceof WorkflowNotFoundError || grpcStatus(error)?.code === GRPC.notFound) return undefined;
    throw error;
  }
}
