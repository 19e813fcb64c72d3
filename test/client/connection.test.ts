import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Connection, ConnectionOptions } from '@temporalio/client';
import { connectToTemporal } from '../../src/client/connection.js';

const OK = { 'grpc-status': '0' };
const HEADERS = { ':status': 200, 'content-type': 'application/grpc' };
/** An empty message, with gRPC's prefix. */
const NOTHING = Buffer.alloc(5);

/** A Temporal that tells who it is and is out of order else, so that calls are tried again. */
const server = createServer();
let calls = 0;
server.on('stream', (stream: ServerHttp2Stream, headers) => {
  if (!String(headers[':path']).endsWith('GetSystemInfo')) {
    calls++;
    stream.respond({ ...HEADERS, 'grpc-status': '14' }, { endStream: true });
    return;
  }
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(OK));
  stream.end(NOTHING);
});
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
afterAll(() => new Promise((resolve) => server.close(resolve)));

test('a connection that is closed while a call waits to be tried again ends the call, and throws nothing else', async () => {
  const { port } = server.address() as AddressInfo;
  const uncaught: unknown[] = [];
  const note = (error: unknown) => uncaught.push(error);
  process.on('uncaughtException', note);
  try {
    const client = await connectToTemporal({ connection: { address: `127.0.0.1:${port}` } });
    const call = client.workflowService.describeNamespace({ namespace: 'default' }).catch((error: unknown) => error);
    while (calls < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await client.connection.close();
    expect(await call).toMatchObject({ code: 1 });
    expect(uncaught).toEqual([]);
  } finally {
    process.off('uncaughtException', note);
  }
});

test('a server that is away is tried again every five seconds at least, unless its user has another wish', async () => {
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const boundOf = async (channelArgs?: ConnectionOptions['channelArgs']) => {
    const client = await connectToTemporal({ connection: { address, ...(channelArgs && { channelArgs }) } });
    await client.connection.close();
    return (client.connection as Connection).options.channelArgs['grpc.max_reconnect_backoff_ms'];
  };
  expect(await boundOf()).toBe(5_000);
  expect(await boundOf({ 'grpc.keepalive_time_ms': 1_000 })).toBe(5_000);
  expect(await boundOf({ 'grpc.max_reconnect_backoff_ms': 300 })).toBe(300);
});
