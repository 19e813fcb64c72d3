import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import type { ConversationHandle, ConversationSettings } from '../../src/client/index.js';
import { exchangeActivityId } from '../../src/protocol/conversation.js';
import { WORKFLOW_TYPES } from '../../src/protocol/workflow-names.js';
import type { FaultRule } from '../../src/simulator/index.js';
import { until, type Rig } from '../support/rig.js';
import { startWorkerProcess } from '../support/worker-process.js';
import type { Story } from './recorded-runs.js';

const start = (rig: Rig, settings: ConversationSettings = {}): ConversationHandle =>
  rig.client.conversation(`recorded/${randomUUID()}`, settings);

/** Waits until a message of a conversation is at the agent. */
async function running(rig: Rig, text: string): Promise<void> {
  const isRunning = () => rig.simulator.ledger().running.some((exchange) => exchange.text === text);
  await until('it runs', isRunning);
}

/** Waits until the exchange in flight has failed once and waits for its next try. */
async function inBackoff(rig: Rig, handle: ConversationHandle): Promise<void> {
  await until('it waits for its next try', async () => {
    const { raw } = await rig.client.client.workflow.getHandle(handle.id).describe();
    return raw.pendingActivities?.some(({ lastFailure }) => lastFailure != null) ?? false;
  });
}

const slow = (what: string) => `[takes 2000ms] ${what}`;

/** The agent refuses so many streamed messages by an error. */
const refusals = (errorName: string, times: number): FaultRule => ({
  operation: 'streamingContinue',
  times,
  fault: { kind: 'error', errorName },
});

/** The stories of conversations. */
export const conversationRuns: Record<string, Story> = {
  async 'asked, submitted, titled, closed'(rig) {
    const handle = start(rig, { parameterInputs: { status: { type: 'string', value: 'open' } } });
    await handle.ask('Please [set status=shipped]');
    await handle.setTitle('Orders');
    const messageId = await handle.submit('By signal?');
    await until('it is answered', async () => (await handle.outcome(messageId)).state === 'finished');
    await handle.ask({ text: 'In one piece?', mode: 'blocking' });
    await handle.close();
    return [handle.id];
  },

  async 'rolled over'(rig) {
    const handle = start(rig, { maxExchangesPerRun: 2 });
    await handle.ask('One');
    await Promise.all(['two', 'three', 'four', 'five'].map((text) => handle.ask(text)));
    await handle.close();
    return [handle.id];
  },

  async 'cancelled, with an exchange that runs and one that waits'(rig) {
    const handle = start(rig);
    const text = slow('Cancelled?');
    const asked = [handle.ask(text)];
    await running(rig, text);
    asked.push(handle.ask('Never sent'));
    await until('it waits', async () => (await handle.status()).queue.length === 1);
    await handle.cancel();
    await Promise.all(asked);
    return [handle.id];
  },

  async 'interrupted, rolled back, cancelled with a response, refused'(rig) {
    const handle = start(rig);
    for (const whenBusy of ['interrupt', 'rollback'] as const) {
      const text = slow(`Before ${whenBusy}?`);
      const asked = handle.ask(text);
      await running(rig, text);
      await handle.submit({ messageId: `refused at ${whenBusy}`, text: 'Busy?', whenBusy: 'reject' });
      await handle.ask({ text: `After ${whenBusy}?`, whenBusy });
      await asked;
    }
    const text = slow('Cancelled with a response?');
    const asked = handle.ask(text);
    await running(rig, text);
    await handle.cancelExchange({ response: 'Never mind.' });
    await asked;
    await handle.close();
    return [handle.id];
  },

  async 'expired, and then too full for its session'(rig) {
    const handle = start(rig);
    const { sessionRid } = await handle.ask('Remember this.');
    rig.simulator.expireSession(sessionRid ?? '');
    await handle.ask('Do you remember?');
    rig.simulator.changeSettings({ contextSizeTokens: 400 });
    await handle.ask('word '.repeat(150));
    rig.simulator.changeSettings({ contextSizeTokens: 128_000 });
    await handle.close();
    return [handle.id];
  },

  async 'out of time, then failed for good, then idle'(rig) {
    const handle = start(rig, { exchangeTimeoutMs: 1_500, idleTimeoutMs: 1_000 });
    await handle.ask('[takes 9000ms] Too slow?');
    rig.simulator.setFaults([refusals('AgentIterationsExceededLimit', 1)]);
    await handle.ask('Too hard?');
    return [handle.id];
  },

  async 'one shot of two turns'(rig) {
    const turns = ['a', 'b'].map((messageId) => ({ messageId, text: `Turn ${messageId}` }));
    const handle = await rig.client.startConversation({ id: `recorded/${randomUUID()}`, turns });
    return [handle.id];
  },

  async 'one shot that rolls over'(rig) {
    const turns = ['a', 'b', 'c'].map((messageId) => ({ messageId, text: `Turn ${messageId}` }));
    const settings = { id: `recorded/${randomUUID()}`, turns, maxExchangesPerRun: 2, title: 'Three turns' };
    const handle = await rig.client.startConversation(settings);
    return [handle.id];
  },

  async 'one shot with a turn that is refused'(rig) {
    const turns = [{ messageId: 'a', text: ' ' }];
    const handle = await rig.client.startConversation({ id: `recorded/${randomUUID()}`, turns });
    return [handle.id];
  },

  async 'started by hand, with signals of no sense'(rig) {
    const { workflow } = rig.client.client;
    // As from the UI: without search attributes.
    const handle = await workflow.start(WORKFLOW_TYPES.conversation, {
      workflowId: `recorded/${randomUUID()}`,
      taskQueue: rig.taskQueue,
      args: [{ agentRid: rig.simulator.agentRid, title: 'By hand' }],
    });
    for (const name of ['setTitle', 'submit', 'cancelExchange', 'noSuchSignal']) await handle.signal(name);
    const conversation = rig.client.conversation(handle.workflowId);
    await conversation.ask({ messageId: 'by hand', text: 'First?' });
    await conversation.ask({ messageId: 'by hand', text: 'First?' });
    await conversation.cancelExchange({ messageId: 'unknown' });
    await conversation.close();
    return [handle.workflowId];
  },

  async 'too long, shortened, and then too long for that too'(rig) {
    rig.simulator.changeSettings({ contextSizeTokens: 400 });
    const handle = start(rig, { onContextOverflow: 'shorten' });
    await handle.ask('word '.repeat(200));
    rig.simulator.changeSettings({ contextSizeTokens: 100 });
    await handle.ask('Too long for what is left in the session, however it is cut.');
    await handle.close();
    return [handle.id];
  },

  async 'too long, failed, and then mended'(rig) {
    rig.simulator.changeSettings({ contextSizeTokens: 300 });
    const handle = start(rig, { onContextOverflow: 'fail' });
    await handle.ask('word '.repeat(100));
    await handle.ask('Short?');
    await handle.close();
    return [handle.id];
  },

  async 'too long for any session'(rig) {
    rig.simulator.changeSettings({ contextSizeTokens: 300 });
    const handle = start(rig, { carryOver: 'none' });
    await handle.ask('Short?');
    await handle.ask('word '.repeat(100));
    await handle.close();
    return [handle.id];
  },

  async 'expired by its time, before anything was sent'(rig) {
    rig.simulator.changeSettings({ sessionLifetimeMs: 700 });
    const handle = start(rig);
    const { sessionRid } = await handle.ask('Remember this, briefly.');
    const expires = Date.parse((await handle.status()).session?.estimatedExpiresTime ?? '');
    await until('the session is gone', () => Date.now() > expires + 100);
    rig.simulator.changeSettings({ sessionLifetimeMs: 86_400_000 });
    const next = await handle.ask('Do you remember?');
    if (next.sessionRid === sessionRid) throw new Error('The session was to expire');
    await handle.close();
    return [handle.id];
  },

  async 'expired, and failed for it'(rig) {
    const handle = start(rig, { onExpired: 'fail' });
    const { sessionRid } = await handle.ask('Remember this.');
    rig.simulator.expireSession(sessionRid ?? '');
    await handle.ask('Do you remember?');
    await handle.cancel();
    return [handle.id];
  },

  async 'in given sessions, of which two are gone'(rig) {
    const first = start(rig);
    const { sessionRid } = await first.ask('A session to be given.');
    await first.close();
    const given = { sessionRid: sessionRid ?? '' };
    const goingOn = start(rig, given);
    await goingOn.ask('Going on?');
    await goingOn.close();
    rig.simulator.expireSession(given.sessionRid);
    const replaced = start(rig, given);
    await replaced.ask('In a new one?');
    await replaced.close();
    const failed = start(rig, { ...given, onExpired: 'fail' });
    await failed.ask('In none?');
    await failed.close();
    return [goingOn.id, replaced.id, failed.id];
  },

  async 'tried again: failed twice, limited, its answer lost, its stream cut'(rig) {
    const handle = start(rig);
    const faults: FaultRule[] = [
      refusals('SessionExecutionFailed', 2),
      refusals('RateLimitExceeded', 1),
      { operation: 'streamingContinue', times: 1, fault: { kind: 'dropAfterLanding' } },
      { operation: 'streamingContinue', times: 1, fault: { kind: 'cutStream', afterBytes: 20 } },
    ];
    for (const fault of faults) {
      rig.simulator.setFaults([fault]);
      await handle.ask(`Found in the end? ${JSON.stringify(fault)}`);
    }
    await handle.close();
    return [handle.id];
  },

  async 'limited until no time is left'(rig) {
    rig.simulator.setFaults([refusals('RateLimitExceeded', 100)]);
    const handle = start(rig, { exchangeTimeoutMs: 1_500 });
    await handle.ask('Limited?');
    rig.simulator.setFaults([]);
    await handle.ask('Not limited?');
    await handle.close();
    return [handle.id];
  },

  async 'without a session: refused, out of time, cancelled'(rig) {
    rig.simulator.setFaults([
      { operation: 'createSession', times: 1, fault: { kind: 'error', errorName: 'NoPublishedAgentVersion' } },
    ]);
    const handle = start(rig, { exchangeTimeoutMs: 1_500 });
    await handle.ask('Refused?');
    rig.simulator.changeSettings({ createLatencyMs: 4_000 });
    await handle.ask('Out of time?');
    const asked = handle.ask('Cancelled?');
    await until('the session is being opened', async () => (await handle.status()).phase === 'openingSession');
    await handle.cancelExchange();
    await asked;
    rig.simulator.changeSettings({ createLatencyMs: 0 });
    await handle.ask('And now?');
    await handle.close();
    return [handle.id];
  },

  async 'handed back when no time was left for another try'(rig) {
    const handle = start(rig);
    const text = slow('Handed back?');
    const asked = handle.ask(text);
    await running(rig, text);
    // As by a worker that stops in the last moment.
    await rig.client.client.activity.fail(
      { workflowId: handle.id, activityId: exchangeActivityId(0) },
      ApplicationFailure.create({ message: 'Handed back', type: 'ExchangeHandedBack', nextRetryDelay: '1 hour' }),
    );
    await asked;
    await handle.close();
    return [handle.id];
  },

  async 'failed for good while it may run, and ended there'(rig) {
    rig.simulator.setFaults([
      { operation: 'streamingContinue', times: 1, fault: { kind: 'status', status: 502, lands: true } },
      {
        operation: 'getSessionTrace',
        times: 1,
        fault: { kind: 'error', errorName: 'TracePermissionDenied', status: 403 },
      },
    ]);
    const handle = start(rig);
    await handle.ask('[takes 9000ms] Lost from sight?');
    await handle.close();
    return [handle.id];
  },

  async 'out of time, and nobody can tell how it ended'(rig) {
    rig.simulator.setFaults([
      { operation: 'cancel', fault: { kind: 'error', errorName: 'CancelSessionPermissionDenied', status: 403 } },
    ]);
    const handle = start(rig, { exchangeTimeoutMs: 1_500 });
    await handle.ask(slow('Not to be ended?'));
    // The session is still busy: it is adopted as soon as it is free.
    await handle.ask('Next?');
    await handle.close();
    return [handle.id];
  },

  async 'in one piece, rolled back although it cannot be stopped'(rig) {
    const handle = start(rig, { mode: 'blocking' });
    const text = slow('In one piece?');
    const asked = handle.ask(text);
    await running(rig, text);
    const next = handle.ask({ text: 'Next?', whenBusy: 'rollback' });
    await asked;
    await next;
    await handle.close();
    return [handle.id];
  },

  async 'cancelled while idle'(rig) {
    const handle = start(rig);
    await handle.ask('And then?');
    await handle.cancel();
    return [handle.id];
  },

  async 'cancelled in a backoff, the exchange and then the run'(rig) {
    const handle = start(rig);
    await handle.ask('Not limited?');
    rig.simulator.setFaults([refusals('RateLimitExceeded', 100)]);
    const first = handle.ask('Limited?');
    await inBackoff(rig, handle);
    await handle.cancelExchange();
    await first;
    const second = handle.ask('Limited again?');
    await inBackoff(rig, handle);
    await handle.cancel();
    await second;
    return [handle.id];
  },

  async 'cancelled while its title is set'(rig) {
    rig.simulator.setFaults([{ operation: 'updateTitle', fault: { kind: 'delay', ms: 9_000 } }]);
    const handle = start(rig);
    await handle.ask('A session to be named.');
    await handle.setTitle('Never set');
    await until('it is being set', () => rig.simulator.summary().totals.calls.updateTitle === 1);
    await handle.cancel();
    return [handle.id];
  },

  async 'closed with a queue, and asked all the same'(rig) {
    const handle = start(rig);
    const text = slow('Running?');
    const asked = [handle.ask(text)];
    await running(rig, text);
    asked.push(handle.ask('Waiting?'));
    await until('it waits', async () => (await handle.status()).queue.length === 1);
    await handle.close();
    await handle.submit({ messageId: 'too late', text: 'Too late?' });
    await handle.ask('Too late, too?').catch(() => undefined);
    await Promise.all(asked);
    return [handle.id];
  },

  async 'a queued message cancelled, the running one interrupted twice'(rig) {
    const handle = start(rig);
    const text = slow('Interrupted?');
    const asked = handle.ask(text);
    await running(rig, text);
    const queued = handle.ask({ messageId: 'queued', text: 'Never sent' });
    await until('it waits', async () => (await handle.status()).queue.length === 1);
    await handle.cancelExchange({ messageId: 'queued' });
    await queued;
    const next = ['First', 'Second'].map((which) =>
      handle.ask({ text: `${which} to interrupt?`, whenBusy: 'interrupt' }),
    );
    await Promise.all([asked, ...next]);
    await handle.close();
    return [handle.id];
  },

  async 'terminated in flight'(rig) {
    const handle = start(rig);
    const text = slow('Terminated?');
    const asked = handle.ask(text).catch(() => undefined);
    await running(rig, text);
    await handle.terminate();
    await asked;
    return [handle.id];
  },

  async 'terminated in flight, and the same asked again'(rig) {
    const handle = start(rig);
    const text = '[takes 3000ms] Terminated, and asked again?';
    const asked = handle.ask({ messageId: 'again', text }).catch(() => undefined);
    await running(rig, text);
    await handle.terminate();
    await asked;
    await handle.ask({ messageId: 'again', text });
    await handle.close();
    await handle.result();
    return [handle.id];
  },

  'before a worker was there: cancelled': {
    setting: { worker: false },
    async tell(rig) {
      const handle = await rig.client.startConversation({ id: `recorded/${randomUUID()}` });
      await handle.submit('Cancelled before anybody worked?');
      await handle.cancel();
      await rig.startWorker();
      return [handle.id];
    },
  },

  'before a worker was there: two at once that would not wait, and a title': {
    setting: { worker: false },
    async tell(rig) {
      const handle = await rig.client.startConversation({ id: `recorded/${randomUUID()}`, title: 'First title' });
      const asked = ['one', 'two'].map((messageId) =>
        handle.ask({ messageId, text: `Is ${messageId} free?`, whenBusy: 'reject' }).catch(() => undefined),
      );
      await handle.setTitle('Second title');
      await rig.startWorker();
      await Promise.all(asked);
      await handle.close();
      return [handle.id];
    },
  },

  'deployed under, and cancelled meanwhile': {
    setting: { worker: false },
    async tell(rig) {
      const [kept, cancelled] = [start(rig), start(rig)];
      const texts = ['Deployed under?', 'Deployed under and cancelled?'].map((what) => `[takes 4000ms] ${what}`);
      const first = await rig.startWorker();
      const asked = [kept.ask(texts[0] ?? ''), cancelled.ask(texts[1] ?? '')];
      for (const text of texts) await running(rig, text);
      await first.stop();
      await cancelled.cancel();
      await rig.startWorker();
      await Promise.all(asked);
      await kept.close();
      return [kept.id, cancelled.id];
    },
  },

  'cancelled, and its worker killed before it could tell the agent': {
    setting: { worker: false },
    async tell(rig) {
      const worker = await startWorkerProcess(rig);
      const handle = start(rig);
      const text = '[takes 20000ms] Killed under?';
      const asked = handle.ask(text);
      await running(rig, text);
      rig.simulator.setFaults([{ operation: 'cancel', fault: { kind: 'hang' } }]);
      await handle.cancel();
      await until('it wants to tell the agent', () => rig.simulator.summary().totals.cancelsReceived > 0);
      await worker.kill();
      rig.simulator.setFaults([]);
      await rig.startWorker();
      await asked;
      return [handle.id];
    },
  },

  async 'rolled over with a queue by signal, a refusal and a title'(rig) {
    const handle = start(rig, { maxExchangesPerRun: 1, carryParameters: false });
    const text = slow('First?');
    const asked = handle.ask(text);
    await running(rig, text);
    await handle.submit({ messageId: 'refused', text: 'Busy?', whenBusy: 'reject' });
    for (const messageId of ['s1', 's2']) await handle.submit({ messageId, text: `By signal ${messageId}?` });
    await handle.setTitle('Rolling');
    await asked;
    await until('all are answered', async () => (await handle.outcome('s2')).state === 'finished');
    // Known from the runs before.
    await handle.ask({ messageId: 's1', text: 'By signal s1?' });
    await handle.close();
    return [handle.id];
  },

  'rolled over as the server suggested, with a failure to be seen': {
    setting: { suggestContinueAsNewAt: 30 },
    async tell(rig) {
      const handle = start(rig);
      rig.simulator.setFaults([refusals('AgentIterationsExceededLimit', 10)]);
      do await handle.ask('Too hard?');
      while ((await handle.status()).runs === 1);
      rig.simulator.setFaults([]);
      await handle.ask('In the next run?');
      await handle.cancel();
      return [handle.id];
    },
  },
};
