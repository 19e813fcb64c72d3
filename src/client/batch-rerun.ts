import type { BatchBounds, BatchMemo, BatchRow, BatchShardInput } from '../protocol/batch.js';
import { BatchNotEndedError, BatchNotFoundError } from './batch-errors.js';
import { mapRows, withoutCanary } from './batch-canary.js';
import { followShard } from './batch-history.js';
import { shardInput } from './batch-inputs.js';
import { describedBatch } from './batch-memo.js';
import { batchState, hasEnded } from './batch-state.js';
import { type BatchSubmission, submitBatch, type SubmittedBatch } from './batch-submit.js';
import type { BatchRows } from './batch-survey.js';
import type { ClientContext } from './connection.js';

/** What is different when rows are run again; all else is as in the batch that they are of. */
export interface RerunOptions extends Partial<Omit<BatchSubmission, 'rows' | 'rerunOf'>> {
  /** Default: the next of its family: `monday.2` after `monday`, `monday.3` after that. */
  batchId?: string;
  /** With an agent of their own, or another version, the rows of the batch's canary are as the others again. */
  agentRid?: string;
  agentVersion?: string;
  /** Each that is given replaces its like. A deadline, the batch's or a row's own, is never taken over. */
  bounds?: BatchBounds;
}

/**
 * Submits the rows of a batch that did not succeed as a new batch, or attaches to it; follow it with `collectResults`.
 *
 * The rows come from Temporal: the input file is not needed. Safe to repeat after a crash: the same rows under the same id
 * are started once.
 *
 * @returns Absent when all rows have succeeded; nothing was started.
 * @throws BatchNotEndedError while the batch, or a shard of it, goes on.
 * @throws BatchNotFoundError when Temporal no longer has all of it; and as `submitBatch`.
 */
export async function rerunBatch(
  context: ClientContext,
  batchId: string,
  options: RerunOptions = {},
): Promise<SubmittedBatch | undefined> {
  const submission = await rerunSubmission(context, batchId, options);
  return submission && submitBatch(context, submission);
}

/**
 * What `rerunBatch` submits, for `runBatch`.
 *
 * @returns Absent when all rows have succeeded.
 * @throws BatchNotEndedError, BatchNotFoundError
 */
export async function rerunSubmission(
  context: ClientContext,
  batchId: string,
  options: RerunOptions = {},
): Promise<BatchSubmission | undefined> {
  const { description, memo } = await describedBatch(context, batchId);
  if (!hasEnded(batchState(description))) throw new BatchNotEndedError(batchId);
  const first = await shardInput(context, batchId, 0);
  if (first === undefined) throw new BatchNotFoundError(batchId, context.client.options.namespace);
  const rows = unsuccessfulRows(context, memo);
  for await (const _row of rows) {
    return { ...settingsOf(memo, first, options), rows: freed(rows, memo, options) };
  }
  return undefined;
}

/** The id of the rerun of a batch: `monday.2` after `monday`, `monday.3` after `monday.2`. */
export function rerunId({ batchId, rerunOf }: Pick<BatchMemo, 'batchId' | 'rerunOf'>): string {
  // Of a batch that is no rerun a number at the end is part of its name.
  const [, family = batchId, number = '1'] = (rerunOf === undefined ? null : /^(.+)\.(\d+)$/.exec(batchId)) ?? [];
  return `${family}.${Number(number) + 1}`;
}

function settingsOf(
  memo: BatchMemo,
  first: BatchShardInput,
  { bounds, ...changed }: RerunOptions,
): Omit<BatchSubmission, 'rows'> {
  const { agentVersion, title, isolation, deleteSessions } = first;
  const isSameVersion = !isOther(changed);
  const { deadline: _passed, ...lastBounds } = memo.bounds ?? {};
  const allBounds = { ...lastBounds, ...bounds };
  return {
    batchId: rerunId(memo),
    agentRid: first.agentRid,
    ...(changed.agentRid === undefined && agentVersion !== undefined && { agentVersion }),
    ...(isSameVersion && memo.canary !== undefined && { canary: memo.canary }),
    concurrency: memo.concurrency,
    mode: first.mode,
    callTimeoutMs: first.callTimeoutMs,
    ...(title !== undefined && { title }),
    ...(isolation !== undefined && { isolation }),
    ...(deleteSessions !== undefined && { deleteSessions }),
    ...(memo.weight !== undefined && { weight: memo.weight }),
    source: `rerun of ${memo.batchId}`,
    ...changed,
    ...(Object.keys(allBounds).length > 0 && { bounds: allBounds }),
    rerunOf: memo.batchId,
  };
}

/** True when other versions are asked than in the first batch. */
const isOther = ({ agentRid, agentVersion, canary }: RerunOptions): boolean =>
  agentRid !== undefined || agentVersion !== undefined || canary !== undefined;

/** Rows without what bound them to the first batch: its canary, when other versions are asked, and deadlines. */
function freed(rows: BatchRows, { canary }: BatchMemo, options: RerunOptions): BatchRows {
  return mapRows(rows, (row) => {
    const { deadline: _passed, ...rest } = row;
    return canary !== undefined && isOther(options) ? withoutCanary(rest, canary) : rest;
  });
}

/** The rows that did not succeed, in the order of the input; a shard at a time is held. */
function unsuccessfulRows(context: ClientContext, { batchId, shardCount }: BatchMemo): AsyncIterable<BatchRow> {
  return {
    async *[Symbol.asyncIterator]() {
      for (let shard = 0; shard < shardCount; shard++) {
        const rows: { index: number; row: BatchRow }[] = [];
        for await (const outcomes of followShard(context, batchId, shard, { whenRunning: 'refuse' })) {
          for (const { row, result } of outcomes) {
            if (result.status !== 'succeeded') rows.push({ index: result.index, row });
          }
        }
        yield* rows.toSorted((a, b) => a.index - b.index).map(({ row }) => row);
      }
    },
  };
}
