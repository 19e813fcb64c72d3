import type { WorkflowHandle } from '@temporalio/client';
import type { ClientContext } from './connection.js';
import { NoWorkerError } from './errors.js';
import { workersOf } from './task-queue-workers.js';

/**
 * Runs a query on a workflow, if there is a worker to answer it.
 *
 * A query that nobody answers would not only wait: the server keeps it, refuses the next ones while it does, and the SDK goes on
 * retrying those when nobody wants them any more. So workers are looked for first.
 *
 * @param timeoutMs Limit in any case (milliseconds).
 * @throws NoWorkerError when nobody polls the workflow's task queue; what the SDK throws.
 */
export async function queryWorker<T>(
  context: ClientContext,
  workflowId: string,
  timeoutMs: number,
  run: (handle: WorkflowHandle) => Promise<T>,
): Promise<T> {
  const { workflow, connection } = context.client;
  const handle = workflow.getHandle(workflowId);
  if ((await workersOf(context)).length === 0) {
    const { taskQueue } = await handle.describe();
    const isAnother = taskQueue !== context.taskQueue;
    if (!isAnother || (await workersOf(context, { taskQueue })).length === 0) throw new NoWorkerError(taskQueue);
  }
  return connection.withDeadline(Date.now() + timeoutMs, () => run(handle));
}
