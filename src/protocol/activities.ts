import type { BatchRow, RowResult } from './batch.js';
import type {
  ExchangeError,
  ExchangeIds,
  ExchangeMode,
  ExchangeResult,
  InputContext,
  ParameterInputs,
} from './exchange.js';

/** Input of `createSession`. */
export interface CreateSessionInput {
  agentRid: string;
  agentVersion?: string;
  /** Given to the session after it was created, when present. */
  title?: string;
}

/** A session as just created. */
export interface CreatedSession {
  sessionRid: string;
  agentVersion?: string;
  /** ISO 8601. */
  estimatedExpiresTime?: string;
}

/** Input of the exchange activities `streamingContinue` and `blockingContinue`. */
export interface ExchangeInput {
  agentRid: string;
  sessionRid: string;
  /** The conversation's name for the message (`ids.messageId` is the agent's). */
  messageId: string;
  ids: ExchangeIds;
  text: string;
  parameterInputs?: ParameterInputs;
  contextsOverride?: InputContext[];
  /** Exchanges known to be in the session before this one: what is beyond them is ours (servers without traces). */
  exchangesBefore: number;
  /** Limit for one call, first byte to last (milliseconds). */
  callTimeoutMs: number;
  /** Look at the trace when no byte has come for this long (milliseconds). */
  silenceTimeoutMs: number;
  /** Of this kind of work, interactive goes ahead of batch under a limit. */
  priority: 'interactive' | 'batch';
}

/** How an exchange activity ended; the failures that end an exchange are thrown as `ApplicationFailure`. */
export type ExchangeActivityResult =
  | { status: 'answered' | 'interrupted'; result: ExchangeResult; sends: number; estimatedExpiresTime?: string }
  | { status: 'cancelled'; sends: number };

/**
 * Heartbeat details of an exchange activity. They speed up the next attempt and are what people see of a running
 * exchange; no correctness hangs on them (they can be seconds old, or missing).
 */
export interface ExchangeProgress {
  phase: 'waitingForLimit' | 'sending' | 'streaming' | 'reconciling' | 'following' | 'cancelling';
  /** Number of the trace id in use; goes up only after a definite failure. */
  traceNumber: number;
  sends: number;
  /** Failures so far of the class that is retried a bounded number of times. */
  transientFailures: number;
  /** Refusals so far of the class that waits. */
  waits: number;
  /** The answer's text so far, or its tail when it is longer than 64 KiB. */
  text: string;
  /** UTF-16 offset of `text` in the whole answer; 0 unless the head was cut. */
  textOffset: number;
  /** In words, while waiting: what for. */
  waitingFor?: string;
  /** ISO 8601. */
  waitingUntil?: string;
}

/** Input of `cancelExchange`: the clean-up when the exchange activity itself could not see to it. */
export interface CancelExchangeActivityInput {
  agentRid: string;
  sessionRid: string;
  ids: ExchangeIds;
  text: string;
  exchangesBefore: number;
  mode: ExchangeMode;
  /** When present, the exchange is added with this text. */
  response?: string;
}

/** How things stand at the agent after `cancelExchange`. */
export type CancelExchangeResult =
  { status: 'answered' | 'interrupted'; result: ExchangeResult } | { status: 'cancelled' };

/** Input of `getContent`: what a session holds, as text for a carried-over transcript. */
export interface UpdateTitleInput {
  agentRid: string;
  sessionRid: string;
  title: string;
}

/** Input of `createSessions`: opens the sessions of one lane. */
export interface CreateSessionsInput {
  batchId: string;
  /** In the order of the lane's rows. */
  rows: { index: number; agentRid: string; agentVersion?: string; title?: string }[];
  concurrency: number;
}

/** One session, or why there is none, for each row, in order. */
export interface CreateSessionsResult {
  sessions: ({ sessionRid: string } | { error: ExchangeError })[];
}

/** Input of `runLane`: many rows in one activity, with a pool inside. */
export interface LaneInput {
  batchId: string;
  /** UUID from which the rows' exchange ids are derived (UUID v5 of row index and turn). */
  idBase: string;
  /** Rows at once. */
  concurrency: number;
  mode: ExchangeMode;
  callTimeoutMs: number;
  silenceTimeoutMs: number;
  rows: LaneRow[];
}

/** A row with its session. */
export interface LaneRow {
  index: number;
  row: BatchRow;
  agentRid: string;
  sessionRid: string;
}

/** Result of `runLane`. Rows that are in neither list were not reached (results grew near 512 KiB): give them to the next lane. */
export interface LaneResult {
  results: RowResult[];
  /** Indexes of rows whose session expired before they could be sent: they need a new one. */
  expired: number[];
}

/** Heartbeat details of a lane. */
export interface LaneProgress {
  finished: number;
  succeeded: number;
  failed: number;
  tokens: number;
  /** Rows in flight: id, what is being done, since when (ISO 8601); at most 25 are listed. */
  inFlight: { id: string; phase: string; since: string }[];
  waitingFor?: string;
  waitingUntil?: string;
  /** Trace numbers above 0, by `index/turn`. */
  traceNumbers: Record<string, number>;
}
