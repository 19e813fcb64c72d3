/**
 * Conversations and batches with the workflow cache off, so that every step of a workflow is a replay of all before it: what
 * is not remembered rightly by a replay shows here as a wrong outcome, a second landing, or a failed workflow task.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import protobuf from '@temporalio/proto';
import { batchProgress, cancelBatch, runBatch, submitBatch } from '../../src/client/batch.js';
import type { ConversationHandle, ConversationSettings } from '../../src/client/index.js';
import { batchShardWorkflowId, batchWorkflowId, type RowOutcome } from '../../src/protocol/batch.js';
import { exchangeStatuses, startRig, until, type Rig } from '../support/rig.js';

const unhandledCommand =
  protobuf.temporal.api.enums.v1.WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND;

let rig: Rig;
/** The workflows of all tests. */
const workflowIds: string[] = [];
beforeAll(async () => {
  rig = await startRig({ worker: false });
  await rig.startWorker({ maxCachedWorkflows: 0 });
});
afterAll(() => rig.close());

function conversation(settings: ConversationSettings = {}): ConversationHandle {
  const id = `test/${randomUUID()}`;
  workflowIds.push(id);
  return rig.client.conversation(id, settings);
}

/** What became of the exchanges of one text, at the agent. */
const atTheAgent = (text: string) => exchangeStatuses(rig, text);

async function untilItRuns(text: string): Promise<void> {
  await until('it runs', () => atTheAgent(text).includes('answering'));
}

describe('with nothing cached, a conversation', () => {
  test('interrupts, rolls back, cancels and rolls over', async () => {
    const handle = conversation({ maxExchangesPerRun: 2 });
    const slow = (what: string) => `[takes 20000ms] ${what}`;
    for (const [whenBusy, status] of [
      ['interrupt', 'interrupted'],
      ['rollback', 'cancelled'],
    ] as const) {
      const text = slow(`Before ${whenBusy}?`);
      const asked = handle.ask(text);
      await untilItRuns(text);
      expect(await handle.ask({ text: `After ${whenBusy}?`, whenBusy })).toMatchObject({
        status: 'answered',
        sends: 1,
      });
      expect(await asked).toMatchObject({ status });
      expect(atTheAgent(text)).toEqual([status]);
      expect(atTheAgent(`After ${whenBusy}?`)).toEqual(['landed']);
    }
    const text = slow('Cancelled with a response?');
    const asked = handle.ask(text);
    await untilItRuns(text);
    const queued = handle.ask({ messageId: 'queued', text: 'Never sent' });
    await until('it waits', async () => (await handle.status()).queue.length === 1);
    await handle.cancelExchange({ messageId: 'queued' });
    await handle.cancelExchange({ response: 'Never mind.' });
    expect(await asked).toMatchObject({ status: 'interrupted', result: { agentMarkdownResponse: 'Never mind.' } });
    expect(await queued).toMatchObject({ status: 'cancelled', sends: 0 });
    expect(atTheAgent('Never sent')).toEqual([]);
    await handle.close();
    expect(await handle.result()).toMatchObject({
      endedBy: 'closed',
      totals: { answered: 2, interrupted: 2, cancelled: 2, failed: 0, sessions: 1 },
    });
    expect((await handle.status()).runs).toBeGreaterThan(2);
  });

  test('opens another session when its own has expired, and carries over what was said', async () => {
    const handle = conversation();
    const first = await handle.ask('Remember this.');
    rig.simulator.expireSession(first.sessionRid ?? '');
    const second = await handle.ask('Do you remember?');
    expect(second).toMatchObject({ status: 'answered' });
    expect(second.sessionRid).not.toBe(first.sessionRid);
    const [sent] = rig.simulator.ledger().exchanges.filter(({ sessionRid }) => sessionRid === second.sessionRid);
    expect(sent?.text).toContain('Remember this.');
    await handle.close();
    expect(await handle.result()).toMatchObject({ totals: { answered: 2, sessions: 2 } });
  });

  test('waits out a limit and finds an answer that was lost', async () => {
    const handle = conversation();
    rig.simulator.setFaults([
      {
        operation: 'streamingContinue',
        match: { textIncludes: 'Limited' },
        times: 1,
        fault: { kind: 'error', errorName: 'RateLimitExceeded' },
      },
      {
        operation: 'streamingContinue',
        match: { textIncludes: 'Lost' },
        times: 1,
        fault: { kind: 'dropAfterLanding' },
      },
    ]);
    for (const text of ['Limited, uncached?', 'Lost, uncached?']) {
      expect(await handle.ask(text)).toMatchObject({ status: 'answered' });
      expect(atTheAgent(text)).toEqual(['landed']);
    }
    rig.simulator.setFaults([]);
    await handle.close();
  });

  test('answers several senders at once, each message once and in order, over its roll-overs', async () => {
    const handle = conversation({ maxExchangesPerRun: 4 });
    await handle.ask('Opening');
    const texts = Array.from({ length: 12 }, (_, n) => `Sender ${n % 4}, message ${n}`);
    const senders = [0, 1, 2].map(async (sender) => {
      const own = texts.filter((_, n) => n % 4 === sender);
      const outcomes = [];
      for (const text of own) outcomes.push(await handle.ask({ messageId: text, text }));
      return outcomes;
    });
    // The fourth does not wait, and says everything twice.
    for (const text of texts.filter((_, n) => n % 4 === 3)) {
      for (const _again of [1, 2]) await handle.submit({ messageId: text, text });
    }
    const outcomes = (await Promise.all(senders)).flat();
    expect(outcomes.map(({ status }) => status)).toEqual(Array(9).fill('answered'));
    await until('all are answered', async () => (await handle.status()).totals.answered === 13);
    const accepted: (string | undefined)[] = [];
    for await (const { text } of handle.transcript()) accepted.push(text);
    const { exchanges } = rig.simulator.ledger();
    const inSession = exchanges.filter(({ sessionRid }) => sessionRid === outcomes[0]?.sessionRid);
    expect(inSession.map(({ text }) => text)).toEqual(accepted);
    expect(inSession.map(({ text }) => text).sort()).toEqual(['Opening', ...texts].sort());
    expect((await handle.status()).runs).toBe(4);
    await handle.close();
  });

  test('that is cancelled records what runs and what waits, and ends as Canceled', async () => {
    const handle = conversation({ maxExchangesPerRun: 1 });
    await handle.ask('In a run before?');
    const text = '[takes 20000ms] Cancelled with its conversation?';
    const asked = [handle.ask(text)];
    await untilItRuns(text);
    asked.push(handle.ask('Waiting for its turn?'));
    await until('it waits', async () => (await handle.status()).queue.length === 1);
    await handle.cancel();
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
    await expect(handle.result()).rejects.toThrow(/cancel/i);
    expect([atTheAgent(text), atTheAgent('Waiting for its turn?')]).toEqual([['cancelled'], []]);
  });
});

describe('with nothing cached, a batch', () => {
  const rows = (count: number, text: string) =>
    Array.from({ length: count }, (_, n) => ({ id: `q${n}`, turns: n % 3 === 0 ? [text, `And ${n}?`] : [text] }));

  async function batchOf(shards: number, count: number, text: string, concurrency: number) {
    const batchId = `test-${randomUUID()}`;
    workflowIds.push(batchWorkflowId(batchId));
    for (let shard = 0; shard < shards; shard++) workflowIds.push(batchShardWorkflowId(batchId, shard));
    const submission = {
      batchId,
      agentRid: rig.simulator.agentRid,
      rows: rows(count, `${batchId}: ${text}`),
      concurrency,
    };
    expect(await submitBatch(rig.client, submission)).toMatchObject({ shardCount: shards });
    return submission;
  }

  /** The exchanges of a batch at the agent: its first turns name it. */
  const landedOf = (batchId: string) =>
    rig.simulator.ledger().exchanges.filter(({ text, status }) => status === 'landed' && text.startsWith(batchId))
      .length;

  test('answers each of its rows once', async () => {
    const batch = await batchOf(2, 24, 'Once?', 4);
    const outcomes: RowOutcome[] = [];
    const summary = await runBatch(rig.client, batch, { write: (some) => void outcomes.push(...some) });
    expect(summary.counts).toMatchObject({ succeeded: 24, failed: 0, cancelled: 0, expired: 0 });
    for (const { row, result } of outcomes) {
      expect(result).toMatchObject({ status: 'succeeded', attempts: row.turns.length });
      expect(result.exchanges).toHaveLength(row.turns.length);
    }
    expect(landedOf(batch.batchId)).toBe(24);
  });

  test('that is cancelled delivers what was answered, and ends what runs', async () => {
    const batch = await batchOf(2, 12, '[takes 2s] Cancelled?', 2);
    await until('some are answered', () => landedOf(batch.batchId) >= 2);
    await cancelBatch(rig.client, batch.batchId);
    const outcomes: RowOutcome[] = [];
    const { counts } = await runBatch(rig.client, batch, { write: (some) => void outcomes.push(...some) });
    expect(outcomes).toHaveLength(12);
    expect(counts.succeeded + counts.cancelled).toBe(12);
    expect(counts.cancelled).toBeGreaterThan(0);
    const ended = async () => (await batchProgress(rig.client, batch.batchId)).state === 'cancelled';
    await until('it has ended', ended);
  });
});

describe('in all of this', () => {
  test('nothing landed twice, and nothing is left running', () => {
    const { totals, duplicateCounts } = rig.simulator.summary();
    expect({ running: totals.inFlight, overlaps: totals.overlapsRefused, ...duplicateCounts }).toEqual({
      running: 0,
      overlaps: 0,
      messageId: 0,
      text: 0,
    });
  });

  test('no workflow task failed: every replay did what was done before', async () => {
    for (const workflowId of workflowIds) {
      expect({ workflowId, failures: await failures(workflowId) }).toEqual({ workflowId, failures: [] });
    }
  });
});

/** Why workflow tasks failed, over all runs of a workflow. One that would end it while a message comes in is tried again, rightly. */
async function failures(workflowId: string): Promise<unknown[]> {
  const causes: unknown[] = [];
  let runId: string | null | undefined;
  do {
    const { events = [] } = await rig.client.client.workflow.getHandle(workflowId, runId ?? undefined).fetchHistory();
    for (const { workflowTaskFailedEventAttributes: failed } of events ?? []) {
      if (failed != null && failed.cause !== unhandledCommand) causes.push(failed.failure?.message);
    }
    runId = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
  } while (runId);
  return causes;
}
