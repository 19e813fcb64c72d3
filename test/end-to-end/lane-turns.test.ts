import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { batchProgress, cancelBatch, submitBatch } from '../../src/client/batch.js';
import { questions } from '../support/batch-stage.js';
import { startRig, until, type Rig } from '../support/rig.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ worker: false, simulator: { answerLatencyMs: 500, limits: { concurrent: 2 } } });
  await rig.startWorker({ limits: { maxConcurrentLanes: 2 } });
});
afterAll(() => rig.close());

async function submit(rows: number, concurrency: number): Promise<string> {
  const batchId = `test-${randomUUID()}`;
  const { agentRid } = rig.simulator;
  await submitBatch(rig.client, { batchId, agentRid, rows: questions(rows), concurrency, mode: 'streaming' });
  return batchId;
}

test('a batch that has all lanes of the worker holds up no other for longer than a turn', async () => {
  // Its lanes have 100 s of work and more each: two at once of 500 ms.
  const long = await submit(800, 40);
  await until('it has all lanes', async () => (await batchProgress(rig.client, long)).running === 40);
  const short = await submit(6, 2);
  // How long that took is told by the rows of the long one that have ended.
  await until('the other has ended', async () => (await batchProgress(rig.client, short)).succeeded === 6, 150_000);
  const progress = await batchProgress(rig.client, long);
  expect(progress).toMatchObject({ state: 'running', failed: 0, cancelled: 0 });
  expect(progress.succeeded).toBeLessThan(400);
  const { landed } = rig.simulator.summary().totals;
  await until('it goes on', () => Promise.resolve(rig.simulator.summary().totals.landed > landed + 20));
  expect(rig.simulator.summary().duplicateCounts.text).toBeLessThanOrEqual(6); // Both ask the first six questions.
  await cancelBatch(rig.client, long);
  await until('it has ended', async () => (await batchProgress(rig.client, long)).state === 'cancelled', 90_000);
}, 300_000);
