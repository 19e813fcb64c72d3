/** A worker as a program, to be killed: `worker-program.ts ADDRESS NAMESPACE BUNDLE URL TOKEN TASK_QUEUE IDENTITY`. */
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { createAipWorker } from '../../src/worker.js';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const [address = '', namespace = '', workflowBundlePath = '', url = '', token = '', taskQueue = '', identity = ''] =
  process.argv.slice(2);
const worker = await createAipWorker(
  {
    foundry: { url, credentials: { kind: 'static', token }, allowInsecureHttp: false },
    temporal: { address },
    namespace,
    taskQueue,
    identity,
    limits: { maxConcurrentLanes: 20, maxConcurrentExchanges: 100, shutdownGraceMs: 0 },
  },
  { workflowBundlePath },
);
process.on('SIGTERM', () => worker.shutdown());
await worker.run();
process.exit();
