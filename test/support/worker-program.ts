/** A worker as a program, to be killed: `worker-program.ts ADDRESS NAMESPACE BUNDLE URL TOKEN TASK_QUEUE IDENTITY`. It begins at a word. */
import { once } from 'node:events';
import { quietRuntime, startWorkerOf } from './worker-of.js';

quietRuntime();
const [address = '', namespace = '', workflowBundlePath = '', url = '', token = '', taskQueue = '', identity = ''] =
  process.argv.slice(2);
const place = { address, namespace, taskQueue, simulator: { url, token } };
process.stdout.write('loaded\n');
await once(process.stdin, 'data');
const worker = await startWorkerOf(place, { workflowBundlePath, identity });
process.on('SIGTERM', () => void worker.stop());
await worker.ended;
process.exit();
