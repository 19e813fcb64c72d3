import type { RowOutcome } from '../protocol/batch.js';

/**
 * A row's outcome as it is written, in this order of keys: of one that succeeded `id`, `index`, `status`, `answer` (the last
 * turn's), `exchanges`, `sessionRid`, `agentVersion`, `tokens`, `attempts`, `startedAt`, `finishedAt`, `metadata`; of another the
 * same with `error` in place of `answer`, and the fields of the input row, so that it is input again.
 *
 * What is absent stays absent: `agentVersion` where the latest published one was asked, `sessionRid` and `startedAt` of a row that was never begun, `metadata` where none was given.
 */
export function outputRow({ row, result, agentVersion }: RowOutcome): Record<string, unknown> {
  const exchanges = result.exchanges.map((exchange, turn) => ({ text: row.turns[turn] ?? '', ...exchange }));
  const output = {
    id: result.id,
    index: result.index,
    status: result.status,
    ...(result.status === 'succeeded'
      ? { answer: result.exchanges.at(-1)?.agentMarkdownResponse ?? '' }
      : { error: result.error }),
    exchanges,
    ...(result.sessionRid !== undefined && { sessionRid: result.sessionRid }),
    // Of a row that is input again only its own version counts: the batch's would bind it.
    ...(result.status === 'succeeded' && agentVersion !== undefined && { agentVersion }),
    tokens: result.tokens,
    attempts: result.attempts,
    ...(result.startedAt !== undefined && { startedAt: result.startedAt }),
    finishedAt: result.finishedAt,
    ...(row.metadata !== undefined && { metadata: row.metadata }),
  };
  if (result.status === 'succeeded') return output;
  const { id: _id, turns, metadata: _metadata, extra, ...given } = row;
  const [question] = turns;
  const text = turns.length === 1 ? { question } : { turns };
  // A field of the user's own that is called like one of ours gives way.
  return { ...output, ...withoutKeysOf(extra ?? {}, output), ...text, ...given };
}

function withoutKeysOf(fields: Record<string, unknown>, taken: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => !Object.hasOwn(taken, key)));
}
