import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, type Connection } from '@temporalio/client';
import type { ConversationHandle, ExchangeEvent } from '../../src/client/index.js';
import {
  AipClient,
  ConversationBusyError,
  ConversationClosedError,
  ConversationEndedError,
  ConversationExistsError,
  ConversationNotFoundError,
  ConversationNotRunningError,
  InvalidCallError,
  InvalidMessageError,
  NoWorkerError,
  SearchAttributesMissingError,
  TemporalRefusedError,
  TemporalUnreachableError,
} from '../../src/client/index.js';
import { conversationQuery } from '../../src/client/list-conversations.js';
import { startRig, until, type Rig } from '../support/rig.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.close());
afterEach(() => rig.simulator.changeSettings({ answerLatencyMs: 0, streamingPaceMs: 0, limits: {} }));

const newId = () => `test/${randomUUID()}`;
const conversation = (settings: Parameters<typeof rig.client.conversation>[1] = {}): ConversationHandle =>
  rig.client.conversation(newId(), settings);

const exchangesOf = (sessionRid: string | undefined) =>
  rig.simulator.ledger().exchanges.filter((exchange) => exchange.sessionRid === sessionRid);

async function all(events: AsyncIterable<ExchangeEvent>): Promise<ExchangeEvent[]> {
  const list: ExchangeEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

/** The text in front of a reader who starts over at each restart. */
const textOf = (events: ExchangeEvent[]): string =>
  events.reduce(
    (text, event) => (event.type === 'restart' ? '' : event.type === 'text' ? text + event.text : text),
    '',
  );

/** Waits until an exchange of this conversation runs at the agent. */
const untilRunning = (handle: ConversationHandle) =>
  until('an exchange runs', () =>
    handle.status().then(
      ({ inFlight, session }) =>
        inFlight !== undefined &&
        rig.simulator.ledger().running.some((exchange) => exchange.sessionRid === session?.sessionRid),
      () => false, // Not started yet.
    ),
  );

describe('ask()', () => {
  test('answers more at once than a workflow takes updates', async () => {
    rig.simulator.changeSettings({ answerLatencyMs: 100 });
    const handle = conversation();
    const outcomes = await Promise.all(Array.from({ length: 25 }, (_, n) => handle.ask(`Question ${n}?`)));
    expect(outcomes.map(({ status }) => status)).toEqual(Array(25).fill('answered'));
    expect(new Set(outcomes.map(({ index }) => index)).size).toBe(25);
    expect(exchangesOf(outcomes[0]?.sessionRid)).toHaveLength(25);
  });

  test('waits for a worker that comes later', async () => {
    const without = await startRig({ worker: false });
    try {
      const handle = without.client.conversation(newId());
      const seen: ExchangeEvent[] = [];
      const watching = (async () => {
        for await (const event of handle.stream('Anybody there?', { intervalMs: 50 })) seen.push(event);
      })();
      await until('it is said that nobody works', () => Promise.resolve(seen.some(({ type }) => type === 'waiting')));
      expect(seen).toEqual([{ type: 'waiting', reason: expect.stringMatching(/^No worker polls task queue test-/) }]);
      await expect(handle.status()).rejects.toThrow(NoWorkerError);
      await without.startWorker();
      await watching;
      expect(seen.at(-1)).toMatchObject({ type: 'outcome', outcome: { status: 'answered' } });
    } finally {
      await without.close();
    }
  });

  test('stops waiting when its signal is aborted, and the exchange goes on', async () => {
    const handle = conversation();
    const text = 'Too slow? [takes 5s]';
    const stop = new AbortController();
    const accepted = new Promise<void>((resolve) => {
      const asking = handle.ask({ messageId: 'one', text }, { signal: stop.signal, onAccepted: resolve });
      asking.catch(() => undefined);
    });
    await accepted;
    const second = handle.ask({ messageId: 'one', text }, { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    expect(await handle.ask({ messageId: 'one', text })).toMatchObject({ status: 'answered', sends: 1 });
  });

  test.each<[string, (handle: ConversationHandle) => Promise<void>]>([
    ['cancelled', (handle) => handle.cancel()],
    ['terminated', (handle) => handle.terminate('for the test')],
  ])('says that the conversation was %s, and starts no other', async (status, end) => {
    const handle = conversation();
    const asking = handle.ask('Long [takes 20s]?');
    asking.catch(() => undefined);
    await untilRunning(handle);
    await end(handle);
    if (status === 'terminated') {
      await expect(asking).rejects.toThrow(ConversationEndedError);
      await expect(asking).rejects.toMatchObject({ status, conversationId: handle.id });
    } else {
      // Cancelled, a message has its recorded outcome, which its sender is told.
      expect(await asking).toMatchObject({ status: 'cancelled' });
    }
    expect((await handle.describe()).status).toBe(status);
  });

  test('tells of a refusal because an exchange runs, or the conversation closes', async () => {
    const handle = conversation();
    const running = handle.ask('Long [takes 1s]?');
    await untilRunning(handle);
    await expect(handle.ask({ text: 'Now?', whenBusy: 'reject' })).rejects.toThrow(ConversationBusyError);
    await handle.close();
    await expect(handle.ask('After closing?')).rejects.toThrow(ConversationClosedError);
    expect((await running).status).toBe('answered');
  });

  test.each([
    ['an empty text', { text: ' ' }, /text: is empty/],
    ['a text that is too long', { text: 'x'.repeat(256 * 1024 + 1) }, /text: is longer than 262144 bytes/],
    ['an empty id', { text: 'x', messageId: '' }, /messageId/],
    ['an unknown field', { text: 'x', whenbusy: 'reject' }, /whenbusy/],
    ['a wrong parameter', { text: 'x', parameterInputs: { a: { type: 'number', value: 1 } } }, /parameterInputs\.a/],
  ])('refuses %s before anything is started', async (_, message, problem) => {
    const handle = conversation();
    const asking = handle.ask(message as Parameters<ConversationHandle['ask']>[0]);
    await expect(asking).rejects.toThrow(InvalidMessageError);
    await expect(asking).rejects.toThrow(problem);
    await expect(handle.describe()).rejects.toThrow(ConversationNotFoundError);
  });
});

describe('a conversation is not begun', () => {
  test.each([
    ['options', { parameterInputs: { note: { type: 'string' as const, value: 'x'.repeat(300_000) } } }, /options take/],
    ['a title', { title: 'x'.repeat(5_000) }, /its title takes 5002 bytes/],
  ])('with %s too long to be handed from run to run', async (_, settings, problem) => {
    const handle = conversation(settings);
    const asking = handle.ask('First');
    await expect(asking).rejects.toThrow(InvalidCallError);
    await expect(asking).rejects.toThrow(problem);
    await expect(handle.setTitle('x'.repeat(5_000))).rejects.toThrow(InvalidCallError);
    await expect(handle.describe()).rejects.toThrow(ConversationNotFoundError);
  });
});

describe('a conversation that has ended', () => {
  test('is not told as one that never was when it is closed, or its exchange cancelled', async () => {
    const handle = conversation();
    await handle.ask('One?');
    await handle.close();
    await handle.result();
    for (const call of await Promise.allSettled([handle.close(), handle.cancelExchange(), handle.terminate()])) {
      expect(call).toMatchObject({ status: 'rejected', reason: expect.any(ConversationNotRunningError) });
    }
  });

  test('goes on in its session when it is asked again', async () => {
    const handle = conversation();
    const first = await handle.ask('Before?');
    await handle.close();
    await handle.result();
    const second = await handle.ask('After?');
    expect(second).toMatchObject({ status: 'answered', sessionRid: first.sessionRid });
    expect(exchangesOf(first.sessionRid)).toHaveLength(2);
  });

  test('still knows what it has answered', async () => {
    const handle = conversation();
    const message = { messageId: randomUUID(), text: 'Once only?' };
    const first = await handle.ask(message);
    await handle.close();
    await handle.result();
    expect(await handle.ask(message)).toEqual(first);
    await handle.submit(message);
    expect((await handle.describe()).status).toBe('completed');
    expect(exchangesOf(first.sessionRid)).toHaveLength(1);
  });

  test('still knows it when it was opened and ended again since', async () => {
    const handle = conversation();
    const message = { messageId: randomUUID(), text: 'Once, over all lives?' };
    const first = await handle.ask(message);
    for (const text of ['Second life?', 'Third life?']) {
      await handle.close();
      await handle.result();
      await handle.ask(text);
    }
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow(ConversationEndedError);
    const last = await handle.ask('Fourth life?');
    expect(last).toMatchObject({ status: 'answered', index: 3 });
    expect(await handle.ask(message)).toEqual(first);
    expect(exchangesOf(first.sessionRid).map(({ text }) => text)).toEqual([
      'Once, over all lives?',
      'Second life?',
      'Third life?',
    ]);
  });

  test('begins anew when it was terminated before any worker had seen it', async () => {
    const unseen = new AipClient({
      client: rig.client.client,
      taskQueue: rig.taskQueue,
      agentRid: rig.simulator.agentRid,
    });
    const id = `test/${randomUUID()}`;
    await unseen.client.workflow.start('conversationWorkflow', {
      workflowId: id,
      taskQueue: 'nobody',
      args: [{ agentRid: rig.simulator.agentRid }],
    });
    await unseen.client.workflow.getHandle(id).terminate();
    expect(await unseen.conversation(id).ask('Seen now?')).toMatchObject({ status: 'answered' });
  });

  test('begins anew with a new session when it was cancelled', async () => {
    const handle = conversation();
    const first = await handle.ask('Before?');
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow(ConversationEndedError);
    const second = await handle.ask('After?');
    expect(second.status).toBe('answered');
    expect(second.sessionRid).not.toBe(first.sessionRid);
  });
});

describe('stream() and follow()', () => {
  test('stream() yields the answer in pieces, then the outcome', async () => {
    rig.simulator.changeSettings({ answerLatencyMs: 1_500 });
    const events = await all(conversation().stream('Tell me [long 600] more', { intervalMs: 50 }));
    const outcome = events.at(-1);
    if (outcome?.type !== 'outcome') throw new Error('There is no outcome at the end');
    expect(textOf(events)).toBe(outcome.outcome.result?.agentMarkdownResponse);
    expect(events.filter(({ type }) => type === 'text').length).toBeGreaterThan(1);
  });

  test('follow() by another client sees the exchange that runs, and one that waits behind it', async () => {
    const handle = conversation();
    await handle.submit({ messageId: 'first', text: 'First [takes 20s]?' });
    await handle.submit({ messageId: 'second', text: 'Second?' });
    const other = new AipClient({ client: rig.client.client, taskQueue: rig.taskQueue }).conversation(handle.id);
    await untilRunning(handle);
    const running = all(other.follow({ intervalMs: 50 }));
    const waiting: ExchangeEvent[] = [];
    for await (const event of other.follow({ messageId: 'second', intervalMs: 50 })) {
      waiting.push(event);
      if (event.type === 'waiting') await handle.cancelExchange({ messageId: 'first' });
    }
    expect(waiting[0]).toEqual({ type: 'waiting', reason: 'queued behind 1 message' });
    expect(waiting.at(-1)).toMatchObject({ type: 'outcome', outcome: { messageId: 'second', status: 'answered' } });
    expect((await running).at(-1)).toMatchObject({ outcome: { messageId: 'first', status: 'cancelled' } });
    expect(await all(other.follow())).toEqual([]);
  });

  test('follow() says that a message is not known', async () => {
    const handle = conversation();
    await handle.ask('One?');
    await expect(all(handle.follow({ messageId: 'nobody' }))).rejects.toThrow(/knows no message nobody/);
  });
});

describe('what is asked of a conversation', () => {
  test('that is not there is told by every method', async () => {
    const handle = new AipClient({ client: rig.client.client, taskQueue: rig.taskQueue }).conversation(newId());
    const calls = [
      handle.ask('x'),
      handle.submit('x'),
      handle.cancelExchange(),
      handle.cancel(),
      handle.close(),
      handle.terminate(),
      handle.status(),
      handle.outcome('x'),
      handle.describe(),
      handle.result(),
      handle.transcript().next(),
      handle.follow().next(),
    ];
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({ status: 'rejected', reason: expect.any(ConversationNotFoundError) });
    }
  });

  test('transcript() reads all pages', async () => {
    const handle = conversation();
    for (const n of [0, 1, 2, 3, 4]) await handle.ask(`Question ${n}?`);
    const texts: (string | undefined)[] = [];
    for await (const { text } of handle.transcript({ pageSize: 2, from: 1 })) texts.push(text);
    expect(texts).toEqual([1, 2, 3, 4].map((n) => `Question ${n}?`));
  });

  test('startConversation() starts one, and does not start it twice', async () => {
    const id = newId();
    const handle = await rig.client.startConversation({ id });
    expect(await handle.status()).toMatchObject({ phase: 'idle', exchanges: 0 });
    await expect(rig.client.startConversation({ id })).rejects.toThrow(ConversationExistsError);
  });

  test('a client without an agent cannot begin one', () => {
    const client = new AipClient({ client: rig.client.client });
    expect(() => client.conversation()).toThrow(InvalidCallError);
  });

  test('listConversations() finds it by agent and state', async () => {
    const handle = conversation();
    const { sessionRid } = await handle.ask('Listed?');
    if (sessionRid === undefined) throw new Error('There is no session');
    const find = async (filter: Parameters<typeof rig.client.listConversations>[0]) => {
      const ids = [];
      for await (const { conversationId } of rig.client.listConversations(filter)) ids.push(conversationId);
      return ids;
    };
    const agentRid = rig.simulator.agentRid;
    await until('it is in the list', async () => (await find({ agentRid, sessionRid, running: true })).length > 0);
    expect(await find({ agentRid, sessionRid })).toEqual([handle.id]);
    expect(await find({ agentRid: "ri.it's.another", sessionRid })).toEqual([]);
    await handle.close();
    await until('it has left the list', async () => (await find({ sessionRid, running: true })).length === 0);
  });

  test('quotes what stands in a list query', () => {
    expect(conversationQuery({ agentRid: `a'b\\c`, needsAttention: true })).toBe(
      `WorkflowType = 'conversationWorkflow' AND AipAgent = 'a\\'b\\\\c' AND AipNeedsAttention = true`,
    );
  });
});

describe('a Temporal that is not as it should be', () => {
  test('that nobody serves is told with its address', async () => {
    const connecting = AipClient.connect({ connection: { address: '127.0.0.1:1', connectTimeout: 300 } });
    await expect(connecting).rejects.toThrow(TemporalUnreachableError);
    await expect(connecting).rejects.toThrow(/127\.0\.0\.1:1/);
  });

  test('without the namespace is told', async () => {
    const client = new Client({ connection: rig.client.client.connection, namespace: 'nowhere' });
    const asking = new AipClient({ client, agentRid: rig.simulator.agentRid }).conversation().ask('x');
    await expect(asking).rejects.toThrow(TemporalRefusedError);
    await expect(asking).rejects.toThrow(/namespace nowhere/);
  });

  test('without the search attributes says what to run; adding them mends it', async () => {
    const namespace = `ns-${randomUUID()}`;
    const { workflowService } = rig.client.client.connection as Connection;
    await workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
    });
    const aip = new AipClient({
      client: new Client({ connection: rig.client.client.connection, namespace }),
      agentRid: rig.simulator.agentRid,
    });
    const begin = () => aip.startConversation();
    let refusal: unknown;
    // A new namespace is known to all parts of the server a moment later.
    await until('the server knows the namespace', async () => {
      refusal = await begin().catch((error: unknown) => error);
      return !(refusal instanceof TemporalRefusedError);
    });
    expect(refusal).toBeInstanceOf(SearchAttributesMissingError);
    expect((refusal as Error).message).toContain(
      `run \`temporal operator search-attribute create --namespace ${namespace} --name AipAgent --type Keyword`,
    );
    expect(await aip.ensureSearchAttributes()).toContain('AipAgent');
    await until('they are in use', () =>
      begin().then(
        () => true,
        () => false,
      ),
    );
    expect(await aip.ensureSearchAttributes()).toEqual([]);
  });
});

// The last: the governor remembers the limit for a while.
describe('an agent at its limit', () => {
  test('is waited for, and stream() tells until when', async () => {
    rig.simulator.changeSettings({ limits: { requestsPerSecond: 0.3, burst: 1 } });
    const handle = conversation();
    await handle.ask('The first takes it all?');
    const events = await all(handle.stream('And the second?', { intervalMs: 50 }));
    const waiting = events.find(({ type }) => type === 'waiting');
    expect(waiting).toMatchObject({ reason: expect.stringMatching(/limit/i), until: expect.any(Date) });
    expect(events.at(-1)).toMatchObject({ outcome: { status: 'answered' } });
  });
});
