import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ExchangeOutcome } from '../../src/protocol/exchange.js';
import type { ConversationHandle } from '../../src/client/index.js';
import { startRig, until, type Rig } from '../support/rig.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.close());
afterEach(() =>
  rig.simulator.changeSettings({
    answerLatencyMs: 0,
    contextSizeTokens: 128_000,
    sessionLifetimeMs: 86_400_000,
    limits: {},
  }),
);

const conversation = (settings: Parameters<typeof rig.client.conversation>[1] = {}): ConversationHandle =>
  rig.client.conversation(`test/${randomUUID()}`, settings);

/** The simulator's exchanges of one session, those that ended first. */
const inLedger = (sessionRid: string | undefined) => {
  const { exchanges, running } = rig.simulator.ledger();
  return [...exchanges, ...running].filter((exchange) => exchange.sessionRid === sessionRid);
};

const stillRunning = () => rig.simulator.summary().totals.inFlight;

/** The session of a conversation that is being started. */
async function sessionOf(handle: ConversationHandle): Promise<string> {
  let sessionRid: string | undefined;
  await until('the conversation has a session', async () => {
    sessionRid = await handle.status().then(
      ({ session }) => session?.sessionRid,
      () => undefined, // Not started yet.
    );
    return sessionRid !== undefined;
  });
  return sessionRid!;
}

describe('a conversation', () => {
  test('answers messages in one session, one at a time, in order', async () => {
    const handle = conversation();
    const first = await handle.ask('What is one?');
    // Sent at once: the order in which the server accepts them is theirs.
    const rest = await Promise.all(['two', 'three', 'four'].map((n) => handle.ask(`What is ${n}?`)));
    const outcomes = [first, ...rest].sort((a, b) => a.index - b.index);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(Array(4).fill('answered'));
    expect(new Set(outcomes.map((outcome) => outcome.sessionRid)).size).toBe(1);
    expect(outcomes.map((outcome) => outcome.index)).toEqual([0, 1, 2, 3]);
    const times = inLedger(first.sessionRid).map(({ startedAt, endedAt }) => [startedAt, endedAt]);
    expect(times).toHaveLength(4);
    expect(times.flat()).toEqual([...times.flat()].sort());
    expect(rig.simulator.summary().totals.overlapsRefused).toBe(0);
    expect(first.result).toMatchObject({ interruptedOutput: false, totalTokensUsed: expect.any(Number) });
  });

  test('gives a repeated message id its first outcome', async () => {
    const handle = conversation();
    const message = { messageId: randomUUID(), text: 'Once only?' };
    const [first, second] = [await handle.ask(message), await handle.ask(message)];
    await handle.submit(message);
    expect(second).toEqual(first);
    await handle.ask('Another?');
    expect(inLedger(first.sessionRid)).toHaveLength(2);
  });

  test('takes messages by signal, and tells their outcome when asked', async () => {
    const handle = conversation();
    const messageId = 'order 17';
    await handle.submit({ messageId, text: 'By signal?' });
    await until('the outcome is there', async () => (await handle.outcome(messageId)).state === 'finished');
    expect(await handle.outcome(messageId)).toMatchObject({ outcome: { status: 'answered', messageId } });
  });

  test('sends blocking when told to', async () => {
    const handle = conversation({ mode: 'blocking' });
    const outcome = await handle.ask('In one piece?');
    expect(outcome.status).toBe('answered');
    expect(inLedger(outcome.sessionRid)[0]?.mode).toBe('blocking');
  });

  test('makes at most 11 history events per asked exchange', async () => {
    const handle = conversation();
    await handle.ask('First, with its session');
    const { historyLength: before } = await rig.client.client.workflow.getHandle(handle.id).describe();
    for (const n of [1, 2, 3]) await handle.ask(`Question ${n}`);
    const { historyLength: after } = await rig.client.client.workflow.getHandle(handle.id).describe();
    expect((after - before) / 3).toBeLessThanOrEqual(11);
  });

  test('closes after its queue, and then takes no more', async () => {
    const handle = conversation();
    await handle.ask('First');
    const asked = [handle.ask('Second [takes 3s]'), handle.ask('Third')];
    await until('both are in', async () => {
      const { queue, inFlight } = await handle.status();
      return queue.length === 1 && inFlight !== undefined;
    });
    await handle.close();
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(['answered', 'answered']);
    const result: unknown = await rig.client.client.workflow.getHandle(handle.id).result();
    expect(result).toMatchObject({ endedBy: 'closed', totals: { answered: 3 } });
  });

  test('ends by itself when it is idle', async () => {
    const handle = conversation({ idleTimeoutMs: 1_500 });
    await handle.ask('And then nothing?');
    expect(await rig.client.client.workflow.getHandle(handle.id).result()).toMatchObject({ endedBy: 'idle' });
  });

  test('runs given turns and completes with their outcomes', async () => {
    const handle = await rig.client.startConversation({
      id: `test/${randomUUID()}`,
      turns: ['a', 'b'].map((messageId) => ({ messageId, text: `Turn ${messageId}` })),
    });
    const result = (await rig.client.client.workflow.getHandle(handle.id).result()) as { outcomes: ExchangeOutcome[] };
    expect(result).toMatchObject({ endedBy: 'turnsDone' });
    expect(result.outcomes.map(({ messageId, status }) => [messageId, status])).toEqual([
      ['a', 'answered'],
      ['b', 'answered'],
    ]);
  });

  test('carries the agent’s parameter updates into the next exchange', async () => {
    const handle = conversation({ parameterInputs: { status: { type: 'string', value: 'open' } } });
    const first = await handle.ask('Please [set status=shipped]');
    expect(first.result?.parameterUpdates).toMatchObject({ status: { type: 'string', value: 'shipped' } });
    expect((await handle.status()).parameters).toMatchObject({ status: { type: 'string', value: 'shipped' } });
  });
});

describe('a parameter that the agent has made too large to carry over', () => {
  test('fails the exchanges that do not bring their own, in later runs too, and nobody’s answer is lost', async () => {
    const handle = conversation({ maxExchangesPerRun: 2 });
    const value = '"'.repeat(140_000);
    const first = handle.ask(`[takes 1s] [set status=${value}]`);
    const session = await sessionOf(handle);
    await until('it runs', () => inLedger(session).some(({ status }) => status === 'answering'));
    // Fails in the moment in which the first has its answer.
    const second = handle.ask('Status?');
    expect((await first).result?.parameterUpdates).toEqual({ status: { type: 'string', value } });
    expect(await second).toMatchObject({ status: 'failed', sends: 0, error: { errorName: 'ParametersTooLarge' } });
    expect(await handle.ask('Status?')).toMatchObject({ error: { errorName: 'ParametersTooLarge' } });
    const parameterInputs = { status: { type: 'string' as const, value: 'open' } };
    expect(await handle.ask({ text: '[set status=shipped]', parameterInputs })).toMatchObject({ status: 'answered' });
    expect(await handle.ask('Status?')).toMatchObject({ status: 'answered' });
    expect((await handle.status()).runs).toBeGreaterThan(1);
  });

  test('is of no matter where parameters are not carried', async () => {
    const handle = conversation({ carryParameters: false });
    await handle.ask(`[set status=${'"'.repeat(140_000)}]`);
    expect(await handle.ask('Status?')).toMatchObject({ status: 'answered' });
  });
});

describe('whenBusy', () => {
  const slow = 'Take your time. [takes 5s]';
  async function busy(): Promise<{ handle: ConversationHandle; running: Promise<ExchangeOutcome>; session: string }> {
    const handle = conversation();
    const running = handle.ask(slow);
    const session = await sessionOf(handle);
    await until('the slow exchange runs', () => inLedger(session).some(({ status }) => status === 'answering'));
    return { handle, running, session };
  }

  test('reject refuses the message and leaves the running one alone', async () => {
    const { handle, running } = await busy();
    await expect(handle.ask({ text: 'Now?', whenBusy: 'reject' })).rejects.toThrow(/busy/i);
    await handle.submit({ messageId: 'signalled', text: 'Now?', whenBusy: 'reject' });
    await until('the refusal is told', async () => (await handle.outcome('signalled')).state === 'rejected');
    expect((await running).status).toBe('answered');
  });

  test('reject is not for ever: the same message is accepted when it comes again', async () => {
    const { handle, running } = await busy();
    const message = { messageId: 'again', text: 'Now?', whenBusy: 'reject' } as const;
    await handle.submit(message);
    await until('the refusal is told', async () => (await handle.outcome('again')).state === 'rejected');
    await running;
    expect(await handle.ask(message)).toMatchObject({ status: 'answered', sends: 1 });
  });

  test('interrupt keeps the running exchange with its text so far', async () => {
    const { handle, running, session } = await busy();
    const next = await handle.ask({ text: 'Something else', whenBusy: 'interrupt' });
    const interrupted = await running;
    expect(interrupted).toMatchObject({ status: 'interrupted', result: { interruptedOutput: true } });
    expect(next).toMatchObject({ status: 'answered', sessionRid: session });
    expect(inLedger(session).map(({ status }) => status)).toEqual(['interrupted', 'landed']);
    expect(stillRunning()).toBe(0);
  });

  test('rollback takes the running exchange away', async () => {
    const { handle, running, session } = await busy();
    const next = await handle.ask({ text: 'Something else', whenBusy: 'rollback' });
    expect(await running).toMatchObject({ status: 'cancelled' });
    expect(next.status).toBe('answered');
    expect(inLedger(session).map(({ status }) => status)).toEqual(['cancelled', 'landed']);
  });
});

describe('cancelExchange', () => {
  test.each([
    ['without a response takes the exchange away', undefined, 'cancelled'],
    ['with a response keeps the exchange with it', 'Never mind.', 'interrupted'],
  ] as const)('%s', async (_name, response, status) => {
    const handle = conversation();
    const asked = handle.ask(rig.simulator.slowText);
    const session = await sessionOf(handle);
    await until('it runs', () => inLedger(session).some((exchange) => exchange.status === 'answering'));
    await handle.cancelExchange(response === undefined ? {} : { response });
    const outcome = await asked;
    expect(outcome.status).toBe(status);
    if (response !== undefined) expect(outcome.result?.agentMarkdownResponse).toBe(response);
    expect(stillRunning()).toBe(0);
    expect((await handle.ask('Still usable?')).status).toBe('answered');
  });

  test('drops a message that is still queued', async () => {
    const handle = conversation();
    const running = handle.ask('[takes 5s]');
    const session = await sessionOf(handle);
    const queued = handle.ask({ messageId: 'queued', text: 'Never sent' });
    await until('it is queued', async () => (await handle.status()).queue.length === 1);
    await handle.cancelExchange({ messageId: 'queued' });
    expect(await queued).toMatchObject({ status: 'cancelled', sends: 0 });
    expect((await running).status).toBe('answered');
    expect(inLedger(session)).toHaveLength(1);
  });
});

describe('a cancel of the whole conversation', () => {
  test('stops the exchange at the agent, gives every message its outcome, and ends as Canceled', async () => {
    const handle = conversation();
    const running = handle.ask(rig.simulator.slowText);
    const session = await sessionOf(handle);
    await until('it runs', () => inLedger(session).some(({ status }) => status === 'answering'));
    const queued = handle.ask('Queued behind it');
    await until('the second is queued', async () => (await handle.status()).queue.length === 1);
    await handle.cancel();
    expect(await running).toMatchObject({ status: 'cancelled', sends: 1 });
    expect(await queued).toMatchObject({ status: 'cancelled', sends: 0 });
    await expect(rig.client.client.workflow.getHandle(handle.id).result()).rejects.toThrow(/cancel/i);
    expect(inLedger(session).map(({ status }) => status)).toEqual(['cancelled']);
    expect(stillRunning()).toBe(0);
  });

  test('by terminate leaves nothing running either', async () => {
    const handle = conversation();
    const running = handle.ask(rig.simulator.slowText).catch((error: unknown) => error);
    const session = await sessionOf(handle);
    await until('it runs', () => inLedger(session).some(({ status }) => status === 'answering'));
    await handle.terminate();
    await until('the agent was told', () => inLedger(session).every(({ status }) => status === 'cancelled'));
    expect(await running).toBeInstanceOf(Error);
  });
});

describe('a session that is gone', () => {
  test('is replaced by a new one, which is told what was said', async () => {
    const handle = conversation();
    const first = await handle.ask('Remember this.');
    rig.simulator.expireSession(first.sessionRid!);
    const second = await handle.ask('Do you remember?');
    expect(second.status).toBe('answered');
    expect(second.sessionRid).not.toBe(first.sessionRid);
    const [sent] = inLedger(second.sessionRid);
    expect(sent?.text).toContain('Remember this.');
    expect(sent?.text).toContain('Do you remember?');
  });

  test('is known to be gone by its time, before anything is sent to it', async () => {
    rig.simulator.changeSettings({ sessionLifetimeMs: 1_000 });
    const handle = conversation();
    const first = await handle.ask('Remember this, briefly.');
    const expires = Date.parse((await handle.status()).session?.estimatedExpiresTime ?? '');
    await until('the session is gone', () => Date.now() > expires + 100);
    const before = rig.simulator.summary().totals.refused['SessionNotFound'] ?? 0;
    const second = await handle.ask('Do you remember?');
    expect(second.sessionRid).not.toBe(first.sessionRid);
    expect(inLedger(second.sessionRid)[0]?.text).toContain('Remember this, briefly.');
    expect(rig.simulator.summary().totals.refused['SessionNotFound'] ?? 0).toBe(before);
  });

  test('is replaced, too, when it is the one that the conversation was to go on in', async () => {
    const first = await conversation().ask('First');
    rig.simulator.expireSession(first.sessionRid!);
    const outcome = await conversation({ sessionRid: first.sessionRid! }).ask('Second');
    expect(outcome).toMatchObject({ status: 'answered', sends: 1 });
    expect(outcome.sessionRid).not.toBe(first.sessionRid);
  });

  test('fails the exchange with the policy fail, and the conversation stays usable', async () => {
    const handle = conversation({ onExpired: 'fail' });
    const first = await handle.ask('First');
    rig.simulator.expireSession(first.sessionRid!);
    expect(await handle.ask('Second')).toMatchObject({ status: 'failed', error: { errorName: 'SessionNotFound' } });
    expect((await handle.status()).closing).toBe(false);
  });
});

describe('a context that is full', () => {
  test('moves the conversation to a new session', async () => {
    rig.simulator.changeSettings({ contextSizeTokens: 600 });
    const handle = conversation({ carryOver: 'none' });
    const outcomes = [];
    for (let n = 0; n < 6; n++) outcomes.push(await handle.ask(`${n}: ${'word '.repeat(60)}`));
    expect(outcomes.map(({ status }) => status)).toEqual(Array(6).fill('answered'));
    expect(new Set(outcomes.map(({ sessionRid }) => sessionRid)).size).toBeGreaterThan(1);
  });

  test('shortens the message with the policy shorten', async () => {
    rig.simulator.changeSettings({ contextSizeTokens: 400 });
    const handle = conversation({ onContextOverflow: 'shorten' });
    const outcome = await handle.ask('word '.repeat(400));
    expect(outcome.status).toBe('answered');
    expect(inLedger(outcome.sessionRid).at(-1)?.text).toContain('[…]');
  });

  test('fails the exchange with the policy fail', async () => {
    rig.simulator.changeSettings({ contextSizeTokens: 100 });
    const handle = conversation({ onContextOverflow: 'fail' });
    expect(await handle.ask('word '.repeat(400))).toMatchObject({
      status: 'failed',
      error: { errorName: 'ContextSizeExceededLimit', errorInstanceId: expect.any(String) },
    });
  });
});

describe('continue-as-new', () => {
  test('loses nothing when it is forced every three exchanges under load', async () => {
    const handle = conversation({ maxExchangesPerRun: 3 });
    const texts = Array.from({ length: 20 }, (_, n) => `Question ${n}`);
    await handle.ask('Opening');
    const signalled = texts.slice(0, 10).map((text, n) => handle.submit({ messageId: `signalled ${n}`, text }));
    const asked = texts.slice(10).map((text) => handle.ask(text));
    await Promise.all(signalled);
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array(10).fill('answered'));
    await until('all are answered', async () => (await handle.status()).totals.answered === 21);
    const status = await handle.status();
    expect(status.runs).toBeGreaterThan(5);
    expect(
      inLedger(status.session?.sessionRid)
        .map(({ text }) => text)
        .sort(),
    ).toEqual(['Opening', ...texts].sort());
    expect(status.totals.sessions).toBe(1);
  });

  test('keeps the outcomes of earlier runs for a repeated message id', async () => {
    const handle = conversation({ maxExchangesPerRun: 1 });
    const first = await handle.ask({ messageId: 'first', text: 'First' });
    await handle.ask('Second');
    expect(await handle.ask({ messageId: 'first', text: 'First' })).toEqual(first);
  });
});

test('a failure for good while the exchange may run at the agent ends it there, too', async () => {
  const handle = conversation();
  const { sessionRid } = await handle.ask('First');
  const match = { sessionRid: sessionRid! };
  rig.simulator.setFaults([
    { operation: 'streamingContinue', match, times: 1, fault: { kind: 'status', status: 502, lands: true } },
    {
      operation: 'getSessionTrace',
      match,
      fault: { kind: 'error', errorName: 'TracePermissionDenied', status: 403 },
    },
  ]);
  const outcome = await handle.ask('[takes 30000ms] Lost from sight?');
  rig.simulator.setFaults([]);
  expect(outcome).toMatchObject({ status: 'failed', sends: 1, error: { errorName: 'TracePermissionDenied' } });
  expect(inLedger(outcome.sessionRid).map(({ status }) => status)).toEqual(['landed', 'cancelled']);
});

describe('what is sent by hand', () => {
  test.each([
    ['setTitle', undefined],
    ['setTitle', { title: 7 }],
    ['setTitle', { title: 'x'.repeat(5_000) }],
    ['submit', undefined],
    ['submit', { text: 'no id' }],
    ['cancelExchange', undefined],
    ['cancelExchange', { messageId: 7 }],
  ])('as %s with %j does no harm', async (signal, argument) => {
    const handle = conversation();
    await handle.ask('First');
    await rig.client.client.workflow.getHandle(handle.id).signal(signal, argument);
    expect(await handle.ask('Second')).toMatchObject({ status: 'answered', index: 1 });
  });
});

test('a conversation that is begun by hand with too much fails with what to mend', async () => {
  const { workflow } = rig.client.client;
  const parameterInputs = { note: { type: 'string', value: 'x'.repeat(300_000) } };
  const handle = await workflow.start('conversationWorkflow', {
    workflowId: `test/${randomUUID()}`,
    taskQueue: rig.taskQueue,
    args: [{ agentRid: rig.simulator.agentRid, parameterInputs }],
  });
  await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'InvalidInput' } });
});

describe('a title', () => {
  test('that is set between exchanges is given to the session, also when the run rolls over at once', async () => {
    const handle = conversation({ maxExchangesPerRun: 1 });
    await handle.ask('First');
    await handle.setTitle('Orders');
    await handle.ask('Second');
    await until('the title is set', () => (rig.simulator.summary().totals.calls.updateTitle ?? 0) === 1);
    expect((await handle.status()).title).toBe('Orders');
  });
});

describe('the limits of the API', () => {
  test('are waited for, and the wait is visible', async () => {
    rig.simulator.setFaults([
      { operation: 'streamingContinue', times: 2, fault: { kind: 'error', errorName: 'RateLimitExceeded' } },
    ]);
    const handle = conversation();
    const outcome = await handle.ask('Patience?');
    rig.simulator.setFaults([]);
    expect(outcome).toMatchObject({ status: 'answered', sends: 3 });
  });
});
