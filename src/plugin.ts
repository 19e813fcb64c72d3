import { Client } from '@temporalio/client';
// By type alone: applications that only ask need not load the worker's native part, which this package's door would bring.
import type {
  BundleOptions,
  BundlerPlugin,
  NativeConnection,
  Worker,
  WorkerOptions,
  WorkerPlugin,
} from '@temporalio/worker';
import { SearchAttributesMissingError } from './client/errors.js';
import { ensureSearchAttributes } from './client/search-attributes.js';
import type * as companionsModule from './companions.js';
import { identityOf, loadTemporalConfig } from './config.js';
import { environment } from './settings.js';
import { checkBundle, withOurWorkflows } from './plugin-bundle.js';
import { type AipAgentsPluginOptions, pluginConfig } from './plugin-config.js';
import { DEFAULTS } from './protocol/defaults.js';
import { batchTaskQueue, interactiveTaskQueue } from './protocol/task-queues.js';

const NAME = 'aip-temporal.AipAgentsPlugin';

/** End of the identity of a worker for workflows; those beside it have others. */
const WORKFLOWS = '/workflows';

/** How soon the plugin's workers follow a shutdown of the one that they work beside (milliseconds). */
const LOOK_EVERY_MS = 100;

/**
 * Makes a worker of one's own also one for AIP agents, in one line:
 *
 * ```ts
 * const worker = await Worker.create({ connection, taskQueue, workflowsPath, plugins: [new AipAgentsPlugin()] });
 * ```
 *
 * - The workflows of aip-temporal go into its bundle, beside its own: workflows may use `Conversation`, `runBatch` and the like
 *   (`aip-temporal/workflows`), and `AipClient` may ask and submit on its task queue. Of a bundle made ahead, the plugin must be among
 *   the `plugins` of `bundleWorkflowCode` too; there it needs no settings.
 * - Two workers for their activities run beside it, on task queues of their own (`<task queue>-interactive` and `-batch`), as long as
 *   it runs. When one of them fails, it is shut down, and `run()` rejects.
 * - Where it has not set them, it gets a stable identity and a short wait for dead workers' workflow tasks. Where it has no
 *   connection, it connects as `aip-temporal worker` does (`TEMPORAL_ADDRESS`, profiles, …).
 * - Missing search attributes are added to the namespace; where that is not permitted, it is logged what to run.
 *
 * Its settings are read when a worker is created (`Worker.create` throws `ConfigError`, `WorkflowBundleError`). One plugin may serve
 * several workers.
 */
export class AipAgentsPlugin implements WorkerPlugin, BundlerPlugin {
  readonly #options: AipAgentsPluginOptions;
  /** A plugin of a connection is asked for its own workers too. */
  readonly #ownQueues = new Set<string>();
  readonly #ownConnections = new WeakSet<NativeConnection>();
  #loading: Promise<typeof companionsModule> | undefined;

  /** @param options Default: all from the environment (`FOUNDRY_URL`, `FOUNDRY_TOKEN`, …), as `aip-temporal worker`. */
  constructor(options: AipAgentsPluginOptions = {}) {
    this.#options = options;
  }

  get name(): string {
    return NAME;
  }

  configureBundler(options: BundleOptions): BundleOptions {
    return withOurWorkflows(options);
  }

  /**
   * @throws ConfigError When settings are missing or wrong.
   * @throws WorkflowBundleError When the bundle was made without the plugin.
   */
  async configureWorker(options: WorkerOptions): Promise<WorkerOptions> {
    if (this.#ownQueues.has(options.taskQueue)) return options;
    if ((options.plugins ?? []).filter(({ name }) => name === NAME).length > 1) {
      throw new Error('Cannot use AipAgentsPlugin twice: it is on the worker and on its connection; take one away');
    }
    const config = pluginConfig(this.#options, environment());
    if (options.workflowBundle !== undefined) await checkBundle(options.workflowBundle);
    const connected = options.connection === undefined ? await this.#connect(options) : {};
    const configured: WorkerOptions = {
      ...options,
      ...connected,
      ...(options.stickyQueueScheduleToStartTimeout === undefined && {
        stickyQueueScheduleToStartTimeout: DEFAULTS.stickyQueueTimeoutMs,
      }),
      identity: options.identity ?? `${identityOf(config)}${WORKFLOWS}`,
    };
    await addSearchAttributes(configured);
    await this.#load();
    return configured;
  }

  async runWorker(worker: Worker, next: (worker: Worker) => Promise<void>): Promise<void> {
    if (this.#ownQueues.has(worker.options.taskQueue)) return next(worker);
    // At once: whoever shuts a worker down looks whether it runs.
    const ended = next(worker);
    let failure: { error: unknown } | undefined;
    ended.catch((error: unknown) => (failure = { error }));
    try {
      await this.#runBeside(worker, ended);
    } catch (error) {
      if (failure !== undefined) throw failure.error;
      const { taskQueue } = worker.options;
      const reason = error instanceof Error ? error.message : String(error);
      const message = `The workers of AipAgentsPlugin beside task queue ${taskQueue} have failed, and took its worker along`;
      throw new Error(`${message}: ${reason}`, { cause: error });
    } finally {
      const { connection } = worker.options;
      if (connection !== undefined && this.#ownConnections.has(connection)) await connection.close();
    }
  }

  async #runBeside(worker: Worker, ended: Promise<void>): Promise<void> {
    const { runTogether } = await this.#load();
    const shutdown = () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    };
    let companions: companionsModule.Companions;
    try {
      companions = await this.#companionsOf(worker);
    } catch (error) {
      shutdown();
      await ended;
      throw error;
    }
    const main = { run: () => ended, shutdown, getState: () => worker.getState() };
    const together = runTogether(main, companions);
    const look = setInterval(() => {
      if (worker.getState() !== 'RUNNING') together.shutdown();
    }, LOOK_EVERY_MS);
    await together.ended.finally(() => clearInterval(look));
  }

  async #companionsOf({ options }: Worker): Promise<companionsModule.Companions> {
    const { createCompanions } = await this.#load();
    const { connection, namespace, taskQueue, dataConverter } = options;
    if (connection === undefined) throw new Error('The worker has no connection: it was not created with the plugin');
    this.#ownQueues.add(interactiveTaskQueue(taskQueue)).add(batchTaskQueue(taskQueue));
    const config = pluginConfig(this.#options, environment());
    const { onApproval, shareLimits } = this.#options;
    return createCompanions(config, {
      ...{ connection, namespace, taskQueue },
      identity: config.identity ?? options.identity.replace(new RegExp(`${WORKFLOWS}$`), ''),
      ...(dataConverter !== undefined && { dataConverter }),
      ...(onApproval !== undefined && { onApproval }),
      ...(shareLimits !== undefined && { shareLimits }),
    });
  }

  /** The part that needs the worker's native core. */
  #load(): Promise<typeof companionsModule> {
    return (this.#loading ??= import('./companions.js'));
  }

  /** For a worker that brings no connection. */
  async #connect({ namespace }: WorkerOptions): Promise<Pick<WorkerOptions, 'connection' | 'namespace'>> {
    const temporal = loadTemporalConfig({ flags: {}, env: environment() });
    const { NativeConnection } = await import('@temporalio/worker');
    const connection = await NativeConnection.connect(temporal.connection);
    this.#ownConnections.add(connection);
    return { connection, namespace: namespace ?? temporal.namespace };
  }
}

async function addSearchAttributes({ connection, namespace = 'default' }: WorkerOptions): Promise<void> {
  if (connection === undefined) return;
  try {
    await ensureSearchAttributes(new Client({ connection, namespace }));
  } catch (error) {
    if (!(error instanceof SearchAttributesMissingError)) throw error;
    const { Runtime } = await import('@temporalio/worker');
    Runtime.instance().logger.warn(error.message);
  }
}
