import { once } from 'node:events';
import { AipClient } from '../client/index.js';
import { findAgentRid, loadTemporalConfig } from '../config.js';
import type { Sources } from '../config.js';
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
  const connecting = AipClient.connect({
    connection: { ...connection, tls: connection.tls ?? null },
    namespace,
    taskQueue,
    ...(agentRid === undefined ? {} : { agentRid }),
  });
  try {
    const aip = await orAborted(connecting, call.signal);
    return await run(aip);
  } finally {
    // Left in the middle of connecting, nobody waits for the rest of it.
    const closing = connecting.then(
      (aip) => aip.close(),
      () => undefined,
    );
    if (call.signal?.aborted !== true) await closing;
  }
}

/** The promise's end, or the signal's reason if that comes first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const settled = new AbortController();
  const aborted = once(signal, 'abort', { signal: settled.signal }).then((): never => signal.throwIfAborted() as never);
  try {
    signal.throwIfAborted();
    return await Promise.race([promise, aborted]);
  } finally {
    settled.abort();
    aborted.catch(() => undefined);
  }
}
