import { DefaultLogger, Runtime } from '@temporalio/worker';
import type { ApprovalHook } from '../../src/activities/index.js';
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

/** What one worker has otherwise than others. */
export interface WorkerSettings {
  limits?: Partial<WorkerLimits>;
  maxCachedWorkflows?: number;
  /** Default: the one of all workers of the task queue. */
  identity?: string;
  /** Default: the bundle of the jest run. */
  workflowBundlePath?: string;
  /** Told of approvals that wait. */
  onApproval?: ApprovalHook;
}

/** A worker in this process. */
export interface RunningWorker {
  /** Settles when the worker has ended, by `stop` or by itself. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

let runtimeIsSet = false;

/** Has the workers of this process log errors only. To be called before anything of Temporal's worker is used. */
export function quietRuntime(): void {
  if (!runtimeIsSet) Runtime.install({ logger: new DefaultLogger('ERROR') });
  runtimeIsSet = true;
}

/** Starts a worker in this process. */
export async function startWorkerOf(
  { simulator, taskQueue, address, namespace }: WorkerPlace,
  settings: WorkerSettings = {},
): Promise<RunningWorker> {
  const { limits, maxCachedWorkflows, identity = taskQueue } = settings;
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
      identity,
      limits: { maxConcurrentLanes: 20, maxConcurrentExchanges: 100, shutdownGraceMs: 0, ...limits },
    },
    {
      workflowBundlePath: settings.workflowBundlePath ?? (await workflowBundle()).codePath,
      workflowOptions: maxCachedWorkflows === undefined ? {} : { maxCachedWorkflows },
      ...(settings.onApproval !== undefined && { onApproval: settings.onApproval }),
    },
  );
  const ended = worker.run();
  return {
    ended,
    async stop() {
      worker.shutdown();
      await ended;
    },
  };
}
