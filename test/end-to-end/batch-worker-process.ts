/** A worker as a process of its own, to be killed: `batch-worker-process.ts ADDRESS BUNDLE URL TOKEN TASK_QUEUE`. */
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { createAipWorker } from '../../src/worker.js';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const [address = '', workflowBundlePath = '', url = '', token = '', taskQueue = ''] = process.argv.slice(2);
const worker = await createAipWorker(
  {
    foundry: { url, credentials: { kind: 'static', token }, allowInsecureHttp: false },
    temporal: { address },
    namespace: 'default',
    taskQueue,
    identity: taskQueue,
    limits: { maxConcurrentLanes: 20, maxConcurrentExchanges: 10, shutdownGraceMs: 0 },
  },
  { workflowBundlePath },
);
await worker.run();
