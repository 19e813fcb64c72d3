import { randomUUID } from 'node:crypto';
import { ApplicationFailure, type SignalDefinition, TypedSearchAttributes } from '@temporalio/common';
import { collectResults, submitBatch } from '../../src/client/batch.js';
import type { CreateSessionsResult } from '../../src/protocol/activities.js';
import {
  batchShardWorkflowId,
  batchWorkflowId,
  type BatchInput,
  type BatchRow,
  type BatchShardInput,
  cancelRowsSignal,
  pauseBatchSignal,
  resumeBatchSignal,
  setConcurrencySignal,
  setWeightSignal,
} from '../../src/protocol/batch.js';
import { DEFAULTS } from '../../src/protocol/defaults.js';
import { searchAttributeKeys } from '../../src/protocol/search-attributes.js';
import { WORKFLOW_TYPES } from '../../src/protocol/workflow-names.js';
import { until, type Rig } from '../support/rig.js';
import { startWorkerProcess } from '../support/worker-process.js';
import type { Story } from './recorded-runs.js';

const questions = (count: number, text = '?'): BatchRow[] =>
  Array.from({ length: count }, (_, n) => ({ id: `q${n}`, turns: [`${n}${text}`] }));

const slow = (milliseconds: number) => `? [takes ${milliseconds}ms]`;

/** A batch that was cut into slices of one's own: those that `submitBatch` makes of so few rows are too few. */
class Batch {
  readonly batchId = `recorded-${randomUUID()}`;
  readonly #shards: BatchRow[][] = [];

  constructor(
    private readonly rig: Rig,
    rows: readonly BatchRow[],
    rowsPerShard: number,
    private readonly concurrency: number,
    private readonly settings: Pick<
      BatchShardInput,
      'bounds' | 'deleteSessions' | 'isolation' | 'sessionsAtStart'
    > = {},
  ) {
    for (let first = 0; first < rows.length; first += rowsPerShard) {
      this.#shards.push(rows.slice(first, first + rowsPerShard));
    }
  }

  shardId(shard: number): string {
    return batchShardWorkflowId(this.batchId, shard);
  }

  get shardIds(): string[] {
    return this.#shards.map((_, shard) => this.shardId(shard));
  }

  get id(): string {
    return batchWorkflowId(this.batchId);
  }

  async start(): Promise<this> {
    await this.startShards();
    await this.startBatch();
    return this;
  }

  async startShards(): Promise<void> {
    const idBase = randomUUID();
    let firstIndex = 0;
    for (const [shard, rows] of this.#shards.entries()) {
      const input: BatchShardInput = {
        batchId: this.batchId,
        shard,
        shardCount: this.#shards.length,
        firstIndex,
        rows,
        agentRid: this.rig.simulator.agentRid,
        mode: 'streaming',
        idBase,
        callTimeoutMs: DEFAULTS.callTimeoutMs,
        ...this.settings,
      };
      await this.#start(WORKFLOW_TYPES.batchShard, this.shardId(shard), input);
      firstIndex += rows.length;
    }
  }

  async startBatch(): Promise<void> {
    const { bounds, isolation } = this.settings;
    const shardRows = this.#shards.map(({ length }) => length);
    const input: BatchInput = {
      batchId: this.batchId,
      agentRid: this.rig.simulator.agentRid,
      rowCount: shardRows.reduce((sum, rows) => sum + rows, 0),
      shardRows,
      concurrency: this.concurrency,
      mode: 'streaming',
      submittedAt: new Date().toISOString(),
      ...(bounds !== undefined && { bounds }),
      ...(isolation !== undefined && { isolation }),
    };
    await this.#start(WORKFLOW_TYPES.batch, this.id, input);
  }

  async cancel(): Promise<void> {
    await this.rig.client.client.workflow.getHandle(this.id).cancel();
  }

  async signal<Args extends unknown[]>(signal: SignalDefinition<Args> | string, ...args: Args): Promise<void> {
    await this.rig.client.client.workflow.getHandle(this.id).signal(signal, ...args);
  }

  /** Pauses it, and waits until its rows in flight have ended and their lanes, too. */
  async pause(): Promise<void> {
    await this.signal(pauseBatchSignal, { reason: 'the agent is being mended' });
    for (const shardId of this.shardIds) await idle(this.rig, shardId);
  }

  async #start(workflowType: string, workflowId: string, input: BatchInput | BatchShardInput): Promise<void> {
    const { agentRid } = this.rig.simulator;
    await this.rig.client.client.workflow.start(workflowType, {
      workflowId,
      taskQueue: this.rig.taskQueue,
      args: [input],
      typedSearchAttributes: new TypedSearchAttributes([
        { key: searchAttributeKeys.agent, value: agentRid },
        { key: searchAttributeKeys.batch, value: this.batchId },
        { key: searchAttributeKeys.state, value: 'open' },
      ]),
    });
  }
}

/** Waits until so many rows are at the agent. */
const inFlight = (rig: Rig, rows: number) =>
  until(`${rows} rows run`, () => rig.simulator.summary().totals.inFlight === rows);

/** Waits until a workflow's history tells of something. */
async function told(rig: Rig, workflowId: string, attributes: string): Promise<void> {
  const handle = rig.client.client.workflow.getHandle(workflowId);
  await until(`${workflowId} has ${attributes}`, async () => {
    const { events } = await handle.fetchHistory();
    return events?.some((event) => Object.hasOwn(event, attributes)) ?? false;
  });
}

/** Waits until nothing that a shard has asked for is under way. */
async function idle(rig: Rig, shardId: string): Promise<void> {
  await until(`${shardId} is idle`, async () => {
    const { raw } = await rig.client.client.workflow.getHandle(shardId).describe();
    return raw.pendingActivities?.length === 0;
  });
}

/** Waits until a batch goes on in a second run. */
async function continuedAsNew(rig: Rig, workflowId: string): Promise<void> {
  await until('it goes on in a second run', async () => {
    const { events } = await rig.client.client.workflow.getHandle(workflowId).fetchHistory();
    return events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId !== '';
  });
}

const after = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();

/** The sessions that a shard has opened. */
async function sessionsOf(rig: Rig, shardId: string): Promise<string[]> {
  const { events } = await rig.client.client.workflow.getHandle(shardId).fetchHistory();
  return (events ?? []).flatMap((event) => {
    const data = event.activityTaskCompletedEventAttributes?.result?.payloads?.[0]?.data;
    if (data == null) return [];
    const { sessions = [] } = JSON.parse(Buffer.from(data).toString('utf8')) as Partial<CreateSessionsResult>;
    return sessions.flatMap((opened) => ('sessionRid' in opened ? [opened.sessionRid] : []));
  });
}

/** The stories of batches and their shards. */
export const batchRuns: Record<string, Story> = {
  async 'a batch'(rig) {
    const batchId = `recorded-${randomUUID()}`;
    const { agentRid } = rig.simulator;
    const rows = [
      { id: 'q1', turns: ['One?', 'And then?'] },
      { id: 'q2', turns: ['Two?'] },
      { id: 'q3', turns: ['3?'] },
    ];
    await submitBatch(rig.client, { batchId, agentRid, rows, mode: 'streaming', concurrency: 2 });
    await collectResults(rig.client, batchId, { write: () => undefined });
    return [batchWorkflowId(batchId), batchShardWorkflowId(batchId, 0)];
  },

  async 'a batch of five shards, two at a time'(rig) {
    const batch = await new Batch(rig, questions(10), 2, 3).start();
    return [batch.id, batch.shardId(0), batch.shardId(4)];
  },

  async 'a batch of five shards, three at a time'(rig) {
    const batch = await new Batch(rig, questions(5), 1, 41).start();
    return [batch.id];
  },

  async 'a batch whose last shard gets the places of the other'(rig) {
    const rows = [...questions(4), ...questions(8, slow(2_500))].map((row, n) => ({ ...row, id: `q${n}` }));
    const batch = await new Batch(rig, rows, 4, 2).start();
    return [batch.id, batch.shardId(2)];
  },

  async 'a batch of rows that are runs, whose last shard gets the places of the other'(rig) {
    const rows = [...questions(3), ...questions(3, slow(2_000))].map((row, n) => ({ ...row, id: `q${n}` }));
    const batch = await new Batch(rig, rows, 3, 2, { isolation: 'workflow' }).start();
    return [batch.id, batch.shardId(1)];
  },

  async 'a batch of rows that are runs, which tells of those that have ended beside a slow one'(rig) {
    const rows = [...questions(2), ...questions(1, slow(8_000))].map((row, n) => ({ ...row, id: `q${n}` }));
    const batch = await new Batch(rig, rows, 3, 2, { isolation: 'workflow' }).start();
    return [batch.id, ...batch.shardIds];
  },

  async 'a shard that opens its first sessions before its batch is there'(rig) {
    const batch = new Batch(rig, questions(12, slow(300)), 12, 2, { sessionsAtStart: 2 });
    await batch.startShards();
    await until('some sessions are open', async () => (await sessionsOf(rig, batch.shardId(0))).length === 4);
    await batch.startBatch();
    return batch.shardIds;
  },

  async 'a shard that was admitted at once: a short first lane'(rig) {
    const batch = await new Batch(rig, questions(5, slow(300)), 5, 1).start();
    return batch.shardIds;
  },

  async 'a shard with rows that fail'(rig) {
    const rows = questions(4);
    Object.assign(rows[0] ?? {}, { agentRid: 'ri.aip-agents..agent.00000000-0000-0000-0000-00000000dead' });
    Object.assign(rows[3] ?? {}, { parameterInputs: { nowhere: { type: 'string', value: 'x' } } });
    const batch = await new Batch(rig, rows, 4, 2).start();
    return batch.shardIds;
  },

  async 'a shard with no session for any row'(rig) {
    rig.simulator.setFaults([{ operation: 'createSession', fault: { kind: 'error', errorName: 'AgentNotFound' } }]);
    const batch = await new Batch(rig, questions(3), 3, 1).start();
    return batch.shardIds;
  },

  async 'a shard with sessions that expire before their rows are sent'(rig) {
    const batch = await new Batch(rig, questions(4, slow(1_500)), 4, 2).start();
    await inFlight(rig, 2);
    const open = new Set(rig.simulator.ledger().running.map(({ sessionRid }) => sessionRid));
    for (const sessionRid of await sessionsOf(rig, batch.shardId(0))) {
      if (!open.has(sessionRid)) rig.simulator.expireSession(sessionRid);
    }
    return batch.shardIds;
  },

  async 'a shard whose sessions expire again and again'(rig) {
    rig.simulator.changeSettings({ sessionLifetimeMs: 1 });
    const batch = await new Batch(rig, questions(2), 2, 2).start();
    return batch.shardIds;
  },

  async 'a batch cancelled: of its shards two run, two have sessions, one waits'(rig) {
    const batch = await new Batch(rig, questions(10, slow(9_000)), 2, 2).start();
    await inFlight(rig, 2);
    await until('two are prepared', async () => (await sessionsOf(rig, batch.shardId(3))).length === 2);
    await batch.cancel();
    return [batch.id, batch.shardId(0), batch.shardId(3), batch.shardId(4)];
  },

  async 'a batch cancelled while its sessions are opened'(rig) {
    rig.simulator.changeSettings({ createLatencyMs: 9_000 });
    const batch = await new Batch(rig, questions(2), 2, 1).start();
    await told(rig, batch.shardId(0), 'activityTaskScheduledEventAttributes');
    await batch.cancel();
    return [batch.id, ...batch.shardIds];
  },

  async 'a batch cancelled that has lost a shard'(rig) {
    const batch = await new Batch(rig, questions(3, slow(9_000)), 1, 1).start();
    await inFlight(rig, 1);
    await until('the next one is prepared', async () => (await sessionsOf(rig, batch.shardId(1))).length === 1);
    await rig.client.client.workflow.getHandle(batch.shardId(2)).terminate();
    await batch.cancel();
    return [batch.id];
  },

  async 'a batch cancelled whose lost shard is seen at once'(rig) {
    const batch = await new Batch(rig, questions(3, slow(9_000)), 1, 1).start();
    await inFlight(rig, 1);
    await until('the next one is prepared', async () => (await sessionsOf(rig, batch.shardId(1))).length === 1);
    await rig.client.client.workflow.getHandle(batch.shardId(2)).terminate();
    await batch.cancel();
    return [batch.id, batch.shardId(1)];
  },

  async 'a shard cancelled in a short first lane, while its other sessions are opened'(rig) {
    rig.simulator.setFaults([{ operation: 'createSession', match: { nth: 4 }, fault: { kind: 'delay', ms: 9_000 } }]);
    const batch = await new Batch(rig, questions(5, slow(9_000)), 5, 1).start();
    await inFlight(rig, 1);
    await until('the fourth session is asked for', () => rig.simulator.summary().totals.calls.createSession === 4);
    await rig.client.client.workflow.getHandle(batch.shardId(0)).cancel();
    return batch.shardIds;
  },

  async 'a shard terminated before its turn'(rig) {
    const batch = new Batch(rig, questions(3), 1, 1);
    await batch.startShards();
    await rig.client.client.workflow.getHandle(batch.shardId(1)).terminate();
    await batch.startBatch();
    return [batch.id];
  },

  async 'a shard terminated while it runs'(rig) {
    const batch = await new Batch(rig, questions(3, slow(2_000)), 1, 1).start();
    await inFlight(rig, 1);
    await rig.client.client.workflow.getHandle(batch.shardId(0)).terminate();
    return [batch.id, batch.shardId(0)];
  },

  'a shard terminated while nobody could tell: the batch asks for a sign of life': {
    setting: { worker: false, waits: { SIGN_OF_LIFE_INTERVAL: '1 second' } },
    async tell(rig) {
      const worker = await rig.startWorker();
      const batch = await new Batch(rig, questions(2, slow(2_500)), 1, 2).start();
      await inFlight(rig, 2);
      await worker.stop();
      await rig.client.client.workflow.getHandle(batch.shardId(0)).terminate();
      await rig.startWorker();
      return [batch.id, batch.shardId(1)];
    },
  },

  'a shard that waits, and asks whether its batch lives': {
    setting: { waits: { WAITING_CHECK_INTERVAL: '500 milliseconds' } },
    async tell(rig) {
      const batch = await new Batch(rig, questions(2, slow(1_800)), 1, 1).start();
      return [batch.id, batch.shardId(1)];
    },
  },

  'a shard whose batch is not there': {
    setting: { waits: { WAITING_CHECK_INTERVAL: '500 milliseconds' } },
    async tell(rig) {
      const batch = new Batch(rig, questions(1), 1, 1);
      await batch.startShards();
      return batch.shardIds;
    },
  },

  async 'a batch terminated: its lane cancels the shards'(rig) {
    const batch = await new Batch(rig, questions(2, slow(20_000)), 1, 1).start();
    await inFlight(rig, 1);
    await rig.client.client.workflow.getHandle(batch.id).terminate();
    return [batch.id, ...batch.shardIds];
  },

  async 'a shard whose lane fails for good'(rig) {
    const batch = await new Batch(rig, questions(3, slow(2_000)), 2, 1).start();
    await inFlight(rig, 1);
    const lane = { workflowId: batch.shardId(0), activityId: 'lane-1' };
    await rig.client.client.activity.fail(lane, ApplicationFailure.nonRetryable('Failed by hand', 'ByHand'));
    return [batch.id, batch.shardId(0)];
  },

  'a batch cancelled, and its worker killed before it could tell the agent': {
    setting: { worker: false },
    async tell(rig) {
      const worker = await startWorkerProcess(rig);
      const batch = await new Batch(rig, questions(2, slow(20_000)), 2, 2).start();
      await inFlight(rig, 2);
      rig.simulator.setFaults([{ operation: 'cancel', fault: { kind: 'hang' } }]);
      await batch.cancel();
      await until('it wants to tell the agent', () => rig.simulator.summary().totals.cancelsReceived > 0);
      await worker.kill();
      rig.simulator.setFaults([]);
      await rig.startWorker();
      return batch.shardIds;
    },
  },

  'a batch deployed under: its lane is taken up by the next worker': {
    setting: { worker: false },
    async tell(rig) {
      const worker = await rig.startWorker();
      const batch = await new Batch(rig, questions(3, slow(1_500)), 3, 1).start();
      await inFlight(rig, 1);
      await worker.stop();
      await rig.startWorker();
      return batch.shardIds;
    },
  },

  'a batch that continues as new': {
    setting: { suggestContinueAsNewAt: 30 },
    async tell(rig) {
      const batch = await new Batch(rig, questions(6, slow(300)), 1, 1).start();
      return [batch.id];
    },
  },

  'a batch that continues as new, and is cancelled then': {
    setting: { suggestContinueAsNewAt: 20 },
    async tell(rig) {
      const batch = await new Batch(rig, questions(5, slow(700)), 1, 2).start();
      await continuedAsNew(rig, batch.id);
      await batch.cancel();
      return [batch.id];
    },
  },

  async 'a batch paused and resumed while its lanes run'(rig) {
    const rows = questions(6, slow(2_500)).map((row, n) => ({
      ...row,
      turns: n % 3 === 0 ? [...row.turns, 'And then?'] : row.turns,
    }));
    const batch = await new Batch(rig, rows, 3, 2).start();
    await inFlight(rig, 2);
    await batch.pause();
    await batch.signal(resumeBatchSignal);
    return [batch.id, ...batch.shardIds];
  },

  async 'a batch paused between two shards'(rig) {
    const batch = await new Batch(rig, questions(3, slow(1_500)), 1, 1).start();
    await inFlight(rig, 1);
    await batch.pause();
    await told(rig, batch.shardId(0), 'workflowExecutionCompletedEventAttributes');
    await batch.signal(resumeBatchSignal);
    return [batch.id, batch.shardId(1)];
  },

  'a batch paused ahead of its first step': {
    setting: { worker: false },
    async tell(rig) {
      const batch = await new Batch(rig, questions(2), 1, 1).start();
      await batch.signal(pauseBatchSignal);
      await rig.startWorker();
      await told(rig, batch.id, 'workflowPropertiesModifiedEventAttributes');
      await batch.signal(resumeBatchSignal);
      return [batch.id, batch.shardId(0)];
    },
  },

  async 'a batch cancelled while it is paused'(rig) {
    const batch = await new Batch(rig, questions(9, slow(2_500)), 3, 2).start();
    await inFlight(rig, 2);
    await batch.pause();
    await batch.cancel();
    return [batch.id, batch.shardId(0), batch.shardId(2)];
  },

  async 'a batch with fewer rows at once than shards, and with more again'(rig) {
    const batch = await new Batch(rig, questions(8, slow(1_000)), 4, 2).start();
    await inFlight(rig, 2);
    await batch.signal(setConcurrencySignal, { concurrency: 1 });
    await idle(rig, batch.shardId(1));
    await batch.signal(setConcurrencySignal, { concurrency: 4 });
    return [batch.id, ...batch.shardIds];
  },

  async 'a batch with fewer rows at once than shards, to its end'(rig) {
    const batch = await new Batch(rig, questions(9, slow(1_000)), 3, 2).start();
    await inFlight(rig, 2);
    await batch.signal(setConcurrencySignal, { concurrency: 1 });
    return [batch.id, batch.shardId(1)];
  },

  async 'a batch of which rows are cancelled, in flight and waiting'(rig) {
    const batch = await new Batch(rig, questions(9, slow(2_500)), 3, 2).start();
    await inFlight(rig, 2);
    await batch.signal(cancelRowsSignal, { ids: ['q0', 'q4', 'q8', 'nobody'] });
    await batch.signal(cancelRowsSignal, { ids: ['q3'] });
    return [batch.id, ...batch.shardIds];
  },

  async 'a batch given signals of no sense'(rig) {
    const batch = await new Batch(rig, questions(2, slow(1_500)), 2, 1).start();
    await inFlight(rig, 1);
    for (const name of ['pause', 'resume', 'setConcurrency', 'cancelRows', 'stop']) await batch.signal(name, null);
    await batch.signal('stop', { reason: 'tired' });
    return [batch.id];
  },

  async 'a batch whose deadline passes: of its shards two run, two have sessions, one waits'(rig) {
    const batch = new Batch(rig, questions(10, slow(30_000)), 2, 2, { bounds: { deadline: after(8_000) } });
    await batch.start();
    await inFlight(rig, 2);
    return [batch.id, batch.shardId(0), batch.shardId(3), batch.shardId(4)];
  },

  async 'a batch whose deadline passes while its sessions are opened'(rig) {
    rig.simulator.changeSettings({ createLatencyMs: 15_000 });
    const batch = await new Batch(rig, questions(2), 2, 1, { bounds: { deadline: after(5_000) } }).start();
    await told(rig, batch.shardId(0), 'activityTaskScheduledEventAttributes');
    return [batch.id, ...batch.shardIds];
  },

  async 'a batch whose deadline passes while it is paused'(rig) {
    const batch = await new Batch(rig, questions(9, slow(2_500)), 3, 2, { bounds: { deadline: after(8_000) } }).start();
    await inFlight(rig, 2);
    await batch.pause();
    return [batch.id, batch.shardId(0), batch.shardId(2)];
  },

  async 'a batch that has used up its tokens'(rig) {
    const batch = await new Batch(rig, questions(10, slow(1_500)), 2, 2, { bounds: { maxTokens: 1 } }).start();
    return [batch.id, batch.shardId(0), batch.shardId(4)];
  },

  async 'a batch that has used up its tokens in a short first lane, while its other sessions are opened'(rig) {
    rig.simulator.setFaults([{ operation: 'createSession', match: { nth: 4 }, fault: { kind: 'delay', ms: 20_000 } }]);
    const batch = await new Batch(rig, questions(5, slow(1_500)), 5, 1, { bounds: { maxTokens: 1 } }).start();
    return [batch.id, ...batch.shardIds];
  },

  async 'a batch of which too many rows fail'(rig) {
    const rows = questions(4, slow(1_500));
    Object.assign(rows[0] ?? {}, { parameterInputs: { nowhere: { type: 'string', value: 'x' } } });
    const batch = await new Batch(rig, rows, 4, 2, { bounds: { maxFailures: 1 } }).start();
    return [batch.id, ...batch.shardIds];
  },

  async 'a batch of which too many rows have no session'(rig) {
    rig.simulator.setFaults([{ operation: 'createSession', fault: { kind: 'error', errorName: 'AgentNotFound' } }]);
    const batch = await new Batch(rig, questions(6), 1, 1, { bounds: { maxFailures: 1 } }).start();
    return [batch.id, batch.shardId(5)];
  },

  async 'rows of their own deadline and mode'(rig) {
    const own: Partial<BatchRow>[] = [
      { mode: 'blocking' },
      { mode: 'blocking', deadline: after(4_000) },
      { deadline: after(4_000) },
      { deadline: after(-1) },
      {},
    ];
    const rows = questions(own.length, slow(6_000)).map((row, n) => ({ ...row, ...own[n] }));
    const batch = await new Batch(rig, rows, rows.length, 3, { deleteSessions: true }).start();
    return batch.shardIds;
  },

  async 'a batch whose rows are runs of their own'(rig) {
    const batch = await new Batch(rig, questions(24), 24, 4, { isolation: 'workflow' }).start();
    return [batch.id, ...batch.shardIds];
  },

  async 'a batch that deletes its sessions'(rig) {
    const batch = await new Batch(rig, questions(6, slow(300)), 6, 1, { deleteSessions: true }).start();
    return batch.shardIds;
  },

  async 'a batch cancelled that deletes its sessions'(rig) {
    const batch = await new Batch(rig, questions(4, slow(9_000)), 4, 2, { deleteSessions: true }).start();
    await inFlight(rig, 2);
    await batch.cancel();
    return batch.shardIds;
  },

  async 'a batch cancelled while it deletes sessions beside its lane'(rig) {
    rig.simulator.setFaults([{ operation: 'deleteSession', fault: { kind: 'delay', ms: 20_000 } }]);
    const batch = await new Batch(rig, questions(5, slow(1_000)), 5, 1, { deleteSessions: true }).start();
    await until('a session is deleted', () => (rig.simulator.summary().totals.calls.deleteSession ?? 0) > 0);
    rig.simulator.setFaults([]);
    await batch.cancel();
    return batch.shardIds;
  },

  'a batch that cannot delete its sessions': {
    setting: { waits: { DELETE_TIMEOUT: '3 seconds' } },
    async tell(rig) {
      rig.simulator.setFaults([{ operation: 'deleteSession', fault: { kind: 'status', status: 503 } }]);
      const batch = await new Batch(rig, questions(2), 2, 2, { deleteSessions: true }).start();
      return batch.shardIds;
    },
  },

  'a batch that continues as new with all that was asked of it': {
    setting: { suggestContinueAsNewAt: 30 },
    async tell(rig) {
      const bounds = { deadline: after(25_000) };
      const batch = await new Batch(rig, questions(12, slow(2_500)), 3, 2, { bounds }).start();
      await inFlight(rig, 2);
      await batch.signal(setConcurrencySignal, { concurrency: 1 });
      await batch.signal(cancelRowsSignal, { ids: ['q1', 'q7'] });
      await batch.pause();
      await continuedAsNew(rig, batch.id);
      await batch.signal(resumeBatchSignal);
      await inFlight(rig, 1);
      await batch.pause();
      return [batch.id, batch.shardId(1)];
    },
  },

  'a batch given another weight, which continues as new with it': {
    setting: { suggestContinueAsNewAt: 30 },
    async tell(rig) {
      const batch = await new Batch(rig, questions(6, slow(300)), 1, 1).start();
      await inFlight(rig, 1);
      await batch.signal(setWeightSignal, { weight: 3 });
      await batch.signal(setWeightSignal, { weight: 1_000 });
      await continuedAsNew(rig, batch.id);
      return [batch.id, batch.shardId(5)];
    },
  },
};
