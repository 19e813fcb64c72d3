import proto from '@temporalio/proto';
import type { ClientContext } from './connection.js';

/** A poll is held open by the server for about a minute: a worker not seen for longer is gone. */
const SEEN_WITHIN_MS = 75_000;

/**
 * Identities of the workers that poll a task queue.
 *
 * @param options.taskQueue Default: the client's.
 * @param options.since Only those that polled after this. Default: within the last 75 seconds.
 */
export async function workersOf(
  context: ClientContext,
  options: { taskQueue?: string; kind?: 'workflow' | 'activity'; since?: Date } = {},
): Promise<string[]> {
  const { TaskQueueType, DescribeTaskQueueMode } = proto.temporal.api.enums.v1;
  const type =
    options.kind === 'activity' ? TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY : TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW;
  const { pollers, versionsInfo } = await context.client.workflowService.describeTaskQueue({
    namespace: context.client.options.namespace,
    taskQueue: { name: options.taskQueue ?? context.taskQueue },
    // Without this only one of the queue's partitions is looked at, which a worker may never have polled.
    apiMode: DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED,
    versions: { allActive: true, unversioned: true },
    taskQueueTypes: [type],
    taskQueueType: type,
    reportPollers: true,
  });
  const sinceMs = options.since?.getTime() ?? Date.now() - SEEN_WITHIN_MS;
  const everywhere = Object.values(versionsInfo ?? {}).flatMap(({ typesInfo }) =>
    Object.values(typesInfo ?? {}).flatMap((info) => info.pollers ?? []),
  );
  const alive = [...(pollers ?? []), ...everywhere].filter(({ lastAccessTime: seen }) => {
    return Number(seen?.seconds ?? 0) * 1000 + (seen?.nanos ?? 0) / 1e6 >= sinceMs;
  });
  return [...new Set(alive.map(({ identity }) => identity ?? ''))];
}
