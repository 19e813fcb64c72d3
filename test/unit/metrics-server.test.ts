import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  MetricsAddressError,
  type MetricsServer,
  type MetricsSource,
  serveMetrics,
} from '../../src/metrics/metrics-server.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const source: MetricsSource = {
  contentType: 'text/plain; version=0.0.4',
  text: () => Promise.resolve('aip_tokens_total 3\n'),
  health: () => 'running',
};

let server: MetricsServer | undefined;
let other: Server | undefined;
afterEach(async () => {
  await server?.close();
  other?.close();
  server = other = undefined;
});

async function answerOf(path: string, more: Partial<MetricsSource> = {}, method = 'GET') {
  server = await serveMetrics(LOOPBACK, { ...source, ...more });
  const response = await fetch(server.url + path, { method });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

describe('serveMetrics()', () => {
  test('serves the text with its type, whatever the query', async () => {
    const served = { status: 200, type: 'text/plain; version=0.0.4', text: 'aip_tokens_total 3\n' };
    expect(await answerOf('/metrics?name=any')).toEqual(served);
  });

  test.each([
    ['running', 200],
    ['starting', 503],
    ['draining', 503],
  ] as const)('says %s with status %d', async (health, status) => {
    expect(await answerOf('/health', { health: () => health })).toMatchObject({ status, text: `${health}\n` });
  });

  test('serves nothing else, and to readers alone', async () => {
    expect(await answerOf('/')).toMatchObject({ status: 404 });
    await server?.close();
    expect(await answerOf('/metrics', {}, 'POST')).toMatchObject({ status: 405 });
    await server?.close();
    expect(await answerOf('/health', {}, 'HEAD')).toMatchObject({ status: 200, text: '' });
  });

  test('tells when the metrics cannot be read', async () => {
    const text = () => Promise.reject(new Error('broken'));
    expect(await answerOf('/metrics', { text })).toMatchObject({ status: 500 });
  });

  test('closes although a client keeps its connection', async () => {
    await answerOf('/metrics');
    const { url } = server as MetricsServer;
    await server?.close();
    server = undefined;
    await expect(fetch(url)).rejects.toThrow();
  });

  test('refuses a port that is taken', async () => {
    other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const serving = serveMetrics({ host: '127.0.0.1', port }, source);
    await expect(serving).rejects.toThrow(MetricsAddressError);
    await expect(serving).rejects.toThrow(`Cannot serve metrics on port ${port} of 127.0.0.1: the port is taken`);
  });

  test.each(['192.0.2.1', 'nowhere.invalid'])('refuses %s, which is not of this machine', async (host) => {
    await expect(serveMetrics({ host, port: 0 }, source)).rejects.toThrow(/no address of this machine/);
  });
});
