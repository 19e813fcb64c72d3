import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runBatch } from '../../src/client/batch.js';
import { startRig, until, type Rig } from '../support/rig.js';
import { temporalServer } from '../support/temporal-server.js';

/** As built: `npm test` builds first when sources are newer. */
const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ worker: false, simulator: { limits: { concurrent: 2 }, answerLatencyMs: 100 } });
});
afterAll(() => rig.close());

interface Worker {
  process: ChildProcess;
  stderr: () => string;
  exited: Promise<number | null>;
}

/** `aip-temporal worker` in a process of its own. */
async function startWorker(...args: string[]): Promise<Worker> {
  const { address } = await temporalServer();
  const { taskQueue, simulator } = rig;
  const env = {
    PATH: process.env['PATH'],
    TEMPORAL_ADDRESS: address,
    AIP_TASK_QUEUE: taskQueue,
    AIP_WORKER_IDENTITY: taskQueue,
    FOUNDRY_URL: simulator.url,
    FOUNDRY_TOKEN: simulator.token,
  };
  const child = spawn(process.execPath, [main, 'worker', ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { process: child, stderr: () => stderr, exited };
}

/** The sum of all samples of a name whose labels hold these. */
function sum(text: string, name: string, labels: Record<string, string> = {}): number {
  const held = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text
    .split('\n')
    .filter((line) => new RegExp(`^${name}[{ ]`).test(line) && held.every((label) => line.includes(label)))
    .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a worker tells what it does with an agent that lets two calls in at once, and that it drains', async () => {
  const ofTemporal = `127.0.0.1:${await freePort()}`;
  const worker = await startWorker(
    ...['--metrics-address', '0', '--temporal-metrics-address', ofTemporal, '--shutdown-grace-ms', '5000'],
  );
  try {
    const urlOf = () => /^Metrics at (http:\S+)\/metrics$/m.exec(worker.stderr())?.[1];
    await until('it serves metrics', () => urlOf() !== undefined || worker.process.exitCode !== null);
    const url = urlOf() ?? '';
    const scrape = async () => (await fetch(`${url}/metrics`)).text();
    await until('it runs', async () => (await fetch(`${url}/health`)).status === 200);

    const agent = rig.simulator.agentRid;
    const outcome = await rig.client.conversation('metrics-1').ask('Where is order 4711?');
    const rows = Array.from({ length: 40 }, (_, n) => ({ id: `q${n}`, turns: [`A secret ${n}?`] }));
    let tokens = outcome.result?.totalTokensUsed ?? 0;
    const summary = await runBatch(
      rig.client,
      { batchId: `metrics-${rig.taskQueue}`, agentRid: agent, rows, concurrency: 20 },
      { write: (outcomes) => void (tokens += outcomes.reduce((total, { result }) => total + result.tokens, 0)) },
    );
    expect(summary.counts.succeeded).toBe(40);

    const text = await scrape();
    const { landed } = rig.simulator.summary().totals;
    expect(landed).toBe(41);
    expect(sum(text, 'aip_exchanges_total', { agent, mode: 'streaming', outcome: 'answered' })).toBe(landed);
    expect(sum(text, 'aip_exchange_seconds_count', { agent })).toBe(landed);
    expect(sum(text, 'aip_tokens_total', { agent })).toBe(tokens);
    expect(sum(text, 'aip_calls_total', { agent, kind: 'exchange', outcome: 'ok' })).toBe(landed);
    expect(sum(text, 'aip_calls_total', { kind: 'exchange', priority: 'interactive' })).toBe(1);
    const refused = sum(text, 'aip_calls_total', { kind: 'exchange', outcome: 'refused' });
    expect(refused).toBeGreaterThan(0);
    expect(sum(text, 'aip_exchanges_total', { outcome: 'retried', class: 'wait' })).toBe(refused);
    expect(sum(text, 'aip_limit_wait_seconds_count', { kind: 'exchange' })).toBe(landed + refused);
    // 40 answers of 100 ms, two at once, asked for by 20 at once: they have waited for half a second each, or more.
    expect(sum(text, 'aip_limit_wait_seconds_sum', { kind: 'exchange', priority: 'batch' })).toBeGreaterThan(5);
    expect(sum(text, 'aip_limit_concurrency', { agent })).toBeLessThanOrEqual(4);
    expect(sum(text, 'aip_calls_in_flight')).toBe(0);
    expect(sum(text, 'aip_calls_waiting')).toBe(0);
    expect(text).not.toMatch(/secret|session\.|simulator-token/i);
    expect(await (await fetch(`http://${ofTemporal}/metrics`)).text()).toMatch(/^temporal_\w+_total\{/m);

    const id = 'metrics-2';
    await rig.client.conversation(id).submit({ messageId: 'm', text: 'Slowly [takes 20s]?' });
    await until('it is being answered', async () => sum(await scrape(), 'aip_calls_in_flight') === 1);
    worker.process.kill('SIGTERM');
    await until('it drains', async () => (await fetch(`${url}/health`)).status === 503);
    await rig.client.conversation(id).cancel();
    expect(await worker.exited).toBe(0);
    await expect(fetch(url)).rejects.toThrow();
  } finally {
    worker.process.kill('SIGKILL');
    await worker.exited;
  }
});

test('a worker with a ceiling over all agents tells what runs and waits under it', async () => {
  // One place of two is left to the short calls.
  const worker = await startWorker('--metrics-address', '0', '--max-concurrency', '2', '--shutdown-grace-ms', '5000');
  try {
    const urlOf = () => /^Metrics at (http:\S+)$/m.exec(worker.stderr())?.[1];
    await until('it serves metrics', () => urlOf() !== undefined || worker.process.exitCode !== null);
    const scrape = async () => (await fetch(urlOf() ?? '')).text();
    expect(await scrape()).not.toMatch(/^aip_all_agents_/m);
    const conversations = ['metrics-3', 'metrics-4'].map((id) => rig.client.conversation(id));
    for (const conversation of conversations)
      await conversation.submit({ messageId: 'm', text: 'Slowly [takes 60s]?' });
    await until('one runs, and one waits', async () => {
      const text = await scrape();
      const waiting = sum(text, 'aip_all_agents_calls_waiting', { priority: 'interactive' });
      return sum(text, 'aip_all_agents_calls_in_flight') === 1 && waiting === 1;
    });
    for (const conversation of conversations) await conversation.cancel();
    await until('none runs', async () => sum(await scrape(), 'aip_all_agents_calls_in_flight') === 0);
  } finally {
    worker.process.kill('SIGKILL');
    await worker.exited;
  }
});

describe('an address that is taken', () => {
  let other: Server;
  let address: string;
  beforeAll(async () => {
    other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    address = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((resolve) => other.close(resolve)));

  test.each([
    ['--metrics-address', /^Cannot serve metrics on port \d+ of 127\.0\.0\.1: the port is taken/],
    ['--temporal-metrics-address', /^Cannot serve the metrics of Temporal’s SDK on 127\.0\.0\.1:\d+: .*in use/],
  ])('is refused as %s, with exit code 2', async (flag, told) => {
    const worker = await startWorker(flag, address);
    expect(await worker.exited).toBe(2);
    expect(worker.stderr()).toMatch(told);
  });
});
