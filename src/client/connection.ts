import type { ConnectionOptions, DataConverter } from '@temporalio/client';
import { Client, Connection } from '@temporalio/client';
import { orAborted } from './abort.js';
import { callInterceptors } from './call-interceptors.js';
import { TemporalUnreachableError } from './errors.js';

/** What every function of the client works with. */
export interface ClientContext {
  client: Client;
  /** Task queue of the workers; new conversations and batches are started on it. */
  taskQueue: string;
}

/** Where Temporal is. All of `ConnectionOptions` may be given: TLS, API key, headers. */
export interface ConnectOptions {
  /** Default: `localhost:7233`. */
  connection?: ConnectionOptions;
  /** Default: `default`. */
  namespace?: string;
  /** With the codec that encrypts payloads, when the workers use one. */
  dataConverter?: DataConverter;
  /** Stops connecting; of no effect on a connection that is made. */
  signal?: AbortSignal;
}

/** How long at most until a server that is back is tried again; gRPC's own bound is two minutes, so that an outage counts nearly twice. */
const RECONNECT_WITHIN_MS = 5_000;

/** The address that a connection was made for, for messages. */
export function addressOf(client: Client): string {
  const connection: { options?: { address?: unknown } } = client.connection as Connection;
  return typeof connection.options?.address === 'string' ? connection.options.address : 'its address';
}

/**
 * Connects to Temporal, and proves that it answers.
 *
 * @returns A client of Temporal's own; close its connection when done.
 * @throws TemporalUnreachableError When nothing answers within `connection.connectTimeout` (default 5 seconds).
 */
export async function connectToTemporal(options: ConnectOptions = {}): Promise<Client> {
  const address = options.connection?.address ?? 'localhost:7233';
  const { signal } = options;
  signal?.throwIfAborted();
  const connection = Connection.lazy({
    connectTimeout: '5 seconds',
    interceptors: callInterceptors(),
    ...options.connection,
    channelArgs: { 'grpc.max_reconnect_backoff_ms': RECONNECT_WITHIN_MS, ...options.connection?.channelArgs },
  });
  try {
    await orAborted(connection.ensureConnected(), signal);
  } catch (error) {
    // Unclosed, its channel would go on trying for as long as the process lives.
    await connection.close();
    signal?.throwIfAborted();
    throw new TemporalUnreachableError(address, reasonOf(error));
  }
  return new Client({
    connection,
    namespace: options.namespace ?? 'default',
    ...(options.dataConverter === undefined ? {} : { dataConverter: options.dataConverter }),
  });
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return /deadline/i.test(text) ? 'no answer in time' : text;
}
