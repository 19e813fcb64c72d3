/**
 * The state of a conversation: queue, order, duplicates, outcomes, session, totals and their limits. It knows nothing of
 * Temporal; the workflow wires messages to it.
 *
 * 1. A message id is accepted once. Known ids are those queued, in flight, recorded or forgotten; one that was only
 *    rejected was never accepted, and may come again.
 * 2. Every accepted message is in exactly one place: the queue, in flight, or the record.
 * 3. `snapshot()` taken between exchanges holds all of it; `fromSnapshot` gives it back. It stays below `LIMITS.snapshotBytes`,
 *    whatever was said: what goes for it stays in the session, and is told as `textDropped`.
 */
import type {
  ConversationInput,
  ConversationMessage,
  ConversationSnapshot,
  ConversationTotals,
  MessageState,
  QueuedMessage,
  RecordedExchange,
  SessionState,
  TranscriptPage,
  TranscriptPageInput,
} from '../protocol/conversation.js';
import { LIMITS } from '../protocol/defaults.js';
import type { ExchangeError, ExchangeOutcome, ParameterInputs, ParameterValue } from '../protocol/exchange.js';
import { FAILURE_TYPES, type FailureType } from '../protocol/failures.js';
import { jsonBytes, utf8Bytes } from '../protocol/json-size.js';
import { carryOverParameters } from '../protocol/parameters.js';
import { RecentIds } from './recent-ids.js';

/** Why a message is not accepted: the type of the failure, and what to do. */
export interface Refusal {
  type: FailureType;
  message: string;
}

/** What becomes of a message that was handed in. */
export type Acceptance = { accepted: QueuedMessage } | { known: string } | { refused: Refusal };

type ForgottenOutcome = ConversationSnapshot['forgotten'][number];

/** Stands for ids of parameters for which there was no room either: no agent has a parameter of this name. */
const MORE_PARAMETERS = '(more)';

const NO_TOTALS: ConversationTotals = { answered: 0, interrupted: 0, cancelled: 0, failed: 0, tokens: 0, sessions: 0 };

export class ConversationState {
  readonly #queue: QueuedMessage[] = [];
  #queuedBytes = 0;
  #inFlight: QueuedMessage | undefined;
  /** By message id, oldest first. */
  readonly #recorded = new Map<string, RecordedExchange>();
  #recordedBytes = 0;
  #newest: RecordedExchange | undefined;
  readonly #forgotten = new RecentIds<ForgottenOutcome>(LIMITS.forgottenBytes);
  readonly #rejected = new RecentIds<string>(LIMITS.rejectedBytes);
  readonly #parameters = new Map<string, ParameterValue>();
  #parameterBytes = 0;
  readonly #uncarried = new Set<string>();
  #nextIndex = 0;
  #closing = false;
  readonly totals: ConversationTotals = { ...NO_TOTALS };
  /** The session in use, until it expires, overflows or is given up. */
  session: SessionState | undefined;
  title: string | undefined;
  /** Milliseconds since the epoch of the last message or outcome. */
  lastActiveMs: number;
  /** Runs so far, this one included. */
  runs = 1;

  constructor(nowMs: number) {
    this.lastActiveMs = nowMs;
  }

  /** The state of a conversation's first run, or of a later one with what the run before handed over. */
  static of(input: ConversationInput, nowMs: number): ConversationState {
    if (input.snapshot !== undefined) return ConversationState.fromSnapshot(input.snapshot);
    const state = new ConversationState(nowMs);
    state.title = input.title;
    return state;
  }

  static fromSnapshot(snapshot: ConversationSnapshot): ConversationState {
    const state = new ConversationState(snapshot.lastActiveMs);
    for (const queued of snapshot.queue) {
      state.#queue.push(queued);
      state.#queuedBytes += jsonBytes(queued);
    }
    for (const recorded of snapshot.outcomes) state.#keep(recorded);
    for (const forgotten of snapshot.forgotten) state.#forgotten.add(forgotten[0], forgotten);
    for (const messageId of snapshot.rejected) state.#rejected.add(messageId, messageId);
    for (const [id, value] of Object.entries(snapshot.parameters)) state.#carry(id, value);
    for (const id of snapshot.uncarried ?? []) state.#uncarried.add(id);
    state.#nextIndex = snapshot.nextIndex;
    state.#closing = snapshot.closing;
    Object.assign(state.totals, snapshot.totals);
    state.session = snapshot.session;
    state.title = snapshot.title;
    state.runs = snapshot.runs + 1;
    state.#forgetOldest();
    return state;
  }

  /** Everything the next run needs. Only between exchanges: nothing may be in flight. */
  snapshot(): ConversationSnapshot {
    if (this.#inFlight !== undefined) throw new Error('A snapshot was asked for while an exchange is in flight');
    return this.#snapshot();
  }

  /** With the newest exchange in full, when there is room; else without its text; without the rest of it only as a last resort. */
  #snapshot(queue: QueuedMessage[] = this.#queue, closing = this.#closing): ConversationSnapshot {
    const whole = this.#everything(queue, closing);
    const newest = this.#newest;
    if (newest === undefined || fits(whole)) return whole;
    const earlier = whole.outcomes.slice(0, -1);
    const shorter = { ...whole, outcomes: [...earlier, withoutText(newest)] };
    if (fits(shorter)) return shorter;
    return { ...whole, outcomes: earlier, forgotten: [...whole.forgotten, forgottenOf(newest)] };
  }

  #everything(queue: QueuedMessage[], closing: boolean): ConversationSnapshot {
    return {
      queue,
      outcomes: [...this.#recorded.values()],
      rejected: this.#rejected.entries(),
      forgotten: this.#forgotten.entries(),
      nextIndex: this.#nextIndex,
      ...(this.session !== undefined && { session: this.session }),
      parameters: this.parameters,
      ...(this.#uncarried.size > 0 && { uncarried: [...this.#uncarried] }),
      ...(this.title !== undefined && { title: this.title }),
      closing,
      totals: this.totals,
      lastActiveMs: this.lastActiveMs,
      runs: this.runs,
    };
  }

  /**
   * What a conversation that has ended leaves to the one that follows it under its id: all that is recorded, and the session.
   * What was still queued or in flight has no outcome, and may be sent anew.
   */
  legacy(): ConversationSnapshot {
    return this.#snapshot([], false);
  }

  get queue(): readonly QueuedMessage[] {
    return this.#queue;
  }

  get inFlight(): QueuedMessage | undefined {
    return this.#inFlight;
  }

  get isBusy(): boolean {
    return this.#inFlight !== undefined || this.#queue.length > 0;
  }

  get isClosing(): boolean {
    return this.#closing;
  }

  /** Takes no more messages; what is queued is still worked off. */
  close(): void {
    this.#closing = true;
  }

  /** Why this message would be refused; undefined when it would be accepted, or is known already. Changes nothing. */
  refusal(message: ConversationMessage): Refusal | undefined {
    const malformed = malformation(message);
    if (malformed !== undefined) return { type: FAILURE_TYPES.invalidInput, message: malformed };
    if (this.isKnown(message.messageId)) return undefined;
    if (this.#closing) {
      return {
        type: FAILURE_TYPES.conversationClosed,
        message: 'Cannot accept the message: the conversation is closing; start a new one',
      };
    }
    if (message.whenBusy === 'reject' && this.isBusy) {
      return {
        type: FAILURE_TYPES.conversationBusy,
        message:
          'Cannot accept the message: the conversation is busy; try again later, or send it with another whenBusy',
      };
    }
    return this.#fullness(message);
  }

  isKnown(messageId: string): boolean {
    return (
      this.#inFlight?.messageId === messageId ||
      this.#recorded.has(messageId) ||
      this.#forgotten.has(messageId) ||
      this.#queue.some((queued) => queued.messageId === messageId)
    );
  }

  /** Accepts a message into the queue: at its end, or at its front when it interrupts or rolls back. */
  accept(message: ConversationMessage, nowMs: number): Acceptance {
    const refused = this.refusal(message);
    if (refused !== undefined) return { refused };
    if (this.isKnown(message.messageId)) return { known: message.messageId };
    const accepted: QueuedMessage = {
      ...message,
      index: this.#nextIndex++,
      acceptedAt: new Date(nowMs).toISOString(),
    };
    if (message.whenBusy === 'interrupt' || message.whenBusy === 'rollback') this.#queue.unshift(accepted);
    else this.#queue.push(accepted);
    this.#queuedBytes += jsonBytes(accepted);
    this.#rejected.delete(message.messageId);
    this.lastActiveMs = nowMs;
    return { accepted };
  }

  /** Remembers that a message sent by signal was refused, so that its sender can find out. */
  reject(messageId: string): void {
    if (this.isKnown(messageId) || messageId.length > LIMITS.messageIdCharacters) return;
    if (!this.#rejected.has(messageId)) this.#rejected.add(messageId, messageId);
  }

  /** Takes the next message out of the queue; it is in flight until `record`. */
  begin(): QueuedMessage | undefined {
    if (this.#inFlight !== undefined) throw new Error('An exchange was begun while another is in flight');
    this.#inFlight = this.#takeQueued(0);
    return this.#inFlight;
  }

  /** Takes a queued message out, for its outcome to be recorded; undefined when there is none. */
  dropQueued(messageId: string): QueuedMessage | undefined {
    const position = this.#queue.findIndex((queued) => queued.messageId === messageId);
    return position < 0 ? undefined : this.#takeQueued(position);
  }

  /** Takes everything out of the queue, in order. */
  dropAllQueued(): QueuedMessage[] {
    this.#queuedBytes = 0;
    return this.#queue.splice(0);
  }

  /**
   * Records the one outcome of a message, and what follows from it for the session, totals and parameters. Its text stays at
   * least until the next is recorded; the outcome handed in is never changed.
   */
  record(message: QueuedMessage, outcome: ExchangeOutcome, inputs: ParameterInputs, nowMs: number): void {
    if (this.#inFlight?.messageId === message.messageId) this.#inFlight = undefined;
    this.#keep({ text: message.text, outcome });
    this.totals[outcome.status]++;
    this.totals.tokens += outcome.result?.totalTokensUsed ?? 0;
    this.lastActiveMs = nowMs;
    if (outcome.result !== undefined) {
      this.#noteInSession(nowMs);
      const next = carryOverParameters(inputs, outcome.result.parameterUpdates);
      for (const id of Object.keys(outcome.result.parameterUpdates)) {
        const value = next[id];
        if (value !== undefined && value !== inputs[id]) this.#carry(id, value);
      }
    }
    // Whatever landed in the session found it free.
    if (this.session !== undefined && outcome.result !== undefined) delete this.session.mayBeBusy;
    if (this.session !== undefined && outcome.mayStillRun === true) this.session.mayBeBusy = true;
    this.#forgetOldest();
  }

  /** A new session; what follows goes into it. */
  useSession(session: SessionState): void {
    this.session = session;
    this.totals.sessions++;
  }

  outcomeOf(messageId: string): ExchangeOutcome | undefined {
    const recorded = this.#recorded.get(messageId);
    if (recorded !== undefined) return recorded.outcome;
    const forgotten = this.#forgotten.get(messageId);
    if (forgotten === undefined) return undefined;
    const [, status, index, finishedAt] = forgotten;
    return { messageId, status, index, sends: 0, acceptedAt: finishedAt, finishedAt, textDropped: true };
  }

  stateOf(messageId: string): MessageState {
    const outcome = this.outcomeOf(messageId);
    if (outcome !== undefined) return { state: 'finished', outcome };
    if (this.#rejected.has(messageId)) return { state: 'rejected' };
    if (this.#inFlight?.messageId === messageId) return { state: 'inFlight' };
    return { state: this.isKnown(messageId) ? 'queued' : 'unknown' };
  }

  /** One page of the recorded exchanges, oldest first; it ends before it passes half a mebibyte. */
  transcript({ from = 0, pageSize = 50 }: TranscriptPageInput = {}): TranscriptPage {
    const matching = [...this.#recorded.values()].filter(({ outcome }) => outcome.index >= from);
    matching.sort((a, b) => a.outcome.index - b.outcome.index);
    const exchanges: RecordedExchange[] = [];
    let bytes = 0;
    for (const recorded of matching) {
      bytes += jsonBytes(recorded);
      if (exchanges.length > 0 && (exchanges.length >= Math.min(pageSize, 200) || bytes > LIMITS.shardBytes)) {
        return { exchanges, next: recorded.outcome.index };
      }
      exchanges.push(recorded);
    }
    return { exchanges };
  }

  /** The kept texts of this conversation, newest last, for a carried-over transcript. */
  recentExchanges(): { text: string; answer: string }[] {
    return [...this.#recorded.values()].flatMap(({ text, outcome }) =>
      text !== undefined && outcome.result !== undefined
        ? [{ text, answer: outcome.result.agentMarkdownResponse }]
        : [],
    );
  }

  outcomes(): ExchangeOutcome[] {
    return [...this.#recorded.values()].map(({ outcome }) => outcome);
  }

  /** Values that carry over into the next exchange. */
  get parameters(): ParameterInputs {
    return Object.fromEntries(this.#parameters);
  }

  /** Parameters that the agent changed to values for which there was no room, so far as the message does not bring its own. */
  uncarriedBy({ parameterInputs }: ConversationMessage): string[] {
    return [...this.#uncarried].filter((id) => !Object.hasOwn(parameterInputs ?? {}, id));
  }

  #carry(id: string, value: ParameterValue): void {
    const before = this.#parameters.get(id);
    if (before !== undefined) this.#parameterBytes -= parameterBytes(id, before);
    this.#parameters.delete(id);
    this.#uncarried.delete(id);
    const bytes = parameterBytes(id, value);
    if (this.#parameterBytes + bytes <= LIMITS.parameterBytes) {
      this.#parameters.set(id, value);
      this.#parameterBytes += bytes;
    } else {
      const isRoomForId = jsonBytes([...this.#uncarried, id]) <= LIMITS.uncarriedBytes;
      this.#uncarried.add(isRoomForId ? id : MORE_PARAMETERS);
    }
  }

  #keep(recorded: RecordedExchange): void {
    this.#recorded.set(recorded.outcome.messageId, recorded);
    this.#newest = recorded;
    this.#recordedBytes += jsonBytes(recorded);
  }

  #noteInSession(nowMs: number): void {
    const session = this.session;
    if (session === undefined) return;
    session.exchangeCount++;
    if (session.lifetimeMs !== undefined) {
      session.estimatedExpiresTime = new Date(nowMs + session.lifetimeMs).toISOString();
    }
  }

  #takeQueued(position: number): QueuedMessage | undefined {
    const [taken] = this.#queue.splice(position, 1);
    if (taken !== undefined) this.#queuedBytes -= jsonBytes(taken);
    return taken;
  }

  #fullness(message: ConversationMessage): Refusal | undefined {
    const queuedBytes = this.#queuedBytes + jsonBytes(message);
    if (this.#queue.length < LIMITS.queuedMessages && queuedBytes <= LIMITS.queuedBytes) return undefined;
    return {
      type: FAILURE_TYPES.conversationQueueFull,
      message:
        `Cannot accept the message: ${this.#queue.length} messages (${queuedBytes} bytes with this one) wait already; ` +
        `the limits are ${LIMITS.queuedMessages} messages and ${LIMITS.queuedBytes} bytes. Send it again later`,
    };
  }

  /** Keeps the record within its bounds: texts of the oldest go first, then the oldest whole; the newest stays. */
  #forgetOldest(): void {
    const newest = this.#newest;
    if (newest === undefined) return;
    const mostBytes = LIMITS.recordedBytes - this.#parameterBytes;
    for (const [messageId, recorded] of this.#recorded) {
      if (this.#recordedBytes <= mostBytes) break;
      if (recorded === newest || recorded.outcome.textDropped === true) continue;
      const shorter = withoutText(recorded);
      this.#recorded.set(messageId, shorter);
      this.#recordedBytes += jsonBytes(shorter) - jsonBytes(recorded);
    }
    const newestBytes = jsonBytes(newest);
    for (const [messageId, oldest] of this.#recorded) {
      const isWithin = this.#recorded.size <= LIMITS.outcomes && this.#recordedBytes - newestBytes <= mostBytes;
      if (isWithin || oldest === newest) break;
      this.#recorded.delete(messageId);
      this.#recordedBytes -= jsonBytes(oldest);
      this.#forgotten.add(messageId, forgottenOf(oldest));
    }
  }
}

const fits = (snapshot: ConversationSnapshot): boolean => jsonBytes(snapshot) < LIMITS.snapshotBytes;

const parameterBytes = (id: string, value: ParameterValue): number => jsonBytes({ [id]: value });

function forgottenOf({ outcome }: RecordedExchange): ForgottenOutcome {
  const { messageId, status, index, finishedAt } = outcome;
  return [messageId, status, index, finishedAt];
}

/** Without all that can be long and is kept elsewhere: in the session, or at the failed activity. */
function withoutText({ outcome }: RecordedExchange): RecordedExchange {
  const { result, error } = outcome;
  const { parameters: _, ...shorterError } = error ?? {};
  return {
    outcome: {
      ...outcome,
      ...(result !== undefined && { result: { ...result, agentMarkdownResponse: '', parameterUpdates: {} } }),
      ...(error !== undefined && { error: shorterError as ExchangeError }),
      textDropped: true,
    },
  };
}

/** What is wrong with a message as handed in; undefined when nothing is. Signals and the UI can send anything. */
function malformation(message: ConversationMessage): string | undefined {
  const { messageId, text } = (message ?? {}) as Partial<Record<keyof ConversationMessage, unknown>>;
  if (typeof messageId !== 'string' || messageId === '' || messageId.length > LIMITS.messageIdCharacters) {
    return `Cannot accept the message: messageId must be a string of 1 to ${LIMITS.messageIdCharacters} characters`;
  }
  if (typeof text !== 'string' || text.trim() === '')
    return 'Cannot accept the message: text must be a non-empty string';
  const bytes = utf8Bytes(text);
  if (bytes > LIMITS.textBytes) {
    return `Cannot accept the message: its text has ${bytes} bytes, more than ${LIMITS.textBytes}; send a shorter one`;
  }
  const allBytes = jsonBytes(message);
  if (allBytes > LIMITS.queuedBytes) {
    return `Cannot accept the message: with its parameters and contexts it has ${allBytes} bytes of JSON, more than ${LIMITS.queuedBytes}`;
  }
  return undefined;
}
