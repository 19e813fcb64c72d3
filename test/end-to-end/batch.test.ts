import { randomUUID } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import {
  BatchExistsError,
  BatchNotFoundError,
  type BatchProgress,
  batchProgress,
  cancelBatch,
  collectResults,
  describeBatch,
  pauseBatch,
  resumeBatch,
  runBatch,
  submitBatch,
} from '../../src/client/batch.js';
import { batchShardWorkflowId, batchWorkflowId, type BatchRow, type RowOutcome } from '../../src/protocol/batch.js';
import { batchStage, questions } from '../support/batch-stage.js';
import { startRig, until } from '../support/rig.js';

const stage = batchStage({ concurrency: 50 });
const { submission, totals } = stage;

/** Takes outcomes, and knows of rows that came twice. */
class Outcomes {
  readonly byIndex = new Map<number, RowOutcome>();
  repeated = 0;

  write(outcomes: readonly RowOutcome[]): void {
    for (const outcome of outcomes) {
      if (this.byIndex.has(outcome.result.index)) this.repeated++;
      this.byIndex.set(outcome.result.index, outcome);
    }
  }

  get inOrder(): RowOutcome[] {
    return [...this.byIndex].sort(([a], [b]) => a - b).map(([, outcome]) => outcome);
  }
}

/** Events of all histories of a batch. */
async function historyEvents(batchId: string, shardCount: number): Promise<number> {
  const ids = [
    batchWorkflowId(batchId),
    ...Array.from({ length: shardCount }, (_, n) => batchShardWorkflowId(batchId, n)),
  ];
  const descriptions = await Promise.all(ids.map((id) => stage.rig.client.client.workflow.getHandle(id).describe()));
  return descriptions.reduce((sum, { historyLength }) => sum + historyLength, 0);
}

describe('a batch', () => {
  test('answers each of 300 rows exactly once, and tells each result once', async () => {
    const outcomes = new Outcomes();
    const told: BatchProgress[] = [];
    const batch = submission(questions(300));
    const summary = await runBatch(stage.rig.client, batch, outcomes, {
      onProgress: (progress) => told.push(progress),
    });
    expect(summary).toMatchObject({ rowCount: 300, counts: { succeeded: 300, failed: 0, cancelled: 0, expired: 0 } });
    expect(outcomes.repeated).toBe(0);
    expect(outcomes.inOrder.map(({ result }) => result.id)).toEqual(questions(300).map(({ id }) => id));
    const first = outcomes.inOrder[0]!;
    expect(first.row).toEqual(questions(1)[0]);
    expect(first.result).toMatchObject({ status: 'succeeded', attempts: 1, tokens: expect.any(Number) });
    expect(first.result.exchanges[0]?.agentMarkdownResponse).not.toBe('');
    const { landed, sessionsCreated, peakInFlight } = totals();
    expect({ landed, sessionsCreated }).toEqual({ landed: 300, sessionsCreated: 300 });
    expect(peakInFlight).toBeLessThanOrEqual(50);
    expect(stage.rig.simulator.summary().duplicateCounts.messageId).toBe(0);
    expect(told.at(-1)).toMatchObject({ state: 'completed', succeeded: 300, running: 0 });
  });

  test('makes at most half a history event per row', async () => {
    const batch = submission(questions(400));
    const { shardCount } = await submitBatch(stage.rig.client, batch);
    await collectResults(stage.rig.client, batch.batchId, new Outcomes());
    await until(
      'the batch has ended',
      async () => (await batchProgress(stage.rig.client, batch.batchId)).state === 'completed',
    );
    expect((await historyEvents(batch.batchId, shardCount)) / 400).toBeLessThanOrEqual(0.5);
  });

  test('walks rows of several turns in one session each, in their order', async () => {
    const rows = questions(20).map(({ id }) => ({ id, turns: [`${id}: one?`, `${id}: two?`, `${id}: three?`] }));
    const outcomes = new Outcomes();
    await runBatch(stage.rig.client, submission(rows), outcomes);
    const { exchanges } = stage.rig.simulator.ledger();
    expect(exchanges).toHaveLength(60);
    for (const { row, result } of outcomes.inOrder) {
      expect(result).toMatchObject({ status: 'succeeded', attempts: 3 });
      expect(result.exchanges).toHaveLength(3);
      const ofSession = exchanges.filter(({ sessionRid }) => sessionRid === result.sessionRid);
      expect(ofSession.map(({ text }) => text)).toEqual(row.turns);
    }
  });

  test('has as many rows at once as it may although its last shard alone has rows left', async () => {
    const rows = questions(12);
    // Shards of six rows and two places each; those of the first are answered at once.
    for (const row of rows.slice(6)) row.turns = [`${row.turns[0]} [takes 4s]`];
    const outcomes = new Outcomes();
    const running = runBatch(stage.rig.client, submission(rows, { concurrency: 4 }), outcomes);
    await until('four rows of the last shard run', () => totals().inFlight === 4);
    expect((await running).counts.succeeded).toBe(12);
    expect([outcomes.repeated, totals().landed, totals().peakInFlight]).toEqual([0, 12, 4]);
  });

  test('submitted twice starts once, and gives its results as often as asked', async () => {
    const batch = submission(questions(30));
    expect(await submitBatch(stage.rig.client, batch)).toMatchObject({ attached: false, rowCount: 30 });
    expect(await submitBatch(stage.rig.client, batch)).toMatchObject({ attached: true, rowCount: 30 });
    const [first, again] = [new Outcomes(), new Outcomes()];
    await collectResults(stage.rig.client, batch.batchId, first);
    expect(await submitBatch(stage.rig.client, batch)).toMatchObject({ attached: true });
    await collectResults(stage.rig.client, batch.batchId, again);
    expect(again.inOrder).toEqual(first.inOrder);
    expect(totals().landed).toBe(30);
  });

  test('goes on with what a submit that was cut off has started', async () => {
    const batch = submission(questions(250));
    let started = 0;
    const cutOff = submitBatch(stage.rig.client, {
      ...batch,
      onProgress: () => {
        if (++started === 1) throw new Error('killed');
      },
    });
    await expect(cutOff).rejects.toThrow('killed');
    await expect(collectResults(stage.rig.client, batch.batchId, new Outcomes())).rejects.toThrow(BatchNotFoundError);
    const outcomes = new Outcomes();
    // Another concurrency would cut other slices: those that are there decide.
    const summary = await runBatch(stage.rig.client, { ...batch, concurrency: 10 }, outcomes);
    expect(summary.counts.succeeded).toBe(250);
    expect(totals().landed).toBe(250);
  });

  test('refuses another input under the same id', async () => {
    const batch = submission(questions(5));
    await submitBatch(stage.rig.client, batch);
    await expect(submitBatch(stage.rig.client, { ...batch, rows: questions(6) })).rejects.toThrow(BatchExistsError);
    await expect(submitBatch(stage.rig.client, { ...batch, mode: 'blocking' })).rejects.toThrow(
      /other rows or another agent/,
    );
    await collectResults(stage.rig.client, batch.batchId, new Outcomes());
  });

  test('records rows that the agent refuses as failed, with its error, beside those that succeed', async () => {
    const rows: BatchRow[] = [
      ...questions(3),
      { id: 'no-such-agent', turns: ['Who?'], agentRid: 'ri.aip-agents..agent.00000000-0000-0000-0000-00000000dead' },
      { id: 'wrong-type', turns: ['What?'], parameterInputs: { nowhere: { type: 'string', value: 'x' } } },
    ];
    const outcomes = new Outcomes();
    const summary = await runBatch(stage.rig.client, submission(rows), outcomes);
    expect(summary.counts).toMatchObject({ succeeded: 3, failed: 2 });
    const errors = outcomes.inOrder.slice(3).map(({ result }) => result.error);
    expect(errors[0]).toMatchObject({ errorName: 'AgentNotFound', errorInstanceId: expect.any(String) });
    expect(errors[1]).toMatchObject({ errorName: 'InvalidParameter', errorInstanceId: expect.any(String) });
  });

  test('cancelled half-way leaves nothing running, delivers what was answered, and ends as Canceled', async () => {
    stage.rig.simulator.changeSettings({ answerLatencyMs: [200, 1_500] });
    const batch = submission(questions(300), { concurrency: 40 });
    const outcomes = new Outcomes();
    const running = runBatch(stage.rig.client, batch, outcomes);
    await until('some rows are answered and some run', () => totals().landed >= 40 && totals().inFlight >= 20);
    expect(await cancelBatch(stage.rig.client, batch.batchId)).toBe(true);
    const { counts } = await running;
    expect(totals().inFlight).toBe(0);
    const { landed } = totals();
    expect(counts.succeeded).toBe(landed);
    expect(counts.succeeded + counts.cancelled).toBe(300);
    expect(outcomes.byIndex.size).toBe(300);
    expect(outcomes.repeated).toBe(0);
    await until(
      'the batch has ended',
      async () => (await batchProgress(stage.rig.client, batch.batchId)).state === 'cancelled',
    );
    expect(await batchProgress(stage.rig.client, batch.batchId)).toMatchObject({
      succeeded: counts.succeeded,
      cancelled: counts.cancelled,
    });
    expect(await cancelBatch(stage.rig.client, batch.batchId)).toBe(false);
  });

  test('terminated leaves nothing running either', async () => {
    stage.rig.simulator.changeSettings({ answerLatencyMs: 60_000 });
    const batch = submission(questions(60));
    const outcomes = new Outcomes();
    await submitBatch(stage.rig.client, batch);
    const collecting = collectResults(stage.rig.client, batch.batchId, outcomes);
    await until('its rows run', () => totals().inFlight >= 50);
    await stage.rig.client.client.workflow.getHandle(batchWorkflowId(batch.batchId)).terminate('test');
    expect((await collecting).counts.cancelled).toBe(60);
    expect(totals().inFlight).toBe(0);
  });

  test('survives its worker: the next one finds what ran and what was answered, and asks nothing twice', async () => {
    stage.rig.simulator.changeSettings({ answerLatencyMs: [50, 2_000] });
    const own = await startRig({ worker: false, simulator: { answerLatencyMs: [50, 2_000] } });
    try {
      const worker = await own.startWorker();
      const batch = { ...submission(questions(60)), agentRid: own.simulator.agentRid };
      const outcomes = new Outcomes();
      const running = runBatch(own.client, batch, outcomes);
      await until('some rows are answered', () => own.simulator.summary().totals.landed >= 15);
      await worker.stop();
      expect(own.simulator.summary().totals.cancelsReceived).toBe(0);
      await own.startWorker();
      expect((await running).counts.succeeded).toBe(60);
      const { totals: after, duplicateCounts } = own.simulator.summary();
      expect({ landed: after.landed, duplicates: duplicateCounts.messageId }).toEqual({ landed: 60, duplicates: 0 });
    } finally {
      await own.close();
    }
  });

  test('asks again in a new session when one has expired before its row was begun', async () => {
    stage.rig.simulator.changeSettings({ answerLatencyMs: 5_000 });
    const batch = submission(questions(12), { concurrency: 2 });
    const outcomes = new Outcomes();
    const running = runBatch(stage.rig.client, batch, outcomes);
    await until('all sessions are open', () => totals().sessionsCreated === 12 && totals().inFlight === 2);
    const open = new Set(stage.rig.simulator.ledger().running.map(({ sessionRid }) => sessionRid));
    // The sessions of rows that wait are known from the shard's own history alone.
    for (const sessionRid of await sessionsOf(batch.batchId)) {
      if (!open.has(sessionRid)) stage.rig.simulator.expireSession(sessionRid);
    }
    stage.rig.simulator.changeSettings({ answerLatencyMs: 400 });
    expect((await running).counts.succeeded).toBe(12);
    expect(totals().landed).toBe(12);
    expect(totals().sessionsCreated).toBeGreaterThan(12);
  });

  test('waits out a rate limit, and tells what it waits for', async () => {
    stage.rig.simulator.changeSettings({ limits: { requestsPerSecond: 20, style: 'agent' } });
    const told: BatchProgress[] = [];
    const summary = await runBatch(stage.rig.client, submission(questions(100)), new Outcomes(), {
      onProgress: (progress) => told.push(progress),
    });
    expect(summary.counts.succeeded).toBe(100);
    expect(told.some(({ waitingFor }) => waitingFor !== undefined)).toBe(true);
  });

  test('paused while its rows wait for the limit, sends none of them until it is resumed', async () => {
    const { rig } = stage;
    rig.simulator.changeSettings({ limits: { requestsPerSecond: 2, style: 'agent' } });
    const batch = submission(questions(40), { concurrency: 20 });
    const running = runBatch(rig.client, batch, new Outcomes());
    await until('many rows wait for the limit', () => totals().landed >= 3 && totals().sessionsCreated === 40);
    await pauseBatch(rig.client, batch.batchId);
    const shard = rig.client.client.workflow.getHandle(batchShardWorkflowId(batch.batchId, 0));
    await until('its lanes have come back', async () => (await shard.describe()).raw.pendingActivities?.length === 0);
    const sent = totals().landed;
    expect(sent).toBeLessThan(20);
    rig.simulator.changeSettings({ limits: {} });
    await resumeBatch(rig.client, batch.batchId);
    expect((await running).counts.succeeded).toBe(40);
    expect(totals().landed).toBe(40);
  });

  test('tells that no worker answers, instead of hanging', async () => {
    const alone = { client: stage.rig.client.client, taskQueue: `nobody-${randomUUID()}` };
    const batch = submission(questions(3));
    await submitBatch(alone, batch);
    expect(await describeBatch(alone, batch.batchId)).toMatchObject({
      rowCount: 3,
      progress: { state: 'running', rowCount: 3, waitingFor: expect.stringContaining('no worker answers') },
    });
    await cancelBatch(alone, batch.batchId);
  });

  test('that nobody submitted is not found', async () => {
    await expect(describeBatch(stage.rig.client, 'never')).rejects.toThrow(BatchNotFoundError);
    await expect(cancelBatch(stage.rig.client, 'never')).rejects.toThrow(/never submitted whole/);
  });
});

/** The sessions that the first shard of a batch has opened. */
async function sessionsOf(batchId: string): Promise<string[]> {
  const history = await stage.rig.client.client.workflow.getHandle(batchShardWorkflowId(batchId, 0)).fetchHistory();
  return (history.events ?? []).flatMap((event) => {
    const data = event.activityTaskCompletedEventAttributes?.result?.payloads?.[0]?.data;
    if (data == null) return [];
    const { sessions = [] } = JSON.parse(Buffer.from(data).toString('utf8')) as { sessions?: { sessionRid: string }[] };
    return sessions.map(({ sessionRid }) => sessionRid);
  });
}
