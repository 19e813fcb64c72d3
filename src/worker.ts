import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { lookAfterTheDead } from './activities/after-a-death.js';
import { type ApprovalHook, createActivities, webhook } from './activities/index.js';
import {
  createAgentsApi,
  oauthToken,
  staticToken,
  tokenFile,
  type AgentsApi,
  type Operation,
  type TokenSource,
} from './agents-api/index.js';
import { batchCalls } from './client/batch-calls.js';
import type { FoundryConfig, WorkerConfig, WorkerLimits } from './config.js';
import { createFleet, type Fleet } from './fleet/fleet.js';
import { createFoundryGate, type FoundryGate } from './governor/foundry-gate.js';
import { createGovernor } from './governor/governor.js';
import type { ServedMetrics } from './metrics/index.js';
import { DEFAULTS } from './protocol/defaults.js';
import type { Ceilings } from './protocol/limits.js';
import { batchTaskQueue, interactiveTaskQueue } from './protocol/task-queues.js';

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

/** An attempt that has been silent for the time of so many beats is a dead worker's. */
const SILENCE_BEATS = 1.5;

/** Where the workflows' bundle is; made by the build beside this file. */
const builtBundle = () => fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));

/**
 * Makes a worker: three Temporal workers in one process, for workflows, for the activities of conversations (they beat
 * fast) and for those of batches, with one governor and one connection pool for all.
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
  const metrics = await metricsOf(config);
  const connection = await NativeConnection.connect(config.temporal).catch(async (error: unknown) => {
    await metrics?.close();
    throw error;
  });
  const client = new Client({ connection, namespace });
  const { logger: log } = Runtime.instance();
  // Stable across restarts (docs/design.md, "Coming back after a death").
  const identity = config.identity ?? `aip-temporal@${hostname()}`;
  const member = { client, taskQueue, identity, log };
  const foundryFleet = createFleet({ ...member, configured: foundryCeilings(limits) });
  const foundry = Object.keys(foundryCeilings(limits)).length === 0 ? undefined : createFoundryGate(foundryFleet);
  const api = createApi(config.foundry, foundry);
  const fleet = createFleet({
    ...member,
    configured: {
      ...(limits.maxConcurrentCallsPerAgent !== undefined && { maxConcurrency: limits.maxConcurrentCallsPerAgent }),
      ...(limits.maxCallsPerMinutePerAgent !== undefined && { maxPerMinute: limits.maxCallsPerMinutePerAgent }),
    },
  });
  const governor = createGovernor({
    fleet,
    ...(foundry !== undefined && { foundry }),
    ...(metrics !== undefined && { observer: metrics.calls }),
  });
  metrics?.readLimitsOf(governor);
  const observer = metrics?.exchanges;
  const activities = createActivities({
    ...{ api, governor, observer, lanesAtOnce: limits.maxConcurrentLanes },
    batches: batchCalls,
    onApproval:
      options.onApproval ?? (config.approvalWebhook === undefined ? undefined : webhook(config.approvalWebhook)),
  });
  const identities = {
    workflows: `${identity}/workflows`,
    interactive: `${identity}/interactive`,
    batch: `${identity}/batch`,
  };
  const shared = { connection, namespace, shutdownGraceTime: limits.shutdownGraceMs } satisfies Partial<WorkerOptions>;

  const creating = [
    Worker.create({
      ...shared,
      identity: identities.workflows,
      taskQueue,
      workflowBundle: { codePath: options.workflowBundlePath ?? builtBundle() },
      // All that can be at work at once. What waits (shards of a large batch, quiet conversations) is replayed when its turn comes.
      maxCachedWorkflows: limits.maxConcurrentExchanges + limits.maxConcurrentLanes,
      // A dead worker's sticky queue holds its workflow tasks this long.
      stickyQueueScheduleToStartTimeout: '1 second',
      ...options.workflowOptions,
    }),
    Worker.create({
      ...shared,
      identity: identities.interactive,
      taskQueue: interactiveTaskQueue(taskQueue),
      activities: activities.interactive,
      maxConcurrentActivityTaskExecutions: limits.maxConcurrentExchanges,
      maxHeartbeatThrottleInterval: DEFAULTS.heartbeatThrottleMs.interactive,
    }),
    Worker.create({
      ...shared,
      identity: identities.batch,
      taskQueue: batchTaskQueue(taskQueue),
      activities: activities.batch,
      maxConcurrentActivityTaskExecutions: limits.maxConcurrentLanes,
      maxHeartbeatThrottleInterval: DEFAULTS.heartbeatThrottleMs.batch,
    }),
  ];
  try {
    const silenceMs = new Map([
      [identities.interactive, SILENCE_BEATS * DEFAULTS.heartbeatThrottleMs.interactive],
      [identities.batch, SILENCE_BEATS * DEFAULTS.heartbeatThrottleMs.batch],
    ]);
    const besides = (signal: AbortSignal) =>
      lookAfterTheDead({ client, api, governor, observer, taskQueue, silenceMs, log }, signal);
    return aipWorker(await Promise.all(creating), {
      identity,
      connection,
      api,
      fleets: [fleet, foundryFleet],
      metrics,
      besides,
    });
  } catch (error) {
    await Promise.allSettled(creating);
    await Promise.allSettled([connection.close(), api.close(), metrics?.close()]);
    throw error;
  }
}

function aipWorker(
  workers: Worker[],
  parts: {
    identity: string;
    connection: NativeConnection;
    api: AgentsApi;
    fleets: Fleet[];
    metrics: ServedMetrics | undefined;
    /** Runs besides the tasks, until it is aborted. Does not throw. */
    besides: (signal: AbortSignal) => Promise<void>;
  },
): AipWorker {
  const { identity, connection, api, fleets, metrics, besides } = parts;
  let isStopping = false;
  const stopping = new AbortController();
  const shutdown = () => {
    isStopping = true;
    metrics?.tell('draining');
    stopping.abort(new Error('The worker shuts down'));
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  // One of three that fails takes the others with it: half a worker would look alive and do nothing.
  const runOne = (worker: Worker) => worker.run().finally(shutdown);
  return {
    identity,
    ...(metrics !== undefined && { metricsUrl: metrics.url }),
    shutdown,
    async run() {
      try {
        if (isStopping) return;
        metrics?.tell('running');
        const [ends] = await Promise.all([Promise.allSettled(workers.map(runOne)), besides(stopping.signal)]);
        const failed = ends.find((end) => end.status === 'rejected');
        if (failed !== undefined) throw failed.reason;
      } finally {
        await Promise.all(fleets.map((fleet) => fleet.leave()));
        await Promise.allSettled([connection.close(), api.close(), metrics?.close()]);
      }
    },
  };
}

/** Metrics where they are wanted; else their library is not even loaded. */
async function metricsOf({ metricsAddress }: WorkerConfig): Promise<ServedMetrics | undefined> {
  if (metricsAddress === undefined) return undefined;
  const { startMetrics } = await import('./metrics/index.js');
  return startMetrics(metricsAddress);
}

/** Calls that keep the rest waiting a moment, at most, wait for nothing themselves: the governor holds back the others. */
const GOVERNED: ReadonlySet<Operation> = new Set(['streamingContinue', 'blockingContinue', 'createSession']);

/** One call at once in ten, at least one, is left to the short calls, which do not wait. */
function foundryCeilings({ maxConcurrency, maxPerMinute }: WorkerLimits): Ceilings {
  const short = maxConcurrency === undefined ? 0 : Math.min(maxConcurrency - 1, Math.ceil(maxConcurrency / 10));
  return {
    ...(maxConcurrency !== undefined && { maxConcurrency: maxConcurrency - short }),
    ...(maxPerMinute !== undefined && { maxPerMinute }),
  };
}

function createApi(foundry: FoundryConfig, gate: FoundryGate | undefined): AgentsApi {
  const { url: foundryUrl, allowInsecureHttp } = foundry;
  const token = tokenSource(foundry);
  if (gate === undefined) return createAgentsApi({ foundryUrl, token, allowInsecureHttp });
  const onCall = (operation: Operation) => (GOVERNED.has(operation) ? () => undefined : gate.pass());
  return createAgentsApi({ foundryUrl, token, allowInsecureHttp, onCall });
}

function tokenSource({ url, credentials, allowInsecureHttp }: FoundryConfig): TokenSource {
  switch (credentials.kind) {
    case 'static':
      return staticToken(credentials.token);
    case 'file':
      return tokenFile(credentials.path);
    case 'oauth':
      return oauthToken({
        foundryUrl: url,
        clientId: credentials.clientId,
        clientSecret: credentials.clientSecret,
        allowInsecureHttp,
      });
  }
}
