import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker, type BundleOptions, type WorkerOptions } from '@temporalio/worker';
import type * as examples from '../../examples/workflows/workflows.js';
import { AipAgentsPlugin, type AipAgentsPluginOptions } from '../../src/index.js';
import type { Rig } from './rig.js';
import { temporalServer } from './temporal-server.js';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** The workflows of `examples/workflows`, as a user's worker has them. */
export const exampleWorkflows = path('../../examples/workflows/workflows.ts');

/** The package's door by its own name, from the sources: no test meets a stale build. */
export const fromSources: Pick<BundleOptions, 'webpackConfigHook'> = {
  webpackConfigHook: (config) => ({
    ...config,
    resolve: {
      ...config.resolve,
      alias: { ...config.resolve?.alias, 'aip-temporal/workflows$': path('../../src/workflows/index.ts') },
    },
  }),
};

/** The plugin for a rig's agents, as a user makes it. */
export const pluginOf = (rig: Pick<Rig, 'simulator'>, options: AipAgentsPluginOptions = {}): AipAgentsPlugin =>
  new AipAgentsPlugin({
    foundry: { url: rig.simulator.url, token: rig.simulator.token },
    ...options,
    limits: { shutdownGraceMs: 0, ...options.limits },
  });

/** A user's own worker. */
export interface UsersWorker {
  readonly worker: Worker;
  /** Settles when `run()` does. */
  readonly ended: Promise<void>;
  /** Shuts it down and waits for its end. */
  stop(): Promise<void>;
}

/** Starts a worker on a rig's task queue, as a user's program does; stop it in the end. */
export async function startUsersWorker(
  rig: Pick<Rig, 'simulator' | 'taskQueue'>,
  options: Partial<WorkerOptions> = {},
): Promise<UsersWorker> {
  const { address, namespace } = await temporalServer();
  const connection = options.connection ?? (await NativeConnection.connect({ address }));
  const close = () => (options.connection === undefined ? connection.close() : undefined);
  const bundled = options.workflowBundle === undefined ? { workflowsPath: exampleWorkflows } : {};
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: rig.taskQueue,
    ...bundled,
    bundlerOptions: fromSources,
    plugins: [pluginOf(rig)],
    ...options,
  }).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  const ended = worker.run().finally(close);
  ended.catch(() => undefined); // Told to whoever awaits it.
  return {
    worker,
    ended,
    stop() {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      return ended;
    },
  };
}

/** Has the simulator answer this, also when an instruction follows it in the message. */
export const answering = (json: unknown): string => `[answer]\n\`\`\`json\n${JSON.stringify(json)}\n\`\`\`\n`;

/** Starts an example with the simulator's agent. */
export const startExample = <Name extends keyof typeof examples>(
  rig: Pick<Rig, 'simulator' | 'taskQueue' | 'client'>,
  name: Name,
  input: Omit<Parameters<(typeof examples)[Name]>[0], 'agentRid'>,
) =>
  rig.client.client.workflow.start(name, {
    taskQueue: rig.taskQueue,
    workflowId: `test/${randomUUID()}`,
    args: [{ agentRid: rig.simulator.agentRid, ...input }],
  });
