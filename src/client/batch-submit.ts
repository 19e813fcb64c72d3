import { randomUUID } from 'node:crypto';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import {
  type BatchBounds,
  type BatchCanary,
  type BatchInput,
  type BatchIsolation,
  type BatchMemo,
  type BatchRow,
  type BatchShardInput,
  batchShardWorkflowId,
  batchWorkflowId,
  lanesAtOnce,
} from '../protocol/batch.js';
import { DEFAULTS } from '../protocol/defaults.js';
import type { ExchangeMode } from '../protocol/exchange.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { summaryLine } from '../protocol/summary-line.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import { withCanary } from './batch-canary.js';
import { BatchExistsError } from './batch-errors.js';
import { memoOf } from './batch-memo.js';
import { planSlices, rowsPerShard } from './batch-slices.js';
import { checkDeadline, checkSubmission } from './batch-submission-check.js';
import { type BatchRows, surveyRows } from './batch-survey.js';
import type { ClientContext } from './connection.js';
import { translateError } from './translate-error.js';
import { InvalidCallError } from './errors.js';

/**
 * Most that a step of a batch's workflows may take; they take some 50 ms. A worker that is killed in one holds up its run for as
 * long, by default for 10 s.
 */
const WORKFLOW_TASK_TIMEOUT = '5 seconds';
/** Shards that are started at once. */
const STARTS_AT_ONCE = 10;

/** A batch to submit. */
export interface BatchSubmission {
  /** 1–200 characters; the same id again attaches to the batch that runs or ran. */
  batchId: string;
  /** Agent of the rows that name none. */
  agentRid: string;
  /** Version of that agent; default: the latest published one. */
  agentVersion?: string;
  rows: BatchRows;
  /** Rows at once, over all workers. Default 20. */
  concurrency?: number;
  /** Default `streaming`: only a streamed exchange can be cancelled at the agent. */
  mode?: ExchangeMode;
  /** Title of the rows' sessions in AIP; costs a call per row. Default: the agent's own choice. */
  title?: string;
  /** Name of the input, shown to people. */
  source?: string;
  /** Limit for one call of the agent, first byte to last (milliseconds). Default 10 minutes. */
  callTimeoutMs?: number;
  /** What ends the batch early; of one that is there already they stay as they were. Default: nothing does. */
  bounds?: BatchBounds;
  /** Default `lane`. `workflow`: each row is a `conversationWorkflow` of its own, at some ten times the cost for Temporal. */
  isolation?: BatchIsolation;
  /**
   * How much of an agent's limits it gets beside other batches that want more than there is: with 3 thrice the calls of one with 1.
   * From 0.1 to 100, default 1.
   */
  weight?: number;
  /** Delete the sessions of rows that have ended, in AIP. Default false. */
  deleteSessions?: boolean;
  /** Sends a share of the rows to another version, to be compared. Default: none. */
  canary?: BatchCanary;
  /** Id of the batch whose rows these are again, for people; see `rerunBatch`. */
  rerunOf?: string;
  /** Called while the rows are handed over. */
  onProgress?: (progress: { shardsStarted: number; shardCount: number }) => void;
}

/** A batch as submitted. */
export interface SubmittedBatch {
  batchId: string;
  rowCount: number;
  shardCount: number;
  /** True when a batch of this id and input was there already; nothing was started then. */
  attached: boolean;
  /** Rows at once, as first submitted. */
  concurrency: number;
  /** As first submitted. */
  weight: number;
  /** As first submitted. */
  bounds?: BatchBounds;
}

/**
 * Hands a batch over to Temporal and resolves when all of it is there: from then on it needs no client. Every row is read
 * before anything is started.
 *
 * Safe to repeat after a crash: what is there already is not started again.
 *
 * @throws BatchInputError when the rows break a rule; nothing was started.
 * @throws BatchExistsError when a batch of this id has another input.
 * @throws InvalidCallError when a setting cannot be meant, or the deadline of a batch that is not there yet has passed.
 */
export async function submitBatch(context: ClientContext, given: BatchSubmission): Promise<SubmittedBatch> {
  const prepared = await prepareBatch(context, given);
  if ('attached' in prepared) return prepared.attached;
  const { start, memo } = prepared;
  try {
    const started = await startOnce(context, start, memo);
    return submitted(memo, !started);
  } catch (error) {
    throw translateError(error, context, start.workflowId);
  }
}

/** A batch that is there already, or all that is needed to start it once its shards are handed over. */
export type PreparedBatch = { attached: SubmittedBatch } | { start: BatchStart; memo: BatchMemo };

/** How a batch's workflow, or a shard's, is started. */
export interface BatchStart {
  workflowType: string;
  workflowId: string;
  input: BatchInput | BatchShardInput;
  staticSummary: string;
  staticDetails: string;
}

/** Hands the shards over; the batch itself has yet to be started. Throws as `submitBatch` does. */
export async function prepareBatch(context: ClientContext, given: BatchSubmission): Promise<PreparedBatch> {
  checkSubmission(given);
  const { batchId, canary } = given;
  const submission = canary === undefined ? given : { ...given, rows: withCanary(given.rows, canary) };
  const settings = {
    agentRid: submission.agentRid,
    agentVersion: submission.agentVersion,
    mode: submission.mode ?? 'streaming',
  };
  const { rowBytes, digest } = await surveyRows(submission.rows, settings);
  try {
    const batch = await memoOf(context, batchWorkflowId(batchId));
    if (batch !== undefined) {
      checkSame(batchId, batch, digest);
      return { attached: submitted(batch, true) };
    }
    // A submit that was cut off has cut the rows already, and its deadline runs: both stay.
    const begun = await memoOf(context, batchShardWorkflowId(batchId, 0));
    if (begun === undefined) checkDeadline(submission, Date.now());
    else checkSame(batchId, begun, digest);
    const memo = begun ?? newMemo(submission, digest, rowBytes.length);
    const shardRows = planSlices(rowBytes, memo.rowsPerShard);
    const whole = { ...memo, shardCount: shardRows.length };
    await startShards(context, submission, whole, shardRows);
    return { start: batchStart(submission, whole, shardRows), memo: whole };
  } catch (error) {
    throw translateError(error, context, batchWorkflowId(batchId));
  }
}

const submitted = (memo: BatchMemo, attached: boolean): SubmittedBatch => ({
  batchId: memo.batchId,
  rowCount: memo.rowCount,
  shardCount: memo.shardCount,
  attached,
  concurrency: memo.concurrency,
  weight: memo.weight ?? 1,
  ...(memo.bounds !== undefined && { bounds: memo.bounds }),
});

/** All but the number of shards. */
function newMemo(submission: BatchSubmission, digest: string, rowCount: number): Omit<BatchMemo, 'shardCount'> {
  const { batchId, concurrency = DEFAULTS.batchConcurrency, source, bounds, canary, weight, rerunOf } = submission;
  return {
    batchId,
    digest,
    rowCount,
    rowsPerShard: rowsPerShard(rowCount, concurrency),
    concurrency,
    submittedAt: new Date().toISOString(),
    ...(source !== undefined && { source }),
    ...(bounds !== undefined && { bounds }),
    ...(canary !== undefined && { canary }),
    ...(weight !== undefined && weight !== 1 && { weight }),
    ...(rerunOf !== undefined && { rerunOf }),
  };
}

function checkSame(batchId: string, there: BatchMemo, digest: string): void {
  if (there.digest !== digest) {
    const source = there.source === undefined ? '' : ` from ${there.source}`;
    throw new BatchExistsError(batchId, `other rows or another agent or mode (${there.rowCount} rows${source})`);
  }
}

async function startShards(
  context: ClientContext,
  submission: BatchSubmission,
  memo: BatchMemo,
  shardRows: readonly number[],
): Promise<void> {
  const idBase = randomUUID();
  const slices = cut(submission.rows, shardRows);
  let shardsStarted = 0;
  // Pulled by several at once; a generator hands out one slice after the other all the same.
  const startNext = async (): Promise<boolean> => {
    const next = await slices.next();
    if (next.done === true) return false;
    await startShard(context, submission, memo, next.value, idBase);
    submission.onProgress?.({ shardsStarted: ++shardsStarted, shardCount: shardRows.length });
    return true;
  };
  // Alone: a submit that comes after one that was cut off asks the first shard how the rows were cut.
  await startNext();
  const startRest = async () => {
    while (await startNext());
  };
  const starts = await Promise.allSettled(Array.from({ length: STARTS_AT_ONCE }, startRest));
  for (const start of starts) if (start.status === 'rejected') throw start.reason;
}

interface Slice {
  shard: number;
  firstIndex: number;
  rows: BatchRow[];
}

/** The rows again, slice by slice. */
async function* cut(rows: BatchRows, shardRows: readonly number[]): AsyncGenerator<Slice, void, void> {
  let shard = 0;
  let firstIndex = 0;
  let slice: BatchRow[] = [];
  for await (const row of rows) {
    slice.push(row);
    if (slice.length < (shardRows[shard] ?? Infinity)) continue;
    yield { shard, firstIndex, rows: slice };
    shard++;
    firstIndex += slice.length;
    slice = [];
  }
  if (slice.length > 0 || shard < shardRows.length) {
    throw new InvalidCallError(
      'Cannot submit the batch: its rows changed between two readings; give rows that can be read twice',
    );
  }
}

async function startShard(
  context: ClientContext,
  submission: BatchSubmission,
  memo: BatchMemo,
  { shard, firstIndex, rows }: Slice,
  idBase: string,
): Promise<void> {
  const { batchId, agentRid, agentVersion, title } = submission;
  const last = firstIndex + rows.length - 1;
  const lanes = Math.min(memo.shardCount, lanesAtOnce(memo.concurrency));
  const input: BatchShardInput = {
    batchId,
    shard,
    shardCount: memo.shardCount,
    firstIndex,
    rows,
    agentRid,
    ...(agentVersion !== undefined && { agentVersion }),
    mode: submission.mode ?? 'streaming',
    ...(title !== undefined && { title }),
    idBase,
    callTimeoutMs: submission.callTimeoutMs ?? DEFAULTS.callTimeoutMs,
    ...(memo.bounds !== undefined && { bounds: memo.bounds }),
    ...(submission.isolation !== undefined && { isolation: submission.isolation }),
    ...(memo.weight !== undefined && { weight: memo.weight }),
    ...(submission.deleteSessions === true && { deleteSessions: true }),
    ...(shard < lanes && { sessionsAtStart: Math.ceil(memo.concurrency / lanes) }),
  };
  const start: BatchStart = {
    workflowType: WORKFLOW_TYPES.batchShard,
    workflowId: batchShardWorkflowId(batchId, shard),
    input,
    staticSummary: summaryLine(`rows ${firstIndex} to ${last} of batch ${batchId}`),
    staticDetails: `Rows **${firstIndex}** to **${last}** of batch \`${batchId}\`, agent \`${agentRid}\``,
  };
  await startOnce(context, start, memo);
}

function batchStart(submission: BatchSubmission, memo: BatchMemo, shardRows: number[]): BatchStart {
  const { batchId, agentRid, source, mode = 'streaming' } = submission;
  const { concurrency } = memo;
  const input: BatchInput = {
    batchId,
    agentRid,
    rowCount: memo.rowCount,
    shardRows,
    concurrency,
    mode,
    ...(source !== undefined && { source }),
    submittedAt: memo.submittedAt,
    ...(memo.bounds !== undefined && { bounds: memo.bounds }),
    ...(submission.isolation !== undefined && { isolation: submission.isolation }),
  };
  const from = source === undefined ? '' : ` from ${source}`;
  return {
    workflowType: WORKFLOW_TYPES.batch,
    workflowId: batchWorkflowId(batchId),
    input,
    staticSummary: summaryLine(
      `${memo.rowCount} rows, ${concurrency} at once${source === undefined ? '' : `, from ${source}`}`,
    ),
    staticDetails: `Batch \`${batchId}\`: **${memo.rowCount}** rows${from}, ${concurrency} at once, ${mode}, agent \`${agentRid}\``,
  };
}

/** Starts a workflow under its id, once for all time; false when it is there already, with the same input. */
async function startOnce(
  context: ClientContext,
  { workflowType, workflowId, input, ...texts }: BatchStart,
  memo: BatchMemo,
): Promise<boolean> {
  const { batchId, agentRid } = input;
  try {
    await context.client.workflow.start(workflowType, {
      workflowId,
      taskQueue: context.taskQueue,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'FAIL',
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      args: [input],
      memo: { batch: memo },
      typedSearchAttributes: new TypedSearchAttributes([
        { key: searchAttributeKeys.agent, value: agentRid },
        { key: searchAttributeKeys.batch, value: batchId },
        { key: searchAttributeKeys.state, value: 'open' },
      ]),
      ...texts,
    });
    return true;
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const there = await memoOf(context, workflowId);
    if (there === undefined) throw new BatchExistsError(batchId, `a workflow that is no batch (${workflowId})`);
    checkSame(batchId, there, memo.digest);
    return false;
  }
}
