import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type * as examples from '../../examples/workflows/workflows.js';
import { runBatch } from '../../src/client/index.js';
import { startUsersWorker, type UsersWorker } from '../support/plugin-stage.js';
import { startRig, type Rig } from '../support/rig.js';

let rig: Rig;
let users: UsersWorker;
beforeAll(async () => {
  rig = await startRig({ worker: false });
  users = await startUsersWorker(rig);
}, 120_000);
afterAll(async () => {
  await users?.stop();
  await rig.close();
});

type Examples = typeof examples;

/** What the simulator is to answer, also when an instruction follows it. */
const answering = (json: unknown): string => `[answer]\n\`\`\`json\n${JSON.stringify(json)}\n\`\`\`\n`;

const start = <Name extends keyof Examples>(name: Name, input: Omit<Parameters<Examples[Name]>[0], 'agentRid'>) =>
  rig.client.client.workflow.start(name, {
    taskQueue: rig.taskQueue,
    workflowId: `test/${randomUUID()}`,
    args: [{ agentRid: rig.simulator.agentRid, ...input }],
  });

describe('a worker of one’s own with the plugin', () => {
  test('answers conversations and batches of the client, on its own task queue', async () => {
    const outcome = await rig.client.conversation(`test/${randomUUID()}`).ask('Where is my order?');
    expect(outcome).toMatchObject({ status: 'answered' });
    const rows = [
      { id: 'a', turns: ['One?'] },
      { id: 'b', turns: ['Two?'] },
    ];
    const batch = { batchId: `test/${randomUUID()}`, agentRid: rig.simulator.agentRid, rows };
    const summary = await runBatch(rig.client, batch, { write: () => undefined });
    expect(summary).toMatchObject({ counts: { succeeded: 2 } });
  });

  test('runs the nightly report', async () => {
    const incidents = [{ id: 'i1', severity: 'high' }];
    const handle = await start('nightlyReport', { about: answering({ incidents }) });
    expect(await handle.result()).toMatchObject({ incidents, text: expect.stringContaining('the 1 severe ones') });
  });
});
