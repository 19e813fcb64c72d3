import { randomUUID } from 'node:crypto';
import { connectToTemporal } from '../../src/client/connection.js';
import { AipClient } from '../../src/client/index.js';
import {
  type ExchangeStatus,
  startSimulator,
  type Simulator,
  type SimulatorOptions,
} from '../../src/simulator/index.js';
import { temporalServer } from './temporal-server.js';
import { quietRuntime, type RunningWorker, startWorkerOf, type WorkerPlace, type WorkerSettings } from './worker-of.js';

/** A whole installation for one test file: the shared Temporal server, a simulator and workers of its own. */
export interface Rig {
  readonly simulator: Simulator;
  readonly client: AipClient;
  readonly taskQueue: string;
  /** Starts a worker in this process; the rig stops it at its end, unless the test did. */
  startWorker(settings?: WorkerSettings): Promise<Pick<RunningWorker, 'stop'>>;
  close(): Promise<void>;
}

export interface RigOptions {
  simulator?: SimulatorOptions;
  /** False: the test starts its workers itself. Default true. */
  worker?: boolean;
  /** Default: the Temporal server that all test files share. */
  server?: Pick<WorkerPlace, 'address' | 'namespace'>;
  /** Default: the bundle of the jest run. */
  workflowBundlePath?: string;
}

/** Sets up a rig; a worker runs, unless `worker` is false. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  quietRuntime();
  const { address, namespace } = options.server ?? (await temporalServer());
  const { workflowBundlePath } = options;
  const simulator = await startSimulator(options.simulator);
  const taskQueue = `test-${randomUUID()}`;
  const client = new AipClient({
    client: await connectToTemporal({ connection: { address }, namespace }),
    taskQueue,
    agentRid: simulator.agentRid,
  });
  const running = new Set<RunningWorker>();

  const startWorker = async (settings: WorkerSettings = {}) => {
    const bundle = workflowBundlePath === undefined ? {} : { workflowBundlePath };
    const worker = await startWorkerOf({ simulator, taskQueue, address, namespace }, { ...bundle, ...settings });
    running.add(worker);
    return {
      async stop() {
        running.delete(worker);
        await worker.stop();
      },
    };
  };
  if (options.worker !== false) await startWorker();

  return {
    simulator,
    client,
    taskQueue,
    startWorker,
    async close() {
      await Promise.all([...running].map((worker) => worker.stop()));
      await client.close();
      await simulator.close();
    },
  };
}

/** How the exchanges of one text stand in the simulator's ledger: those that have ended, then those that run. */
export function exchangeStatuses({ simulator }: Pick<Rig, 'simulator'>, text: string): ExchangeStatus[] {
  const { exchanges, running } = simulator.ledger();
  return [...exchanges, ...running].filter((exchange) => exchange.text === text).map(({ status }) => status);
}

/** Waits until the condition holds; fails with what was missing after the deadline, which leaves a busy machine time. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 60_000,
): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Waited ${deadlineMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
