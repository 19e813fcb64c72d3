import { defineQuery, defineSignal } from '@temporalio/workflow';
import { FAILURE_TYPES } from './failures.js';
import type { ExchangeError, ExchangeMode, ExchangeResult, InputContext, ParameterInputs } from './exchange.js';

/** Rows at once that one lane works on; a batch with a higher concurrency runs several lanes beside each other. */
export const LANE_CONCURRENCY = 20;

/**
 * How many shards of a batch run beside each other (before the number of its shards is looked at). Two at least, where there
 * is room for two: a row that takes for ever must not hold up all the others when its lane has no other rows left.
 */
export const lanesAtOnce = (concurrency: number): number =>
  Math.max(Math.min(2, concurrency), Math.ceil(concurrency / LANE_CONCURRENCY));

/** One row of a batch: one question, or several turns of one conversation. */
export interface BatchRow {
  /** Unique in the batch. */
  id: string;
  /** The user texts, one per turn; at least one. */
  turns: string[];
  /** Default: the batch's agent. */
  agentRid?: string;
  agentVersion?: string;
  parameterInputs?: ParameterInputs;
  contextsOverride?: InputContext[];
  /** Default: the batch's mode. */
  mode?: ExchangeMode;
  /** ISO 8601: what is not answered by then is cancelled at the agent, and the row ends as `expired`. Default: the batch's. */
  deadline?: string;
  /** Handed through to the output unread. */
  metadata?: Record<string, unknown>;
  /** Fields of the input that mean nothing here; kept, so that an error row is the input row again. */
  extra?: Record<string, unknown>;
}

/** `succeeded`, or why not; `expired`: its deadline passed before it was finished. */
export type RowStatus = 'succeeded' | 'failed' | 'cancelled' | 'expired';

/** How a row ended; its texts are those of its `BatchRow`, which whoever reads this has as well. */
export interface RowResult {
  id: string;
  /** Position in the input, from 0. */
  index: number;
  status: RowStatus;
  /** The turns that were answered, in order. */
  exchanges: ExchangeResult[];
  sessionRid?: string;
  tokens: number;
  /** Times a turn of this row was sent to the agent. */
  attempts: number;
  /** ISO 8601; absent when it was never begun. */
  startedAt?: string;
  /** ISO 8601. */
  finishedAt: string;
  error?: ExchangeError;
}

/** Why a batch begins no more rows. */
export type BatchStopReason = 'deadline' | 'maxTokens' | 'maxFailures';

/** What ends a batch early. What is in flight when a bound is reached goes on to its end, except at the deadline. */
export interface BatchBounds {
  /** ISO 8601. Rows that have not ended by then end as `expired`, those in flight are cancelled at the agent. */
  deadline?: string;
  /** Total tokens (`totalTokensUsed`) from which on no more rows are begun. */
  maxTokens?: number;
  /** Failed rows from which on no more rows are begun. */
  maxFailures?: number;
}

/**
 * What operators and bounds ask of a running batch. It stands in the memo (`batchControl`) of the batch's run, so whoever can
 * describe the run sees it: the lanes, every few seconds, and clients, without a worker.
 */
export interface BatchControl {
  /** No row and no further turn is begun; what is in flight goes on to its end. */
  paused?: {
    /** ISO 8601. */
    since: string;
    reason?: string;
  };
  /** No row is begun any more, for good. */
  stopped?: BatchStopReason;
  /** Rows at once, where they were changed since the submit. */
  concurrency?: number;
  /** How much of an agent it gets beside other batches, where that was changed since the submit. */
  weight?: number;
  /** Rows at once of shards that run, where they were changed since their admission. */
  shares?: [shard: number, concurrency: number][];
  /** Ids of rows to be cancelled. */
  cancelledRows?: string[];
}

/** Key of `BatchControl` in the memo of a batch's run. */
export const BATCH_CONTROL_MEMO = 'batchControl';

/** Most ids of cancelled rows that a batch keeps; whoever cancels more cancels the batch. */
export const MOST_CANCELLED_ROWS = 1_000;

/** What becomes of the rows that a batch has left when it stops. */
export function endOfLeftRows(reason: BatchStopReason): { status: RowStatus; error: ExchangeError } {
  const again = '`batch rerun --failed` asks the rows that are left';
  switch (reason) {
    case 'deadline':
      return {
        status: 'expired',
        error: {
          errorName: FAILURE_TYPES.deadlinePassed,
          message: `The deadline passed before it had ended; ${again}`,
        },
      };
    case 'maxTokens':
      return {
        status: 'cancelled',
        error: {
          errorName: FAILURE_TYPES.tokenBudgetSpent,
          message: `The batch had used its tokens (maxTokens) before it was begun; ${again}`,
        },
      };
    case 'maxFailures':
      return {
        status: 'cancelled',
        error: {
          errorName: FAILURE_TYPES.tooManyFailures,
          message: `Too many rows had failed (maxFailures) before it was begun; mend the cause, then ${again}`,
        },
      };
  }
}

/** The earlier of a row's own deadline and the batch's; both are ISO 8601, but may name different zones. */
export function earlierDeadline(own: string | undefined, ofBatch: string | undefined): string | undefined {
  if (own === undefined || ofBatch === undefined) return own ?? ofBatch;
  return Date.parse(own) < Date.parse(ofBatch) ? own : ofBatch;
}

/** How a row has ended for which no session was opened. */
export const statusWithoutSession = ({ errorName }: ExchangeError): RowStatus =>
  errorName === FAILURE_TYPES.deadlinePassed ? 'expired' : 'failed';

/** A row and how it ended. */
export interface RowOutcome {
  row: BatchRow;
  result: RowResult;
  /** Version of the agent that the row was meant for: its own or the batch's; absent for the latest published one. */
  agentVersion?: string;
}

/** Input of `batchShardWorkflow`: a slice of a batch, at most 200 rows and 512 KiB. */
export interface BatchShardInput {
  batchId: string;
  /** Position of this shard, from 0. */
  shard: number;
  shardCount: number;
  /** Index, in the batch, of the first row. */
  firstIndex: number;
  rows: BatchRow[];
  agentRid: string;
  agentVersion?: string;
  mode: ExchangeMode;
  /** Title of the rows' sessions in AIP; default: the agent's own choice, which saves a call per row. */
  title?: string;
  /** UUID from which the rows' exchange ids are derived. */
  idBase: string;
  callTimeoutMs: number;
  bounds?: BatchBounds;
  /** `workflow`: each row is a `conversationWorkflow` of its own. Default `lane`: many rows share an activity. */
  isolation?: BatchIsolation;
  /** Delete the sessions of rows that have ended. */
  deleteSessions?: boolean;
  /** Of the shards that come first: so many sessions at once may be opened before the batch is there to say so. */
  sessionsAtStart?: number;
  /** How much of an agent it gets beside other batches. Default 1. */
  weight?: number;
}

/** Bounds of a batch's weight. */
export const BATCH_WEIGHTS = { least: 0.1, most: 100 } as const;

export const isBatchWeight = (weight: number): boolean => weight >= BATCH_WEIGHTS.least && weight <= BATCH_WEIGHTS.most;

/** How the rows of a batch are run. */
export type BatchIsolation = 'lane' | 'workflow';

/** Input of `batchWorkflow`. */
export interface BatchInput {
  batchId: string;
  agentRid: string;
  rowCount: number;
  /** Number of rows of each shard. */
  shardRows: number[];
  /** Rows at once, over all shards. */
  concurrency: number;
  mode: ExchangeMode;
  /** Name of the input, shown to people. */
  source?: string;
  /** ISO 8601. */
  submittedAt: string;
  bounds?: BatchBounds;
  /** See `BatchShardInput`. */
  isolation?: BatchIsolation;
  /** Carried over from the run before; never set by callers. */
  snapshot?: BatchSnapshot;
}

/** Carried through continue-as-new. */
export interface BatchSnapshot {
  /** Shards that have ended. */
  finishedShards: number[];
  /** Shards that may run, with the rows at once that each was given. */
  admitted: [shard: number, concurrency: number][];
  /** Shards told to open their sessions ahead. */
  prepared: number[];
  counts: RowCounts;
  /** Of shards that run, as they told last. */
  progress?: [shard: number, counts: RowCounts][];
  control?: BatchControl;
}

/** Rows by state. */
export interface RowCounts {
  succeeded: number;
  failed: number;
  cancelled: number;
  expired: number;
  tokens: number;
}

/** Counts of nothing. */
export const noRows = (): RowCounts => ({ succeeded: 0, failed: 0, cancelled: 0, expired: 0, tokens: 0 });

/** Answer of `batchStatusQuery`; rows of running shards are counted when their shard ends (see `BatchProgress`). */
export interface BatchStatus {
  batchId: string;
  agentRid: string;
  state: 'running' | 'paused' | 'stopping' | 'cancelling' | 'finished';
  rowCount: number;
  shardCount: number;
  concurrency: number;
  mode: ExchangeMode;
  counts: RowCounts;
  finishedShards: number[];
  runningShards: number[];
  source?: string;
  submittedAt: string;
  bounds?: BatchBounds;
  /** See `BatchShardInput`. */
  isolation?: BatchIsolation;
  control: BatchControl;
}

/** Result of `batchWorkflow`. */
export interface BatchResult {
  batchId: string;
  rowCount: number;
  counts: RowCounts;
  /** Why rows were left, if any were. */
  stopped?: BatchStopReason;
}

/** Result of `batchShardWorkflow`. The rows' results are those of its activities, in its history. */
export interface BatchShardResult {
  shard: number;
  counts: RowCounts;
  /** Why the rows that have no result of their own were left. */
  stopped?: BatchStopReason;
  /** Of these, the ids of rows that were cancelled before they were begun (isolation `workflow`). */
  cancelledRows?: string[];
}

/**
 * Memo of a batch and of its shards: by it a second submit of the same id is told from one with another input, and a
 * half-submitted batch is cut into the same slices again.
 */
export interface BatchMemo {
  batchId: string;
  /** SHA-256 (hex) of the rows, the agent and the mode. */
  digest: string;
  rowCount: number;
  shardCount: number;
  /** Most rows of a slice; with the rows it determines every slice. */
  rowsPerShard: number;
  /** Rows at once, as submitted. */
  concurrency: number;
  source?: string;
  /** ISO 8601, of the first submit. */
  submittedAt: string;
  bounds?: BatchBounds;
  canary?: BatchCanary;
  /** See `BatchShardInput`; absent: 1. */
  weight?: number;
  /** Id of the batch whose rows these are again. */
  rerunOf?: string;
}

/** A share of a batch's rows that goes to another version of its agent. */
export interface BatchCanary {
  agentVersion: string;
  /** Percent of the rows that name neither agent nor version, above 0 and below 100. */
  percent: number;
}

/** Batch → shard: open the sessions now, you are next. */
export const prepareShardSignal = defineSignal<[{ concurrency: number }]>('prepareShard');
/** Batch → shard: run, with this many rows at once. Sent again now and then to see whether the shard still lives. */
export const admitShardSignal = defineSignal<[{ concurrency: number }]>('admitShard');
/** Batch → shard: begin no more lanes until `resumeShard`. */
export const pauseShardSignal = defineSignal('pauseShard');
export const resumeShardSignal = defineSignal('resumeShard');
/** Batch → shard: begin no more rows, and end. */
export const stopShardSignal = defineSignal<[{ reason: BatchStopReason }]>('stopShard');
/** Operator → batch: begin no more rows; what is in flight goes on to its end. A reason is shown to whoever looks. */
export const pauseBatchSignal = defineSignal<[{ reason?: string }?]>('pause');
/** Operator → batch: go on after a pause. */
export const resumeBatchSignal = defineSignal('resume');
/** Operator → batch: so many rows at once, from 1. */
export const setConcurrencySignal = defineSignal<[{ concurrency: number }]>('setConcurrency');
/** Operator → batch: a weight within `BATCH_WEIGHTS`. With isolation `workflow` of no effect: rows keep that of the submit. */
export const setWeightSignal = defineSignal<[{ weight: number }]>('setWeight');
/** Operator → batch, and with isolation `workflow` batch → shard: cancel these rows, at the agent where they are in flight. Unknown ids and rows that have ended are passed over. */
export const cancelRowsSignal = defineSignal<[{ ids: string[] }]>('cancelRows');
/** Lane → batch: a bound is reached. */
export const stopBatchSignal = defineSignal<[{ reason: BatchStopReason }]>('stop');
/** Batch → shard: only to see whether the shard still lives. */
export const signOfLifeSignal = defineSignal('signOfLife');
/** Shard → batch; sent again changes nothing. */
export const shardFinishedSignal = defineSignal<[{ shard: number; counts: RowCounts }]>('shardFinished');
/** Shard → batch: how many rows have ended so far (isolation `workflow`; lanes tell so by their heartbeats). */
export const shardProgressSignal = defineSignal<[{ shard: number; counts: RowCounts }]>('shardProgress');
/** Shard → batch: I still wait to be admitted; a batch that is gone does not take it. */
export const shardWaitingSignal = defineSignal<[{ shard: number }]>('shardWaiting');
export const batchStatusQuery = defineQuery<BatchStatus>('batchStatus');

/** Workflow id of a batch. */
export const batchWorkflowId = (batchId: string): string => `batch/${batchId}`;

/** Workflow id of a shard of a batch. */
export const batchShardWorkflowId = (batchId: string, shard: number): string =>
  `batch/${batchId}/shard-${String(shard).padStart(5, '0')}`;

/** Workflow id of a row of a batch with isolation `workflow`. */
export const batchRowWorkflowId = (batchId: string, index: number): string =>
  `batch/${batchId}/row-${String(index).padStart(7, '0')}`;

/** The index of a row, from its workflow id. */
export const indexOfRowWorkflow = (workflowId: string): number => Number(/\/row-(\d+)$/.exec(workflowId)?.[1]);

/** One thing that is wrong with the input of a batch. */
export interface BatchInputProblem {
  /** The file's name as given; absent for rows that came as values. */
  file?: string;
  /** Line of the file, from 1; for CSV the line on which the record starts. For values: position of the row, from 1. */
  line?: number;
  /** Path of the field, such as `turns[1]`. */
  field?: string;
  /** What was met, and what to do. Holds no more than a few characters of the input. */
  message: string;
}

/** Number of problems that are collected before reading stops. */
const MOST_PROBLEMS = 20;

/** The input of a batch was refused, before anything was started. */
export class BatchInputError extends Error {
  override readonly name = 'BatchInputError';

  constructor(
    /** At most 20, in the order of the input. */
    readonly problems: readonly BatchInputProblem[],
  ) {
    super(
      `Cannot start the batch: ${problems.length === 1 ? 'one problem' : `${problems.length} problems`} in its input` +
        `${problems.length >= MOST_PROBLEMS ? ' (there may be more)' : ''}\n` +
        problems.map((problem) => `  ${describeProblem(problem)}`).join('\n'),
    );
  }

  /** True when so many problems were found that reading on helps nobody. */
  static isEnough(problems: readonly BatchInputProblem[]): boolean {
    return problems.length >= MOST_PROBLEMS;
  }
}

/** One line: place, then what was met and what to do. */
export function describeProblem({ file, line, field, message }: BatchInputProblem): string {
  const place = [file ?? (line === undefined ? undefined : 'row'), line].filter((part) => part !== undefined).join(':');
  return [place, field].filter((part) => part !== undefined && part !== '').join(': ') + `: ${message}`;
}
