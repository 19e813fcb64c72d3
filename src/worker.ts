import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import type { ApprovalHook } from './activities/index.js';
import { type Companions, createCompanions, discard, runTogether } from './companions.js';
import { identityOf, type WorkerConfig } from './config.js';
import { DEFAULTS } from './protocol/defaults.js';

/** A worker: it polls while `run()` is pending. */
export interface AipWorker {
  /** Resolves when the worker has drained after `shutdown()`; rejects when it failed. */
  run(): Promise<void>;
  /** Stops polling and drains: exchanges that do not end within the grace time are left running and handed back. */
  shutdown(): void;
  readonly identity: string;
  /** Where Prometheus finds its metrics, if they are served. */
  readonly metricsUrl?: string;
}

/** Where the workflows' bundle is; made by the build beside this file. */
const builtBundle = () => fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));

/**
 * Makes a worker: three Temporal workers in one process, for workflows, for the activities of conversations and for those of
 * batches (`createCompanions`).
 *
 * @param options.workflowBundlePath Default: the bundle of the build.
 * @param options.workflowOptions Added to the options of the worker for workflows; `maxCachedWorkflows: 0` has every step
 *   replayed.
 * @throws MetricsAddressError when metrics cannot be served at their address; else when Temporal cannot be reached, or the
 *   namespace does not exist.
 */
export async function createAipWorker(
  config: WorkerConfig,
  options: {
    workflowBundlePath?: string;
    workflowOptions?: Pick<WorkerOptions, 'maxCachedWorkflows'>;
    onApproval?: ApprovalHook;
  } = {},
): Promise<AipWorker> {
  const { limits, taskQueue, namespace } = config;
  const { onApproval } = options;
  const identity = identityOf(config);
  const connection = await NativeConnection.connect(config.temporal);
  let companions: Companions | undefined;
  try {
    const place = { connection, namespace, taskQueue, identity };
    companions = await createCompanions(config, { ...place, ...(onApproval !== undefined && { onApproval }) });
    const workflows = await Worker.create({
      connection,
      namespace,
      shutdownGraceTime: limits.shutdownGraceMs,
      identity: `${identity}/workflows`,
      taskQueue,
      workflowBundle: { codePath: options.workflowBundlePath ?? builtBundle() },
      // All that can be at work at once. What waits (shards of a large batch, quiet conversations) is replayed when its turn comes.
      maxCachedWorkflows: limits.maxConcurrentExchanges + limits.maxConcurrentLanes,
      stickyQueueScheduleToStartTimeout: DEFAULTS.stickyQueueTimeoutMs,
      ...options.workflowOptions,
    });
    return aipWorker(workflows, companions, { identity, connection });
  } catch (error) {
    await Promise.all((companions?.workers ?? []).map(discard));
    await companions?.close();
    await connection.close();
    throw error;
  }
}

function aipWorker(
  workflows: Worker,
  companions: Companions,
  { identity, connection }: { identity: string; connection: NativeConnection },
): AipWorker {
  let isStopping = false;
  let running: ReturnType<typeof runTogether> | undefined;
  const end = async () => {
    if (isStopping) {
      await Promise.all([workflows, ...companions.workers].map(discard));
      return companions.close();
    }
    running = runTogether(workflows, companions);
    return running.ended;
  };
  return {
    identity,
    ...(companions.metricsUrl !== undefined && { metricsUrl: companions.metricsUrl }),
    shutdown() {
      isStopping = true;
      running?.shutdown();
    },
    run: () => end().finally(() => connection.close()),
  };
}
