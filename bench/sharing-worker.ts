/**
 * A worker of `sharing`: run as `node sharing-worker.js JOB` with a `SharingWorkerJob` as JSON; prints `ready`, polls until
 * SIGTERM.
 */
import { CompleteAsyncError } from '@temporalio/activity';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';

/** What such a worker is started with. */
export interface SharingWorkerJob {
  address: string;
  workflowBundlePath: string;
  taskQueue: string;
  /** `maxTaskQueueActivitiesPerSecond`. Default: none. */
  perSecond?: number;
}

export const sharingActivities = {
  permit: () => Promise.resolve(),
  /** Leaves its task open: it is beaten from outside. */
  untilSilent(): Promise<void> {
    throw new CompleteAsyncError();
  },
};

const job = JSON.parse(process.argv[2] ?? '') as SharingWorkerJob;
Runtime.install({ logger: new DefaultLogger('ERROR') });
const connection = await NativeConnection.connect({ address: job.address });
const worker = await Worker.create({
  ...{ connection, taskQueue: job.taskQueue, activities: sharingActivities },
  workflowBundle: { codePath: job.workflowBundlePath },
  ...(job.perSecond === undefined ? {} : { maxTaskQueueActivitiesPerSecond: job.perSecond }),
});
process.stdout.write('ready\n');
await worker.run();
await connection.close();
