import type { WorkerLimits } from '../../src/config.js';
import type { Simulator } from '../../src/simulator/index.js';
import { createAipWorker } from '../../src/worker.js';
import { workflowBundle } from './temporal-server.js';

/** What a worker works for. */
export interface WorkerPlace {
  simulator: Pick<Simulator, 'url' | 'token'>;
  taskQueue: string;
  /** Of the Temporal server. */
  address: string;
  namespace: string;
}

/** Starts a worker in this process, for where a rig's own does not fit: another server, other limits. */
export async function startWorkerOf(
  { simulator, taskQueue, address, namespace }: WorkerPlace,
  limits: Partial<WorkerLimits> = {},
  workflowBundlePath?: string,
): Promise<{ stop(): Promise<void> }> {
  const codePath = workflowBundlePath ?? (await workflowBundle()).codePath;
  const worker = await createAipWorker(
    {
      foundry: {
        url: simulator.url,
        credentials: { kind: 'static', token: simulator.token },
        allowInsecureHttp: false,
      },
      temporal: { address },
      namespace,
      taskQueue,
      identity: taskQueue,
      limits: { maxConcurrentLanes: 20, maxConcurrentExchanges: 100, shutdownGraceMs: 0, ...limits },
    },
    { workflowBundlePath: codePath },
  );
  const ended = worker.run();
  return {
    async stop() {
      worker.shutdown();
      await ended;
    },
  };
}
