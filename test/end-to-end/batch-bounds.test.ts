import { describe, expect, test } from '@jest/globals';
import {
  batchProgress,
  cancelBatch,
  describeBatch,
  pauseBatch,
  runBatch,
  setBatchConcurrency,
  submitBatch,
} from '../../src/client/batch.js';
import {
  batchShardWorkflowId,
  batchStatusQuery,
  batchWorkflowId,
  type BatchRow,
  type RowOutcome,
} from '../../src/protocol/batch.js';
import { batchStage, questions } from '../support/batch-stage.js';
import { startOwnServerRig } from '../support/own-server-rig.js';
import { startRig, until } from '../support/rig.js';

const stage = batchStage({ concurrency: 10 });
const { submission, totals } = stage;

const collected = () => {
  const outcomes: RowOutcome[] = [];
  return { outcomes, write: (some: readonly RowOutcome[]) => void outcomes.push(...some) };
};
const errorsOf = (outcomes: readonly RowOutcome[]) =>
  new Set(outcomes.flatMap(({ result }) => (result.error === undefined ? [] : [result.error.errorName])));

describe('a batch with a bound', () => {
  test('of tokens begins no more rows when they are used, delivers what was answered, and says so', async () => {
    const rehearsal = collected();
    await runBatch(stage.rig.client, submission(questions(1)), rehearsal);
    const { tokens: tokensOfOne } = rehearsal.outcomes[0]!.result;
    stage.rig.simulator.changeSettings({ answerLatencyMs: [50, 200] });
    const sink = collected();
    const batch = submission(questions(300), { bounds: { maxTokens: 60 * tokensOfOne } });
    const { counts } = await runBatch(stage.rig.client, batch, sink);
    // What was in flight when they were used goes on to its end; some rows take fewer tokens, some more.
    expect(counts.succeeded).toBeGreaterThanOrEqual(40);
    expect(counts.succeeded).toBeLessThanOrEqual(90);
    expect(counts.succeeded + counts.cancelled).toBe(300);
    expect(errorsOf(sink.outcomes)).toEqual(new Set(['TokenBudgetSpent']));
    await until(
      'it has ended',
      async () => (await batchProgress(stage.rig.client, batch.batchId)).state === 'completed',
    );
    expect((await describeBatch(stage.rig.client, batch.batchId)).control.stopped).toBe('maxTokens');
  });

  test('of tokens holds for the sum of its workers', async () => {
    const own = await startRig();
    try {
      await own.startWorker();
      own.simulator.changeSettings({ answerLatencyMs: 300 });
      const rows = questions(400);
      const batch = { ...submission(rows, { concurrency: 40 }), agentRid: own.simulator.agentRid };
      const sink = collected();
      const { counts } = await runBatch(own.client, { ...batch, bounds: { maxTokens: 2_000 } }, sink);
      expect(counts.tokens).toBeGreaterThanOrEqual(2_000);
      // A worker hears of what another one has used within some three seconds, in which each answers ten rounds at most.
      expect(counts.succeeded).toBeLessThan(400);
      expect(counts.succeeded + counts.cancelled).toBe(400);
    } finally {
      await own.close();
    }
  });

  test('of failures stops early when the agent is broken', async () => {
    stage.rig.simulator.setFaults([
      { operation: ['streamingContinue'], fault: { kind: 'error', errorName: 'AgentIterationsExceededLimit' } },
    ]);
    const sink = collected();
    const { counts } = await runBatch(
      stage.rig.client,
      submission(questions(500), { bounds: { maxFailures: 20 } }),
      sink,
    );
    expect(counts.failed).toBeGreaterThanOrEqual(20);
    expect(counts.failed).toBeLessThanOrEqual(20 + 10);
    expect(counts.failed + counts.cancelled).toBe(500);
    expect(errorsOf(sink.outcomes)).toEqual(new Set(['AgentIterationsExceededLimit', 'TooManyFailures']));
  });

  test('in time ends what is in flight at the agent, and begins no more', async () => {
    stage.rig.simulator.changeSettings({ answerLatencyMs: [100, 60_000] });
    const sink = collected();
    const deadline = new Date(Date.now() + 3_000).toISOString();
    const { counts } = await runBatch(stage.rig.client, submission(questions(200), { bounds: { deadline } }), sink);
    expect(totals().inFlight).toBe(0);
    expect(counts.succeeded).toBe(totals().landed);
    expect(counts.succeeded + counts.expired).toBe(200);
    expect(errorsOf(sink.outcomes)).toEqual(new Set(['DeadlinePassed']));
  });
});

describe('a row', () => {
  test('with a deadline of its own ends by it; others go on', async () => {
    const [first, second, third] = questions(3) as [BatchRow, BatchRow, BatchRow];
    const rows = [
      { ...first, deadline: new Date(Date.now() - 60_000).toISOString() },
      { ...second, turns: ['Slow? [takes 60s]'], deadline: new Date(Date.now() + 5_000).toISOString() },
      third,
    ];
    const sink = collected();
    await runBatch(stage.rig.client, submission(rows), sink);
    const ends = Object.fromEntries(sink.outcomes.map(({ row, result }) => [row.id, result.status]));
    expect(ends).toEqual({ q0: 'expired', q1: 'expired', q2: 'succeeded' });
    // For one that is late already, nothing is even opened.
    expect(totals()).toMatchObject({ sessionsCreated: 2, landed: 1, inFlight: 0 });
  });

  test('is sent in its own mode', async () => {
    const [first, second] = questions(2) as [BatchRow, BatchRow];
    await runBatch(stage.rig.client, submission([{ ...first, mode: 'blocking' }, second]), collected());
    const modes = stage.rig.simulator.ledger().exchanges.map(({ text, mode }) => [text.slice(0, 10), mode]);
    expect(Object.fromEntries(modes)).toEqual({ 'Question 0': 'blocking', 'Question 1': 'streaming' });
  });
});

test('a batch that is to clean up deletes the sessions of its rows, also of those that were cancelled', async () => {
  const done = submission(questions(60), { deleteSessions: true });
  expect((await runBatch(stage.rig.client, done, collected())).counts.succeeded).toBe(60);
  await until('all sessions are deleted', () => totals().sessionsDeleted === 60);
  expect(totals().sessionsCreated).toBe(60);

  stage.rig.simulator.changeSettings({ answerLatencyMs: 60_000 });
  const stopped = submission(questions(20), { deleteSessions: true });
  const running = runBatch(stage.rig.client, stopped, collected());
  await until('its rows run', () => totals().inFlight === 10);
  await cancelBatch(stage.rig.client, stopped.batchId);
  expect((await running).counts.cancelled).toBe(20);
  await until('its sessions are deleted, too', () => totals().sessionsDeleted === totals().sessionsCreated);
});

test('a batch cancelled while it is paused tells what had landed of rows that wait between two turns', async () => {
  stage.rig.simulator.changeSettings({ answerLatencyMs: 1_000 });
  const rows = questions(4).map(({ id, turns }) => ({ id, turns: [...turns, 'And one more?', 'And another?'] }));
  const batch = submission(rows, { concurrency: 1 });
  const sink = collected();
  const running = runBatch(stage.rig.client, batch, sink);
  await until('its first row runs', () => totals().inFlight === 1);
  await pauseBatch(stage.rig.client, batch.batchId);
  const shard = stage.rig.client.client.workflow.getHandle(batchShardWorkflowId(batch.batchId, 0));
  await until('they wait', async () => (await shard.describe()).raw.pendingActivities?.length === 0);
  const { landed } = totals();
  expect(landed).toBeGreaterThanOrEqual(1);
  await cancelBatch(stage.rig.client, batch.batchId);
  expect((await running).counts).toMatchObject({ cancelled: 4, succeeded: 0 });
  expect(sink.outcomes.flatMap(({ result }) => result.exchanges)).toHaveLength(landed);
  expect(totals()).toMatchObject({ landed, inFlight: 0 });
});

test('a batch hands what it was asked for over to its next run', async () => {
  const own = await startOwnServerRig({ answerLatencyMs: 60_000 }, { 'limit.historyCount.suggestContinueAsNew': 100 });
  try {
    const aip = await own.client();
    const { agentRid } = own.simulator;
    const batch = submission(questions(4), { concurrency: 2, agentRid });
    await submitBatch(aip, batch);
    await until('its rows run', () => own.simulator.summary().totals.inFlight === 2);
    await pauseBatch(aip, batch.batchId, { reason: 'to see it roll over' });
    const handle = aip.client.workflow.getHandle(batchWorkflowId(batch.batchId));
    const { runId } = await handle.describe();
    let concurrency = 2;
    while ((await handle.describe()).runId === runId) {
      concurrency = concurrency === 2 ? 3 : 2;
      await setBatchConcurrency(aip, batch.batchId, concurrency);
      await until('it has heard', async () => (await handle.query(batchStatusQuery)).concurrency === concurrency);
      // It rolls over in a step in which nothing new is asked of it.
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const { control, progress } = await describeBatch(aip, batch.batchId);
    expect(control).toMatchObject({ paused: { reason: 'to see it roll over' }, concurrency });
    expect(progress).toMatchObject({ state: 'paused', rowCount: 4 });
    expect(await handle.query(batchStatusQuery)).toMatchObject({ state: 'paused', concurrency, control });
    await cancelBatch(aip, batch.batchId);
    await until('nothing runs', () => own.simulator.summary().totals.inFlight === 0);
  } finally {
    await own.close();
  }
});
