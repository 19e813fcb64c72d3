/**
 * A shard whose rows are workflows of their own (isolation `workflow`): each row is a `conversationWorkflow`, to be found,
 * watched and cancelled by itself in the Temporal UI.
 */
import { ApplicationFailure, ChildWorkflowFailure, TerminatedFailure } from '@temporalio/common';
import {
  CancellationScope,
  ChildWorkflowCancellationType,
  condition,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  patched,
  sleep,
  uuid4,
} from '@temporalio/workflow';
import {
  batchRowWorkflowId,
  type BatchShardInput,
  type BatchStopReason,
  batchWorkflowId,
  endOfLeftRows,
  type RowResult,
  shardProgressSignal,
} from '../protocol/batch.js';
import { rowResultOf } from '../protocol/batch-row-result.js';
import type { ConversationInput, ConversationResult } from '../protocol/conversation.js';
import { DEFAULTS } from '../protocol/defaults.js';
import { FAILURE_TYPES } from '../protocol/failures.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { summaryLine } from '../protocol/summary-line.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import type { ShardRows } from './batch-shard-rows.js';

/** The batch is told how far the shard is after so many rows, or so long after it was told last (milliseconds). */
const TELL_EVERY = 10;
const TELL_EVERY_MS = 5_000;

type PendingRow = ShardRows['pending'][number];

/** What the batch has said; see `Turn` of the shard. */
export interface RowRunsTurn {
  admitted?: number;
  isPaused: boolean;
  stopped?: BatchStopReason;
  cancelledRows: Set<string>;
}

/**
 * Runs the rows of a shard until all have ended, or the batch stops and those that run have ended.
 *
 * @param describe Called at the beginning and when rows have ended.
 * @returns The ids of rows that were cancelled without a run that tells so.
 * @throws CancelledFailure when the shard is cancelled, after its rows have ended.
 */
export async function runRowsAsWorkflows(
  input: BatchShardInput,
  rows: ShardRows,
  turn: RowRunsTurn,
  describe: () => void,
): Promise<string[]> {
  const cancelled: string[] = [];
  const running = new Map<number, { id: string; scope: CancellationScope }>();
  let waiting = [...rows.pending];
  let ended = 0;
  const mayBegin = () =>
    waiting.length > 0 && !turn.isPaused && turn.stopped === undefined && running.size < (turn.admitted ?? 0);
  const begin = (pending: PendingRow) => {
    const scope = new CancellationScope();
    running.set(pending.index, { id: pending.row.id, scope });
    void scope
      .run(() => runRow(input, rows, pending, scope))
      .catch((error: unknown) => {
        const result = withoutRun(pending, error, turn.stopped);
        if (result.status === 'cancelled') cancelled.push(result.id);
        return result;
      })
      .then((result) => {
        rows.noteRun(result);
        running.delete(pending.index);
        ended++;
      });
  };
  /** Cancels what was asked for; returns how many rows have not ended. */
  const heed = () => {
    const isOver = turn.stopped === 'deadline';
    for (const { id, scope } of running.values()) if (isOver || turn.cancelledRows.has(id)) scope.cancel();
    for (const pending of waiting.filter(({ row }) => turn.cancelledRows.has(row.id))) {
      waiting = waiting.filter((other) => other !== pending);
      cancelled.push(pending.row.id);
      rows.noteRun(withoutRun(pending, undefined, undefined));
      ended++;
    }
    return running.size + (turn.stopped === undefined ? waiting.length : 0);
  };
  try {
    for (let told = { ended, atMs: Date.now() }; heed() > 0;) {
      // Before the batch is told: what comes to pass meanwhile has not been heeded.
      const seen = { ended, stopped: turn.stopped, cancelled: turn.cancelledRows.size };
      describe();
      while (mayBegin()) begin(waiting.shift()!);
      const isTime = ended - told.ended >= TELL_EVERY || Date.now() - told.atMs >= TELL_EVERY_MS;
      // Paused, or without a place, it may not wake again for long.
      if (ended > told.ended && (isTime || running.size === 0)) {
        told = { ended, atMs: Date.now() };
        await tellProgress(input, rows);
      }
      const hasNews = () =>
        ended !== seen.ended ||
        mayBegin() ||
        turn.stopped !== seen.stopped ||
        turn.cancelledRows.size !== seen.cancelled;
      // Rows may run for long beside those that have ended.
      if (ended > told.ended && patched('rows-are-told-in-time')) await condition(hasNews, TELL_EVERY_MS);
      else await condition(hasNews);
    }
    return cancelled;
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(() => condition(() => running.size === 0));
    throw error;
  }
}

/** Runs one row to its end. @throws ChildWorkflowFailure and others, when its run has no result. */
async function runRow(
  input: BatchShardInput,
  rows: ShardRows,
  { index, row, agentRid, agentVersion }: PendingRow,
  scope: CancellationScope,
): Promise<RowResult> {
  const { batchId, title, callTimeoutMs, weight } = input;
  const deadline = rows.deadlineOf(row);
  const conversation: ConversationInput = {
    agentRid,
    ...(agentVersion !== undefined && { agentVersion }),
    ...(title !== undefined && { title }),
    mode: row.mode ?? input.mode,
    ...(row.parameterInputs !== undefined && { parameterInputs: row.parameterInputs }),
    turns: row.turns.map((text) => ({
      messageId: uuid4(),
      text,
      ...(row.contextsOverride !== undefined && { contextsOverride: row.contextsOverride }),
    })),
    batchId,
    ...(weight !== undefined && { batchWeight: weight }),
    // A new session would lack the turns before, which a lane takes for a failure too.
    ...(row.turns.length > 1 && { onExpired: 'fail' as const }),
    onContextOverflow: 'fail',
    exchangeTimeoutMs: DEFAULTS.exchangeTimeoutMs.batch,
    callTimeoutMs,
  };
  const ownDeadlineMs = row.deadline === undefined ? undefined : Date.parse(row.deadline) - Date.now();
  if (ownDeadlineMs !== undefined) {
    void scope
      .run(() => sleep(Math.max(1, ownDeadlineMs), { summary: `until the deadline of row ${index}` }))
      .then(() => scope.cancel())
      .catch(() => undefined);
  }
  try {
    const result = await executeChild<(input: ConversationInput) => Promise<ConversationResult>>(
      WORKFLOW_TYPES.conversation,
      {
        workflowId: batchRowWorkflowId(batchId, index),
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        args: [conversation],
        cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
        typedSearchAttributes: [
          { key: searchAttributeKeys.agent, value: agentRid },
          { key: searchAttributeKeys.batch, value: batchId },
          { key: searchAttributeKeys.state, value: 'open' },
        ],
        staticSummary: summaryLine(`row ${row.id}: ${row.turns[0] ?? ''}`),
      },
    );
    return rowResultOf(row, index, result, deadline);
  } finally {
    // The timer of its deadline.
    if (ownDeadlineMs !== undefined) scope.cancel();
  }
}

/** How a row has ended whose run has no result: `followShard` tells the same of its history. */
function withoutRun({ index, row }: PendingRow, error: unknown, stopped: BatchStopReason | undefined): RowResult {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  const isCancelled = cause === undefined || isCancellation(cause) || cause instanceof TerminatedFailure;
  const end = isCancelled
    ? { status: 'cancelled' as const, error: { errorName: FAILURE_TYPES.exchangeCancelled, message: 'Cancelled' } }
    : {
        status: 'failed' as const,
        error: {
          errorName: (cause instanceof ApplicationFailure ? cause.type : undefined) ?? 'RowFailed',
          message: cause instanceof Error ? cause.message : 'Its run could not be started',
        },
      };
  const isLate = isCancelled && stopped === 'deadline';
  const finishedAt = new Date().toISOString();
  return {
    id: row.id,
    index,
    ...(isLate ? endOfLeftRows('deadline') : end),
    exchanges: [],
    tokens: 0,
    attempts: 0,
    finishedAt,
  };
}

async function tellProgress(input: BatchShardInput, rows: ShardRows): Promise<void> {
  try {
    const batch = getExternalWorkflowHandle(batchWorkflowId(input.batchId));
    await batch.signal(shardProgressSignal, { shard: input.shard, counts: rows.counts });
  } catch (error) {
    // The batch is gone: every worker looks for the shards of such batches, and cancels them.
    if (isCancellation(error)) throw error;
  }
}
