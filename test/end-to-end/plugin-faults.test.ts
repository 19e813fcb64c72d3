import { randomUUID } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import { AipAgentsPlugin, ConfigError, WorkflowBundleError } from '../../src/index.js';
import { silentLogger } from '../support/bundle-workflows.js';
import { exampleWorkflows, fromSources, pluginOf, startExample, startUsersWorker } from '../support/plugin-stage.js';
import { startRig, type Rig } from '../support/rig.js';
import { temporalServer, workflowBundle } from '../support/temporal-server.js';

let rig: Rig;
let connection: NativeConnection;
beforeAll(async () => {
  rig = await startRig({ worker: false });
  const { address } = await temporalServer();
  connection = await NativeConnection.connect({ address });
});
afterAll(async () => {
  await connection.close();
  await rig.close();
});

const fixture = (name: string) => fileURLToPath(new URL(`../support/${name}`, import.meta.url));

const bundled = (workflowsPath: string) =>
  bundleWorkflowCode({ workflowsPath, ...fromSources, plugins: [new AipAgentsPlugin()], logger: silentLogger });

describe('a bundle made ahead', () => {
  test('is made with the plugin, which needs no settings for it, and runs', async () => {
    const users = await startUsersWorker(rig, { workflowBundle: await bundled(exampleWorkflows), connection });
    const conversation = rig.client.conversation(`test/${randomUUID()}`);
    expect(await conversation.ask('Where is my order?')).toMatchObject({ status: 'answered' });
    const handle = await startExample(rig, 'humanApproval', { task: 'Write a letter', waitMs: 100 });
    expect(await handle.result()).toMatchObject({ drafts: 1 });
    await users.stop();
  });

  test('is refused at the start of the worker when it was made without', async () => {
    const starting = startUsersWorker(rig, { workflowBundle: await workflowBundle(), connection });
    await expect(starting).rejects.toThrow(WorkflowBundleError);
    await expect(starting).rejects.toThrow('bundleWorkflowCode({ workflowsPath, plugins: [new AipAgentsPlugin()] })');
  });

  test('is not made when its own workflows have a name of ours', async () => {
    const clash = 'your own workflows export another batchWorkflow; give yours another name';
    await expect(bundled(fixture('clashing-workflows.ts'))).rejects.toThrow(clash);
  });

  test('is made when they are ours', async () => {
    const { code } = await bundled(fixture('reexporting-workflows.ts'));
    expect(code).toContain('reexportingWorkflow');
  });
});

describe('a worker that cannot be one for AIP agents', () => {
  test('does not start without settings, and names all that are missing', async () => {
    const starting = Worker.create({
      ...{ connection, taskQueue: rig.taskQueue, workflowsPath: exampleWorkflows },
      plugins: [new AipAgentsPlugin({ limits: { maxConcurrentLanes: 0 } })],
    });
    await expect(starting).rejects.toThrow(ConfigError);
    await expect(starting).rejects.toMatchObject({
      problems: [
        expect.stringMatching(/^AipAgentsPlugin: .*foundry\.url or FOUNDRY_URL/),
        expect.stringMatching(/^AipAgentsPlugin: Set FOUNDRY_TOKEN/),
        expect.stringMatching(/limits\.maxConcurrentLanes: "0"/),
      ],
    });
  });

  test('does not start with the plugin twice', async () => {
    const { address } = await temporalServer();
    const twice = await NativeConnection.connect({ address, plugins: [pluginOf(rig)] });
    await expect(startUsersWorker(rig, { connection: twice })).rejects.toThrow('Cannot use AipAgentsPlugin twice');
    await twice.close();
  });

  test('ends, and says why, when the workers beside it cannot run', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((listening) => taken.once('listening', listening));
    const { port } = taken.address() as AddressInfo;
    const metricsAddress = `127.0.0.1:${port}`;
    const users = await startUsersWorker(rig, { connection, plugins: [pluginOf(rig, { metricsAddress })] });
    await expect(users.ended).rejects.toThrow(
      new RegExp(`beside task queue ${rig.taskQueue} have failed, .*Cannot serve metrics on port ${port}`),
    );
    expect(users.worker.getState()).toBe('STOPPED');
    await new Promise((closed) => taken.close(closed));
  });

  test('may be shut down at once: nothing of it is left behind', async () => {
    const own = await startRig({ worker: false });
    const { address } = await temporalServer();
    const its = await NativeConnection.connect({ address });
    const users = await startUsersWorker(own, { connection: its });
    await users.stop();
    await its.close(); // Refused while a worker holds on to it.
    await own.close();
  });
});
