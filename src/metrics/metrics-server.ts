import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Where a server listens. */
export interface ListenAddress {
  /** An IP address of this machine, or a name of one. */
  host: string;
  /** 0: any free one. */
  port: number;
}

/** The address for metrics cannot be used: taken, or none of this machine. */
export class MetricsAddressError extends Error {
  override readonly name = 'MetricsAddressError';
}

/** What is served. */
export interface MetricsSource {
  contentType: string;
  text(): Promise<string>;
  /** What `/health` says; all but `running` with status 503. */
  health(): 'starting' | 'running' | 'draining';
}

/** A server for metrics. */
export interface MetricsServer {
  /** `http://host:port`. */
  readonly url: string;
  /** Breaks all connections and frees the port. */
  close(): Promise<void>;
}

/**
 * Serves `GET /metrics` and `GET /health`, without authentication: whoever reaches the address may read.
 *
 * @throws MetricsAddressError
 */
export async function serveMetrics(address: ListenAddress, source: MetricsSource): Promise<MetricsServer> {
  const server = createServer((request, response) => void respond(request, response, source));
  try {
    server.listen({ ...address, exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    throw new MetricsAddressError(refusalText(address, (error as NodeJS.ErrnoException).code), { cause: error });
  }
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function respond(request: IncomingMessage, response: ServerResponse, source: MetricsSource): Promise<void> {
  const { method } = request;
  const [path] = (request.url ?? '').split('?');
  const plain = 'text/plain; charset=utf-8';
  const answer = (status: number, contentType: string, text: string) =>
    response.writeHead(status, { 'content-type': contentType }).end(method === 'HEAD' ? undefined : text);
  if (path !== '/metrics' && path !== '/health') return void answer(404, plain, 'Here are /metrics and /health\n');
  if (method !== 'GET' && method !== 'HEAD') return void answer(405, plain, 'GET only\n');
  if (path === '/health') {
    const health = source.health();
    return void answer(health === 'running' ? 200 : 503, plain, `${health}\n`);
  }
  try {
    answer(200, source.contentType, await source.text());
  } catch (error) {
    answer(500, plain, `Cannot read the metrics: ${String(error)}\n`);
  }
}

function refusalText({ host, port }: ListenAddress, code: string | undefined): string {
  const wanted = `Cannot serve metrics on port ${port} of ${host}`;
  switch (code) {
    case 'EADDRINUSE':
      return `${wanted}: the port is taken; stop who listens there, or name another port (0 takes any free one)`;
    case 'EACCES':
      return `${wanted}: that is not permitted here; name a port above 1023`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${wanted}: that is no address of this machine; name 127.0.0.1, or 0.0.0.0 for all of its addresses`;
    default:
      return `${wanted} (${code ?? 'unknown'})`;
  }
}
