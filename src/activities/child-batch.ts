import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import type {
  BatchResultsPage,
  PrepareBatchInput,
  PreparedChildBatch,
  ReadBatchResultsInput,
} from '../protocol/activities.js';
import { BatchInputError, type BatchResult, batchWorkflowId, type RowOutcome } from '../protocol/batch.js';
import { DEFAULTS, LIMITS } from '../protocol/defaults.js';
import { FAILURE_TYPES } from '../protocol/failures.js';
import { jsonBytes } from '../protocol/json-size.js';
import { interactiveTaskQueue } from '../protocol/task-queues.js';
import { startHeartbeat } from './heartbeat.js';

/** What the client library does with batches, as activities need it. */
export interface BatchCalls {
  /** Hands the shards over. */
  prepare(client: Client, taskQueue: string, input: PrepareBatchInput): Promise<PreparedChildBatch>;
  /** The outcomes of a shard that has ended, in the order of its history. */
  outcomes(client: Client, batchId: string, shard: number, signal: AbortSignal): AsyncIterable<RowOutcome[]>;
  /** How many shards it has. */
  shardCount(client: Client, batchId: string): Promise<number>;
}

/** Errors by which the client refuses a batch for good. */
const REFUSALS: ReadonlySet<string> = new Set(['BatchExistsError', 'InvalidCallError', 'BatchNotFoundError']);

/** Makes the activities by which a workflow runs a batch as its child. */
export function createChildBatchActivities(calls: BatchCalls | undefined) {
  const needed = (): BatchCalls => {
    if (calls !== undefined) return calls;
    throw ApplicationFailure.nonRetryable('This worker cannot run batches of workflows', FAILURE_TYPES.invalidInput);
  };
  return {
    /** Hands a batch's shards over. Safe to repeat. */
    prepareBatch: (input: PrepareBatchInput): Promise<PreparedChildBatch> =>
      beating(async ({ client, info }) => {
        return needed().prepare(client, workflowTaskQueue(info.taskQueue), input);
      }),

    /** Waits for a batch that somebody else began. */
    awaitBatch: ({ batchId }: { batchId: string }): Promise<BatchResult> =>
      beating(async ({ client }) => {
        try {
          return (await client.workflow.getHandle(batchWorkflowId(batchId)).result()) as BatchResult;
        } catch (error) {
          if (!(error instanceof WorkflowFailedError)) throw error;
          const how = error.cause instanceof CancelledFailure ? 'was cancelled' : 'has failed';
          throw ApplicationFailure.nonRetryable(`Batch ${batchId} ${how}`, FAILURE_TYPES.batchNotCompleted);
        }
      }),

    readBatchResults: ({ batchId, shard, from }: ReadBatchResultsInput): Promise<BatchResultsPage> =>
      beating(async ({ client, cancellationSignal }) => {
        const page: RowOutcome[] = [];
        let bytes = 0;
        let passed = 0;
        for await (const outcomes of needed().outcomes(client, batchId, shard, cancellationSignal)) {
          for (const outcome of outcomes) {
            if (passed++ < from) continue;
            bytes += jsonBytes(outcome);
            if (page.length > 0 && bytes > LIMITS.shardBytes) {
              return { outcomes: page, next: { shard, from: from + page.length } };
            }
            page.push(outcome);
          }
        }
        const isLast = shard + 1 >= (await needed().shardCount(client, batchId));
        return { outcomes: page, ...(!isLast && { next: { shard: shard + 1, from: 0 } }) };
      }),
  };
}

/** The workflow's, from the one that its activities run on. */
const workflowTaskQueue = (own: string): string => own.slice(0, own.length - interactiveTaskQueue('').length);

async function beating<T>(run: (context: Context) => Promise<T>): Promise<T> {
  const context = Context.current();
  const heartbeat = startHeartbeat(context, DEFAULTS.heartbeatThrottleMs.interactive, () => undefined);
  try {
    return await run(context);
  } catch (error) {
    if (error instanceof BatchInputError || (error instanceof Error && REFUSALS.has(error.name))) {
      throw ApplicationFailure.nonRetryable(error.message, error.name);
    }
    throw error;
  } finally {
    heartbeat.stop();
  }
}
