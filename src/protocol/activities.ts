import type {
  BatchBounds,
  BatchInput,
  BatchIsolation,
  BatchMemo,
  BatchRow,
  RowCounts,
  RowOutcome,
  RowResult,
} from './batch.js';
import type { Flow } from './limits.js';
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
  /** An earlier exchange of this session may still be answering (a blocking one cannot be stopped). Default false. */
  sessionMayBeBusy?: boolean;
  /** Limit for one call, first byte to last (milliseconds). */
  callTimeoutMs: number;
  /** Look at the trace when no byte has come for this long (milliseconds). */
  silenceTimeoutMs: number;
  /** Of this kind of work, interactive goes ahead of batch under a limit. */
  priority: 'interactive' | 'batch';
  /** Of a batch's row: its batch, which shares the agent with others by weight. */
  flow?: Flow;
}

/** How an exchange activity ended; the failures that end an exchange are thrown as `ApplicationFailure`. */
export type ExchangeActivityResult =
  | { status: 'answered' | 'interrupted'; result: ExchangeResult; sends: number; estimatedExpiresTime?: string }
  | { status: 'cancelled'; sends: number; mayStillRun?: boolean };

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
  /** True when the trace id in use may have been sent to the agent. */
  mayBeSent: boolean;
  /** True when an earlier attempt, of which too little is known, may have sent this trace id and ids beyond it. */
  earlierMayBeAhead?: boolean;
  /** The trace number by which a send was refused for sure, where the id stays because another one may arrive yet. */
  refusedTraceNumber?: number;
  /**
   * Written just before an attempt hands back after a definite failure: the number of that attempt. When it is the one
   * before this, `mayBeSent` is exact; otherwise the exchange may have been sent since.
   */
  settledAttempt?: number;
}

/** Input of `cancelExchange`: the clean-up when the exchange activity itself could not see to it. */
export interface CancelExchangeActivityInput {
  agentRid: string;
  sessionRid: string;
  ids: ExchangeIds;
  text: string;
  exchangesBefore: number;
  mode: ExchangeMode;
  /** The last trace number known of. */
  traceNumber: number;
  /** When present, the exchange is added with this text. */
  response?: string;
}

/**
 * How things stand at the agent after `cancelExchange`. `mayStillRun`: a blocking exchange cannot be stopped, only waited
 * for; it may land later.
 */
export type CancelExchangeResult =
  { status: 'answered' | 'interrupted'; result: ExchangeResult } | { status: 'cancelled'; mayStillRun?: boolean };

/** Input of `getContent`: how much a given session holds. */
export interface GetContentInput {
  agentRid: string;
  sessionRid: string;
}

/** Input of `updateTitle`. */
export interface UpdateTitleInput {
  agentRid: string;
  sessionRid: string;
  title: string;
}

/** Input of `createSessions`: opens the sessions of one lane. */
export interface CreateSessionsInput {
  batchId: string;
  /** In the order of the lane's rows. */
  rows: {
    index: number;
    agentRid: string;
    agentVersion?: string;
    title?: string;
    /** ISO 8601; past it, no session is opened any more. */
    deadline?: string;
  }[];
  concurrency: number;
  /** Of the batch; default 1. */
  weight?: number;
}

/** One session, or why there is none, for each row, in order. */
export interface CreateSessionsResult {
  sessions: ({ sessionRid: string } | { error: ExchangeError })[];
}

/** Heartbeat details of `createSessions`: a retry opens only those that are `null`. */
export interface CreateSessionsProgress {
  sessions: (CreateSessionsResult['sessions'][number] | null)[];
  /** In words, while calls wait: what for. */
  waitingFor?: string;
  /** ISO 8601. */
  waitingUntil?: string;
}

/** Input of `deleteSessions`. */
export interface DeleteSessionsInput {
  batchId: string;
  sessions: { agentRid: string; sessionRid: string }[];
  /** Sessions at once. */
  concurrency: number;
}

/** Input of `runLane`: many rows in one activity, with a pool inside. */
export interface LaneInput {
  batchId: string;
  shard: number;
  shardCount: number;
  /** Rows of the whole shard. */
  shardRows: number;
  /** What earlier lanes of this shard have finished. */
  countsBefore: RowCounts;
  /** UUID from which the rows' exchange ids are derived (UUID v5 of row index and turn). */
  idBase: string;
  /** Rows at once. */
  concurrency: number;
  mode: ExchangeMode;
  callTimeoutMs: number;
  silenceTimeoutMs: number;
  rows: LaneRow[];
  bounds?: BatchBounds;
  /** Of the batch; default 1. */
  weight?: number;
}

/** A row with its session. */
export interface LaneRow {
  index: number;
  id: string;
  /** The user texts, one per turn. */
  turns: string[];
  agentRid: string;
  sessionRid: string;
  parameterInputs?: ParameterInputs;
  contextsOverride?: InputContext[];
  /** Default: the lane's. */
  mode?: ExchangeMode;
  /** ISO 8601; the row's own or the batch's. */
  deadline?: string;
  /** An earlier lane has begun this row: look for its exchanges before sending. */
  begun?: true;
  /** When this session expires too, the row has failed. */
  lastSession?: true;
}

/**
 * Result of `runLane`. Rows that are not in `results` were not finished (the results grew near 512 KiB, or their session
 * expired): give them to the next lane.
 */
export interface LaneResult {
  results: RowResult[];
  /** Indexes of rows whose session expired before anything of them was answered: they need a new one. */
  expired: number[];
  /** Indexes of unfinished rows that may have been sent. */
  begun: number[];
}

/** Heartbeat details of a lane; the counts include those of the shard's earlier lanes. */
export interface LaneProgress {
  finished: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  expired: number;
  tokens: number;
  /** Rows in flight now. */
  running: number;
  /** Rows in flight: id, what is being done, since when (ISO 8601); at most 25 are listed. */
  inFlight: { id: string; phase: string; since: string }[];
  waitingFor?: string;
  /** ISO 8601. */
  waitingUntil?: string;
  /** Trace numbers above 0 of rows in flight, by `index/turn`. */
  traceNumbers: Record<string, number>;
}

/** Input of `prepareBatch`: a batch that a workflow runs as its child. */
export interface PrepareBatchInput {
  batchId: string;
  agentRid: string;
  agentVersion?: string;
  rows: BatchRow[];
  concurrency?: number;
  mode?: ExchangeMode;
  title?: string;
  callTimeoutMs?: number;
  bounds?: BatchBounds;
  isolation?: BatchIsolation;
  weight?: number;
  deleteSessions?: boolean;
}

/** How the batch's workflow is to be started, once its shards are there; `attached`: a batch of this id and input is there. */
export type PreparedChildBatch =
  | { attached: true }
  | { attached: false; input: BatchInput; memo: BatchMemo; staticSummary: string; staticDetails: string };

/** Input of `readBatchResults`. */
export interface ReadBatchResultsInput {
  batchId: string;
  shard: number;
  /** Outcomes of that shard that are passed over. */
  from: number;
}

/** One page of a batch's outcomes, at most 512 KiB of JSON. */
export interface BatchResultsPage {
  outcomes: RowOutcome[];
  /** Where the next page begins; absent on the last. */
  next?: { shard: number; from: number };
}
