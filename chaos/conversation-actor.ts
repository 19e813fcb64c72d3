import {
  type AipClient,
  ConversationBusyError,
  ConversationClosedError,
  ConversationEndedError,
  type ConversationHandle,
  ConversationNotFoundError,
  ConversationNotRunningError,
} from '../src/client/index.js';
import type { ExchangeOutcome } from '../src/protocol/exchange.js';
import type { Simulator } from '../src/simulator/index.js';
import { type ChaosClock, insist } from './clock.js';
import type { ConversationPlan, PlannedDeed, PlannedMessage } from './conversation-plan.js';
import type { Disturbances } from './options.js';

/** A message as it was sent, and what its sender was told. */
export interface SentMessage {
  message: PlannedMessage;
  /** Number of the sender in its conversation. */
  sender: number;
  /** `unknown`: the conversation ended while its sender waited. */
  acceptance: 'accepted' | 'refused' | 'unknown';
  /** Each outcome that was told for it. */
  told: ExchangeOutcome[];
}

/** What happened in one conversation, as its senders and operators saw it. */
export interface ConversationStory {
  id: string;
  sent: SentMessage[];
  /** Sessions that were made to expire: what landed there is gone. */
  expiredSessions: Set<string>;
  wasTerminated: boolean;
  /** Errors that no caller should see. */
  errors: string[];
  /** What is being waited for. */
  readonly open: Set<string>;
}

/** What all actors share. */
export interface Stage {
  aip: AipClient;
  simulator: Simulator;
  clock: ChaosClock;
  done: Disturbances;
  /** The conversations that are being played. */
  playing: Set<ConversationStory>;
}

/** Plays a conversation to its end, and tells what was seen. */
export async function playConversation(stage: Stage, plan: ConversationPlan): Promise<ConversationStory> {
  const story: ConversationStory = {
    id: plan.id,
    sent: [],
    expiredSessions: new Set(),
    wasTerminated: false,
    errors: [],
    open: new Set(),
  };
  stage.playing.add(story);
  const handle = stage.aip.conversation(plan.id, plan.settings);
  const senders = plan.senders.map((messages, sender) => send(stage, handle, story, sender, messages));
  const sending = new AbortController();
  const deeds = operate(stage, handle, story, plan.deeds, sending.signal);
  await Promise.all(senders);
  sending.abort();
  await deeds;
  await open(story, 'its end', () => end(handle, story));
  stage.playing.delete(story);
  return story;
}

async function send(
  { clock }: Stage,
  handle: ConversationHandle,
  story: ConversationStory,
  sender: number,
  messages: readonly PlannedMessage[],
): Promise<void> {
  for (const message of messages) {
    if (!(await clock.wait(message.afterMs))) return;
    const sent: SentMessage = { message, sender, acceptance: 'accepted', told: [] };
    story.sent.push(sent);
    try {
      await open(story, `${message.via} ${message.messageId}`, () => sendOne(handle, sent));
    } catch (error) {
      if (error instanceof ConversationBusyError || error instanceof ConversationClosedError) {
        sent.acceptance = 'refused';
      } else if (error instanceof ConversationEndedError) {
        sent.acceptance = 'unknown';
        return;
      } else {
        story.errors.push(`${message.messageId}: ${textOf(error)}`);
        sent.acceptance = 'unknown';
      }
    }
  }
}

async function sendOne(handle: ConversationHandle, { message, told }: SentMessage): Promise<void> {
  const { messageId, text, whenBusy, mode, via } = message;
  const input = { messageId, text, whenBusy, mode };
  const submit = () => insist('submit', () => handle.submit(input), isAnswer);
  const ask = async () => void told.push(await handle.ask(input, { unreachableTimeoutMs: 5 * 60_000 }));
  if (via === 'submit') await submit();
  else if (via === 'ask') await ask();
  else await allEnded([ask(), submit(), ask()]);
}

/** Waits for all, also when one fails; fails when all do. */
async function allEnded(works: Promise<unknown>[]): Promise<void> {
  const ends = await Promise.allSettled(works);
  const [first] = ends;
  if (first?.status === 'rejected' && ends.every(({ status }) => status === 'rejected')) throw first.reason;
}

/** Errors that tell something of the conversation, and not of the way to it. */
function isAnswer(error: unknown): boolean {
  return (
    error instanceof ConversationBusyError ||
    error instanceof ConversationClosedError ||
    error instanceof ConversationEndedError ||
    error instanceof ConversationNotFoundError ||
    error instanceof ConversationNotRunningError
  );
}

async function operate(
  stage: Stage,
  handle: ConversationHandle,
  story: ConversationStory,
  deeds: readonly PlannedDeed[],
  senderEnd: AbortSignal,
): Promise<void> {
  for (const deed of deeds) {
    if (!(await stage.clock.wait(deed.afterMs)) || senderEnd.aborted) return;
    try {
      await open(story, deed.kind, () => insist(deed.kind, () => operateOne(stage, handle, story, deed), isAnswer));
    } catch (error) {
      // It had ended, or never began: nothing to do it to.
      if (!isAnswer(error)) story.errors.push(`${deed.kind}: ${textOf(error)}`);
    }
  }
}

async function operateOne(
  stage: Stage,
  handle: ConversationHandle,
  story: ConversationStory,
  deed: PlannedDeed,
): Promise<void> {
  const { done } = stage;
  switch (deed.kind) {
    case 'cancelExchange':
      await handle.cancelExchange({});
      done.exchangeCancels++;
      return;
    case 'cancelWithResponse':
      await handle.cancelExchange({ response: 'Stopped by the operator.' });
      done.exchangeCancels++;
      return;
    case 'pause':
      if (await pause(stage, handle, deed.forMs)) done.pauses++;
      return;
    case 'reset':
      if (await activityCall(stage, handle, 'resetActivity')) done.resets++;
      return;
    case 'expire': {
      const { sessionRid } = await handle.describe();
      if (sessionRid === undefined || !stage.simulator.expireSession(sessionRid)) return;
      story.expiredSessions.add(sessionRid);
      done.expiries++;
      return;
    }
    case 'close':
      await handle.close();
      done.closes++;
      return;
    case 'cancelConversation':
      await handle.cancel();
      done.conversationCancels++;
      return;
    case 'terminate':
      story.wasTerminated = true;
      await handle.terminate('chaos');
      done.terminates++;
  }
}

/** Pauses the exchange in flight for a while. False when there was none. */
async function pause(stage: Stage, handle: ConversationHandle, forMs: number): Promise<boolean> {
  if (!(await activityCall(stage, handle, 'pauseActivity'))) return false;
  await stage.clock.wait(forMs);
  await insist('unpause', () => activityCall(stage, handle, 'unpauseActivity'), isAnswer);
  return true;
}

/** What the Temporal UI's buttons at a pending activity do, to the exchange in flight. False when there is none. */
async function activityCall(
  { aip }: Stage,
  handle: ConversationHandle,
  call: 'pauseActivity' | 'unpauseActivity' | 'resetActivity',
): Promise<boolean> {
  const { pendingActivities } = await handle.describe();
  const exchange = pendingActivities.find(({ activityId }) => activityId.startsWith('exchange-'));
  if (exchange === undefined) return false;
  const { namespace } = aip.client.options;
  const { workflowService } = aip.client;
  const subject = { namespace, execution: { workflowId: handle.id }, id: exchange.activityId };
  try {
    if (call === 'pauseActivity') await workflowService.pauseActivity(subject);
    else if (call === 'unpauseActivity') await workflowService.unpauseActivity(subject);
    else await workflowService.resetActivity(subject);
    return true;
  } catch (error) {
    // The exchange ended in the same moment.
    if (/not found|not pending|already completed/i.test(textOf(error))) return false;
    throw error;
  }
}

/** Notes what is waited for while it is. */
async function open(story: ConversationStory, what: string, run: () => Promise<void>): Promise<void> {
  story.open.add(what);
  try {
    await run();
  } finally {
    story.open.delete(what);
  }
}

/** Closes it, and waits for its end. */
async function end(handle: ConversationHandle, story: ConversationStory): Promise<void> {
  try {
    await insist('close', () => handle.close(), isAnswer);
    await insist('result', () => handle.result(), isAnswer);
  } catch (error) {
    if (!isAnswer(error)) story.errors.push(`end: ${textOf(error)}`);
  }
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : ` (${textOf(error.cause)})`;
  return `${error.name}: ${error.message}${cause}`;
}
