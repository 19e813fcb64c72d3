import { expect } from '@jest/globals';
import { UnansweredError, type ConversationHandle } from '../../src/client/index.js';
import type { MessageState, RecordedExchange } from '../../src/protocol/conversation.js';
import type { ExchangeOutcome } from '../../src/protocol/exchange.js';
import type { LedgerExchange, Simulator } from '../../src/simulator/index.js';
import { callApi } from '../simulator/support.js';
import { until } from './rig.js';

/** An exchange of a session's content, as far as an outcome tells the same. */
interface Kept {
  text: string | undefined;
  sessionTraceId: string | undefined;
  answer: string | undefined;
  interrupted: boolean | undefined;
}

/**
 * `until` for many that wait at the same time on conditions that cost something, such as a query that a worker must answer:
 * asks ten times a second.
 */
export async function untilAsked(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs?: number,
): Promise<void> {
  let askAt = 0;
  const ask = async () => {
    if (Date.now() < askAt) return false;
    const holds = await condition();
    askAt = Date.now() + 100;
    return holds;
  };
  await until(what, ask, deadlineMs);
}

/** The simulator's exchanges whose text holds `mark`, those that were received first. */
export function received(simulator: Simulator, mark: string): LedgerExchange[] {
  const { exchanges, running } = simulator.ledger();
  return [...exchanges, ...running]
    .filter(({ text }) => text.includes(mark))
    .sort((one, other) => one.startedAt.localeCompare(other.startedAt));
}

/** Waits until the agent generates nothing any more for texts with `mark`. */
export async function nothingRuns(simulator: Simulator, mark: string): Promise<void> {
  const running = () => simulator.ledger().running.filter(({ text }) => text.includes(mark));
  await untilAsked(`nothing is generated for ${mark}`, () => running().length === 0);
}

/** What became of a message; `unknown` also while no worker can tell: it has only just come, or the run is held back. */
export async function stateOf(handle: ConversationHandle, messageId: string): Promise<MessageState> {
  try {
    return await handle.outcome(messageId);
  } catch (error) {
    if (error instanceof UnansweredError) return { state: 'unknown' };
    throw error;
  }
}

/** Waits until each of these messages has its outcome, and gives them in this order. */
export async function outcomesOf(
  handle: ConversationHandle,
  messageIds: readonly string[],
): Promise<ExchangeOutcome[]> {
  const outcomes: ExchangeOutcome[] = [];
  for (const messageId of messageIds) {
    await untilAsked(`message ${messageId} has its outcome`, async () => {
      const state = await stateOf(handle, messageId);
      if (state.state === 'finished') outcomes.push(state.outcome);
      return state.state === 'finished';
    });
  }
  return outcomes;
}

/** All that a conversation has recorded, by index. */
export async function transcriptOf(handle: ConversationHandle): Promise<RecordedExchange[]> {
  const recorded: RecordedExchange[] = [];
  for await (const exchange of handle.transcript({ pageSize: 200 })) recorded.push(exchange);
  return recorded;
}

/**
 * Checks what must hold of every conversation, whatever happened to it: the messages that it accepted have one outcome each, the
 * same for whoever asks; what it recorded as kept is what its sessions hold, in the order in which it came there; nothing was sent
 * while something else was answered, nothing landed twice, and nothing runs.
 *
 * @param mark Stands in all texts of this conversation, and in no others.
 * @param accepted Ids of all messages that it accepted.
 * @returns The transcript.
 */
export async function checkConversation(
  simulator: Simulator,
  handle: ConversationHandle,
  mark: string,
  accepted: readonly string[],
): Promise<RecordedExchange[]> {
  await nothingRuns(simulator, mark);
  const outcomes = await outcomesOf(handle, accepted);
  const recorded = await transcriptOf(handle);
  expect(recorded.map(({ outcome }) => outcome.messageId).sort()).toEqual([...accepted].sort());
  const byId = new Map(recorded.map(({ outcome }) => [outcome.messageId, outcome]));
  expect(outcomes).toEqual(accepted.map((messageId) => byId.get(messageId)));

  const sessions = [...new Set(received(simulator, mark).map(({ sessionRid }) => sessionRid))];
  const contents = (await Promise.all(sessions.map((session) => contentOf(simulator, session)))).flat();
  // What could not be stopped landed or not, and the record says no more.
  const open = recorded.filter(({ outcome }) => outcome.mayStillRun === true).map(({ text }) => text);
  expect(contents.filter(({ text }) => !open.includes(text))).toEqual(keptOf(recorded, sessions));
  checkOrder(received(simulator, mark));
  return recorded;
}

/** One after the other, and none that was kept came twice. */
function checkOrder(exchanges: readonly LedgerExchange[]): void {
  for (const session of new Set(exchanges.map(({ sessionRid }) => sessionRid))) {
    const times = exchanges
      .filter(({ sessionRid }) => sessionRid === session)
      .flatMap(({ startedAt, endedAt }) => [startedAt, endedAt]);
    expect(times).toEqual([...times].sort());
  }
  const kept = exchanges.filter(({ status }) => status === 'landed' || status === 'interrupted');
  expect(kept.map(({ text }) => text)).toEqual([...new Set(kept.map(({ text }) => text))]);
}

/** What the sessions should hold by the record, in the order in which the exchanges ended. */
function keptOf(recorded: readonly RecordedExchange[], sessions: readonly string[]): Kept[] {
  return recorded
    .filter(({ outcome }) => outcome.status === 'answered' || outcome.status === 'interrupted')
    .sort((one, other) => one.outcome.finishedAt.localeCompare(other.outcome.finishedAt))
    .sort((one, other) => sessionPosition(one, sessions) - sessionPosition(other, sessions))
    .map(({ text, outcome }) => ({
      text,
      sessionTraceId: outcome.result?.sessionTraceId,
      answer: outcome.result?.agentMarkdownResponse,
      interrupted: outcome.result?.interruptedOutput,
    }));
}

const sessionPosition = ({ outcome }: RecordedExchange, sessions: readonly string[]): number =>
  sessions.indexOf(outcome.sessionRid ?? '');

/** What a session holds, as the API tells it. */
async function contentOf(simulator: Simulator, sessionRid: string): Promise<Kept[]> {
  const agentRid = [...simulator.agentRids].find((rid) =>
    simulator.ledger().exchanges.some((exchange) => exchange.sessionRid === sessionRid && exchange.agentRid === rid),
  );
  const answer = await callApi(simulator, 'GET', `sessions/${sessionRid}/content`, undefined, {
    ...(agentRid !== undefined && { agentRid }),
  });
  const { exchanges } = answer.body as unknown as {
    exchanges: {
      userInput: { text: string };
      result: { sessionTraceId: string; agentMarkdownResponse: string; interruptedOutput: boolean };
    }[];
  };
  return exchanges.map(({ userInput, result }) => ({
    text: userInput.text,
    sessionTraceId: result.sessionTraceId,
    answer: result.agentMarkdownResponse,
    interrupted: result.interruptedOutput,
  }));
}
