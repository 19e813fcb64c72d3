import { setTimeout as delay } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { ClientContext } from './connection.js';
import { NoWorkerError } from './errors.js';
import { workersOf } from './task-queue-workers.js';

/** A worker answers a query in milliseconds; after this it is asked whether there is one at all. */
const PATIENCE_MS = 1_500;

/**
 * Runs a query, and does not wait long for a worker that is not there.
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
  const { client } = context;
  const handle = client.workflow.getHandle(workflowId);
  const over = new AbortController();
  const query = client.connection.withAbortSignal(over.signal, () =>
    client.connection.withDeadline(Date.now() + timeoutMs, () => run(handle)),
  );
  const noWorker = (async () => {
    await delay(PATIENCE_MS, undefined, { signal: over.signal });
    const { taskQueue } = await handle.describe();
    if ((await workersOf(context, { taskQueue })).length === 0) throw new NoWorkerError(taskQueue);
    return query;
  })();
  // Whichever comes second is nobody's.
  query.catch(() => undefined);
  noWorker.catch(() => undefined);
  try {
    return await Promise.race([query, noWorker]);
  } finally {
    // Cancels a query that is still waiting: a connection must not be closed over it.
    over.abort();
  }
}
