import { QueryNotRegisteredError, type WorkflowHandle } from '@temporalio/client';
import type { ClientContext } from './connection.js';
import { NoWorkerError, UnansweredError } from './errors.js';
import { workersOf } from './task-queue-workers.js';
import { GRPC, grpcStatus } from './translate-error.js';

/**
 * Runs a query on a workflow, if there is a worker to answer it.
 *
 * A query that nobody answers would not only wait: the server keeps it, refuses the next ones while it does, and the SDK goes on
 * retrying those when nobody wants them any more. So workers are looked for first.
 *
 * @param timeoutMs Limit in any case (milliseconds).
 * @throws NoWorkerError when nobody polls the workflow's task queue; UnansweredError when somebody does, and the answer does
 *   not come; what else the SDK throws.
 */
export async function queryWorker<T>(
  context: ClientContext,
  workflowId: string,
  timeoutMs: number,
  run: (handle: WorkflowHandle) => Promise<T>,
): Promise<T> {
  const { workflow, connection } = context.client;
  const handle = workflow.getHandle(workflowId);
  let taskQueue = context.taskQueue;
  if ((await workersOf(context)).length === 0) {
    ({ taskQueue } = await handle.describe());
    const isAnother = taskQueue !== context.taskQueue;
    if (!isAnother || (await workersOf(context, { taskQueue })).length === 0) throw new NoWorkerError(taskQueue);
  }
  try {
    return await connection.withDeadline(Date.now() + timeoutMs, () => run(handle));
  } catch (error) {
    const failure = unanswered(error, workflowId, taskQueue);
    if (failure === undefined || grpcStatus(error)?.code === GRPC.failedPrecondition) throw failure ?? error;
    throw (await ofUnpolledQueue(context, handle).catch(() => undefined)) ?? failure;
  }
}

/** A workflow whose answer does not come can be on a task queue that nobody polls, and not on the client's. */
async function ofUnpolledQueue(context: ClientContext, handle: WorkflowHandle): Promise<NoWorkerError | undefined> {
  const { taskQueue } = await handle.describe();
  return (await workersOf(context, { taskQueue })).length === 0 ? new NoWorkerError(taskQueue) : undefined;
}

/** A query without an answer: the time was up (gRPC calls it so, or cancelled), or the workflow's task fails or never ran. */
function unanswered(error: unknown, workflowId: string, taskQueue: string): UnansweredError | undefined {
  if (error instanceof QueryNotRegisteredError) return undefined;
  const { code, details = '' } = grpcStatus(error) ?? {};
  if (code !== GRPC.deadlineExceeded && code !== GRPC.cancelled && code !== GRPC.failedPrecondition) return undefined;
  if (details.includes('no poller')) return new NoWorkerError(taskQueue);
  const reason =
    code === GRPC.failedPrecondition ? details : 'no answer in time; its workers are busy, or have just stopped';
  return new UnansweredError(`Workflow ${workflowId} does not answer (${reason}): try again, or see its history`, {
    cause: error instanceof Error && error.cause !== undefined ? error.cause : error,
  });
}
