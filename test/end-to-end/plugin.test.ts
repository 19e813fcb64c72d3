import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NativeConnection } from '@temporalio/worker';
import { AipClient, decideInWorkflow, runBatch } from '../../src/client/index.js';
import { connectToTemporal } from '../../src/client/connection.js';
import { startTemporalServer } from '../../src/embedded/index.js';
import type { ApprovalNotice } from '../../src/protocol/automation.js';
import { DEFAULTS } from '../../src/protocol/defaults.js';
import { SEARCH_ATTRIBUTE_TYPES } from '../../src/protocol/search-attributes.js';
import { answering, pluginOf, startExample, startUsersWorker, type UsersWorker } from '../support/plugin-stage.js';
import { exchangeStatuses, startRig, until, type Rig } from '../support/rig.js';
import { veiled, veilingConverter } from '../support/veiling-converter.js';

let rig: Rig;
let users: UsersWorker;
const notices: ApprovalNotice[] = [];
beforeAll(async () => {
  rig = await startRig({ worker: false });
  users = await startUsersWorker(rig, {
    plugins: [pluginOf(rig, { onApproval: (notice) => void notices.push(notice) })],
  });
});
afterAll(async () => {
  await users?.stop();
  await rig.close();
});

describe('a worker of one’s own with the plugin', () => {
  test('answers conversations of the client on its own task queue', async () => {
    const outcome = await rig.client.conversation(`test/${randomUUID()}`).ask('Where is my order?');
    expect(outcome).toMatchObject({ status: 'answered' });
  });

  test('runs batches of the client', async () => {
    const rows = [
      { id: 'a', turns: ['One?'] },
      { id: 'b', turns: ['Two?'] },
    ];
    const batch = { batchId: `test/${randomUUID()}`, agentRid: rig.simulator.agentRid, rows };
    const summary = await runBatch(rig.client, batch, { write: () => undefined });
    expect(summary).toMatchObject({ counts: { succeeded: 2 } });
  });

  test('has the identity that its activity workers’ are made of, and waits no longer than ours for dead workers', () => {
    const { options } = users.worker;
    expect(options.identity).toMatch(/^aip-temporal@.+\/workflows$/);
    expect(options.stickyQueueScheduleToStartTimeout).toBe(DEFAULTS.stickyQueueTimeoutMs);
  });
});

describe('the example', () => {
  test('nightly-report lists in JSON, and writes', async () => {
    const incidents = [{ id: 'i1', severity: 'high' }];
    const handle = await startExample(rig, 'nightlyReport', { about: answering({ incidents }) });
    expect(await handle.result()).toMatchObject({ incidents, text: expect.stringContaining('the 1 severe ones') });
  });

  test('human-approval tells somebody, mends the draft by the comment, and ends when it is approved', async () => {
    const handle = await startExample(rig, 'humanApproval', { task: `Write a letter ${randomUUID()}` });
    const told = (approvalId: string) =>
      until(`somebody is told of ${approvalId}`, () =>
        notices.some((notice) => notice.workflowId === handle.workflowId && notice.approval.approvalId === approvalId),
      );
    const decide = (decision: 'approve' | 'reject', comment?: string) =>
      decideInWorkflow(rig.client, handle.workflowId, {
        ...{ decision, by: 'Ann' },
        ...(comment !== undefined && { comment }),
      });
    await told('draft-1');
    await decide('reject', 'shorter, please');
    await told('draft-2');
    await decide('approve');
    expect(await handle.result()).toMatchObject({
      ...{ approved: true, by: 'Ann', drafts: 2 },
      draft: expect.stringContaining('Mend it: shorter, please'),
    });
  });

  test('human-approval gives up when nobody decides', async () => {
    const handle = await startExample(rig, 'humanApproval', { task: 'Write a letter', waitMs: 200 });
    expect(await handle.result()).toMatchObject({ approved: false, drafts: 1 });
  });

  test('fan-out-reduce puts all answers into one question', async () => {
    const finding = { summary: 'All quiet.', urgency: 2 };
    const questions = ['North?', 'South? [fail AgentIterationsExceededLimit]', 'West?'];
    const reduce = `In one sentence. ${answering(finding)}`;
    const handle = await startExample(rig, 'fanOutReduce', { questions, reduce });
    expect(await handle.result()).toEqual({ ...finding, answered: 2, failed: 1 });
    const asked = rig.simulator.ledger().exchanges.find(({ text }) => text.includes('In one sentence.'));
    expect(asked?.text).toMatch(/row-1: [^]*North\?[^]*row-3: [^]*West/);
  });

  test.each([
    ['stands where the agent is sure', 0.9, 'agent'],
    ['goes to the expert, with what was said, where it is not', 0.2, 'expert'],
  ])('escalation: the answer %s', async (_, confidence, answeredBy) => {
    const question = `Why ${randomUUID()}? ${answering({ answer: 'The weather?', confidence })}`;
    const handle = await startExample(rig, 'escalation', { question, expertAgentRid: rig.simulator.agentRid });
    expect(await handle.result()).toMatchObject({ answeredBy, confidence });
    const sessions = rig.simulator.ledger().exchanges.filter(({ text }) => text.includes(question.slice(0, 20)));
    expect(new Set(sessions.map(({ sessionRid }) => sessionRid)).size).toBe(answeredBy === 'expert' ? 2 : 1);
  });
});

describe('a worker with the plugin that is replaced', () => {
  test('hands its exchange over to the next, which asks nothing twice', async () => {
    const text = `Slow ${randomUUID()} [takes 4s]`;
    const own = await startRig({ worker: false });
    const first = await startUsersWorker(own);
    const handle = await startExample(own, 'humanApproval', { task: text, waitMs: 100 });
    await until('the agent answers', () => exchangeStatuses(own, text).length === 1);
    await first.stop();
    const second = await startUsersWorker(own);
    expect(await handle.result()).toMatchObject({ drafts: 1, draft: expect.stringContaining(text) });
    expect(exchangeStatuses(own, text)).toEqual(['landed']);
    await second.stop();
    await own.close();
  });
});

describe('the plugin on a connection, with a codec of one’s own', () => {
  test('has everything that is stored encoded', async () => {
    // A server of its own: clients without the codec cannot list what it leaves behind.
    const server = await startTemporalServer({ searchAttributes: SEARCH_ATTRIBUTE_TYPES });
    const { address, namespace } = server;
    const own = await startRig({ worker: false, server });
    const connection = await NativeConnection.connect({ address, plugins: [pluginOf(own)] });
    const worker = await startUsersWorker(own, {
      ...{ connection, namespace, plugins: [] },
      dataConverter: veilingConverter,
    });
    const client = await connectToTemporal({ connection: { address }, namespace, dataConverter: veilingConverter });
    const { taskQueue } = own;
    const { agentRid } = own.simulator;
    const aip = new AipClient({ client, taskQueue, agentRid });
    const conversation = aip.conversation(`test/${randomUUID()}`);
    const heard: string[] = [];
    const slow = conversation.ask('Where is the hidden letter? [takes 30s]');
    await until('its text so far is read', async () => {
      const { pendingActivities } = await conversation.describe().catch(() => ({ pendingActivities: [] }));
      heard.push(...pendingActivities.map(({ heartbeat }) => JSON.stringify(heartbeat ?? null)));
      return heard.some((details) => details.includes('Answer'));
    });
    await conversation.cancelExchange({ response: 'A hidden letter stays hidden.' });
    expect(await slow).toMatchObject({ status: 'interrupted' });
    expect(await conversation.ask('Where is the hidden letter?')).toMatchObject({ status: 'answered' });
    const rows = [{ id: 'a', turns: ['Where is the hidden letter?'] }];
    const summary = await runBatch(
      aip,
      { batchId: `test/${randomUUID()}`, agentRid, rows },
      { write: () => undefined },
    );
    expect(summary).toMatchObject({ counts: { succeeded: 1 } });
    const { events } = await client.workflow.getHandle(conversation.id).fetchHistory();
    // Payloads come as base64.
    const stored = JSON.stringify(events).replaceAll(/"data":"([^"]+)"/g, (_, data: string) => {
      return Buffer.from(data, 'base64').toString('latin1');
    });
    expect(stored).not.toContain('hidden letter');
    expect(stored.includes(veiled('hidden letter'))).toBe(true);
    await worker.stop();
    await client.connection.close();
    await connection.close();
    await own.close();
    await server.stop();
  });
});
