import { randomUUID } from 'node:crypto';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { connectToTemporal } from '../../src/client/connection.js';
import { AipClient } from '../../src/client/index.js';
import { startSimulator, type Simulator, type SimulatorOptions } from '../../src/simulator/index.js';
import { createAipWorker, type AipWorker } from '../../src/worker.js';
import type { WorkerConfig } from '../../src/config.js';
import { temporalServer, workflowBundle } from './temporal-server.js';

/** A whole installation for one test file: the shared Temporal server, a simulator and workers of its own. */
export interface Rig {
  readonly simulator: Simulator;
  readonly client: AipClient;
  readonly taskQueue: string;
  /** Starts a worker in this process; the rig stops it at its end, unless the test did. */
  startWorker(options?: { maxCachedWorkflows?: number }): Promise<{ stop(): Promise<void> }>;
  close(): Promise<void>;
}

let runtimeIsSet = false;

/** Sets up a rig; a worker runs, unless `worker` is false. */
export async function startRig(options: { simulator?: SimulatorOptions; worker?: boolean } = {}): Promise<Rig> {
  if (!runtimeIsSet) Runtime.install({ logger: new DefaultLogger('ERROR') });
  runtimeIsSet = true;
  const { address, namespace } = await temporalServer();
  const simulator = await startSimulator(options.simulator);
  const taskQueue = `test-${randomUUID()}`;
  const client = new AipClient({
    client: await connectToTemporal({ connection: { address }, namespace }),
    taskQueue,
    agentRid: simulator.agentRid,
  });
  const running: { worker: AipWorker; ended: Promise<void> }[] = [];

  const startWorker = async (workflowOptions: { maxCachedWorkflows?: number } = {}) => {
    const config: WorkerConfig = {
      foundry: {
        url: simulator.url,
        credentials: { kind: 'static', token: simulator.token },
        allowInsecureHttp: false,
      },
      temporal: { address },
      namespace,
      taskQueue,
      identity: taskQueue,
      limits: { maxConcurrentLanes: 20, maxConcurrentExchanges: 100, shutdownGraceMs: 0 },
    };
    const { codePath } = await workflowBundle();
    const worker = await createAipWorker(config, { workflowBundlePath: codePath, workflowOptions });
    const one = { worker, ended: worker.run() };
    running.push(one);
    return {
      async stop() {
        running.splice(running.indexOf(one), 1);
        worker.shutdown();
        await one.ended;
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
      for (const { worker } of running) worker.shutdown();
      await Promise.all(running.map(({ ended }) => ended));
      await client.close();
      await simulator.close();
    },
  };
}

/** Waits until the condition holds; fails with what was missing after the deadline. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 20_000,
): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Waited ${deadlineMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
