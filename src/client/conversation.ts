import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type {
  CancelExchangeInput,
  ConversationInput,
  ConversationOptions,
  ConversationResult,
  ConversationStatus,
  MessageState,
  RecordedExchange,
  TranscriptPage,
  TranscriptPageInput,
} from '../protocol/conversation.js';
import {
  cancelExchangeSignal,
  closeSignal,
  outcomeQuery,
  setTitleSignal,
  statusQuery,
  transcriptQuery,
} from '../protocol/conversation.js';
import { LIMITS } from '../protocol/defaults.js';
import type { ExchangeOutcome } from '../protocol/exchange.js';
import { jsonBytes } from '../protocol/json-size.js';
import type { AskOptions } from './ask.js';
import { ask } from './ask.js';
import type { ClientContext } from './connection.js';
import type { ConversationDescription } from './describe-conversation.js';
import { describeConversation } from './describe-conversation.js';
import { InvalidCallError } from './errors.js';
import type { ExchangeEvent, FollowOptions } from './follow.js';
import { follow, messageToFollow } from './follow.js';
import type { MessageInput } from './message-check.js';
import { checkedMessage } from './message-check.js';
import type { ConversationTarget } from './start-conversation.js';
import { submit } from './submit.js';
import { translateError } from './translate-error.js';
import { queryWorker } from './worker-query.js';

/** How a conversation starts when it does not run yet; of no effect on one that runs. */
export interface ConversationSettings extends ConversationOptions {
  /** Default: the client's agent. Without one, only a conversation that runs can be talked to. */
  agentRid?: string;
  /** Go on in this session of the agent. */
  sessionRid?: string;
}

/** Time that a question to the conversation's state waits for a worker. */
const QUERY_TIMEOUT_MS = 10_000;

/**
 * One conversation, by its id; made by `AipClient.conversation`, which calls nobody.
 *
 * Its id is the workflow's id. A conversation that runs is continued; one that has ended is started again under its id, and
 * goes on in its session when it ended of itself (closed, idle).
 *
 * All methods throw the errors of `AipClientError`'s family; what goes wrong in an exchange is told by its outcome.
 */
export class ConversationHandle {
  private readonly target: ConversationTarget;

  constructor(
    private readonly context: ClientContext,
    readonly id: string,
    settings: ConversationSettings & { isNew?: boolean } = {},
  ) {
    const { isNew = false, agentRid, ...rest } = settings;
    const start: ConversationInput | undefined = agentRid === undefined ? undefined : { ...rest, agentRid };
    this.target = { conversationId: id, isNew, ...(start === undefined ? {} : { start }) };
  }

  /**
   * Asks, and waits for the outcome however long that takes: over retries, deploys, worker deaths and a restarted Temporal.
   *
   * @param message A text, or a `ConversationMessage`. With a `messageId` of yours, asking again gives the first outcome.
   * @returns The outcome; `status: 'failed'` when the agent gave an error.
   * @throws ConversationBusyError, ConversationClosedError, ConversationEndedError, ConversationQueueFullError,
   *   InvalidMessageError, SearchAttributesMissingError, TemporalUnreachableError, TemporalRefusedError.
   */
  async ask(message: MessageInput, options: AskOptions = {}): Promise<ExchangeOutcome> {
    return ask(this.context, this.target, checkedMessage(message), options);
  }

  /**
   * Asks, and yields what is seen meanwhile: live text, reasons for waiting, in the end the outcome.
   *
   * Leaving the loop early stops the watching, not the exchange.
   *
   * @throws As `ask`.
   */
  async *stream(
    message: MessageInput,
    options: AskOptions & FollowOptions = {},
  ): AsyncGenerator<ExchangeEvent, void, void> {
    const checked = checkedMessage(message);
    const left = new AbortController();
    const signal = options.signal === undefined ? left.signal : AbortSignal.any([left.signal, options.signal]);
    const outcome = ask(this.context, this.target, checked, { ...options, signal });
    try {
      yield* follow(this.context, { conversationId: this.id, messageId: checked.messageId, outcome }, options);
    } finally {
      left.abort(new Error('Nobody reads this exchange any more'));
      await outcome.catch(() => undefined); // Its end was told by the loop above, or nobody wants to know.
    }
  }

  /**
   * Hands a message in and does not wait for its answer, which `outcome` and `follow` tell later.
   *
   * @returns The message's id.
   */
  async submit(message: MessageInput): Promise<string> {
    const checked = checkedMessage(message);
    await submit(this.context, this.target, checked);
    return checked.messageId;
  }

  /** Follows an exchange that runs or waits. Default: the one in flight, else the next; ends at once when there is none. */
  async *follow(options: FollowOptions & { messageId?: string } = {}): AsyncGenerator<ExchangeEvent, void, void> {
    const messageId = options.messageId ?? messageToFollow(await this.status());
    if (messageId !== undefined) yield* follow(this.context, { conversationId: this.id, messageId }, options);
  }

  /** Cancels an exchange at the agent; the conversation goes on. See `CancelExchangeInput`. */
  async cancelExchange(input: CancelExchangeInput = {}): Promise<void> {
    await this.call((handle) => handle.signal(cancelExchangeSignal, input));
  }

  /** Cancels the conversation: what runs at the agent is cancelled and recorded, then it ends as Canceled. */
  async cancel(): Promise<void> {
    await this.call((handle) => handle.cancel());
  }

  /** Takes no more messages, finishes the queue, then ends as Completed. */
  async close(): Promise<void> {
    await this.call((handle) => handle.signal(closeSignal));
  }

  /** Ends it at once, without a record of what was in flight; its exchange is cancelled at the agent by the worker. */
  async terminate(reason?: string): Promise<void> {
    await this.call((handle) => handle.terminate(reason));
  }

  /** Names the conversation, in AIP too. @throws InvalidCallError when the title is too long. */
  async setTitle(title: string): Promise<void> {
    if (jsonBytes(title) > LIMITS.nameBytes) {
      throw new InvalidCallError(`Cannot set a title of more than ${LIMITS.nameBytes} bytes: give a shorter one`);
    }
    await this.call((handle) => handle.signal(setTitleSignal, { title }));
  }

  /** Where it stands, also after its end. @throws NoWorkerError when no worker answers within 10 seconds. */
  async status(): Promise<ConversationStatus> {
    return this.query((handle) => handle.query(statusQuery));
  }

  /** What became of a message. @throws NoWorkerError */
  async outcome(messageId: string): Promise<MessageState> {
    return this.query((handle) => handle.query(outcomeQuery, { messageId }));
  }

  /**
   * All exchanges that have ended, oldest first, read page by page.
   *
   * @param options.from Index of the first exchange wanted. Default 0.
   * @throws NoWorkerError
   */
  async *transcript(options: { from?: number; pageSize?: number } = {}): AsyncGenerator<RecordedExchange, void, void> {
    const { pageSize } = options;
    let next: number | undefined = options.from ?? 0;
    while (next !== undefined) {
      const input: TranscriptPageInput = { from: next, ...(pageSize === undefined ? {} : { pageSize }) };
      const page: TranscriptPage = await this.query((handle) => handle.query(transcriptQuery, input));
      yield* page.exchanges;
      next = page.next;
    }
  }

  /** What an operator wants to see: the run, what is being done right now, and why nothing happens. Needs no worker. */
  async describe(): Promise<ConversationDescription> {
    return this.call((handle) => describeConversation(this.context, handle));
  }

  /** Waits for the end of the conversation. @throws ConversationEndedError when it was cancelled or terminated. */
  async result(): Promise<ConversationResult> {
    return this.call((handle) => handle.result() as Promise<ConversationResult>);
  }

  private async call<T>(run: (handle: WorkflowHandle) => Promise<T>): Promise<T> {
    try {
      return await run(this.context.client.workflow.getHandle(this.id));
    } catch (error) {
      throw translateError(error, this.context, this.id);
    }
  }

  private async query<T>(run: (handle: WorkflowHandle) => Promise<T>): Promise<T> {
    return this.call(() => queryWorker(this.context, this.id, QUERY_TIMEOUT_MS, run));
  }
}

/** An id for a conversation: `conversation/<agent>/<uuid>`, the agent as the last part of its RID. */
export function newConversationId(agentRid: string): string {
  return `conversation/${agentRid.slice(agentRid.lastIndexOf('.') + 1)}/${randomUUID()}`;
}
