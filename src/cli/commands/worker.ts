import { once } from 'node:events';
import type { LogLevel } from '@temporalio/worker';
import { loadWorkerConfig } from '../../config.js';
import { command, EXIT, FOUNDRY_SETTINGS, TEMPORAL_SETTINGS } from '../command.js';
import { LOG_LEVEL_OPTION } from '../log-level.js';

/** `aip-temporal worker` */
export const workerCommand = command<{ logLevel?: string }>({
  name: 'worker',
  summary: 'run a worker: it does what conversations and batches ask for',
  description:
    'Prints one line with "ready" when it polls. At SIGTERM or Ctrl-C it drains: exchanges that do not end within the ' +
    'grace time go on at the agent, and the next worker takes them over. Sign in to Foundry with FOUNDRY_TOKEN, ' +
    'FOUNDRY_TOKEN_FILE, or FOUNDRY_CLIENT_ID and FOUNDRY_CLIENT_SECRET.',
  options: [LOG_LEVEL_OPTION],
  settings: [
    ...FOUNDRY_SETTINGS,
    'workerIdentity',
    'maxConcurrentExchanges',
    'maxConcurrentLanes',
    'maxConcurrentCallsPerAgent',
    'maxCallsPerMinutePerAgent',
    'foundryAccount',
    'maxConcurrency',
    'maxPerMinute',
    'shutdownGraceMs',
    'metricsAddress',
    'approvalWebhook',
    ...TEMPORAL_SETTINGS,
    'temporalMetricsAddress',
  ],
  examples: [
    [
      'FOUNDRY_URL=https://example.palantirfoundry.com FOUNDRY_TOKEN_FILE=token aip-temporal worker',
      'with a token file',
    ],
    ['aip-temporal worker --temporal-profile production', 'with a profile of Temporal’s configuration'],
    ['aip-temporal worker --metrics-address 127.0.0.1:9464', 'with metrics, at http://127.0.0.1:9464/metrics'],
  ],
  async run({ options, sources, output, signal }) {
    const config = loadWorkerConfig(sources);
    output.detail(
      `Foundry ${config.foundry.url} (${config.foundry.credentials.kind} credentials); Temporal ${config.temporal.address}`,
    );
    // Loaded here: the worker's native part is slow to load, and other commands do without.
    const { startWorker } = await import('../run-worker.js');
    const worker = await startWorker(config, output, (options.logLevel ?? 'WARN') as LogLevel);
    output.result(
      `Worker ${worker.identity} is ready: task queue ${config.taskQueue}, namespace ${config.namespace} at ${config.temporal.address}, agents at ${config.foundry.url}`,
    );
    if (!signal.aborted) await Promise.race([once(signal, 'abort'), worker.ended]);
    if (signal.aborted) output.note('Draining …');
    await worker.stop();
    return EXIT.ok;
  },
});
