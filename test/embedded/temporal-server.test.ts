import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import {
  DataDirectoryInUseError,
  PortTakenError,
  startTemporalServer,
  type TemporalServer,
  type TemporalServerOptions,
} from '../../src/embedded/index.js';
import { program, temporaryFolder } from './fake-programs.js';

const started: TemporalServer[] = [];

async function start(options: TemporalServerOptions = {}): Promise<TemporalServer> {
  const server = await startTemporalServer(options);
  started.push(server);
  return server;
}

async function withClient<T>(server: TemporalServer, use: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: server.address });
  try {
    return await use(new Client({ connection, namespace: server.namespace }));
  } finally {
    await connection.close();
  }
}

/** A workflow that nobody works on: it stays as it is. */
function startWaitingWorkflow(client: Client, workflowId: string) {
  return client.workflow.start('nobodyKnowsThis', { workflowId, taskQueue: 'nobody-polls' });
}

async function statusOf(client: Client, workflowId: string): Promise<string> {
  return (await client.workflow.getHandle(workflowId).describe()).status.name;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.stop()));
});

describe('startTemporalServer()', () => {
  test('serves workflows in the namespace asked for, and a web UI, on free ports', async () => {
    const server = await start({ namespace: 'questions', searchAttributes: { Subject: 'Keyword', Urgent: 'Bool' } });
    expect(server).toMatchObject({ address: `127.0.0.1:${server.port}`, uiUrl: `http://127.0.0.1:${server.uiPort}` });
    const status = await withClient(server, async (client) => {
      await client.workflow.start('nobodyKnowsThis', {
        workflowId: 'a',
        taskQueue: 'nobody-polls',
        searchAttributes: { Subject: ['sums'], Urgent: [true] },
      });
      return statusOf(client, 'a');
    });
    expect(status).toBe('RUNNING');
    expect((await fetch(server.uiUrl)).status).toBe(200);
  });

  test('has all its data again after being killed and started on the same data directory', async () => {
    const dataDir = await temporaryFolder();
    const first = await start({ dataDir, searchAttributes: { Subject: 'Keyword' } });
    await withClient(first, (client) => startWaitingWorkflow(client, 'survivor'));
    first.kill('SIGKILL');
    expect(await first.exited).toMatchObject({ code: null, signal: 'SIGKILL' });

    const second = await start({ dataDir, searchAttributes: { Subject: 'Keyword', Added: 'Bool' } });
    await withClient(second, async (client) => {
      expect(await statusOf(client, 'survivor')).toBe('RUNNING');
      const { customAttributes } = await client.connection.operatorService.listSearchAttributes({
        namespace: 'default',
      });
      expect(Object.keys(customAttributes ?? {})).toEqual(expect.arrayContaining(['Subject', 'Added']));
    });
  });

  test('stops when told, and leaves nothing but its database in the data directory', async () => {
    const dataDir = await temporaryFolder();
    const server = await start({ dataDir });
    await server.stop();
    await server.stop();
    expect(() => process.kill(server.pid, 0)).toThrow('ESRCH');
    expect((await readdir(dataDir)).filter((name) => !name.startsWith('temporal.db'))).toEqual([]);
  });

  test('refuses a data directory that another live server uses, and names that server', async () => {
    const dataDir = await temporaryFolder();
    const first = await start({ dataDir });
    const error: unknown = await start({ dataDir }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DataDirectoryInUseError);
    expect(String(error)).toContain(`is in use by process ${process.pid}`);
    expect(String(error)).toContain(`server at ${first.address}, UI at ${first.uiUrl}`);
    expect(await withClient(first, (client) => client.workflow.count())).toMatchObject({ count: 0 });
  });

  test('refuses a port that is taken before it starts anything, and frees the data directory again', async () => {
    const blocker = createServer();
    await new Promise<void>((listening) => blocker.listen(0, '127.0.0.1', listening));
    const { port } = blocker.address() as AddressInfo;
    const dataDir = await temporaryFolder();
    for (const ports of [{ port }, { uiPort: port }]) {
      const error: unknown = await start({ ...ports, dataDir, cli: '/not/even/looked/at' }).catch(
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(PortTakenError);
      expect(String(error)).toContain(`port ${port} on 127.0.0.1 is taken by another process`);
    }
    await new Promise((closed) => blocker.close(closed));
    expect(await readdir(dataDir)).toEqual([]);
  });

  test('refuses a database in which a search attribute has another type', async () => {
    const dataDir = await temporaryFolder();
    const first = await start({ dataDir, searchAttributes: { Subject: 'Keyword' } });
    await first.stop();
    await expect(start({ dataDir, searchAttributes: { Subject: 'Bool' } })).rejects.toThrow(
      'its search attribute Subject is of type Keyword, and Bool is needed',
    );
  });

  test("tells the server's last words when it ends before it answers", async () => {
    const cli = await program(join(await temporaryFolder(), 'temporal'), 'echo "disk is full" >&2', 'exit 7');
    await expect(start({ cli })).rejects.toThrow(
      'The Temporal server ended before it answered (exit code 7). Its last words:\n  disk is full',
    );
  });

  test('gives up on a server that never answers, and ends it', async () => {
    const folder = await temporaryFolder();
    const pidFile = join(folder, 'pid');
    const cli = await program(join(folder, 'temporal'), `echo $$ > ${pidFile}`, 'exec sleep 600');
    await expect(start({ cli, startTimeoutMs: 5_000 })).rejects.toThrow(
      /The Temporal server did not answer on 127\.0\.0\.1:\d+ within 5 s/,
    );
    const pid = Number(await readFile(pidFile, 'utf8'));
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});
