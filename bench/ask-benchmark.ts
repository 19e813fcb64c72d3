import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConversationHandle } from '../src/client/index.js';
import { type Distribution, distribution } from './distribution.js';
import type { Figure } from './figure.js';
import { historyEvents } from './history-events.js';
import type { Installation } from './installation.js';
import { measureBatch } from './measured-batch.js';
import { madeQuestions, questionText } from './questions.js';
import { runPlainScript } from './run-plain-script.js';
import { agentMs } from './simulator-control.js';

/** Settings of `ask`. */
export interface AskOptions {
  /** Exchanges that each way is measured with. */
  exchanges: number;
  /** Time that an answer takes at the agent, in milliseconds. */
  latencyMs: number;
}

/** Exchanges of one conversation. A session that grows makes its content slower to read, for everybody. */
const PER_CONVERSATION = 25;
/** Pause between two looks for the outcome of a submitted message, in milliseconds. */
const POLL_MS = 10;
/** Rows at once where the overhead of a batch row is measured: enough to be a batch, too few to fill the machine. */
const ROWS_AT_ONCE = 10;

/** One exchange: the client's time, from handing it in to having its outcome. */
interface Timed {
  messageId: string;
  wallMs: number;
}

/** What an exchange costs over the agent's own time, by each way to ask, and in history events. */
export async function askBenchmark(installation: Installation, options: AskOptions): Promise<Figure[]> {
  const { simulator } = installation;
  const { exchanges, latencyMs } = options;
  await simulator.reset();
  await simulator.change({ answerLatencyMs: latencyMs });
  // Warms up the worker and this process.
  await converse(installation, PER_CONVERSATION, askOne);
  const script = await runPlainScript(installation, {
    ...{
      mode: 'streaming',
      questions: exchanges,
      warmUp: PER_CONVERSATION,
      concurrency: 1,
      perSession: PER_CONVERSATION,
    },
  });
  const asked = await converse(installation, exchanges, askOne);
  const submitted = await converse(installation, exchanges, submitOne);
  const own = new Map((await simulator.ledger()).exchanges.map((exchange) => [exchange.messageId, agentMs(exchange)]));
  const overhead = (timed: readonly Timed[]) =>
    distribution(timed.map(({ messageId, wallMs }) => wallMs - (own.get(messageId) ?? NaN)));
  const ask = overhead(asked.timed);
  const plain = overhead(script.exchanges);
  return [
    ...overheadFigures('plain script, one after the other', plain),
    ...overheadFigures('ask (update), one after the other', ask),
    ratioFigure('ask (update), one after the other', ask.p50 - plain.p50),
    eventsFigure('ask (update), one after the other', asked.eventsPerExchange, 11),
    ...overheadFigures(`signal, and a look every ${POLL_MS} ms`, overhead(submitted.timed)),
    eventsFigure(`signal, and a look every ${POLL_MS} ms`, submitted.eventsPerExchange),
    ...(await rowOverhead(installation, exchanges)),
  ];
}

function overheadFigures(subject: string, { p50, p95 }: Distribution): Figure[] {
  return [
    { subject, name: 'overhead per exchange, p50', value: p50, unit: 'ms' },
    { subject, name: 'overhead per exchange, p95', value: p95, unit: 'ms' },
  ];
}

const ratioFigure = (subject: string, value: number): Figure => ({
  ...{ subject, name: 'over the plain script, p50', value, unit: 'ms' },
});

function eventsFigure(subject: string, value: number, atMost?: number): Figure {
  const figure: Figure = { subject, name: 'history events per exchange', value, unit: '' };
  return atMost === undefined ? figure : { ...figure, aim: { atMost } };
}

/** Holds conversations of 25 exchanges, one after the other. The first exchange of each also opens its session. */
async function converse(
  { client }: Installation,
  exchanges: number,
  one: (conversation: ConversationHandle, text: string) => Promise<Timed>,
): Promise<{ timed: Timed[]; eventsPerExchange: number }> {
  const timed: Timed[] = [];
  let events = 0;
  while (timed.length < exchanges) {
    const conversation = client.conversation();
    await one(conversation, questionText(timed.length));
    const before = await settledEvents(client, conversation.id);
    for (let turn = 1; turn < PER_CONVERSATION && timed.length < exchanges; turn++) {
      timed.push(await one(conversation, questionText(timed.length)));
    }
    events += (await settledEvents(client, conversation.id)) - before;
    await conversation.close();
  }
  return { timed, eventsPerExchange: events / timed.length };
}

/** The events when no more are added: the last ones of an exchange come after its outcome. */
async function settledEvents(client: Installation['client'], workflowId: string): Promise<number> {
  for (let last = 0; ;) {
    const now = await historyEvents(client, workflowId);
    if (now === last) return now;
    last = now;
    await delay(300);
  }
}

async function askOne(conversation: ConversationHandle, text: string): Promise<Timed> {
  const messageId = randomUUID();
  const startedMs = performance.now();
  const outcome = await conversation.ask({ messageId, text });
  if (outcome.status !== 'answered') throw new Error(`An exchange ended as ${outcome.status}`);
  return { messageId, wallMs: performance.now() - startedMs };
}

async function submitOne(conversation: ConversationHandle, text: string): Promise<Timed> {
  const messageId = randomUUID();
  const startedMs = performance.now();
  await conversation.submit({ messageId, text });
  for (;;) {
    const state = await conversation.outcome(messageId);
    if (state.state === 'finished') return { messageId, wallMs: performance.now() - startedMs };
    await delay(POLL_MS);
  }
}

/** What a row of a batch takes over the agent's own time, from the worker's taking it up to its result. */
async function rowOverhead(installation: Installation, rows: number): Promise<Figure[]> {
  const options = { concurrency: ROWS_AT_ONCE, mode: 'streaming' } as const;
  const { outcomes } = await measureBatch(installation, madeQuestions(rows), options);
  const { exchanges } = await installation.simulator.ledger();
  const own = new Map(exchanges.map((exchange) => [exchange.sessionRid, agentMs(exchange)]));
  const overheads = outcomes.map(({ result: { startedAt = '', finishedAt, sessionRid = '' } }) => {
    return Date.parse(finishedAt) - Date.parse(startedAt) - (own.get(sessionRid) ?? NaN);
  });
  return overheadFigures(`batch row, ${ROWS_AT_ONCE} at once`, distribution(overheads));
}
