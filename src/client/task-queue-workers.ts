import { temporal } from '@temporalio/proto';
import type { ClientContext } from './connection.js';

/** A poll is held open by the server for about a minute: a worker not seen for longer is gone. */
const SEEN_WITHIN_MS = 75_000;

/** Identities of the workers that poll a task queue, as seen within the last minute or so. */
export async function workersOf(
  context: ClientContext,
  options: { taskQueue?: string; kind?: 'workflow' | 'activity' } = {},
): Promise<string[]> {
  const { TaskQueueType } = temporal.api.enums.v1;
  const { pollers } = await context.client.workflowService.describeTaskQueue({
    namespace: context.client.options.namespace,
    taskQueue: { name: options.taskQueue ?? context.taskQueue },
    taskQueueType:
      options.kind === 'activity' ? TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY : TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
  });
  const now = Date.now();
  const alive = (pollers ?? []).filter(
    ({ lastAccessTime }) => now - Number(lastAccessTime?.seconds ?? 0) * 1000 < SEEN_WITHIN_MS,
  );
  return [...new Set(alive.map(({ identity }) => identity ?? ''))];
}
