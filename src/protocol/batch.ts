import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { ExchangeError, ExchangeMode, ExchangeResult, InputContext, ParameterInputs } from './exchange.js';

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
  /** Handed through to the output unread. */
  metadata?: Record<string, unknown>;
}

/** `succeeded`, or why not; `expired`: its deadline passed before it was finished. */
export type RowStatus = 'succeeded' | 'failed' | 'cancelled' | 'expired';

/** One turn of a row, as answered. */
export interface RowExchange extends ExchangeResult {
  text: string;
}

/** How a row ended. */
export interface RowResult {
  id: string;
  /** Position in the input, from 0. */
  index: number;
  status: RowStatus;
  /** The last turn's answer, when it succeeded. */
  answer?: string;
  /** The turns that were answered, in order. */
  exchanges: RowExchange[];
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

/** Input of `batchShardWorkflow`: a slice of a batch, at most 200 rows and 512 KiB. */
export interface BatchShardInput {
  batchId: string;
  /** Position of this shard, from 0. */
  shard: number;
  /** Index, in the batch, of the first row. */
  firstIndex: number;
  rows: BatchRow[];
  agentRid: string;
  agentVersion?: string;
  mode: ExchangeMode;
  title?: string;
  idBase: string;
  callTimeoutMs: number;
}

/** Input of `batchWorkflow`. */
export interface BatchInput {
  batchId: string;
  agentRid: string;
  rowCount: number;
  shardCount: number;
  /** Rows at once, over all shards. */
  concurrency: number;
  mode: ExchangeMode;
  /** Name of the input, shown to people. */
  source?: string;
  /** ISO 8601. */
  submittedAt: string;
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
}

/** Rows by state. */
export interface RowCounts {
  succeeded: number;
  failed: number;
  cancelled: number;
  expired: number;
  tokens: number;
}

/** Answer of `batchStatusQuery`; rows of running shards are counted when their shard ends (see `BatchProgress`). */
export interface BatchStatus {
  batchId: string;
  agentRid: string;
  state: 'running' | 'cancelling' | 'finished';
  rowCount: number;
  shardCount: number;
  concurrency: number;
  mode: ExchangeMode;
  counts: RowCounts;
  finishedShards: number[];
  runningShards: number[];
  source?: string;
  submittedAt: string;
}

/** Result of `batchWorkflow`. */
export interface BatchResult {
  batchId: string;
  rowCount: number;
  counts: RowCounts;
}

/** Result of `batchShardWorkflow`; the rows' results are those of its `runLane` activities. */
export interface BatchShardResult {
  shard: number;
  counts: RowCounts;
  /** Rows that ended without a lane (cancelled before, no session): their results. */
  results: RowResult[];
}

/** Batch → shard: open the sessions now, you are next. */
export const prepareShardSignal = defineSignal('prepareShard');
/** Batch → shard: run, with this many rows at once. */
export const admitShardSignal = defineSignal<[{ concurrency: number }]>('admitShard');
/** Shard → batch. */
export const shardFinishedSignal = defineSignal<[{ shard: number; counts: RowCounts }]>('shardFinished');
export const batchStatusQuery = defineQuery<BatchStatus>('batchStatus');

/** Workflow id of a batch. */
export const batchWorkflowId = (batchId: string): string => `batch/${batchId}`;

/** Workflow id of a shard of a batch. */
export const batchShardWorkflowId = (batchId: string, shard: number): string =>
  `batch/${batchId}/shard-${String(shard).padStart(5, '0')}`;
