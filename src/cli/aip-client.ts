import { AipClient } from '../client/index.js';
import { findAgentRid, loadTemporalConfig } from '../config.js';
import type { Sources } from '../settings.js';
import type { Output } from './output.js';

/**
 * Connects by the settings, runs, and closes again whatever happened.
 *
 * @throws ConfigError, TemporalUnreachableError and what `run` throws.
 */
export async function withAipClient<T>(
  call: { sources: Sources; output: Output; signal?: AbortSignal },
  run: (aip: AipClient) => Promise<T>,
): Promise<T> {
  const { connection, namespace, taskQueue } = loadTemporalConfig(call.sources);
  const agentRid = call.sources.flags.agentRid === undefined ? undefined : findAgentRid(call.sources);
  call.output.detail(`Temporal ${connection.address}, namespace ${namespace}, task queue ${taskQueue}`);
  const aip = await AipClient.connect({
    connection: { ...connection, tls: connection.tls ?? null },
    namespace,
    taskQueue,
    ...(agentRid === undefined ? {} : { agentRid }),
    ...(call.signal === undefined ? {} : { signal: call.signal }),
  });
  try {
    return await run(aip);
  } finally {
    await aip.close();
  }
}
