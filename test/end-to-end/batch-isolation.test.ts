import { describe, expect, test } from '@jest/globals';
import {
  batchProgress,
  cancelBatch,
  cancelRows,
  collectResults,
  pauseBatch,
  resumeBatch,
  runBatch,
  submitBatch,
} from '../../src/client/batch.js';
import {
  batchRowWorkflowId,
  batchShardWorkflowId,
  batchWorkflowId,
  type RowOutcome,
} from '../../src/protocol/batch.js';
import { batchStage, questions } from '../support/batch-stage.js';
import { until } from '../support/rig.js';

const stage = batchStage({ concurrency: 10, isolation: 'workflow' });
const { submission, totals } = stage;

/** Takes outcomes, each row's once. */
class Outcomes {
  readonly byId = new Map<string, RowOutcome>();

  write(outcomes: readonly RowOutcome[]): void {
    for (const outcome of outcomes) {
      expect(this.byId.has(outcome.row.id)).toBe(false);
      this.byId.set(outcome.row.id, outcome);
    }
  }

  statusOf(id: string): string | undefined {
    return this.byId.get(id)?.result.status;
  }
}

const statusOf = async (workflowId: string) =>
  (await stage.rig.client.client.workflow.getHandle(workflowId).describe()).status.name;

describe('a batch whose rows are workflows of their own', () => {
  test('answers each row once, in a conversation that carries its name', async () => {
    const rows = [...questions(24), { id: 'two', turns: ['What is one?', 'And what is two?'], metadata: { a: 1 } }];
    const batch = submission(rows);
    const outcomes = new Outcomes();
    const { counts } = await runBatch(stage.rig.client, batch, outcomes);
    expect(counts).toMatchObject({ succeeded: 25, failed: 0, cancelled: 0 });
    expect(totals()).toMatchObject({ landed: 26, inFlight: 0 });
    expect(outcomes.byId.get('two')).toMatchObject({
      row: { metadata: { a: 1 } },
      result: { status: 'succeeded', index: 24, attempts: 2, exchanges: [{}, {}], sessionRid: expect.any(String) },
    });
    const { tokens } = outcomes.byId.get('two')!.result;
    expect(tokens).toBe(
      outcomes.byId.get('two')!.result.exchanges.reduce((sum, one) => sum + (one.totalTokensUsed ?? 0), 0),
    );
    const run = await stage.rig.client.client.workflow.getHandle(batchRowWorkflowId(batch.batchId, 24)).describe();
    expect(run.type).toBe('conversationWorkflow');
    expect(await run.staticSummary()).toBe('row two: What is one?');
    expect(run.parentExecution?.workflowId).toContain(`batch/${batch.batchId}/shard-`);
    await until(
      'the batch has ended',
      async () => (await batchProgress(stage.rig.client, batch.batchId)).state === 'completed',
    );
    expect(await batchProgress(stage.rig.client, batch.batchId)).toMatchObject({ succeeded: 25, rowCount: 25 });
  });

  test('has no more of them at once than it may, also when it is paused and goes on', async () => {
    stage.rig.simulator.changeSettings({ answerLatencyMs: 600 });
    const batch = submission(questions(30), { concurrency: 4 });
    const running = runBatch(stage.rig.client, batch, new Outcomes());
    await until('some have been answered', () => totals().landed >= 6);
    await pauseBatch(stage.rig.client, batch.batchId);
    await until('it is paused', async () => (await batchProgress(stage.rig.client, batch.batchId)).state === 'paused');
    await until('the rows that were begun have ended', async () => {
      const shards = [0, 1].map((shard) =>
        stage.rig.client.client.workflow.getHandle(batchShardWorkflowId(batch.batchId, shard)).describe(),
      );
      return (await Promise.all(shards)).every(({ raw }) => raw.pendingChildren?.length === 0);
    });
    const { landed } = totals();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(totals().landed).toBe(landed);
    expect(landed).toBeLessThan(30);
    await resumeBatch(stage.rig.client, batch.batchId);
    expect((await running).counts.succeeded).toBe(30);
    expect(totals().landed).toBe(30);
    expect(totals().peakInFlight).toBeLessThanOrEqual(4);
  });

  test('records a row that fails with the error of its turn, and asks no further turns of it', async () => {
    stage.rig.simulator.setFaults([
      { match: { textIncludes: 'break' }, fault: { kind: 'error', errorName: 'AgentIterationsExceededLimit' } },
    ]);
    const outcomes = new Outcomes();
    const rows = [{ id: 'bad', turns: ['Well?', 'Now break', 'And on?'] }, ...questions(2)];
    const { counts } = await runBatch(stage.rig.client, submission(rows), outcomes);
    expect(counts).toMatchObject({ succeeded: 2, failed: 1 });
    expect(outcomes.byId.get('bad')!.result).toMatchObject({
      status: 'failed',
      exchanges: [{}],
      error: { errorName: 'AgentIterationsExceededLimit' },
    });
    expect(totals().landed).toBe(3);
  });

  test('cancels single rows: one that runs, from here and in the UI, and one that waits', async () => {
    stage.rig.simulator.changeSettings({ answerLatencyMs: 20_000 });
    const batch = submission(questions(5), { concurrency: 3 });
    const outcomes = new Outcomes();
    const running = runBatch(stage.rig.client, batch, outcomes);
    await until('three rows run', () => totals().inFlight === 3);
    expect(await cancelRows(stage.rig.client, batch.batchId, ['q4', 'q0'])).toEqual([
      { id: 'q4', state: 'asked' },
      { id: 'q0', state: 'asked' },
    ]);
    await stage.rig.client.client.workflow.getHandle(batchRowWorkflowId(batch.batchId, 1)).cancel();
    await until('the next one runs', () => totals().inFlight === 2 && totals().cancelsReceived >= 2);
    stage.rig.simulator.changeSettings({ answerLatencyMs: 0 });
    await cancelRows(stage.rig.client, batch.batchId, ['q2', 'q3']);
    expect((await running).counts).toMatchObject({ cancelled: 5 });
    expect([...outcomes.byId.values()].map(({ result }) => result.error?.errorName)).toEqual(
      Array<string>(5).fill('ExchangeCancelled'),
    );
    expect(totals()).toMatchObject({ inFlight: 0, landed: 0 });
  });

  test('cancelled, it leaves nothing running, and delivers what was answered', async () => {
    stage.rig.simulator.changeSettings({ answerLatencyMs: [50, 1_500] });
    const batch = submission(questions(60));
    const outcomes = new Outcomes();
    const running = runBatch(stage.rig.client, batch, outcomes);
    await until('some are answered and some run', () => totals().landed >= 10 && totals().inFlight >= 5);
    await cancelBatch(stage.rig.client, batch.batchId);
    const { counts } = await running;
    expect(totals().inFlight).toBe(0);
    expect(counts.succeeded).toBe(totals().landed);
    expect(counts.succeeded + counts.cancelled).toBe(60);
    await until('it has ended', async () => (await statusOf(batchWorkflowId(batch.batchId))) === 'CANCELLED');
    expect((await batchProgress(stage.rig.client, batch.batchId)).succeeded).toBe(counts.succeeded);
  });

  test('terminated, it leaves nothing running either', async () => {
    stage.rig.simulator.changeSettings({ answerLatencyMs: 120_000 });
    const batch = submission(questions(10), { concurrency: 4 });
    await submitBatch(stage.rig.client, batch);
    const outcomes = new Outcomes();
    const collecting = collectResults(stage.rig.client, batch.batchId, outcomes);
    await until('its rows run', () => totals().inFlight === 4);
    await stage.rig.client.client.workflow.getHandle(batchWorkflowId(batch.batchId)).terminate('test');
    expect((await collecting).counts.cancelled).toBe(10);
    expect(totals().inFlight).toBe(0);
  });

  test('a terminated shard takes its rows along', async () => {
    stage.rig.simulator.changeSettings({ answerLatencyMs: 120_000 });
    const batch = submission(questions(2), { concurrency: 1 });
    await submitBatch(stage.rig.client, batch);
    await until('its row runs', () => totals().inFlight === 1);
    await stage.rig.client.client.workflow.getHandle(batchShardWorkflowId(batch.batchId, 0)).terminate('test');
    await until('nothing runs', () => totals().inFlight === 0);
    await cancelBatch(stage.rig.client, batch.batchId);
  });

  test('at its deadline, it cancels what runs and leaves the rest, all of it expired', async () => {
    stage.rig.simulator.changeSettings({ answerLatencyMs: 60_000 });
    const deadline = new Date(Date.now() + 3_000).toISOString();
    const outcomes = new Outcomes();
    const { counts } = await runBatch(stage.rig.client, submission(questions(20), { bounds: { deadline } }), outcomes);
    expect(counts).toMatchObject({ expired: 20, cancelled: 0 });
    expect(totals()).toMatchObject({ inFlight: 0, landed: 0 });
    expect(outcomes.byId.get('q0')!.result.error?.errorName).toBe('DeadlinePassed');
  });

  test('stops when too many of its rows have failed', async () => {
    stage.rig.simulator.setFaults([{ fault: { kind: 'error', errorName: 'AgentIterationsExceededLimit' } }]);
    const outcomes = new Outcomes();
    const batch = submission(questions(200), { concurrency: 2, bounds: { maxFailures: 10 } });
    const { counts } = await runBatch(stage.rig.client, batch, outcomes);
    expect(counts.failed).toBeGreaterThanOrEqual(10);
    // Its shards hear of it within some two seconds.
    expect(counts.failed).toBeLessThan(200);
    expect(counts.failed + counts.cancelled).toBe(200);
    expect(outcomes.byId.get('q199')!.result.error?.errorName).toBe('TooManyFailures');
  });
});
