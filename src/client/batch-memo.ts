import { type WorkflowExecutionDescription, WorkflowNotFoundError } from '@temporalio/client';
import { BATCH_CONTROL_MEMO, type BatchControl, type BatchMemo, batchWorkflowId } from '../protocol/batch.js';
import { BatchNotFoundError } from './batch-errors.js';
import type { ClientContext } from './connection.js';
import { translateError } from './translate-error.js';

/** What of a description or a list entry holds the memo. */
type WithMemo = Pick<WorkflowExecutionDescription, 'memo'>;

/** What `submitBatch` wrote into a run's memo; absent when the run is no batch. */
export const batchMemo = ({ memo }: WithMemo): BatchMemo | undefined => memo?.['batch'] as BatchMemo | undefined;

/** What operators and bounds have asked of a batch. */
export const batchControl = ({ memo }: WithMemo): BatchControl =>
  (memo?.[BATCH_CONTROL_MEMO] as BatchControl | undefined) ?? {};

/** The memo of a workflow that is there, or of its last run. */
export async function memoOf(context: ClientContext, workflowId: string): Promise<BatchMemo | undefined> {
  try {
    return batchMemo(await context.client.workflow.getHandle(workflowId).describe());
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** The run of a batch that was submitted whole, and its memo. @throws BatchNotFoundError */
export async function describedBatch(
  context: ClientContext,
  batchId: string,
): Promise<{ description: WorkflowExecutionDescription; memo: BatchMemo }> {
  const workflowId = batchWorkflowId(batchId);
  try {
    const description = await context.client.workflow.getHandle(workflowId).describe();
    const memo = batchMemo(description);
    // A shard's has the id of its batch.
    if (memo?.batchId === batchId) return { description, memo };
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw translateError(error, context, workflowId);
  }
  throw new BatchNotFoundError(batchId, context.client.options.namespace);
}
