import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import type { ConversationHandle } from '../../src/client/index.js';
import { submitBatch } from '../../src/client/batch.js';
import { batchRowWorkflowId, batchShardWorkflowId, batchWorkflowId } from '../../src/protocol/batch.js';
import { startBrowser } from '../support/browser.js';
import { startRig, until, type Rig } from '../support/rig.js';
import { TemporalUi } from '../support/temporal-ui.js';

/** So long after a click at most, the agent has been told. Two seconds are promised of a machine that has no other work. */
const TOLD_WITHIN_MS = 10_000;

const REPORT = 'Write a report about the open shipments. [takes 120s] [long 6000]';

let rig: Rig;
let browser: Browser;
let ui: TemporalUi;
const started: ConversationHandle[] = [];
beforeAll(async () => {
  browser = await startBrowser();
  rig = await startRig();
});
afterAll(async () => {
  await browser?.close();
  await rig?.close();
});
beforeEach(async () => {
  ui = await TemporalUi.open(browser);
});
afterEach(async () => {
  await ui.page.context().close();
  // What a failed test leaves behind would keep its callers waiting.
  for (const left of started.splice(0)) await left.terminate().catch(() => undefined);
});

function newConversation(): ConversationHandle {
  const conversation = rig.client.conversation(`ui/${randomUUID()}`);
  started.push(conversation);
  return conversation;
}

/** A conversation whose agent is writing an answer that takes two minutes. */
async function answering() {
  const conversation = newConversation();
  const asked = conversation.ask({ messageId: 'report', text: REPORT });
  asked.catch(() => undefined); // Told by whoever awaits it.
  let sessionRid = '';
  await until('the agent writes', async () => {
    sessionRid = (await conversation.status().catch(() => undefined))?.session?.sessionRid ?? '';
    return rig.simulator.ledger().running.some((exchange) => exchange.sessionRid === sessionRid);
  });
  return { conversation, asked, sessionRid, run: await runOf(conversation) };
}

async function runOf(conversation: ConversationHandle): Promise<{ workflowId: string; runId: string }> {
  const { conversationId, runId } = await conversation.describe();
  return { workflowId: conversationId, runId };
}

/** Waits until the agent was told to cancel; the delay is counted from the click to the agent's own note of it. */
async function toldAfterMs(sessionRid: string, clickedAt: number): Promise<number> {
  const told = () => rig.simulator.ledger().cancels.find((cancel) => cancel.sessionRid === sessionRid);
  await until('the agent is told to cancel', () => told() !== undefined);
  expect(told()?.outcome).toBe('cancelled');
  return Date.parse(told()?.at ?? '') - clickedAt;
}

const endedAs = (conversation: ConversationHandle, status: string) =>
  until(`the run has ended as ${status}`, async () => (await conversation.describe()).status === status);

function expectNothingLeft(sessionRid: string): void {
  const { running, exchanges } = rig.simulator.ledger();
  expect(running).toEqual([]);
  expect(exchanges.filter((exchange) => exchange.sessionRid === sessionRid)).toMatchObject([{ status: 'cancelled' }]);
}

describe('the Temporal UI', () => {
  test('"Request Cancellation" stops the exchange at the agent, and the run ends as Canceled', async () => {
    const { conversation, asked, sessionRid, run } = await answering();
    await ui.openWorkflow(run, 'history');
    const clickedAt = await ui.requestCancellation();
    expect(await toldAfterMs(sessionRid, clickedAt)).toBeLessThanOrEqual(TOLD_WITHIN_MS);
    await endedAs(conversation, 'cancelled');
    expectNothingLeft(sessionRid);
    expect(await asked).toMatchObject({ messageId: 'report', status: 'cancelled', sends: 1 });
    expect(await conversation.outcome('report')).toMatchObject({ state: 'finished', outcome: { status: 'cancelled' } });
    await ui.shows(['Canceled']);
  });

  test('"Terminate" stops the exchange at the agent too', async () => {
    const { conversation, asked, sessionRid, run } = await answering();
    await ui.openWorkflow(run, 'history');
    const clickedAt = await ui.terminate('asked for by the test');
    expect(await toldAfterMs(sessionRid, clickedAt)).toBeLessThanOrEqual(TOLD_WITHIN_MS);
    await endedAs(conversation, 'terminated');
    await until('nothing runs', () => rig.simulator.ledger().running.length === 0);
    expectNothingLeft(sessionRid);
    await expect(asked).rejects.toThrow(/terminated/i);
    await ui.shows(['Terminated']);
  });

  test('the signal dialog cancels one exchange with a response, and the conversation goes on', async () => {
    const { conversation, asked, run } = await answering();
    await ui.openWorkflow(run, 'history');
    await ui.sendSignal('cancelExchange', { response: 'The operator stopped this.' });
    const result = { agentMarkdownResponse: 'The operator stopped this.', interruptedOutput: true };
    expect(await asked).toMatchObject({ status: 'interrupted', result });
    expect(await conversation.ask('Still there?')).toMatchObject({ status: 'answered' });
  });

  test('lists conversations by agent and state, with search attributes as columns', async () => {
    const conversation = newConversation();
    const { sessionRid } = await conversation.ask('[fail AgentIterationsExceededLimit]');
    const attributes = `AipAgent="${rig.client.agentRid}" AND AipState="open" AND AipNeedsAttention=true`;
    await until('the run is listed', async () => {
      const found = rig.client.client.workflow.list({ query: `${attributes} AND WorkflowId="${conversation.id}"` });
      for await (const _ of found) return true;
      return false;
    });
    await ui.openList(`${attributes} AND WorkflowId="${conversation.id}"`);
    await ui.addColumns(['AipAgent', 'AipState', 'AipSession', 'AipNeedsAttention']);
    const row = ui.page.getByRole('row').filter({ hasText: conversation.id });
    for (const value of [rig.client.agentRid, 'open', sessionRid, 'true']) {
      await row
        .getByText(value ?? '', { exact: true })
        .first()
        .waitFor();
    }
  });

  test('shows of a running exchange its question, its live text, and what the conversation waits for', async () => {
    const { conversation, run } = await answering();
    await ui.openWorkflow(run, 'history');
    await ui.shows(['exchange 0: Write a report about the open shipments.', 'open a session']);
    await ui.openWorkflow(run, 'pending-activities');
    await ui.shows(['streamingContinue', 'exchange-0', '"phase": "streaming"', 'Answer 1']);
    await ui.openWorkflow(run, 'user-metadata');
    const { session } = await conversation.status();
    const agent = `agent: ${rig.client.agentRid}`;
    await ui.shows(['exchanging, waiting for the agent', '0 answered; 0 queued', session?.sessionRid ?? '', agent]);
  });

  test('shows of a failing exchange the attempt, the API’s error and its errorInstanceId', async () => {
    const conversation = newConversation();
    await conversation.submit({ messageId: 'broken', text: '[fail SessionExecutionFailed]' });
    await until('a try has failed', async () => {
      const [activity] = (await conversation.describe()).pendingActivities;
      return activity?.lastFailure !== undefined && activity.attempt > 2;
    });
    await ui.openWorkflow(await runOf(conversation), 'pending-activities');
    await ui.shows(['"type": "SessionExecutionFailed"', '"class": "transient"', /"errorInstanceId": "[0-9a-f-]{36}"/]);
  });

  test('shows of a batch how far it is, and of a row that is a run of its own its question and its end by a click', async () => {
    const batchId = `ui-${randomUUID()}`;
    const rows = [
      { id: 'fast', turns: ['Where is order 4711?'] },
      { id: 'slow', turns: [REPORT] },
    ];
    const agentRid = rig.simulator.agentRid;
    await submitBatch(rig.client, { batchId, agentRid, rows, concurrency: 1, isolation: 'workflow' });
    const runOfBatch = async (workflowId: string) => {
      const { runId } = await rig.client.client.workflow.getHandle(workflowId).describe();
      return { workflowId, runId };
    };
    const slow = batchRowWorkflowId(batchId, 1);
    const isRunning = () => rig.simulator.ledger().running.length === 1;
    await until('the second row runs', isRunning);
    await ui.openWorkflow(await runOfBatch(batchShardWorkflowId(batchId, 0)), 'history');
    await ui.shows(['row fast: Where is order 4711?', 'row slow: Write a report']);
    await ui.openWorkflow(await runOfBatch(batchShardWorkflowId(batchId, 0)), 'user-metadata');
    await ui.shows(['running each row as a workflow of its own', 'rows: 1 of 2 have ended'], { reload: true });
    await ui.openWorkflow(await runOfBatch(slow), 'history');
    await ui.requestCancellation();
    await until('nothing runs', () => !isRunning());
    await ui.openWorkflow(await runOfBatch(batchWorkflowId(batchId)), 'user-metadata');
    await ui.shows(['2 of 2 rows have ended', '1 of 1 shards have ended'], { reload: true });
  });
});
