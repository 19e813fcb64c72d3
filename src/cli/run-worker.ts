import { setTimeout as delay } from 'node:timers/promises';
import { type LogLevel, Runtime } from '@temporalio/worker';
import { AipClient, workersOf } from '../client/index.js';
import { SearchAttributesMissingError } from '../client/index.js';
import type { WorkerConfig } from '../config.js';
import { MetricsAddressError } from '../metrics/metrics-server.js';
import { createAipWorker } from '../worker.js';
import type { Output } from './output.js';
import { workerLogger } from './worker-logger.js';

/** A worker that polls. */
export interface RunningWorker {
  identity: string;
  /** Resolves when it has drained; rejects when it failed. */
  ended: Promise<void>;
  /** Drains it and waits for that. */
  stop(): Promise<void>;
}

/** Names and units of Temporal's metrics as Prometheus has them. */
const PROMETHEUS_NAMES = { countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true };

/** How long a worker may take from its start to its first poll. */
const FIRST_POLL_TIMEOUT_MS = 30_000;

/**
 * Starts a worker in this process and returns when the server has seen it poll.
 *
 * Adds missing search attributes to the namespace where that is permitted, and says what to run where it is not.
 *
 * @throws TemporalUnreachableError, MetricsAddressError, and what the worker throws at its start.
 */
export async function startWorker(config: WorkerConfig, output: Output, logLevel: LogLevel): Promise<RunningWorker> {
  installRuntime(config, logLevel);
  const aip = await AipClient.connect({
    connection: { ...config.temporal, tls: config.temporal.tls ?? null },
    namespace: config.namespace,
    taskQueue: config.taskQueue,
  });
  try {
    await addSearchAttributes(aip, output);
    const since = new Date();
    const worker = await createAipWorker(config);
    if (worker.metricsUrl !== undefined) output.note(`Metrics at ${worker.metricsUrl}`);
    if (config.temporalMetricsAddress !== undefined)
      output.note(`Metrics of Temporal’s SDK at http://${config.temporalMetricsAddress}/metrics`);
    const ended = worker.run();
    ended.catch(() => undefined); // Told to whoever awaits `ended`; until then it is nobody's.
    await Promise.race([untilPolling(aip, worker.identity, since), ended]);
    return {
      identity: worker.identity,
      ended,
      stop: () => {
        worker.shutdown();
        return ended;
      },
    };
  } finally {
    await aip.close();
  }
}

/** Sets up the native core of this process. @throws MetricsAddressError when its metrics cannot be served at their address. */
function installRuntime({ temporalMetricsAddress: bindAddress }: WorkerConfig, logLevel: LogLevel): void {
  try {
    Runtime.install({
      logger: workerLogger(logLevel),
      // Signals are ours: the embedded server and the simulator must outlive the worker's draining.
      shutdownSignals: [],
      telemetryOptions: {
        logging: { forward: {}, filter: { core: logLevel, other: 'ERROR' } },
        ...(bindAddress !== undefined && { metrics: { prometheus: { bindAddress, ...PROMETHEUS_NAMES } } }),
      },
    });
  } catch (error) {
    if (bindAddress === undefined) throw error;
    const message = `Cannot serve the metrics of Temporal’s SDK on ${bindAddress}: ${(error as Error).message}`;
    throw new MetricsAddressError(`${message}; name another address`, { cause: error });
  }
}

async function addSearchAttributes(aip: AipClient, output: Output): Promise<void> {
  try {
    const added = await aip.ensureSearchAttributes();
    if (added.length > 0)
      output.note(`Added the search attributes ${added.join(', ')} to namespace ${aip.client.options.namespace}`);
  } catch (error) {
    if (!(error instanceof SearchAttributesMissingError)) throw error;
    output.error(error.message);
  }
}

/** Waits until this worker's polls have reached the server. */
async function untilPolling(aip: AipClient, identity: string, since: Date): Promise<void> {
  const deadline = Date.now() + FIRST_POLL_TIMEOUT_MS;
  // The server's clock may be behind ours.
  const seenSince = new Date(since.getTime() - 1_000);
  while (Date.now() < deadline) {
    const workers = await workersOf(aip, { since: seenSince });
    if (workers.some((seen) => seen.startsWith(identity))) return;
    await delay(50);
  }
  throw new Error(`The worker has not polled task queue ${aip.taskQueue} within ${FIRST_POLL_TIMEOUT_MS / 1000} s`);
}
