import { describe, expect, jest, test } from '@jest/globals';
import { type Client, ServiceError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { ask } from '../../src/client/ask.js';
import type { ClientContext } from '../../src/client/connection.js';
import { GRPC } from '../../src/client/translate-error.js';
import type { ExchangeOutcome } from '../../src/protocol/exchange.js';

const OUTCOME = { messageId: 'm', status: 'answered' } as ExchangeOutcome;

/** As gRPC gives it. */
const grpcError = (code: number, details: string) => Object.assign(new Error(details), { code, details, metadata: {} });

/** A client whose conversation answers an update with each of these errors in turn, then with the outcome. */
function contextOf(errors: Error[]): { context: ClientContext; startUpdate: ReturnType<typeof jest.fn> } {
  const startUpdate = jest.fn(() => {
    const error = errors.shift();
    if (error !== undefined) return Promise.reject(error);
    return Promise.resolve({ result: () => Promise.resolve(OUTCOME) });
  });
  const client = {
    options: { namespace: 'default' },
    connection: { withAbortSignal: <T>(_signal: AbortSignal, run: () => T) => run() },
    workflow: { getHandle: () => ({ startUpdate }) },
  } as unknown as Client;
  return { context: { client, taskQueue: 'q' }, startUpdate };
}

describe('ask() asks again, and its caller sees nothing of it, when', () => {
  test.each([
    [
      'the run closed before it had seen the message',
      grpcError(GRPC.notFound, 'workflow update was aborted by closing workflow'),
    ],
    ['too many updates are in flight', grpcError(GRPC.resourceExhausted, 'limit of in-flight updates')],
    [
      'the server lost it on the way to a worker',
      new WorkflowUpdateFailedError(
        'Workflow Update failed',
        ApplicationFailure.create({ type: 'UnprocessedUpdate', message: 'rejected because it was not processed' }),
      ),
    ],
    ['no worker accepts it in time', grpcError(GRPC.deadlineExceeded, 'context deadline exceeded')],
    [
      'a workflow task failed under it',
      grpcError(
        GRPC.failedPrecondition,
        'Unable to perform workflow execution update due to unexpected workflow task failure.',
      ),
    ],
    ['Temporal is away', grpcError(GRPC.unavailable, 'connection refused')],
    [
      'no worker can tell what an ended conversation has answered',
      new ServiceError('Failed to query Workflow', {
        cause: grpcError(GRPC.failedPrecondition, 'no poller seen for task queue recently'),
      }),
    ],
    [
      'a worker does not answer in time',
      new ServiceError('Failed to query Workflow', {
        cause: grpcError(GRPC.deadlineExceeded, 'context deadline exceeded'),
      }),
    ],
  ])('%s', async (_name, error) => {
    const { context, startUpdate } = contextOf([error]);
    const target = { conversationId: 'c', isNew: false };
    expect(await ask(context, target, { messageId: 'm', text: 'Well?' })).toBe(OUTCOME);
    expect(startUpdate).toHaveBeenCalledTimes(2);
  });
});
