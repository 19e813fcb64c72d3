import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowNotFoundError, type WorkflowHandle } from '@temporalio/client';
import { exchangeActivityId, outcomeQuery, statusQuery } from '../protocol/conversation.js';
import type { ConversationStatus, MessageState } from '../protocol/conversation.js';
import type { ExchangeOutcome } from '../protocol/exchange.js';
import type { ClientContext } from './connection.js';
import type { PendingActivity, Wait } from './pending-activities.js';
import { exchangeProgress, pendingActivities, waitOf } from './pending-activities.js';
import { ConversationNotFoundError, NoWorkerError, UnansweredError } from './errors.js';
import type { RestartEvent, TextEvent } from './live-text.js';
import { LiveText } from './live-text.js';
import { workersOf } from './task-queue-workers.js';
import { translateError } from './translate-error.js';
import { queryWorker } from './worker-query.js';

/** What is seen of an exchange while it runs; `outcome` is the last. */
export type ExchangeEvent =
  | TextEvent
  | RestartEvent
  /** Nothing moves, for this reason; told once per reason. */
  | ({ type: 'waiting' } & Wait)
  | { type: 'outcome'; outcome: ExchangeOutcome };

export interface FollowOptions {
  /** Time between two looks, in milliseconds. Default 300. */
  intervalMs?: number;
  /** Stops the following, not the exchange. */
  signal?: AbortSignal;
}

/** Which message is followed, and what becomes of it when somebody waits for that anyway. */
export interface Followed {
  conversationId: string;
  messageId: string;
  /** The promise of a running `ask`; without it the outcome is asked for. */
  outcome?: Promise<ExchangeOutcome>;
}

const DEFAULT_INTERVAL_MS = 300;
/** A worker answers a query in milliseconds. */
const QUERY_TIMEOUT_MS = 5_000;

type Settled = { outcome: ExchangeOutcome } | { error: unknown };

/**
 * Follows one exchange to its outcome. The live text is read from the activity's heartbeats: no history events, and no
 * worker is needed for it. 300–700 ms behind; the rest of the text comes with the outcome.
 *
 * @throws ConversationNotFoundError When there is no such conversation, and nobody asks.
 */
export async function* follow(
  context: ClientContext,
  followed: Followed,
  options: FollowOptions = {},
): AsyncGenerator<ExchangeEvent, void, void> {
  const { intervalMs = DEFAULT_INTERVAL_MS, signal } = options;
  const liveText = new LiveText();
  const tellWait = onceEach();
  const settled = settle(followed.outcome);
  const look = new ExchangeLook(context, followed);
  for (;;) {
    signal?.throwIfAborted();
    const end = (await Promise.race([settled, pause(intervalMs, signal)])) ?? (await look.finished());
    if (end !== undefined) {
      if ('error' in end) throw end.error;
      const { result } = end.outcome;
      if (result !== undefined) yield* liveText.finish(result.agentMarkdownResponse);
      yield { type: 'outcome', outcome: end.outcome };
      return;
    }
    const { progress, wait } = await look.now();
    if (progress !== undefined) yield* liveText.update(progress);
    yield* tellWait(wait);
  }
}

/** Resolves with how the promise ended; never, when there is none. */
async function settle(outcome: Promise<ExchangeOutcome> | undefined): Promise<Settled> {
  if (outcome === undefined) return new Promise<never>(() => undefined);
  return outcome.then(
    (value) => ({ outcome: value }),
    (error: unknown) => ({ error }),
  );
}

async function pause(intervalMs: number, signal: AbortSignal | undefined): Promise<undefined> {
  await delay(intervalMs, undefined, { ref: true, ...(signal === undefined ? {} : { signal }) }).catch(() => undefined);
  return undefined;
}

/** Passes each reason for waiting on once, until there is another. */
function onceEach(): (wait: Wait | undefined) => ExchangeEvent[] {
  let last: string | undefined;
  return (wait) => {
    const key = wait === undefined ? undefined : `${wait.reason} ${wait.until?.toISOString() ?? ''}`;
    if (wait === undefined || key === last) return [];
    last = key;
    return [{ type: 'waiting', ...wait }];
  };
}

/** Looks at one exchange: where it stands in its conversation, then what its activity reports. */
class ExchangeLook {
  private index: number | undefined;
  private exchangeSeen = false;

  constructor(
    private readonly context: ClientContext,
    private readonly followed: Followed,
  ) {}

  /** The outcome, when nobody else waits for it and the exchange is no longer at work. */
  async finished(): Promise<Settled | undefined> {
    if (this.followed.outcome !== undefined || this.exchangeSeen) return undefined;
    const known = await this.query((handle) => handle.query(outcomeQuery, { messageId: this.followed.messageId }));
    return known === undefined ? undefined : settledState(known, this.followed);
  }

  /** The live text and what is waited for, as far as they can be seen. */
  async now(): Promise<{ progress?: ReturnType<typeof exchangeProgress>; wait?: Wait | undefined }> {
    const activities = await this.activities();
    if (activities === undefined) return {};
    if (this.index === undefined) {
      const wait = await this.locate(activities);
      if (this.index === undefined) return { wait };
    }
    const exchange = activities.find(({ activityId }) => activityId === exchangeActivityId(this.index ?? -1));
    this.exchangeSeen = exchange !== undefined;
    const progress = exchange === undefined ? undefined : exchangeProgress(exchange);
    const waits = (exchange === undefined ? activities : [exchange]).map((activity) => waitOf(activity));
    return { progress, wait: waits.find((wait) => wait !== undefined) };
  }

  private async activities(): Promise<PendingActivity[] | undefined> {
    const handle = this.context.client.workflow.getHandle(this.followed.conversationId);
    try {
      return await pendingActivities(this.context, await handle.describe());
    } catch (error) {
      if (error instanceof WorkflowNotFoundError && this.followed.outcome !== undefined) return undefined;
      throw translateError(error, this.context, this.followed.conversationId);
    }
  }

  /** Finds the exchange's index; else tells what keeps it from being known. */
  private async locate(activities: PendingActivity[]): Promise<Wait | undefined> {
    const status = await this.query((handle) => handle.query(statusQuery));
    if (status === undefined) {
      const workers = await workersOf(this.context);
      return workers.length === 0 ? { reason: new NoWorkerError(this.context.taskQueue).message } : undefined;
    }
    const { messageId } = this.followed;
    if (status.inFlight?.messageId === messageId) this.index = status.inFlight.index;
    const position = status.queue.findIndex((queued) => queued.messageId === messageId);
    if (position === -1) return undefined;
    const ahead = position + (status.inFlight === undefined ? 0 : 1);
    const busy = activities.map(waitOf).find((wait) => wait !== undefined);
    return ahead === 0 ? busy : { reason: `queued behind ${ahead} ${ahead === 1 ? 'message' : 'messages'}` };
  }

  /** A query that gives up soon; absent when no worker answers. */
  private async query<T>(run: (handle: WorkflowHandle) => Promise<T>): Promise<T | undefined> {
    const { conversationId } = this.followed;
    try {
      return await queryWorker(this.context, conversationId, QUERY_TIMEOUT_MS, run);
    } catch (error) {
      const known = translateError(error, this.context, conversationId);
      if (known instanceof UnansweredError) return undefined;
      if (known instanceof ConversationNotFoundError && this.followed.outcome !== undefined) return undefined;
      throw known;
    }
  }
}

/** What `outcomeQuery` says, as an end; absent while the message waits or runs. */
function settledState(known: MessageState, followed: Followed): Settled | undefined {
  const { conversationId, messageId } = followed;
  switch (known.state) {
    case 'finished':
      return { outcome: known.outcome };
    case 'queued':
    case 'inFlight':
      return undefined;
    case 'rejected':
      return { error: new Error(`Conversation ${conversationId} refused message ${messageId}: it was busy`) };
    case 'unknown':
      return { error: new Error(`Conversation ${conversationId} knows no message ${messageId}`) };
  }
}

/** The message that `follow()` takes when none is named: the one in flight, else the first that waits. */
export function messageToFollow(status: ConversationStatus): string | undefined {
  return status.inFlight?.messageId ?? status.queue[0]?.messageId;
}
