import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { batchProgress, collectResults, submitBatch } from '../../src/client/batch.js';
import {
  type AipClient,
  closeAgent,
  describeLimits,
  InvalidCallError,
  listLimits,
  openAgent,
  setLimits,
  workersOf,
} from '../../src/client/index.js';
import { ALL_AGENTS, governorWorkflowId } from '../../src/protocol/limits.js';
import type { LedgerExchange } from '../../src/simulator/index.js';
import { questions } from '../support/batch-stage.js';
import { type OwnServerRig, startOwnServerRig } from '../support/own-server-rig.js';
import { type Rig, startRig, until } from '../support/rig.js';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.js';

let rig: Rig;
const processes: WorkerProcess[] = [];
const workers: { stop(): Promise<void> }[] = [];

// Agents, and what is set for them, are a rig's own: each test begins with none.
const begin = async (): Promise<void> => {
  rig = await startRig({ worker: false, simulator: { answerLatencyMs: 100 } });
};
afterEach(async () => {
  await Promise.all(processes.splice(0).map((worker) => worker.kill()));
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
  await rig?.client.client.workflow
    .getHandle(governorWorkflowId(rig.taskQueue, rig.simulator.agentRid))
    .terminate()
    .catch(() => undefined);
  await rig?.close();
});

const startWorker = async (identity: string): Promise<void> => {
  workers.push(await rig.startWorker({ identity }));
};
const limits = () => describeLimits(rig.client, rig.simulator.agentRid);

async function submit(client: AipClient, rows: number, concurrency: number): Promise<string> {
  const batchId = `test-${randomUUID()}`;
  const { agentRid } = rig.simulator;
  await submitBatch(client, { batchId, agentRid, rows: questions(rows), concurrency, mode: 'streaming' });
  return batchId;
}

const untilEnded = (batchId: string, ms = 60_000) =>
  until('the batch has ended', async () => (await batchProgress(rig.client, batchId)).state === 'completed', ms);

/** Most exchanges at once, of all that began at or after a time. */
function mostAtOnce(exchanges: readonly LedgerExchange[], fromMs = 0): number {
  const changes = exchanges
    .filter(({ startedAt }) => Date.parse(startedAt) >= fromMs)
    .flatMap(({ startedAt, endedAt }) => [
      { atMs: Date.parse(startedAt), by: 1 },
      ...(endedAt === undefined ? [] : [{ atMs: Date.parse(endedAt), by: -1 }]),
    ])
    .sort((a, b) => a.atMs - b.atMs || a.by - b.by);
  let [now, most] = [0, 0];
  for (const { by } of changes) most = Math.max(most, (now += by));
  return most;
}

const ledgerOf = ({ simulator }: Pick<Rig, 'simulator'>): LedgerExchange[] => {
  const { exchanges, running } = simulator.ledger();
  return [...exchanges, ...running];
};

describe('the workers of a fleet', () => {
  test('keep a ceiling together, which was set before any of them ran, though one is killed', async () => {
    await begin();
    const { agentRid } = rig.simulator;
    expect(await setLimits(rig.client, agentRid, { maxConcurrency: 6 })).toBe(false);
    await Promise.all([startWorker('first'), startWorker('second')]);
    processes.push(await startWorkerProcess(rig, 'third'));
    await until('all three poll', async () => (await workersOf(rig.client)).length === 3);
    // Many lanes, so that each worker gets some.
    const batchId = await submit(rig.client, 1_000, 240);
    await until('all three take part', async () => (await limits()).workers.length === 3);
    await until('each has a share', async () =>
      (await limits()).workers.every(({ share }) => (share.maxConcurrency ?? 0) > 0),
    );
    await delay(1_000);
    await processes.pop()?.kill();
    await until('the dead one is gone', async () => (await limits()).workers.length === 2);
    await until('its share is back', async () => {
      const { workers: left } = await limits();
      return left.reduce((sum, { share }) => sum + (share.maxConcurrency ?? 0), 0) === 6;
    });
    await untilEnded(batchId, 90_000);
    expect(mostAtOnce(ledgerOf(rig))).toBe(6);
    expect(rig.simulator.summary()).toMatchObject({ totals: { landed: 1_000 }, duplicateCounts: { text: 0 } });
  }, 180_000);

  test('keep the ceiling of Foundry over all agents, which they were started with, and leave room for short calls', async () => {
    await begin();
    for (const identity of ['first', 'second']) {
      workers.push(await rig.startWorker({ identity, limits: { maxConcurrency: 10 } }));
    }
    const batchId = await submit(rig.client, 300, 120);
    await untilEnded(batchId);
    expect(mostAtOnce(ledgerOf(rig))).toBe(9);
    const { workers: seats, ceilings } = await describeLimits(rig.client, ALL_AGENTS);
    expect(seats).toHaveLength(2);
    expect(ceilings).toEqual({ maxConcurrency: 9 });
    expect((await limits()).ceilings).toEqual({});
  });

  test('hear of a refusal, though only one was refused', async () => {
    await begin();
    await startWorker('first');
    const first = await submit(rig.client, 2_000, 40);
    await until('it is at work', () => Promise.resolve(rig.simulator.summary().totals.landed > 20));
    await startWorker('second');
    const second = await submit(rig.client, 2_000, 40);
    await until('both take part', async () => (await limits()).workers.length === 2);
    await until('both are at work', async () => (await limits()).workers.every(({ inFlight }) => inFlight > 0));
    expect((await limits()).totals.isRamping).toBe(true);
    rig.simulator.changeSettings({ limits: { concurrent: 10 } });
    await until('one is refused', () =>
      Promise.resolve(rig.simulator.summary().totals.refused['RateLimitExceeded'] !== undefined),
    );
    await until('both know', async () => (await limits()).workers.every(({ isRamping }) => !isRamping));
    for (const batchId of [first, second])
      await rig.client.client.workflow
        .getHandle(`batch/${batchId}`)
        .cancel()
        .catch(() => undefined);
  });

  test('call nobody while the agent is closed, say so, and go on when it is opened', async () => {
    await begin();
    const { agentRid } = rig.simulator;
    await startWorker('first');
    const batchId = await submit(rig.client, 600, 10);
    await until('it is at work', () => Promise.resolve(rig.simulator.summary().totals.landed > 20));
    expect(await closeAgent(rig.client, agentRid, { reason: 'model is changed' })).toBe(true);
    await until('the batch says so', async () =>
      /operator has closed/.test((await batchProgress(rig.client, batchId)).waitingFor ?? ''),
    );
    await until('what was in flight has ended', () => rig.simulator.summary().totals.inFlight === 0);
    const landed = rig.simulator.summary().totals.landed;
    const asked = rig.client.conversation().ask('Are you there?');
    await delay(1_500);
    expect(rig.simulator.summary().totals.landed).toBe(landed);
    expect((await limits()).settings.closed).toMatchObject({ reason: 'model is changed' });
    await until('it is listed', async () => (await listLimits(rig.client)).length === 1);
    expect((await listLimits(rig.client)).map(({ settings }) => settings.closed?.reason)).toEqual(['model is changed']);
    expect(await openAgent(rig.client, agentRid)).toBe(true);
    expect((await asked).status).toBe('answered');
    await untilEnded(batchId);
    expect(rig.simulator.summary()).toMatchObject({ totals: { landed: 601 }, duplicateCounts: { text: 0 } });
  });

  test('open by themselves at the time that was given', async () => {
    await begin();
    const { agentRid } = rig.simulator;
    await startWorker('first');
    const until_ = new Date(Date.now() + 4_000);
    await closeAgent(rig.client, agentRid, { until: until_.toISOString() });
    const asked = await rig.client.conversation().ask('Are you there?');
    expect(asked.status).toBe('answered');
    expect(Date.parse(ledgerOf(rig)[0]?.startedAt ?? '')).toBeGreaterThanOrEqual(until_.getTime());
    await until('it is told no more', async () => (await limits()).settings.closed === undefined);
  });

  test('leave when they stop, and take what is set away when it is no more', async () => {
    await begin();
    const { agentRid } = rig.simulator;
    await startWorker('first');
    await rig.client.conversation().ask('Hello?');
    await until('it takes part', async () => (await limits()).workers.length === 1);
    await setLimits(rig.client, agentRid, { maxPerMinute: 600, maxConcurrency: 4 });
    expect((await limits()).ceilings).toEqual({ maxConcurrency: 4, maxPerMinute: 600 });
    await setLimits(rig.client, agentRid, { maxConcurrency: null });
    expect((await limits()).ceilings).toEqual({ maxPerMinute: 600 });
    await workers.pop()?.stop();
    expect((await limits()).workers).toEqual([]);
  });

  test.each([{ maxConcurrency: 0 }, { maxPerMinute: 1.5 }])('refuse the ceiling %j', async (ceilings) => {
    await begin();
    await expect(setLimits(rig.client, rig.simulator.agentRid, ceilings)).rejects.toThrow(InvalidCallError);
  });
});

describe('a worker that is cut off from Temporal', () => {
  let own: OwnServerRig;
  beforeAll(async () => {
    own = await startOwnServerRig({ answerLatencyMs: 100 });
  });
  afterAll(() => own.close());

  test('goes on with its last share', async () => {
    const client = await own.client();
    await setLimits(client, own.simulator.agentRid, { maxConcurrency: 3 });
    const batchId = `test-${randomUUID()}`;
    const { agentRid } = own.simulator;
    await submitBatch(client, { batchId, agentRid, rows: questions(190), concurrency: 20, mode: 'streaming' });
    await until('it is at work', () => Promise.resolve(own.simulator.summary().totals.landed > 10));
    await own.killServer();
    await delay(500);
    const landed = own.simulator.summary().totals.landed;
    await until('it goes on', () => Promise.resolve(own.simulator.summary().totals.landed > landed + 20));
    await own.restartServer();
    await collectResults(await own.client(), batchId, { write: () => undefined });
    expect(mostAtOnce(ledgerOf(own))).toBe(3);
    expect(own.simulator.summary()).toMatchObject({ totals: { landed: 190 }, duplicateCounts: { text: 0 } });
  });
});
