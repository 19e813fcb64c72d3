import { describe, expect, test } from '@jest/globals';
import { ServiceError } from '@temporalio/client';
import { watchBatch } from '../../src/client/batch-progress.js';
import type { ClientContext } from '../../src/client/connection.js';
import { TemporalUnreachableError } from '../../src/client/errors.js';
import { TypedSearchAttributes } from '@temporalio/common';
import type { BatchControl, BatchStatus } from '../../src/protocol/batch.js';
import { searchAttributeKeys } from '../../src/protocol/search-attributes.js';

/** What the SDK throws when nothing listens at Temporal's address. */
function unavailable(): ServiceError {
  const cause = Object.assign(new Error('14 UNAVAILABLE: no connection'), {
    code: 14,
    details: 'no connection',
    metadata: {},
  });
  return new ServiceError('Failed to describe workflow', { cause });
}

const statusOf = (succeeded: number): BatchStatus => ({
  batchId: 'b',
  agentRid: 'ri.aip-agents..agent.1',
  mode: 'streaming',
  concurrency: 20,
  submittedAt: '2026-03-01T09:00:00.000Z',
  state: 'running',
  rowCount: 40,
  counts: { succeeded, failed: 0, cancelled: 0, expired: 0, tokens: succeeded * 10 },
  finishedShards: [],
  shardCount: 2,
  runningShards: [],
  control: {},
});

/** A worker that polled just now. */
const poller = () => ({ identity: 'worker', lastAccessTime: { seconds: Math.floor(Date.now() / 1000), nanos: 0 } });

/** A look: Temporal does not answer; the batch has ended; so many rows have succeeded; what was asked of it. */
type Look = 'away' | 'ended' | 'cancelling' | number | BatchControl;

/** A Temporal that answers, fails or ends a batch, one look after the other. */
function contextOf(looks: readonly Look[]): ClientContext {
  const left = [...looks];
  let status = statusOf(0);
  const handle = {
    describe: () => {
      const look = left.shift();
      if (look === 'away') return Promise.reject(unavailable());
      if (typeof look === 'number') status = statusOf(look);
      const batchControl = typeof look === 'object' ? look : {};
      return Promise.resolve({
        status: { name: look === 'ended' ? 'COMPLETED' : 'RUNNING' },
        taskQueue: 'q',
        memo: { batch: { batchId: 'b', rowCount: 40, shardCount: 2, concurrency: 20 }, batchControl },
        typedSearchAttributes: new TypedSearchAttributes([
          { key: searchAttributeKeys.state, value: look === 'cancelling' ? look : 'open' },
        ]),
      });
    },
    query: () => Promise.resolve(status),
    result: () => Promise.resolve({ counts: status.counts }),
  };
  const withDeadline = <T>(_deadline: number, run: () => Promise<T>) => run();
  const client = {
    options: { namespace: 'default' },
    connection: { options: { address: 'localhost:7233' }, withDeadline },
    withDeadline,
    workflowService: { describeTaskQueue: () => Promise.resolve({ pollers: [poller()] }) },
    workflow: { getHandle: () => handle },
  };
  return { client, taskQueue: 'q' } as unknown as ClientContext;
}

describe('watchBatch()', () => {
  test('gets over an outage of Temporal: tells it, keeps the numbers, and goes on to the end', async () => {
    const seen = [];
    const context = contextOf([20, 'away', 'away', 30, 'ended']);
    for await (const { state, succeeded, waitingFor } of watchBatch(context, 'b', { intervalMs: 1 })) {
      seen.push({ state, succeeded, isAway: waitingFor?.includes('localhost:7233 does not answer') === true });
    }
    expect(seen).toEqual([
      { state: 'running', succeeded: 20, isAway: false },
      { state: 'running', succeeded: 20, isAway: true },
      { state: 'running', succeeded: 20, isAway: true },
      { state: 'running', succeeded: 30, isAway: false },
      { state: 'completed', succeeded: 30, isAway: false },
    ]);
  });

  test('promises no end while Temporal does not answer', async () => {
    const away = [];
    for await (const progress of watchBatch(contextOf([5, 20, 'away', 'ended']), 'b', { intervalMs: 2 })) {
      if (progress.waitingFor !== undefined) away.push(progress);
    }
    expect(away).toHaveLength(1);
    expect(away[0]).toMatchObject({ running: 0, rowsPerSecond: 0 });
    expect(away[0]).not.toHaveProperty('etaSeconds');
  });

  test('tells what operators and bounds ask of it, and where it stands', async () => {
    const seen = [];
    const paused = { since: '2026-03-01T10:00:00.000Z', reason: 'mending' };
    const looks = [
      10,
      { paused },
      { concurrency: 5 },
      { stopped: 'maxTokens', paused },
      'cancelling',
      'ended',
    ] as const;
    for await (const { state, concurrency, queued, ...rest } of watchBatch(contextOf(looks), 'b', { intervalMs: 1 })) {
      seen.push({ state, concurrency, queued, paused: rest.paused, stopped: rest.stopped });
    }
    const running = { state: 'running', concurrency: 20, queued: 30, paused: undefined, stopped: undefined };
    expect(seen).toEqual([
      running,
      { ...running, state: 'paused', paused },
      { ...running, concurrency: 5 },
      { ...running, state: 'stopping', paused, stopped: 'maxTokens' },
      { ...running, state: 'cancelling' },
      { ...running, state: 'completed' },
    ]);
  });

  test('fails at once when Temporal does not even answer the first look', async () => {
    await expect(watchBatch(contextOf(['away']), 'b').next()).rejects.toBeInstanceOf(TemporalUnreachableError);
  });
});
