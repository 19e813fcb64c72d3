import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Context } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { LaneActivities } from '../../src/activities/lane-activities.js';
import { cancelBatch, collectResults, submitBatch } from '../../src/client/batch.js';
import type { LaneInput, LaneResult, LaneRow } from '../../src/protocol/activities.js';
import {
  batchShardWorkflowId,
  batchStatusQuery,
  batchWorkflowId,
  type BatchRow,
  type BatchSnapshot,
  noRows,
  type RowOutcome,
  type RowResult,
  type RowStatus,
} from '../../src/protocol/batch.js';
import { WORKFLOW_TYPES } from '../../src/protocol/workflow-names.js';
import { batchTaskQueue } from '../../src/protocol/task-queues.js';
import { temporalServer, workflowBundle } from '../support/temporal-server.js';
import { until } from '../support/rig.js';
import { quietRuntime } from '../support/worker-of.js';

const taskQueue = `test-${randomUUID()}`;
let client: Client;
let connections: { close(): Promise<void> }[];
let workers: Worker[];
let running: Promise<unknown>;
/** What the faked lane does; set by each test. */
let runLane: LaneActivities['runLane'];
let createSessions: LaneActivities['createSessions'];

beforeAll(async () => {
  quietRuntime();
  const { address, namespace } = await temporalServer();
  const { codePath } = await workflowBundle();
  const native = await NativeConnection.connect({ address });
  const connection = await Connection.connect({ address });
  connections = [native, connection];
  client = new Client({ connection, namespace });
  workers = [
    // Nothing is cached, so every step of every workflow is a replay of all before it.
    await Worker.create({ connection: native, taskQueue, workflowBundle: { codePath }, maxCachedWorkflows: 0 }),
    await Worker.create({
      connection: native,
      taskQueue: batchTaskQueue(taskQueue),
      activities: {
        runLane: (input: LaneInput) => runLane(input),
        createSessions: (input: Parameters<typeof createSessions>[0]) => createSessions(input),
        cancelLane: () => Promise.reject(ApplicationFailure.nonRetryable('the agent cannot be reached')),
      },
      maxHeartbeatThrottleInterval: 100,
    }),
  ];
  running = Promise.all(workers.map((worker) => worker.run()));
});
afterAll(async () => {
  for (const worker of workers) worker.shutdown();
  await running;
  await Promise.all(connections.map((connection) => connection.close()));
});

const openAll: LaneActivities['createSessions'] = ({ rows }) =>
  Promise.resolve({ sessions: rows.map(({ index }) => ({ sessionRid: `ri.session.${index}.${randomUUID()}` })) });

const ended = ({ id, index, sessionRid }: LaneRow, status: RowStatus = 'succeeded'): RowResult => ({
  id,
  index,
  status,
  exchanges: [],
  sessionRid,
  tokens: 2,
  attempts: 1,
  finishedAt: new Date().toISOString(),
});
const all = ({ rows }: LaneInput): LaneResult => ({ results: rows.map((row) => ended(row)), expired: [], begun: [] });

/** Beats until the activity is cancelled. */
async function untilCancelled(): Promise<void> {
  const { cancellationSignal, heartbeat } = Context.current();
  while (!cancellationSignal.aborted) {
    heartbeat();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function submit(rowCount: number, concurrency: number): Promise<string> {
  const rows: BatchRow[] = Array.from({ length: rowCount }, (_, n) => ({ id: `q${n}`, turns: [`${n}?`] }));
  const batchId = `test-${randomUUID()}`;
  await submitBatch({ client, taskQueue }, { batchId, agentRid: 'ri.agent', rows, concurrency });
  return batchId;
}

async function collect(batchId: string): Promise<RowOutcome[]> {
  const outcomes: RowOutcome[] = [];
  await collectResults({ client, taskQueue }, batchId, { write: (some) => void outcomes.push(...some) });
  return outcomes.sort((a, b) => a.result.index - b.result.index);
}

const resultOf = (batchId: string) => client.workflow.getHandle(batchWorkflowId(batchId)).result();
const endOf = async (workflowId: string) => (await client.workflow.getHandle(workflowId).describe()).status.name;

describe('a batch of several shards, replayed at every step', () => {
  test('never has more rows at once than it may, opens sessions ahead, and ends every row once', async () => {
    createSessions = openAll;
    let inLanes = 0;
    let peak = 0;
    runLane = async (input) => {
      peak = Math.max(peak, (inLanes += input.concurrency));
      // The first lanes wait for each other, so that the peak does not hang on how fast the machine is.
      await until('the whole window runs', () => Promise.resolve(peak >= 60));
      inLanes -= input.concurrency;
      return all(input);
    };
    const batchId = await submit(700, 60);
    const outcomes = await collect(batchId);
    expect(outcomes.map(({ result }) => result.id)).toEqual(Array.from({ length: 700 }, (_, n) => `q${n}`));
    expect(peak).toBe(60);
    expect(await resultOf(batchId)).toMatchObject({
      rowCount: 700,
      counts: { ...noRows(), succeeded: 700, tokens: 1400 },
    });
    const handle = client.workflow.getHandle(batchWorkflowId(batchId));
    expect(await handle.query(batchStatusQuery)).toMatchObject({ state: 'finished', runningShards: [] });
  });

  test('gives rows that a lane left to the next one, and expired ones a new session', async () => {
    const opened: number[] = [];
    createSessions = (input) => {
      opened.push(input.rows.length);
      return openAll(input);
    };
    const lanes: LaneRow[][] = [];
    runLane = ({ rows }) => {
      lanes.push(rows);
      if (lanes.length === 2) return Promise.resolve({ results: [ended(rows[0]!)], expired: [3], begun: [4] });
      return Promise.resolve(all({ rows } as LaneInput));
    };
    const outcomes = await collect(await submit(6, 1));
    expect(outcomes.map(({ result }) => result.status)).toEqual(Array(6).fill('succeeded'));
    // Admitted at once: a short first lane, the sessions of the rest meanwhile, and then the new one for the expired row.
    expect(opened).toEqual([2, 4, 1]);
    expect(lanes.slice(0, 2).map((rows) => rows.map(({ index }) => index))).toEqual([
      [0, 1],
      [2, 3, 4, 5],
    ]);
    expect(lanes[2]!.map(({ index, begun }) => [index, begun])).toEqual([
      [3, undefined],
      [4, true],
      [5, undefined],
    ]);
    expect(lanes[2]![0]!.sessionRid).not.toBe(lanes[1]![1]!.sessionRid);
    expect(lanes[2]![2]!.sessionRid).toBe(lanes[1]![3]!.sessionRid);
  });

  test('has a failed row for each session that is refused', async () => {
    createSessions = async (input) => {
      const { sessions } = await openAll(input);
      return {
        sessions: sessions.map((opened, n) => (n % 2 === 0 ? opened : { error: { errorName: 'E', message: 'm' } })),
      };
    };
    runLane = (input) => Promise.resolve(all(input));
    const batchId = await submit(6, 1);
    expect((await collect(batchId)).map(({ result }) => result.status)).toEqual(
      Array.from({ length: 6 }, (_, n) => (n % 2 === 0 ? 'succeeded' : 'failed')),
    );
    expect(await resultOf(batchId)).toMatchObject({ counts: { succeeded: 3, failed: 3 } });
  });

  test('fails the rows of a shard whose lane fails for good, and goes on with the others', async () => {
    createSessions = openAll;
    runLane = (input) => {
      if (input.shard === 0) throw ApplicationFailure.nonRetryable('broken');
      return Promise.resolve(all(input));
    };
    const batchId = await submit(250, 10);
    const outcomes = await collect(batchId);
    const failed = outcomes.filter(({ result }) => result.status === 'failed');
    expect(failed.map(({ result }) => result.index)).toEqual(Array.from({ length: 125 }, (_, n) => n));
    expect(failed[0]!.result.error).toMatchObject({
      errorName: 'ShardFailed',
      message: 'Its shard failed before the row had ended: broken',
    });
    expect(await resultOf(batchId)).toMatchObject({ counts: { succeeded: 125, failed: 125 } });
  });

  test('cancelled, keeps what its lanes hand over, and ends as Canceled with all its shards', async () => {
    createSessions = openAll;
    let lanes = 0;
    runLane = async ({ rows }) => {
      lanes++;
      await untilCancelled();
      return { results: [ended(rows[0]!), ended(rows[1]!, 'cancelled')], expired: [], begun: [] };
    };
    const batchId = await submit(400, 40);
    const collecting = collect(batchId);
    await until('two lanes run', () => lanes === 2);
    await cancelBatch({ client, taskQueue }, batchId);
    const outcomes = await collecting;
    expect(outcomes).toHaveLength(400);
    expect(outcomes.filter(({ result }) => result.status === 'succeeded')).toHaveLength(2);
    expect(outcomes.filter(({ result }) => result.status === 'cancelled')).toHaveLength(398);
    await expect(resultOf(batchId)).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    const status = await client.workflow.getHandle(batchWorkflowId(batchId)).query(batchStatusQuery);
    expect(status.counts).toMatchObject({ succeeded: 2, cancelled: 398 });
    expect(await Promise.all([0, 1, 2, 3].map((shard) => endOf(batchShardWorkflowId(batchId, shard))))).toEqual(
      Array(4).fill('CANCELLED'),
    );
  });

  test('counts a shard that was terminated before its turn as cancelled, and does not wait for it', async () => {
    createSessions = openAll;
    let release = false;
    runLane = async (input) => {
      while (!release) {
        Context.current().heartbeat();
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      return all(input);
    };
    const batchId = await submit(400, 10);
    await client.workflow.getHandle(batchShardWorkflowId(batchId, 3)).terminate('test');
    release = true;
    expect(await resultOf(batchId)).toMatchObject({ counts: { succeeded: 300, cancelled: 100 } });
    const lost = (await collect(batchId)).filter(({ result }) => result.status === 'cancelled');
    expect(lost.map(({ result }) => result.error?.message)).toEqual(
      Array(100).fill('Its shard was terminated; what it had answered was not handed over'),
    );
  });

  test('counts a shard that was terminated as cancelled, too, when the batch itself is cancelled', async () => {
    createSessions = openAll;
    runLane = async (input) => {
      const context = Context.current();
      while (!context.cancellationSignal.aborted) {
        context.heartbeat();
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      return { ...all(input), results: [] };
    };
    const batchId = await submit(400, 10);
    await client.workflow.getHandle(batchShardWorkflowId(batchId, 3)).terminate('test');
    await cancelBatch({ client, taskQueue }, batchId);
    await expect(resultOf(batchId)).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    const status = await client.workflow.getHandle(batchWorkflowId(batchId)).query(batchStatusQuery);
    expect(status.counts).toMatchObject({ cancelled: 400 });
  });

  test('goes on from a snapshot: shards that ended are not admitted again', async () => {
    createSessions = openAll;
    const shards: number[] = [];
    runLane = (input) => {
      shards.push(input.shard);
      return Promise.resolve(all(input));
    };
    const batchId = `test-${randomUUID()}`;
    const shardRows = [2, 2, 2];
    for (const shard of [1, 2]) {
      await client.workflow.start(WORKFLOW_TYPES.batchShard, {
        taskQueue,
        workflowId: batchShardWorkflowId(batchId, shard),
        args: [
          {
            batchId,
            shard,
            shardCount: 3,
            firstIndex: 2 * shard,
            rows: [0, 1].map((n) => ({ id: `q${2 * shard + n}`, turns: ['?'] })),
            agentRid: 'ri.agent',
            mode: 'streaming',
            idBase: randomUUID(),
            callTimeoutMs: 1_000,
          },
        ],
      });
    }
    const snapshot: BatchSnapshot = {
      finishedShards: [0],
      admitted: [],
      prepared: [1],
      counts: { ...noRows(), succeeded: 2, tokens: 5 },
    };
    const result: unknown = await client.workflow.execute(WORKFLOW_TYPES.batch, {
      taskQueue,
      workflowId: batchWorkflowId(batchId),
      args: [
        {
          batchId,
          agentRid: 'ri.agent',
          rowCount: 6,
          shardRows,
          concurrency: 1,
          mode: 'streaming',
          submittedAt: new Date().toISOString(),
          snapshot,
        },
      ],
    });
    expect(result).toMatchObject({ counts: { succeeded: 6, tokens: 13 } });
    expect(shards).toEqual([1, 2]);
  });
});
