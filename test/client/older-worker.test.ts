import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { QueryNotRegisteredError } from '@temporalio/client';
import { legacyQuery } from '../../src/protocol/conversation.js';
import { bundleWorkflows } from '../support/bundle-workflows.js';
import { startRig, until, type Rig } from '../support/rig.js';

let rig: Rig;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'older-workflows-'));
  const bundle = join(folder, 'bundle.js');
  await bundleWorkflows(fileURLToPath(new URL('../support/older-workflows.ts', import.meta.url)), bundle);
  rig = await startRig({ workflowBundlePath: bundle });
});
afterAll(async () => {
  await rig?.close();
  await rm(folder, { recursive: true, force: true });
});

test('an ended conversation of a worker that does not tell what it recorded begins anew, and keeps its last outcomes', async () => {
  const conversation = rig.client.conversation(`test/${randomUUID()}`);
  const first = await conversation.ask({ messageId: 'one', text: 'Where is order 4711?' });
  await conversation.close();
  await until('it has ended', async () => (await conversation.describe()).status === 'completed');
  const handle = rig.client.client.workflow.getHandle(conversation.id);
  await expect(handle.query(legacyQuery)).rejects.toBeInstanceOf(QueryNotRegisteredError);

  expect(await conversation.ask({ messageId: 'one', text: 'Where is order 4711?' })).toEqual(first);
  expect(rig.simulator.summary().totals.landed).toBe(1);
  const second = await conversation.ask({ messageId: 'two', text: 'And order 4712?' });
  expect(second).toMatchObject({ status: 'answered', index: 0 });
  expect(second.sessionRid).not.toBe(first.sessionRid);
});
