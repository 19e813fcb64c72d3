import type { Client } from '@temporalio/client';

/** Runs released at once. */
const RELEASES_AT_ONCE = 20;

/**
 * Has the next workflow task of each open run go to any worker. Temporal sends it to the worker that had the one before, and
 * waits a second when that is dead: a batch after a kill lost three of them at each hand-over from one shard to the next.
 *
 * It costs each run one replay, also where its worker lives. Failures are passed over: then the second is waited for.
 */
export async function releaseStickyQueues(client: Client, taskQueue: string, signal: AbortSignal): Promise<void> {
  const query = `ExecutionStatus = 'Running' AND TaskQueue = '${taskQueue.replaceAll("'", "''")}'`;
  const runs = client.workflow.list({ query })[Symbol.asyncIterator]();
  const { namespace } = client.options;
  const releaseOn = async () => {
    for (let next = await runs.next(); next.done !== true && !signal.aborted; next = await runs.next()) {
      const { workflowId, runId } = next.value;
      await client.workflowService
        .resetStickyTaskQueue({ namespace, execution: { workflowId, runId } })
        .catch(() => undefined);
    }
  };
  await Promise.allSettled(Array.from({ length: RELEASES_AT_ONCE }, releaseOn));
}
