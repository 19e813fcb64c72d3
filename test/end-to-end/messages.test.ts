/**
 * Signals and updates across everything that can come between: no message is lost, none is answered twice, and the order is kept.
 *
 * Answers take as long as it needs for a run to last a second: a shorter one makes the Temporal server hold its successor back.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, type WorkflowClientInterceptor } from '@temporalio/client';
import {
  AipClient,
  ConversationBusyError,
  type ConversationHandle,
  type ConversationSettings,
} from '../../src/client/index.js';
import type { ConversationMessage, RecordedExchange } from '../../src/protocol/conversation.js';
import type { ExchangeOutcome } from '../../src/protocol/exchange.js';
import type { Simulator } from '../../src/simulator/index.js';
import { testsAtOnce } from '../support/at-once.js';
import { checkConversation, received, stateOf, untilAsked } from '../support/conversation-check.js';
import { startOwnServerRig } from '../support/own-server-rig.js';
import { startRig, until, type Rig } from '../support/rig.js';
import { temporalServer } from '../support/temporal-server.js';
import { startWorkerProcess } from '../support/worker-process.js';

/** A rig whose worker lives through everything, and one without a worker; several clients with connections of their own for each. */
let steady: Rig;
let bare: Rig;
let clients: AipClient[];
let bareClients: AipClient[];
beforeAll(async () => {
  steady = await startRig();
  bare = await startRig({ worker: false });
  clients = await clientsOf(steady);
  bareClients = await clientsOf(bare);
});
afterAll(async () => {
  await Promise.all([...clients, ...bareClients].map((client) => client.close()));
  await Promise.all([steady.close(), bare.close()]);
});

async function clientsOf({ taskQueue, simulator: { agentRid } }: Rig): Promise<AipClient[]> {
  const { address, namespace } = await temporalServer();
  const connect = () => AipClient.connect({ connection: { address }, namespace, taskQueue, agentRid });
  return Promise.all([connect(), connect(), connect(), connect(), connect()]);
}

/** One conversation as each of several clients holds it. */
interface Shared {
  simulator: Simulator;
  /** Stands in all its texts. */
  mark: string;
  /** The handle of client n, counted round. */
  by(n: number): ConversationHandle;
}

function shared(simulator: Simulator, of: readonly AipClient[], settings: ConversationSettings = {}): Shared {
  const mark = randomUUID();
  const handles = of.map((client) => client.conversation(`test/${mark}`, settings));
  return { simulator, mark, by: (n) => handles[n % handles.length]! };
}

/** The messages of one sender. */
const messagesOf = ({ mark }: Shared, sender: number, count: number, takesMs: number): ConversationMessage[] =>
  Array.from({ length: count }, (_, n) => {
    const messageId = `sender ${sender} message ${n}`;
    return { messageId, text: `[takes ${takesMs}ms] ${mark}: ${messageId}?` };
  });

const idsOf = (messages: readonly ConversationMessage[]): string[] => messages.map(({ messageId }) => messageId);

/** Asks; resolves when the message is accepted, with the promise of its outcome. */
async function acceptedAsk(
  handle: ConversationHandle,
  message: ConversationMessage,
): Promise<{ outcome: Promise<ExchangeOutcome> }> {
  return new Promise((resolve, reject) => {
    const outcome: Promise<ExchangeOutcome> = handle.ask(message, { onAccepted: () => resolve({ outcome }) });
    outcome.catch(reject);
  });
}

/** Sends messages one after the other, by ask and by submit in turn, each as soon as the one before it was accepted. */
async function sendInTurn(
  handle: ConversationHandle,
  messages: readonly ConversationMessage[],
  firstBy: number,
): Promise<ExchangeOutcome[]> {
  const outcomes: Promise<ExchangeOutcome>[] = [];
  for (const [n, message] of messages.entries()) {
    if ((n + firstBy) % 2 === 0) outcomes.push((await acceptedAsk(handle, message)).outcome);
    else await handle.submit(message);
  }
  return Promise.all(outcomes);
}

/** Sends from twenty senders at once; resolves with the ids of all messages when all that were asked are answered. */
async function sendFromTwenty(conversation: Shared, each: number, takesMs: number): Promise<string[]> {
  const all = Array.from({ length: 20 }, (_, sender) => messagesOf(conversation, sender, each, takesMs));
  const asked = await Promise.all(all.map((messages, sender) => sendInTurn(conversation.by(sender), messages, sender)));
  expect(asked.flat().map(({ status }) => status)).toEqual(asked.flat().map(() => 'answered'));
  return idsOf(all.flat());
}

/** The check of every conversation; and as nobody interrupted, all went to the agent in the order of acceptance. */
async function checkAllInOrder(conversation: Shared, accepted: readonly string[]): Promise<RecordedExchange[]> {
  const { simulator, mark } = conversation;
  const recorded = await checkConversation(simulator, conversation.by(0), mark, accepted);
  expect(recorded.map(({ outcome }) => outcome.index)).toEqual(recorded.map((_, n) => n));
  expect(recorded.map(({ outcome }) => outcome.status)).toEqual(recorded.map(() => 'answered'));
  expect(received(simulator, mark).map(({ text }) => text)).toEqual(recorded.map(({ text }) => text));
  checkEachSendersOrder(recorded.map(({ outcome }) => outcome.messageId));
  return recorded;
}

function checkEachSendersOrder(messageIds: readonly string[]): void {
  for (const sender of new Set(messageIds.flatMap((id) => /^sender \d+ /.exec(id) ?? []))) {
    const own = messageIds.filter((id) => id.startsWith(sender));
    expect(own).toEqual(own.map((_, n) => `${sender}message ${n}`));
  }
}

describe('no message is lost, none answered twice, and the order is kept', () => {
  testsAtOnce<() => Promise<void>>(
    {
      'when twenty send at once, by ask and by submit, through runs of two exchanges': async () => {
        const conversation = shared(steady.simulator, clients, { maxExchangesPerRun: 2 });
        await checkAllInOrder(conversation, await sendFromTwenty(conversation, 2, 550));
        expect((await conversation.by(0).status()).runs).toBeGreaterThanOrEqual(20);
      },

      'when twenty send at once, by ask and by submit, through runs of three exchanges': async () => {
        const conversation = shared(steady.simulator, clients, { maxExchangesPerRun: 3 });
        await checkAllInOrder(conversation, await sendFromTwenty(conversation, 3, 350));
        expect((await conversation.by(0).status()).totals).toMatchObject({ answered: 60, sessions: 1 });
      },

      'when forty callers wait at once, four times as many as a run takes updates': async () => {
        const conversation = shared(steady.simulator, clients, { maxExchangesPerRun: 7 });
        const messages = Array.from({ length: 40 }, (_, n) => messagesOf(conversation, n, 1, 150)).flat();
        const outcomes = await Promise.all(messages.map((message, n) => conversation.by(n % 4).ask(message)));
        expect(outcomes.map(({ messageId }) => messageId)).toEqual(idsOf(messages));
        await checkAllInOrder(conversation, idsOf(messages));
      },

      'when a message comes again and again, by ask and by submit: all hear of its one exchange': async () => {
        const conversation = shared(steady.simulator, clients, { maxExchangesPerRun: 2 });
        const messages = [0, 1, 2, 3, 4].flatMap((sender) => messagesOf(conversation, sender, 1, 550));
        const outcomes = new Map<string, ExchangeOutcome[]>(messages.map(({ messageId }) => [messageId, []]));
        const sendAll = () =>
          Promise.all(
            messages.flatMap((message, n) => [
              ...[0, 1, 2].map(async (client) => {
                outcomes.get(message.messageId)?.push(await conversation.by(n + client).ask(message));
              }),
              ...[3, 4].map((client) => conversation.by(n + client).submit(message)),
            ]),
          );
        await sendAll();
        await sendAll();
        const recorded = await checkAllInOrder(conversation, idsOf(messages));
        for (const { outcome } of recorded) expect(outcomes.get(outcome.messageId)).toEqual(Array(6).fill(outcome));
        expect((await conversation.by(0).status()).runs).toBeGreaterThan(2);
      },

      'when messages of every whenBusy come at once: each has one outcome, or was refused and never sent': async () => {
        const conversation = shared(steady.simulator, clients, { maxExchangesPerRun: 8 });
        const { mark, simulator } = conversation;
        const choices = ['enqueue', 'interrupt', 'reject', 'rollback'] as const;
        const accepted: string[] = [];
        const refused: string[] = [];
        const send = async (sender: number) => {
          const handle = conversation.by(sender);
          const asked: [messageId: string, outcome: Promise<ExchangeOutcome | Error>][] = [];
          for (const [n, message] of messagesOf(conversation, sender, 6, 400).entries()) {
            const { messageId } = message;
            const chosen = { ...message, whenBusy: choices[(n + sender) % choices.length]! };
            if (n % 2 === 0) {
              const asking = acceptedAsk(handle, chosen);
              const ended = asking.then(({ outcome }) => outcome).catch((error: unknown) => error as Error);
              asked.push([messageId, ended]);
              await asking.catch(() => undefined); // Refused: told below.
            } else {
              await handle.submit(chosen);
              let state = 'unknown';
              const isKnown = async () => {
                ({ state } = await stateOf(handle, messageId));
                return state !== 'unknown';
              };
              await untilAsked(`${messageId} is known`, isKnown);
              (state === 'rejected' ? refused : accepted).push(messageId);
            }
          }
          for (const [messageId, outcome] of asked) {
            const end = await outcome;
            if (end instanceof Error && !(end instanceof ConversationBusyError)) throw end;
            (end instanceof Error ? refused : accepted).push(messageId);
          }
        };
        await Promise.all([0, 1, 2, 3, 4].map(send));
        const recorded = await checkConversation(simulator, conversation.by(0), mark, accepted);
        expect(accepted.length + refused.length).toBe(30);
        expect(recorded.some(({ outcome }) => outcome.status !== 'answered')).toBe(true);
        const texts = received(simulator, mark).map(({ text }) => text);
        for (const messageId of refused) expect(texts.filter((text) => text.includes(`${messageId}?`))).toEqual([]);
      },

      'when the worker is killed in the middle, twice': async () => {
        const conversation = shared(bare.simulator, bareClients, { maxExchangesPerRun: 3 });
        let worker = await startWorkerProcess(bare);
        try {
          await conversation.by(0).ask({ messageId: 'opening', text: `${conversation.mark}: opening?` });
          const sending = sendFromTwenty(conversation, 2, 350);
          sending.catch(() => undefined);
          for (const part of [8, 20]) {
            await until(`${part} landed`, () => received(bare.simulator, conversation.mark).length >= part);
            await worker.kill();
            worker = await startWorkerProcess(bare);
          }
          await checkAllInOrder(conversation, ['opening', ...(await sending)]);
        } finally {
          await worker.kill();
        }
      },

      'when the Temporal server is killed in the middle, twice, and comes back on its file': async () => {
        const own = await startOwnServerRig();
        try {
          const ownClients = await Promise.all([0, 1, 2, 3].map(() => own.client()));
          const conversation = shared(own.simulator, ownClients, { maxExchangesPerRun: 4 });
          const messages = Array.from({ length: 40 }, (_, n) => messagesOf(conversation, n, 1, 300)).flat();
          const asked = Promise.all(messages.map((message, n) => conversation.by(n).ask(message)));
          asked.catch(() => undefined);
          for (const part of [6, 20]) {
            await until(`${part} landed`, () => received(own.simulator, conversation.mark).length >= part);
            await own.killServer();
            await own.restartServer();
          }
          expect((await asked).map(({ messageId }) => messageId)).toEqual(idsOf(messages));
          await checkAllInOrder(conversation, idsOf(messages));
        } finally {
          await own.close();
        }
      },
    },
    (run) => run(),
    { timeoutMs: 150_000 },
  );
});

test('a message that is refused is not told as accepted', async () => {
  const conversation = shared(steady.simulator, clients);
  const [running, refused] = messagesOf(conversation, 0, 2, 1_000);
  const { outcome } = await acceptedAsk(conversation.by(0), running!);
  const asking = acceptedAsk(conversation.by(1), { ...refused!, whenBusy: 'reject' });
  await expect(asking).rejects.toThrow(ConversationBusyError);
  await outcome;
});

describe('before any worker is there', () => {
  let idle: Rig;
  let worker: Awaited<ReturnType<Rig['startWorker']>> | undefined;
  beforeAll(async () => {
    idle = await startRig({ worker: false });
  });
  afterEach(async () => {
    await worker?.stop();
    worker = undefined;
  });
  afterAll(() => idle.close());

  test('somebody may submit to a conversation that another begins in the same moment', async () => {
    const conversation = shared(idle.simulator, [idle.client]);
    const [first, second] = messagesOf(conversation, 0, 2, 0);
    const beginsMeanwhile: WorkflowClientInterceptor = {
      async signal(input, next) {
        // Sees that no conversation runs; before it can do anything about that, one does.
        return next(input).catch(async (error: unknown) => {
          await conversation.by(0).submit(first!);
          throw error;
        });
      },
    };
    const { connection, options } = idle.client.client;
    const client = new Client({
      connection,
      namespace: options.namespace,
      interceptors: { workflow: [beginsMeanwhile] },
    });
    const { taskQueue, simulator } = idle;
    const late = new AipClient({ client, taskQueue, agentRid: simulator.agentRid });
    await late.conversation(conversation.by(0).id).submit(second!);
    worker = await idle.startWorker();
    await checkAllInOrder(conversation, idsOf([first!, second!]));
  });

  test('what is asked after something was submitted comes after it', async () => {
    const conversation = shared(idle.simulator, [idle.client]);
    const [first, second] = messagesOf(conversation, 0, 2, 0);
    await conversation.by(0).submit(first!);
    const asked = conversation.by(0).ask(second!);
    worker = await idle.startWorker();
    await asked;
    await checkAllInOrder(conversation, idsOf([first!, second!]));
  });
});

test('an idle conversation rolls over before repeated messages have used its updates up', async () => {
  const own = await startOwnServerRig({}, { 'history.maxTotalUpdates': 20 });
  try {
    const handle = (await own.client()).conversation(`test/${randomUUID()}`);
    const message = { messageId: 'again', text: 'Again and again?' };
    const first = await handle.ask(message);
    for (let n = 0; n < 25; n++) expect(await handle.ask(message)).toEqual(first);
    expect(await handle.ask('And something new?')).toMatchObject({ status: 'answered', index: 1 });
    expect((await handle.status()).runs).toBeGreaterThan(1);
  } finally {
    await own.close();
  }
});
