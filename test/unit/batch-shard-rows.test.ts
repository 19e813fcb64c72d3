import { describe, expect, test } from '@jest/globals';
import {
  type BatchRow,
  type BatchShardInput,
  endOfLeftRows,
  noRows,
  type RowResult,
  type RowStatus,
} from '../../src/protocol/batch.js';
import { ShardRows } from '../../src/workflows/batch-shard-rows.js';

const rows: BatchRow[] = ['a', 'b', 'c'].map((id) => ({ id, turns: [`${id}?`], metadata: { id } }));
const error = { errorName: 'AgentNotFound', message: 'no' };

function shardRows(more: BatchRow[] = [], settings: Partial<BatchShardInput> = {}): ShardRows {
  return new ShardRows({
    rows: [...rows, ...more],
    firstIndex: 10,
    agentRid: 'ri.agent',
    agentVersion: '1.0',
    mode: 'streaming',
    ...settings,
  });
}

const open = (shard: ShardRows) => {
  const needed = shard.withoutSession(undefined);
  shard.noteSessions(needed, { sessions: needed.map(({ index }) => ({ sessionRid: `s${index}` })) });
};

const result = (index: number, status: RowStatus = 'succeeded'): RowResult => ({
  id: 'x',
  index,
  status,
  exchanges: [],
  tokens: 5,
  attempts: 1,
  finishedAt: '',
});

describe('ShardRows', () => {
  test('asks for a session per row, of the agent and version that the row names', () => {
    const shard = shardRows([{ id: 'd', turns: ['d?'], agentRid: 'ri.other' }]);
    expect(shard.withoutSession('Title')).toEqual([
      ...[10, 11, 12].map((index) => ({ index, agentRid: 'ri.agent', agentVersion: '1.0', title: 'Title' })),
      { index: 13, agentRid: 'ri.other', title: 'Title' },
    ]);
  });

  test('gives a lane the rows with a session, and no more of them than it needs', () => {
    const shard = shardRows();
    shard.noteSessions(shard.withoutSession(undefined), {
      sessions: [{ sessionRid: 's' }, { error }, { sessionRid: 't' }],
    });
    expect(shard.forLane()).toEqual([
      { index: 10, id: 'a', turns: ['a?'], agentRid: 'ri.agent', sessionRid: 's' },
      { index: 12, id: 'c', turns: ['c?'], agentRid: 'ri.agent', sessionRid: 't' },
    ]);
    expect(shard.counts).toEqual({ ...noRows(), failed: 1 });
  });

  test('gives the next lane what a lane has not finished, and says what may have been sent', () => {
    const shard = shardRows();
    open(shard);
    shard.noteLane({ results: [result(10)], expired: [], begun: [11] });
    expect(shard.forLane().map(({ index, begun }) => [index, begun])).toEqual([
      [11, true],
      [12, undefined],
    ]);
    shard.noteLane({ results: [result(11, 'failed'), result(12), result(12)], expired: [], begun: [] });
    expect(shard.remaining).toBe(0);
    expect(shard.counts).toEqual({ ...noRows(), succeeded: 2, failed: 1, tokens: 15 });
  });

  test('opens a new session for a row whose own has expired, up to three in all', () => {
    const shard = shardRows();
    for (const session of [1, 2, 3]) {
      open(shard);
      expect(shard.forLane().map(({ lastSession }) => lastSession)).toContain(session === 3 ? true : undefined);
      shard.noteLane({ results: session === 1 ? [result(11), result(12)] : [], expired: [10], begun: [10] });
      expect(shard.withoutSession(undefined).map(({ index }) => index)).toEqual([10]);
    }
    open(shard);
    expect(shard.forLane()[0]).not.toHaveProperty('begun');
  });

  test('counts what is left when the shard ends early', () => {
    const shard = shardRows();
    open(shard);
    shard.noteLane({ results: [result(10)], expired: [], begun: [] });
    shard.endRemaining('cancelled');
    expect(shard.counts).toEqual({ ...noRows(), succeeded: 1, cancelled: 2, tokens: 5 });
    expect(shard.remaining).toBe(0);
  });

  test('gives each row the earlier of its own deadline and of the batch, in whatever zone they are told', () => {
    const own = (deadline: string): BatchRow => ({ id: deadline, turns: ['?'], deadline });
    const bounds = { deadline: '2030-01-01T12:00:00Z' };
    const shard = shardRows([own('2030-01-01T12:30:00+01:00'), own('2030-01-01T11:30:00-01:00')], { bounds });
    open(shard);
    const told = shard.forLane().map(({ deadline }) => deadline);
    expect(told).toEqual([...Array<string>(3).fill(bounds.deadline), '2030-01-01T12:30:00+01:00', bounds.deadline]);
    expect(
      shardRows()
        .withoutSession(undefined)
        .map(({ deadline }) => deadline),
    ).toEqual([undefined, undefined, undefined]);
  });

  test('counts a row as expired for which no session was opened any more', () => {
    const shard = shardRows();
    const needed = shard.withoutSession(undefined);
    shard.noteSessions(needed, { sessions: needed.map(() => endOfLeftRows('deadline')) });
    expect(shard.counts).toEqual({ ...noRows(), expired: 3 });
  });

  test('names the sessions of rows that have ended once, to be deleted, but not those in which something may still land', () => {
    const shard = shardRows([{ id: 'd', turns: ['d?'], mode: 'blocking' }], { deleteSessions: true });
    open(shard);
    const sessions = () => shard.takeSessionsToDelete().map(({ sessionRid }) => sessionRid);
    shard.noteLane({ results: [result(10), result(11, 'cancelled'), result(13, 'cancelled')], expired: [], begun: [] });
    expect(sessions()).toEqual(['s10', 's11']);
    shard.endRemaining('cancelled');
    expect([sessions(), sessions()]).toEqual([['s12'], []]);
    const kept = shardRows();
    open(kept);
    kept.noteLane({ results: [result(10)], expired: [], begun: [] });
    expect(kept.takeSessionsToDelete()).toEqual([]);
  });
});
