import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type {
  ExchangeError,
  ExchangeIds,
  ExchangeMode,
  ExchangeOutcome,
  ExchangeStatus,
  InputContext,
  ParameterInputs,
  ParameterUpdates,
} from './exchange.js';

/** What a message does when an exchange is already running or queued. */
export type WhenBusy =
  /** Wait for its turn (default). */
  | 'enqueue'
  /** Be refused: an update fails with `ConversationBusy`; of a signal `outcomeQuery` tells `rejected`. */
  | 'reject'
  /** Cancel the running exchange with its text so far as response (it stays in the session), then run. */
  | 'interrupt'
  /** Cancel the running exchange without a response (it never was), then run. */
  | 'rollback';

/** What a caller hands to a conversation; it becomes one exchange. */
export interface ConversationMessage {
  /**
   * The caller's id of the message, 1–200 characters; the same id again gives the first outcome, never a second
   * exchange. A UUID is recommended: it is then also the `messageId` that the agent sees.
   */
  messageId: string;
  text: string;
  whenBusy?: WhenBusy;
  /** Values for this exchange; they win over carried-over ones. */
  parameterInputs?: ParameterInputs;
  /** When present, the agent's automatic context retrieval is skipped. */
  contextsOverride?: InputContext[];
  /** Default: the conversation's mode. */
  mode?: ExchangeMode;
}

/** What to do when the session has expired. */
export type OnExpired = 'newSession' | 'fail';

/** What to do when the context of the agent's model is full. */
export type OnContextOverflow = 'newSession' | 'shorten' | 'fail';

/** What a new session is told of the old one: the tail of the transcript, or nothing. */
export type CarryOver = 'transcript' | 'none';

/** Choices of a conversation, all optional. */
export interface ConversationOptions {
  /** Version of the agent, for example `1.0`; default: the latest published one. */
  agentVersion?: string;
  /** Title of the sessions in AIP; default: the agent's own choice. */
  title?: string;
  /** Default `streaming`: only a streamed exchange can be cancelled at the agent. */
  mode?: ExchangeMode;
  /** Values sent with every exchange. */
  parameterInputs?: ParameterInputs;
  /**
   * Parameter updates of one exchange become inputs of the next, where the types allow it; over 256 KiB of JSON, exchanges
   * fail as `ParametersTooLarge` unless their message brings its own value. Default true.
   */
  carryParameters?: boolean;
  /** Default `newSession`. */
  onExpired?: OnExpired;
  /** Default `newSession`. */
  onContextOverflow?: OnContextOverflow;
  /** Default `transcript`. */
  carryOver?: CarryOver;
  /** The conversation completes after this long without a message (milliseconds). Default 24 hours. */
  idleTimeoutMs?: number;
  /** Overall limit for one exchange, waits for limits and retries included (milliseconds). Default 10 minutes. */
  exchangeTimeoutMs?: number;
  /** Limit for one call of the agent, first byte to last (milliseconds). Default 10 minutes. */
  callTimeoutMs?: number;
  /** Roll over to a new run after this many exchanges. Default: when Temporal suggests it. */
  maxExchangesPerRun?: number;
}

/** Input of `conversationWorkflow`. */
export interface ConversationInput extends ConversationOptions {
  agentRid: string;
  /** Go on in this session instead of opening one. */
  sessionRid?: string;
  /** One-shot: these messages are the whole conversation, which completes after the last. */
  turns?: ConversationMessage[];
  /**
   * The batch that this conversation is a row of, with `turns`: it ends after the first turn that is not answered, and hands
   * over what was answered also when it is cancelled.
   */
  batchId?: string;
  /** Of that batch; default 1. */
  batchWeight?: number;
  /** Carried over from the run before, also from one that had ended (`legacyQuery`); never set by callers. */
  snapshot?: ConversationSnapshot;
}

/** An exchange that waits for its turn. */
export interface QueuedMessage extends ConversationMessage {
  index: number;
  /** ISO 8601. */
  acceptedAt: string;
}

/** Everything a conversation takes along into its next run. JSON by type. */
export interface ConversationSnapshot {
  queue: QueuedMessage[];
  /** Oldest first. */
  outcomes: RecordedExchange[];
  /** Ids whose message was refused (`whenBusy: 'reject'` by signal). */
  rejected: string[];
  /** What is left of outcomes that were dropped; their ids are still known, so that they never run twice. */
  forgotten: [messageId: string, status: ExchangeStatus, index: number, finishedAt: string][];
  nextIndex: number;
  session?: SessionState;
  /** Values that carry over into the next exchange. */
  parameters: ParameterInputs;
  /** Ids of parameters whose values were too large to carry over: until they are small again, messages must bring their own. */
  uncarried?: string[];
  title?: string;
  closing: boolean;
  totals: ConversationTotals;
  /** Milliseconds since the epoch of the last activity, for the idle deadline. */
  lastActiveMs: number;
  runs: number;
  /** Left by a run that was terminated, or timed out, while it had this at the agent: the run that follows settles it first. */
  unsettled?: UnsettledExchange;
}

/** An exchange as it was handed to its activity; by it, it can be found at the agent, and ended there. */
export interface SentExchange {
  sessionRid: string;
  ids: ExchangeIds;
  /** As sent: of a new session, or shortened, it is not the message's. */
  text: string;
  mode: ExchangeMode;
  exchangesBefore: number;
}

/** A message whose outcome nobody has recorded, though it may have been sent. */
export interface UnsettledExchange {
  message: QueuedMessage;
  sent: SentExchange;
}

/** A user text with its outcome; the text is absent once it was dropped. */
export interface RecordedExchange {
  text?: string;
  outcome: ExchangeOutcome;
}

/** The session in use. */
export interface SessionState {
  sessionRid: string;
  agentVersion?: string;
  /** ISO 8601; each exchange moves it by the session's lifetime. */
  estimatedExpiresTime?: string;
  /** From creation to expiry, as the server said when it was created (milliseconds). */
  lifetimeMs?: number;
  /** A blocking exchange that could not be stopped may still be answering in it. */
  mayBeBusy?: boolean;
  /** Exchanges that the session holds, as far as this conversation knows. */
  exchangeCount: number;
}

export interface ConversationTotals {
  answered: number;
  interrupted: number;
  cancelled: number;
  failed: number;
  tokens: number;
  sessions: number;
}

/**
 * Where a conversation stands: `idle` (waiting for a message), `openingSession`, `exchanging`, `cancelling`, `rolling`
 * (about to continue as new), `closing` (no new messages; finishing the queue), `closed`.
 */
export type ConversationPhase =
  'idle' | 'openingSession' | 'exchanging' | 'cancelling' | 'rolling' | 'closing' | 'closed';

/** Answer of `statusQuery`. Holds no user text but the texts of what is queued, cut to 80 characters. */
export interface ConversationStatus {
  agentRid: string;
  phase: ConversationPhase;
  /** In words: what the conversation waits for. */
  waitingFor?: string;
  /** ISO 8601: until when at most. */
  waitingUntil?: string;
  session?: SessionState;
  inFlight?: { messageId: string; index: number; activityId: string; startedAt: string; textPreview: string };
  queue: { messageId: string; index: number; textPreview: string }[];
  totals: ConversationTotals;
  exchanges: number;
  /** Why the last exchange failed; absent when it did not: then nobody has to look. */
  lastFailure?: { messageId: string; index: number; error: ExchangeError };
  parameters: ParameterInputs;
  title?: string;
  closing: boolean;
  /** Runs so far, this one included. */
  runs: number;
}

/** Argument of `transcriptQuery`. */
export interface TranscriptPageInput {
  /** Index of the first exchange wanted; default 0. */
  from?: number;
  /** Default 50, at most 200; a page also ends before it passes 512 KiB. */
  pageSize?: number;
}

/** One page of the transcript, oldest first. */
export interface TranscriptPage {
  exchanges: RecordedExchange[];
  /** Index to ask for next; absent on the last page. */
  next?: number;
}

/** Answer of `outcomeQuery`. */
export type MessageState =
  { state: 'unknown' | 'queued' | 'inFlight' | 'rejected' } | { state: 'finished'; outcome: ExchangeOutcome };

/** Argument of `cancelExchangeSignal`. */
export interface CancelExchangeInput {
  /** Default: the exchange in flight. A queued message is dropped and recorded as `cancelled`. */
  messageId?: string;
  /** When present, the exchange is added to the session with this text as its response; else it is not added. */
  response?: string;
}

/**
 * What the exchange activity must do about the exchange it was told to cancel; read by `exchangeCancellationQuery`,
 * because a cancellation request itself carries no data.
 */
export type ExchangeCancellation =
  | { kind: 'withoutResponse' }
  | { kind: 'withResponse'; response: string }
  /** `whenBusy: 'interrupt'`: the response is the text that has arrived so far. */
  | { kind: 'withTextSoFar' };

/** Result of a conversation that has ended. */
export interface ConversationResult {
  /** `cancelled`: only of a row of a batch, whose result would be lost otherwise; other runs end as Canceled. */
  endedBy: 'closed' | 'idle' | 'turnsDone' | 'cancelled';
  totals: ConversationTotals;
  sessionRid?: string;
  /** Outcomes of a one-shot conversation's turns, in order; absent otherwise (see `transcriptQuery`). */
  outcomes?: ExchangeOutcome[];
}

/** Id of the activity that sends and follows exchange `index`: by it a client finds the exchange's live text. */
export const exchangeActivityId = (index: number): string => `exchange-${index}`;

/** Fire and forget; the outcome is read with `outcomeQuery` or `transcriptQuery`. */
export const submitSignal = defineSignal<[ConversationMessage]>('submit');
/** Accepted when queued; completes with the outcome. */
export const askUpdate = defineUpdate<ExchangeOutcome, [ConversationMessage]>('ask');
export const cancelExchangeSignal = defineSignal<[CancelExchangeInput]>('cancelExchange');
/** Finish the queue, then complete. */
export const closeSignal = defineSignal('close');
export const setTitleSignal = defineSignal<[{ title: string }]>('setTitle');
export const statusQuery = defineQuery<ConversationStatus>('status');
export const transcriptQuery = defineQuery<TranscriptPage, [TranscriptPageInput?]>('transcript');
export const outcomeQuery = defineQuery<MessageState, [{ messageId: string }]>('outcome');
/** For the client: what a conversation that has ended leaves to the one that follows it under its id. */
export const legacyQuery = defineQuery<ConversationSnapshot>('legacy');
/** For the exchange activity: what the cancellation of this exchange asks for. */
export const exchangeCancellationQuery = defineQuery<ExchangeCancellation | null, [{ messageId: string }]>(
  'exchangeCancellation',
);

export type { ParameterUpdates };
