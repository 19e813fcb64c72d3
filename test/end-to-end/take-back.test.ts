import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { temporal } from '@temporalio/proto';
import { releaseStickyQueues } from '../../src/activities/release-sticky-queues.js';
import { collectResults, submitBatch } from '../../src/client/batch.js';
import { batchShardWorkflowId, batchWorkflowId, type RowOutcome } from '../../src/protocol/batch.js';
import { FAILURE_TYPES } from '../../src/protocol/failures.js';
import { exchangeStatuses, startRig, until, type Rig } from '../support/rig.js';
import {
  loadWorkerProcess,
  type LoadedWorkerProcess,
  startWorkerProcess,
  type WorkerProcess,
} from '../support/worker-process.js';

let rig: Rig;
const processes: WorkerProcess[] = [];
beforeAll(async () => {
  rig = await startRig({ worker: false });
});
afterEach(() => Promise.all(processes.splice(0).map((worker) => worker.kill())));
afterAll(() => rig.close());

async function workerProcess(identity?: string): Promise<WorkerProcess> {
  const worker = await startWorkerProcess(rig, identity);
  processes.push(worker);
  return worker;
}

/** Loaded ahead: it has to be there before the heartbeats of its predecessor have run out. */
async function successor(): Promise<LoadedWorkerProcess> {
  const worker = await loadWorkerProcess(rig);
  processes.push(worker);
  return worker;
}

const statusesOf = (text: string) => exchangeStatuses(rig, text);
const isAnswering = (text: string) => () => statusesOf(text).includes('answering');

/** Tells why the first attempt of an activity ended that was taken up again: its history has it when it is done. */
async function whyTheFirstAttemptEnded(workflowId: string): Promise<string> {
  let failure: temporal.api.failure.v1.IFailure | null | undefined;
  await until('the next attempt is done', async () => {
    const { events } = await rig.client.client.workflow.getHandle(workflowId).fetchHistory();
    const starts = events?.map((event) => event.activityTaskStartedEventAttributes);
    failure = starts?.find((start) => start?.attempt === 2)?.lastFailure;
    return failure != null;
  });
  return failure?.applicationFailureInfo?.type ?? failure?.message ?? '';
}

function submit(texts: string[]): { batchId: string; collected: Promise<RowOutcome[]> } {
  const batchId = `test-${randomUUID()}`;
  const { agentRid } = rig.simulator;
  const rows = texts.map((text, n) => ({ id: `q${n}`, turns: [text] }));
  const collect = async () => {
    await submitBatch(rig.client, { batchId, agentRid, rows, mode: 'streaming', concurrency: rows.length });
    const outcomes: RowOutcome[] = [];
    await collectResults(rig.client, batchId, { write: (some) => void outcomes.push(...some) });
    return outcomes;
  };
  return { batchId, collected: collect() };
}

/** On which queues the workflow tasks of a run were, in their order: the worker's own (2), or that of all (1). */
async function taskQueueKinds(workflowId: string): Promise<unknown[]> {
  const { events } = await rig.client.client.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).flatMap(({ workflowTaskScheduledEventAttributes: task }) => task?.taskQueue?.kind ?? []);
}

describe('a worker that is started again after its death', () => {
  test('has the next steps of open runs go to any worker', async () => {
    const { stop } = await rig.startWorker();
    const handle = rig.client.conversation(`test/${randomUUID()}`);
    try {
      await handle.ask('One?');
      expect((await taskQueueKinds(handle.id)).at(-1)).toBe(2);
      await releaseStickyQueues(rig.client.client, rig.taskQueue, new AbortController().signal);
      const before = (await taskQueueKinds(handle.id)).length;
      await handle.ask('Two?');
      expect((await taskQueueKinds(handle.id))[before]).toBe(1);
    } finally {
      await stop();
    }
  });

  test('takes an exchange back before its heartbeats have run out, and adopts it', async () => {
    const text = '[takes 8000ms] Taken back?';
    const handle = rig.client.conversation(`test/${randomUUID()}`);
    const worker = await workerProcess();
    const next = await successor();
    const asked = handle.ask(text);
    await until('it runs', isAnswering(text));
    await worker.kill();
    next.begin();
    expect(await asked).toMatchObject({ status: 'answered', sends: 1 });
    expect(await whyTheFirstAttemptEnded(handle.id)).toBe(FAILURE_TYPES.workerDied);
    expect(statusesOf(text)).toEqual(['landed']);
  });

  test('takes a lane back, and adopts its rows', async () => {
    // A lane's heartbeats run out within five seconds: a busy machine may need more than one go to be faster.
    const reasons: string[] = [];
    while (reasons.length < 3 && !reasons.includes(FAILURE_TYPES.workerDied)) {
      const texts = [1, 2, 3].map((n) => `[takes 9000ms] Lane ${n} taken back, go ${reasons.length}?`);
      const worker = await workerProcess();
      const next = await successor();
      const { batchId, collected } = submit(texts);
      await until('they run', () => texts.every((text) => isAnswering(text)()));
      await worker.kill();
      next.begin();
      expect((await collected).map(({ result }) => result.status)).toEqual(Array(3).fill('succeeded'));
      expect(texts.flatMap(statusesOf)).toEqual(Array(3).fill('landed'));
      reasons.push(await whyTheFirstAttemptEnded(batchShardWorkflowId(batchId, 0)));
      await next.kill();
    }
    expect(reasons).toContain(FAILURE_TYPES.workerDied);
  });

  test('opens a session again, and the conversation stays in one', async () => {
    rig.simulator.changeSettings({ createLatencyMs: 3_000 });
    const handle = rig.client.conversation(`test/${randomUUID()}`);
    const worker = await workerProcess();
    const created = () => rig.simulator.summary().totals.calls.createSession ?? 0;
    const before = created();
    const asked = handle.ask('In which session?');
    await until('a session is being opened', () => created() > before);
    await worker.kill();
    await workerProcess();
    const first = await asked;
    rig.simulator.changeSettings({ createLatencyMs: 0 });
    const second = await handle.ask('And this one?');
    expect([first.status, second.status, created() - before]).toEqual(['answered', 'answered', 2]);
    expect(second.sessionRid).toBe(first.sessionRid);
    const { exchanges } = rig.simulator.ledger();
    const ours = exchanges.filter(({ text }) => text === 'In which session?' || text === 'And this one?');
    expect(ours.map(({ sessionRid }) => sessionRid)).toEqual([first.sessionRid, first.sessionRid]);
  });

  test('leaves alone what a living worker of the same identity does', async () => {
    const text = '[takes 6000ms] Left alone?';
    const handle = rig.client.conversation(`test/${randomUUID()}`);
    await workerProcess();
    const asked = handle.ask(text);
    await until('it runs', isAnswering(text));
    const other = await rig.startWorker();
    expect(await asked).toMatchObject({ status: 'answered', sends: 1 });
    const { events } = await rig.client.client.workflow.getHandle(handle.id).fetchHistory();
    const attempts = events?.map((event) => event.activityTaskStartedEventAttributes?.attempt).filter(Boolean);
    expect(attempts).toEqual([1, 1]);
    await other.stop();
  });
});

describe('a cancel while the worker is dead', () => {
  test.each([
    ['the same worker again', undefined],
    ['another worker', 'another'],
  ])('of a batch ends its rows at the agent as soon as there is %s', async (name, identity) => {
    const texts = [1, 2, 3].map((n) => `[takes 40000ms] Row ${n} cancelled in the dark, ${name}?`);
    const worker = await workerProcess();
    const { batchId, collected } = submit(texts);
    await until('they run', () => texts.every((text) => isAnswering(text)()));
    await worker.kill();
    await rig.client.client.workflow.getHandle(batchWorkflowId(batchId)).cancel();
    await workerProcess(identity);
    expect((await collected).map(({ result }) => result.status)).toEqual(Array(3).fill('cancelled'));
    expect(texts.flatMap(statusesOf)).toEqual(Array(3).fill('cancelled'));
  });
});

test('what was terminated while its worker was dead is ended at the agent by another worker', async () => {
  const texts = ['[takes 120000ms] Terminated in the dark?', '[takes 120000ms] A row terminated in the dark?'];
  const handle = rig.client.conversation(`test/${randomUUID()}`);
  const worker = await workerProcess();
  const asked = handle.ask(texts[0] ?? '').catch((error: unknown) => error);
  const { batchId, collected } = submit([texts[1] ?? '']);
  await until('both run', () => texts.every((text) => isAnswering(text)()));
  await worker.kill();
  await handle.terminate();
  await rig.client.client.workflow.getHandle(batchShardWorkflowId(batchId, 0)).terminate();
  await rig.client.client.workflow.getHandle(batchWorkflowId(batchId)).terminate();
  await workerProcess('another');
  await until('the agent was told', () => texts.flatMap(statusesOf).join() === 'cancelled,cancelled');
  await Promise.all([asked, collected]);
});
