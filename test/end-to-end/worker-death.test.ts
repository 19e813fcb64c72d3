import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { ConversationEndedError, type ConversationHandle, type ConversationSettings } from '../../src/client/index.js';
import { exchangeActivityId } from '../../src/protocol/conversation.js';
import { exchangeStatuses, startRig, until, type Rig } from '../support/rig.js';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.js';

let rig: Rig;
const processes: WorkerProcess[] = [];
beforeAll(async () => {
  rig = await startRig({ worker: false });
});
afterEach(async () => {
  rig.simulator.setFaults([]);
  rig.simulator.changeSettings({ answerLatencyMs: 0 });
  await Promise.all(processes.splice(0).map((worker) => worker.kill()));
});
afterAll(() => rig.close());

const conversation = (settings: ConversationSettings = {}): ConversationHandle =>
  rig.client.conversation(`test/${randomUUID()}`, settings);

async function workerProcess(): Promise<WorkerProcess> {
  const worker = await startWorkerProcess(rig);
  processes.push(worker);
  return worker;
}

const statusesOf = (text: string) => exchangeStatuses(rig, text);
const isAnswering = (text: string) => () => statusesOf(text).includes('answering');

describe.each(['streaming', 'blocking'] as const)('a %s exchange', (mode) => {
  test('goes on through a deploy: the next worker adopts it', async () => {
    const text = `[takes 6000ms] Deployed under (${mode})?`;
    const first = await rig.startWorker();
    const asked = conversation({ mode }).ask(text);
    await until('it runs', isAnswering(text));
    await first.stop();
    expect(statusesOf(text)).toEqual(['answering']);
    const second = await rig.startWorker();
    expect(await asked).toMatchObject({ status: 'answered', sends: 1 });
    expect(statusesOf(text)).toEqual(['landed']);
    await second.stop();
  });

  test('goes on through the death of its worker: the next one adopts it', async () => {
    const text = `[takes 3000ms] Killed under (${mode})?`;
    const first = await workerProcess();
    const asked = conversation({ mode }).ask(text);
    await until('it runs', isAnswering(text));
    await first.kill();
    await workerProcess();
    expect(await asked).toMatchObject({ status: 'answered' });
    expect(statusesOf(text)).toEqual(['landed']);
  });
});

describe('a message that was at the agent when its conversation was terminated, asked again,', () => {
  test.each(['streaming', 'blocking'] as const)('has the answer that landed meanwhile (%s)', async (mode) => {
    const text = `[takes 3000ms] Landed unseen (${mode})?`;
    const worker = await workerProcess();
    const handle = conversation({ mode });
    const asked = handle.ask({ text, messageId: 'm' }).catch((error: unknown) => error);
    await until('it runs', isAnswering(text));
    await worker.kill();
    await until('it landed', () => statusesOf(text).includes('landed'));
    await handle.terminate();
    expect(await asked).toBeInstanceOf(ConversationEndedError);
    await workerProcess();
    expect(await handle.ask({ text, messageId: 'm' })).toMatchObject({ status: 'answered', index: 0 });
    expect(await handle.ask('And then?')).toMatchObject({ status: 'answered' });
    expect(statusesOf(text)).toEqual(['landed']);
  });

  test('is ended there first, and then sent', async () => {
    const text = 'Terminated in the dark?';
    rig.simulator.changeSettings({ answerLatencyMs: 60_000 });
    const worker = await workerProcess();
    const handle = conversation();
    const asked = handle.ask({ text, messageId: 'm' }).catch((error: unknown) => error);
    await until('it runs', isAnswering(text));
    await worker.kill();
    await handle.terminate();
    expect(await asked).toBeInstanceOf(ConversationEndedError);
    rig.simulator.changeSettings({ answerLatencyMs: 0 });
    await workerProcess();
    expect(await handle.ask({ text, messageId: 'm' })).toMatchObject({ status: 'answered', sends: 1 });
    expect(statusesOf(text)).toEqual(['cancelled', 'landed']);
  });
});

test('SIGTERM ends a worker process within seconds although an exchange runs', async () => {
  const text = '[takes 20000ms] Long?';
  const worker = await workerProcess();
  const handle = conversation();
  const asked = handle.ask(text).catch((error: unknown) => error);
  await until('it runs', isAnswering(text));
  await worker.terminate();
  expect(statusesOf(text)).toEqual(['answering']);
  await handle.terminate();
  await asked;
});

describe('a cancel while no worker is up', () => {
  test('of the conversation ends an exchange at the agent as soon as a worker is there, and sends nothing', async () => {
    const text = '[takes 30000ms] Cancelled in the dark?';
    const first = await rig.startWorker();
    const handle = conversation();
    const asked = handle.ask(text);
    await until('it runs', isAnswering(text));
    await first.stop();
    await handle.cancel();
    const second = await rig.startWorker();
    expect(await asked).toMatchObject({ status: 'cancelled' });
    expect(statusesOf(text)).toEqual(['cancelled']);
    await second.stop();
  });

  test('of an exchange by signal does so too, with its response', async () => {
    const text = '[takes 30000ms] Interrupted in the dark?';
    const first = await rig.startWorker();
    const handle = conversation();
    const asked = handle.ask(text);
    await until('it runs', isAnswering(text));
    await first.stop();
    await handle.cancelExchange({ response: 'Never mind.' });
    const second = await rig.startWorker();
    expect(await asked).toMatchObject({
      status: 'interrupted',
      result: { agentMarkdownResponse: 'Never mind.', interruptedOutput: true },
    });
    expect(statusesOf(text)).toEqual(['interrupted']);
    await second.stop();
  });

  test('keeps a message that was never sent from being sent', async () => {
    const text = 'Cancelled before anybody worked?';
    const handle = await rig.client.startConversation({ id: `test/${randomUUID()}` });
    await handle.submit({ messageId: 'unsent', text });
    await handle.cancel();
    const worker = await rig.startWorker();
    await expect(rig.client.client.workflow.getHandle(handle.id).result()).rejects.toThrow(/cancel/i);
    expect(await handle.outcome('unsent')).toMatchObject({ outcome: { status: 'cancelled', sends: 0 } });
    expect(statusesOf(text)).toEqual([]);
    await worker.stop();
  });
});

describe('with a worker', () => {
  let worker: Awaited<ReturnType<Rig['startWorker']>>;
  beforeAll(async () => {
    worker = await rig.startWorker();
  });
  afterAll(() => worker.stop());

  test('a terminated conversation leaves nothing running at the agent', async () => {
    const text = '[takes 30000ms] Terminated?';
    const handle = conversation();
    const asked = handle.ask(text).catch((error: unknown) => error);
    await until('it runs', isAnswering(text));
    await handle.terminate();
    await until('the agent was told', () => statusesOf(text).join() === 'cancelled');
    expect(await asked).toBeInstanceOf(Error);
  });

  test('a cancel in the backoff after a limit ends the exchange without another send', async () => {
    const handle = conversation();
    await handle.ask('Not limited?');
    rig.simulator.setFaults([
      { operation: 'streamingContinue', fault: { kind: 'error', errorName: 'RateLimitExceeded' } },
    ]);
    const asked = handle.ask('Limited?');
    await until('it waits for its next try, which is not about to come', async () => {
      const [activity] = (await handle.describe()).pendingActivities;
      return activity?.state === 'scheduled' && (activity.nextAttemptAt?.getTime() ?? 0) > Date.now() + 1_000;
    });
    const { continuesReceived } = rig.simulator.summary().totals;
    await handle.cancelExchange();
    expect(await asked).toMatchObject({ status: 'cancelled' });
    expect(rig.simulator.summary().totals).toMatchObject({ continuesReceived });
    rig.simulator.setFaults([]);
    expect(await handle.ask('Still usable?')).toMatchObject({ status: 'answered', sends: 1 });
  });

  test('an exchange that has no outcome within its time limit has failed, and nothing is left running', async () => {
    const text = '[takes 30000ms] Too slow?';
    const handle = conversation({ exchangeTimeoutMs: 5_000 });
    expect(await handle.ask(text)).toMatchObject({
      status: 'failed',
      sends: 1,
      error: { errorName: 'ExchangeTimedOut' },
    });
    expect(statusesOf(text)).toEqual(['cancelled']);
    expect(await handle.ask('Still usable?')).toMatchObject({ status: 'answered' });
  });

  test('an exchange that was cancelled at the agent by its reset is asked anew, under the next trace id', async () => {
    const text = 'Reset?';
    rig.simulator.changeSettings({ answerLatencyMs: 60_000 });
    const handle = conversation();
    const asked = handle.ask(text);
    await until('it runs', isAnswering(text));
    rig.simulator.changeSettings({ answerLatencyMs: 0 });
    await activityCall('resetActivity', handle);
    expect(await asked).toMatchObject({ status: 'answered', sends: 2 });
    expect(statusesOf(text)).toEqual(['cancelled', 'landed']);
  });

  test('an exchange whose activity is paused goes on at the agent, and is adopted when it is unpaused', async () => {
    const text = '[takes 6000ms] Paused?';
    const handle = conversation();
    const asked = handle.ask(text);
    await until('it runs', isAnswering(text));
    await activityCall('pauseActivity', handle);
    await until('it landed although paused', () => statusesOf(text).join() === 'landed');
    await activityCall('unpauseActivity', handle);
    expect(await asked).toMatchObject({ status: 'answered', sends: 1 });
    expect(statusesOf(text)).toEqual(['landed']);
  });

  /** What the Temporal UI's buttons at a pending activity do. */
  async function activityCall(
    call: 'pauseActivity' | 'unpauseActivity' | 'resetActivity',
    handle: ConversationHandle,
  ): Promise<void> {
    const { connection, options } = rig.client.client;
    const { workflowService } = connection;
    const execution = { workflowId: handle.id };
    const subject = { namespace: options.namespace, execution, id: exchangeActivityId(0) };
    switch (call) {
      case 'pauseActivity':
        return void (await workflowService.pauseActivity(subject));
      case 'unpauseActivity':
        return void (await workflowService.unpauseActivity(subject));
      case 'resetActivity':
        return void (await workflowService.resetActivity(subject));
    }
  }
});
