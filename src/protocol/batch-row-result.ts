import type { BatchRow, RowResult, RowStatus } from './batch.js';
import { endOfLeftRows } from './batch.js';
import type { ConversationResult } from './conversation.js';
import type { ExchangeError, ExchangeOutcome } from './exchange.js';
import { FAILURE_TYPES } from './failures.js';

/** The row of a batch that was a conversation of its own, as a lane would tell how it ended. */
export function rowResultOf(
  { id, turns }: Pick<BatchRow, 'id' | 'turns'>,
  index: number,
  { outcomes = [], sessionRid, totals }: ConversationResult,
  /** ISO 8601; the row's own or the batch's. */
  deadline: string | undefined,
): RowResult {
  const inOrder = outcomes.toSorted((a, b) => a.index - b.index);
  const finishedAt = inOrder.at(-1)?.finishedAt ?? new Date(0).toISOString();
  const end = endOf(inOrder, turns.length, deadline !== undefined && Date.parse(finishedAt) >= Date.parse(deadline));
  return {
    id,
    index,
    ...end,
    exchanges: inOrder.flatMap(({ result }) => (result === undefined ? [] : [result])),
    ...(sessionRid !== undefined && { sessionRid }),
    tokens: totals.tokens,
    attempts: inOrder.reduce((sum, { sends }) => sum + sends, 0),
    ...(inOrder[0] !== undefined && { startedAt: inOrder[0].acceptedAt }),
    finishedAt,
  };
}

function endOf(
  outcomes: readonly ExchangeOutcome[],
  turns: number,
  isLate: boolean,
): { status: RowStatus; error?: ExchangeError } {
  const dropped = outcomes.find(({ result, textDropped }) => result !== undefined && textDropped === true);
  if (dropped !== undefined) {
    const message = 'The answers take more room than one result has; read them from the session, or split the row';
    return { status: 'failed', error: { errorName: 'AnswerTooLarge', message } };
  }
  const other = outcomes.find(({ result }) => result === undefined);
  if (other === undefined && outcomes.length >= turns) return { status: 'succeeded' };
  if (other?.error !== undefined) return { status: 'failed', error: other.error };
  if (isLate) return endOfLeftRows('deadline');
  const note = other?.mayStillRun === true ? '; sent by blockingContinue, it cannot be stopped and may still land' : '';
  const message = `Cancelled before it was finished${note}`;
  return { status: 'cancelled', error: { errorName: FAILURE_TYPES.exchangeCancelled, message } };
}
