import { describe, expect, jest, test } from '@jest/globals';
import { type Client, ServiceError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { ask } from '../../src/client/ask.js';
import type { ClientContext } from '../../src/client/connection.js';
import {
  ConversationEndedError,
  NoWorkerError,
  TemporalUnreachableError,
  UnansweredError,
} from '../../src/client/errors.js';
import { GRPC } from '../../src/client/translate-error.js';
import { queryWorker } from '../../src/client/worker-query.js';
import type { ExchangeOutcome } from '../../src/protocol/exchange.js';

const OUTCOME = { messageId: 'm', status: 'answered' } as ExchangeOutcome;

/** As gRPC gives it. */
const grpcError = (code: number, details: string) => Object.assign(new Error(details), { code, details, metadata: {} });

/** A client whose conversation answers an update with each of these errors in turn, then with the outcome. */
function contextOf(
  errors: Error[],
  descriptions: (Error | string)[] = [],
): { context: ClientContext; startUpdate: ReturnType<typeof jest.fn> } {
  const describe = () => {
    const next = descriptions.shift();
    return next instanceof Error ? Promise.reject(next) : Promise.resolve({ status: { name: next ?? 'RUNNING' } });
  };
  const startUpdate = jest.fn(() => {
    const error = errors.shift();
    if (error !== undefined) return Promise.reject(error);
    return Promise.resolve({ result: () => Promise.resolve(OUTCOME) });
  });
  const client = {
    options: { namespace: 'default' },
    connection: { withAbortSignal: <T>(_signal: AbortSignal, run: () => T) => run() },
    workflow: { getHandle: () => ({ startUpdate, describe }) },
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

describe('ask(), whose run has ended under it,', () => {
  const ended = () =>
    new WorkflowUpdateFailedError(
      'Workflow Update failed',
      ApplicationFailure.create({ type: 'AcceptedUpdateCompletedWorkflow', message: 'completed before the update' }),
    );
  const target = { conversationId: 'c', isNew: false };
  const away = () => grpcError(GRPC.unavailable, 'connection refused');

  test('sees how it ended when Temporal is back', async () => {
    const { context } = contextOf([ended()], [away(), away(), 'TERMINATED']);
    const asking = ask(context, target, { messageId: 'm', text: 'Well?' });
    await expect(asking).rejects.toThrow(ConversationEndedError);
  });

  test('asks the next run when there is one', async () => {
    const { context, startUpdate } = contextOf([ended()], [away(), 'RUNNING']);
    expect(await ask(context, target, { messageId: 'm', text: 'Well?' })).toBe(OUTCOME);
    expect(startUpdate).toHaveBeenCalledTimes(2);
  });

  test('tells in its own words that Temporal stays away', async () => {
    const { context } = contextOf([ended()], [away(), away()]);
    const asking = ask(context, target, { messageId: 'm', text: 'Well?' }, { unreachableTimeoutMs: 0 });
    await expect(asking).rejects.toThrow(TemporalUnreachableError);
  });
});

describe('queryWorker()', () => {
  const pollers = [{ identity: 'w', lastAccessTime: { seconds: Math.floor(Date.now() / 1000), nanos: 0 } }];
  const context = {
    client: {
      options: { namespace: 'default' },
      connection: { withDeadline: <T>(_deadline: number, run: () => T) => run() },
      workflow: { getHandle: () => ({ describe: () => Promise.resolve({ taskQueue: 'q' }) }) },
      workflowService: { describeTaskQueue: () => Promise.resolve({ pollers }) },
    },
    taskQueue: 'q',
  } as unknown as ClientContext;
  const failing = (code: number, details: string) =>
    queryWorker(context, 'c', 1_000, () =>
      Promise.reject(new ServiceError('Failed to query Workflow', { cause: grpcError(code, details) })),
    );

  test.each<[string, number, string, boolean, RegExp]>([
    [
      'nobody polls any more',
      GRPC.failedPrecondition,
      'no poller seen for task queue recently',
      true,
      /No worker polls/,
    ],
    [
      'its task fails',
      GRPC.failedPrecondition,
      'Workflow Task in failed state',
      false,
      /\(Workflow Task in failed state\)/,
    ],
    ['the time is up', GRPC.deadlineExceeded, 'context deadline exceeded', false, /no answer in time/],
    ['gRPC calls that a cancel', GRPC.cancelled, 'Cancelled on client', false, /no answer in time/],
  ])('tells why no answer comes: %s', async (_what, code, details, isNoWorker, message) => {
    const error = await failing(code, details).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UnansweredError);
    expect(error instanceof NoWorkerError).toBe(isNoWorker);
    expect((error as Error).message).toMatch(message);
  });

  test('leaves other errors as they are', async () => {
    await expect(failing(GRPC.permissionDenied, 'no')).rejects.toThrow(ServiceError);
  });
});
