import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { bundleWorkflows } from '../support/bundle-workflows.js';
import { askedOf, mostAtOnce, runningOf } from '../support/automation-stage.js';
import type * as workflows from '../support/code-workflows.js';
import { startRig, type Rig, until } from '../support/rig.js';

let folder: string;
let rig: Rig;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aip-temporal-code-'));
  const workflowBundlePath = join(folder, 'bundle.js');
  const entry = fileURLToPath(new URL('../support/code-workflows.ts', import.meta.url));
  await bundleWorkflows(entry, workflowBundlePath);
  rig = await startRig({ workflowBundlePath });
});
afterAll(async () => {
  await rig.close();
  await rm(folder, { recursive: true, force: true });
});

type Name = Exclude<keyof typeof workflows, 'Conversation' | 'answerOf'>;

async function start(name: Name, more: object = {}) {
  const tag = `tag-${randomUUID()}`;
  const handle = await rig.client.client.workflow.start(name, {
    workflowId: `test/${tag}`,
    taskQueue: rig.taskQueue,
    args: [{ agentRid: rig.simulator.agentRid, tag, ...more }],
    workflowExecutionTimeout: '2 minutes',
  });
  return {
    ...{ handle, tag, result: () => handle.result() as Promise<unknown> },
    /** Has it go on when the agent answers what holds the words. */
    goOnWhen: async (words: string): Promise<void> => {
      await until('the agent answers', () => runningOf(rig, `${tag} ${words}`).length === 1);
      await handle.signal('goOn');
    },
  };
}

describe('a conversation in code', () => {
  test('answers what is asked at once one at a time, beside other conversations', async () => {
    const { tag, result } = await start('inParallel');
    expect(await result()).toMatchObject({
      statuses: ['answered', 'answered', 'answered', 'answered'],
      ...{ totals: { answered: 3, sessions: 1 }, session: 3 },
      refused: expect.stringContaining('closing'),
    });
    const one = askedOf(rig, `${tag} one`);
    expect(one.map(({ turn }) => turn)).toEqual([1, 2, 3]);
    expect(mostAtOnce(one)).toBe(1);
    expect(mostAtOnce(askedOf(rig, tag))).toBe(2);
  });

  test('ends what was asked in a scope that is cancelled, and stays usable', async () => {
    const { tag, result, goOnWhen } = await start('cancelledScope');
    await goOnWhen('[takes');
    expect(await result()).toMatchObject({
      cancelled: [true, true],
      later: 'still here',
      totals: { cancelled: 2, answered: 1 },
    });
    expect(askedOf(rig, tag).map(({ status }) => status)).toEqual(['cancelled', 'landed']);
  });

  test('is cancelled by hand, with and without a response, rolled back and interrupted, and rejects', async () => {
    const { result, goOnWhen } = await start('byHand');
    for (const question of ['a', 'b', 'c', 'd']) await goOnWhen(`${question} `);
    expect(await result()).toEqual({
      statuses: ['interrupted', 'cancelled', 'cancelled', 'interrupted', 'answered', 'answered'],
      answer: 'That will do',
      rejected: expect.stringContaining('busy'),
    });
  });

  test('goes on over runs by its snapshot, which it does not give while it is busy', async () => {
    const { tag, result } = await start('overRuns', { run: 1 });
    expect(await result()).toEqual({
      busy: expect.stringContaining('it is busy'),
      texts: [1, 2, 3].map((run) => ` run ${run} [set status=run${run}]`),
      totals: expect.objectContaining({ answered: 3, sessions: 1 }),
      parameters: { status: { type: 'string', value: 'run3' } },
    });
    expect(askedOf(rig, tag).map(({ turn }) => turn)).toEqual([1, 2, 3]);
  });

  test('its workflow cancelled, it ends at the agent, and closes', async () => {
    const { handle, tag } = await start('untilCancelled');
    await until('it asks', () => runningOf(rig, tag).length === 1);
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect(askedOf(rig, tag).map(({ status }) => status)).toEqual(['cancelled']);
  });
});

test('askJson takes a schema of zod and the like', async () => {
  const { tag, result } = await start('withStandardSchema');
  expect(await result()).toMatchObject({ json: [1, 2], attempts: 2 });
  expect(askedOf(rig, '- /x/0: No list').length).toBeGreaterThan(0);
  expect(askedOf(rig, tag)).toHaveLength(1);
});

test('runBatch gives the outcomes in pages', async () => {
  const { result } = await start('withBatch');
  const { counts, pages, ids } = (await result()) as { counts: object; pages: number[]; ids: number };
  expect(counts).toMatchObject({ succeeded: 30, failed: 0 });
  expect(ids).toBe(30);
  expect(pages.length).toBeGreaterThan(1);
});

test('approval waits for a signal, for its default, and not with a reminder of nought', async () => {
  const { handle, result } = await start('withApproval');
  await until('it waits', async () => ((await handle.query('approvals').catch(() => [])) as unknown[]).length === 1);
  await handle.signal('approve', { by: 'Ann' });
  expect(await result()).toMatchObject([
    { approvalId: 'approval-1', decision: 'approve', by: 'Ann' },
    { approvalId: 'mine', decision: 'reject', byDefault: true },
    { comment: expect.stringContaining('remindEveryMs is 0') },
  ]);
});
