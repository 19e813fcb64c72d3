import { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { type NativeConnection, Runtime, Worker } from '@temporalio/worker';
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
import type { AgentsConfig, FoundryConfig, WorkerLimits } from './config.js';
import { createFleet } from './fleet/fleet.js';
import { createFoundryGate, type FoundryGate } from './governor/foundry-gate.js';
import { createGovernor } from './governor/governor.js';
import type { ServedMetrics } from './metrics/index.js';
import { DEFAULTS } from './protocol/defaults.js';
import type { Ceilings } from './protocol/limits.js';
import { batchTaskQueue, interactiveTaskQueue } from './protocol/task-queues.js';

/** For whom the companions work. */
export interface CompanionPlace {
  /** Stays open: it belongs to whoever made it. */
  connection: NativeConnection;
  namespace: string;
  /** Task queue of the workflows. */
  taskQueue: string;
  /** Stable across restarts (docs/design.md, "Coming back after a death"); theirs are made of it. */
  identity: string;
  /** That of the workflows. */
  dataConverter?: DataConverter;
  /** Wins over the configuration's webhook. */
  onApproval?: ApprovalHook;
  /** False: each agent's limits are this process's own, and Foundry has no ceilings. Default true. */
  shareLimits?: boolean;
}

/**
 * The workers for activities beside a worker for workflows: one for those of conversations (they beat fast), one for those of
 * batches, with one governor and one connection pool for both.
 */
export interface Companions {
  readonly workers: readonly Worker[];
  /** Where Prometheus finds the metrics, if they are served. */
  readonly metricsUrl?: string;
  /** Tells readers of the metrics how it stands. */
  tell(state: 'running' | 'draining'): void;
  /** What they do besides their tasks, until the signal is aborted. Does not throw. */
  besides(signal: AbortSignal): Promise<void>;
  /** Leaves the other workers and closes what they called with; to be called when the workers have ended. Does not throw. */
  close(): Promise<void>;
}

/** An attempt that has been silent for the time of so many beats is a dead worker's. */
const SILENCE_BEATS = 1.5;

/**
 * Makes the companions; `runTogether` runs them.
 *
 * @throws MetricsAddressError when metrics cannot be served at their address; else when the namespace cannot be reached.
 */
export async function createCompanions(config: AgentsConfig, place: CompanionPlace): Promise<Companions> {
  const { limits } = config;
  const { connection, namespace, taskQueue, identity } = place;
  const dataConverter = place.dataConverter === undefined ? {} : { dataConverter: place.dataConverter };
  const metrics = await metricsOf(config);
  const client = new Client({ connection, namespace, ...dataConverter });
  const { logger: log } = Runtime.instance();
  const member = { client, taskQueue, identity, log };
  const shareLimits = place.shareLimits ?? true;
  const ofFoundry = shareLimits ? foundryCeilings(limits) : {};
  const ofAgents = agentCeilings(limits);
  const foundryFleet = createFleet({ ...member, configured: ofFoundry });
  const foundry = Object.keys(ofFoundry).length === 0 ? undefined : createFoundryGate(foundryFleet);
  const api = createApi(config.foundry, foundry);
  const fleet = createFleet({ ...member, configured: ofAgents });
  const governor = createGovernor({
    ...(shareLimits ? { fleet } : ofAgents),
    ...(foundry !== undefined && { foundry }),
    ...(metrics !== undefined && { observer: metrics.calls }),
  });
  metrics?.readLimitsOf(governor, () => foundry?.status());
  const observer = metrics?.exchanges;
  const activities = createActivities({
    ...{ api, governor, observer, lanesAtOnce: limits.maxConcurrentLanes },
    batches: batchCalls,
    onApproval:
      place.onApproval ?? (config.approvalWebhook === undefined ? undefined : webhook(config.approvalWebhook)),
  });
  const identities = { interactive: `${identity}/interactive`, batch: `${identity}/batch` };
  const shared = { connection, namespace, shutdownGraceTime: limits.shutdownGraceMs, ...dataConverter };
  const close = async () => {
    await Promise.allSettled([fleet.leave(), foundryFleet.leave()]);
    await Promise.allSettled([api.close(), metrics?.close()]);
  };

  const workers = await allOrNone([
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
  ]).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  const silenceMs = new Map([
    [identities.interactive, SILENCE_BEATS * DEFAULTS.heartbeatThrottleMs.interactive],
    [identities.batch, SILENCE_BEATS * DEFAULTS.heartbeatThrottleMs.batch],
  ]);
  return {
    workers,
    ...(metrics !== undefined && { metricsUrl: metrics.url }),
    tell: (state) => metrics?.tell(state),
    besides: (signal) => lookAfterTheDead({ client, api, governor, observer, taskQueue, silenceMs, log }, signal),
    close,
  };
}

/** Something that polls: a worker, or one that somebody else runs. */
export type Runnable = Pick<Worker, 'run' | 'shutdown' | 'getState'>;

/**
 * Runs a worker for workflows and its companions as one: when one of them ends, or fails, it takes the others with it, as half a
 * worker would look alive and do nothing. Closes the companions in the end.
 *
 * @returns How to stop them, and their end: it resolves when all have drained, and rejects with the first failure.
 */
export function runTogether(main: Runnable, companions: Companions): { shutdown(): void; ended: Promise<void> } {
  const workers = [main, ...companions.workers];
  const stopping = new AbortController();
  const shutdown = () => {
    companions.tell('draining');
    stopping.abort(new Error('The worker shuts down'));
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const run = async () => {
    companions.tell('running');
    let failure: { error: unknown } | undefined;
    const runOne = async (worker: Runnable) => {
      try {
        await worker.run();
      } catch (error) {
        failure ??= { error };
      } finally {
        shutdown();
      }
    };
    const all = workers.map(runOne);
    try {
      await Promise.all([...all, companions.besides(stopping.signal)]);
    } finally {
      await companions.close();
    }
    if (failure !== undefined) throw failure.error;
  };
  return { shutdown, ended: run() };
}

/** All workers, or the first failure, with those that were made ended: a connection cannot be closed while one holds on to it. */
async function allOrNone(creating: readonly Promise<Worker>[]): Promise<Worker[]> {
  try {
    return await Promise.all(creating);
  } catch (error) {
    for (const made of await Promise.allSettled(creating)) if (made.status === 'fulfilled') await discard(made.value);
    throw error;
  }
}

/** Ends a worker that has never run. */
export async function discard(worker: Worker): Promise<void> {
  const ended = worker.run();
  worker.shutdown();
  await ended.catch(() => undefined); // It did nothing: its end says nothing.
}

/** Metrics where they are wanted; else their library is not even loaded. */
async function metricsOf({ metricsAddress }: AgentsConfig): Promise<ServedMetrics | undefined> {
  if (metricsAddress === undefined) return undefined;
  const { startMetrics } = await import('./metrics/index.js');
  return startMetrics(metricsAddress);
}

/** Calls that keep the rest waiting a moment, at most, wait for nothing themselves: the governor holds back the others. */
const GOVERNED: ReadonlySet<Operation> = new Set(['streamingContinue', 'blockingContinue', 'createSession']);

function agentCeilings({ maxConcurrentCallsPerAgent, maxCallsPerMinutePerAgent }: WorkerLimits): Ceilings {
  return {
    ...(maxConcurrentCallsPerAgent !== undefined && { maxConcurrency: maxConcurrentCallsPerAgent }),
    ...(maxCallsPerMinutePerAgent !== undefined && { maxPerMinute: maxCallsPerMinutePerAgent }),
  };
}

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
