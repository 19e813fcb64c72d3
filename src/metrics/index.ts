import { type ListenAddress, serveMetrics } from './metrics-server.js';
import { createWorkerMetrics, type WorkerMetrics } from './worker-metrics.js';

/** Metrics of a worker, and the server that shows them. */
export interface ServedMetrics extends Pick<WorkerMetrics, 'calls' | 'exchanges' | 'readLimitsOf'> {
  /** `http://host:port/metrics`. */
  readonly url: string;
  /** What `/health` says from now on; `starting` before. */
  tell(health: 'running' | 'draining'): void;
  /** Ends the server. */
  close(): Promise<void>;
}

/**
 * Makes metrics and serves them.
 *
 * @throws MetricsAddressError when the address cannot be used.
 */
export async function startMetrics(address: ListenAddress): Promise<ServedMetrics> {
  const metrics = createWorkerMetrics();
  const { calls, exchanges, readLimitsOf, contentType, text } = metrics;
  let health: 'starting' | 'running' | 'draining' = 'starting';
  const server = await serveMetrics(address, { contentType, text, health: () => health });
  return {
    calls,
    exchanges,
    readLimitsOf,
    url: `${server.url}/metrics`,
    tell: (now) => (health = now),
    close: () => server.close(),
  };
}
