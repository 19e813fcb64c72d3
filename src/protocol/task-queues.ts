/** The task queue that workers poll for workflows, when none is named. */
export const DEFAULT_TASK_QUEUE = 'aip-temporal';

/**
 * Activities of conversations. A queue of its own, so that its worker beats fast and batches cannot hold it up.
 *
 * @param taskQueue The workflow task queue.
 */
export const interactiveTaskQueue = (taskQueue: string): string => `${taskQueue}-interactive`;

/** Activities of batches (lanes). */
export const batchTaskQueue = (taskQueue: string): string => `${taskQueue}-batch`;
