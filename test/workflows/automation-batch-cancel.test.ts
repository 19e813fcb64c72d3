import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { NativeConnection, Worker } from '@temporalio/worker';
import { type BatchCalls, createChildBatchActivities } from '../../src/activities/child-batch.js';
import { batchCalls } from '../../src/client/batch-calls.js';
import { type AutomationInput, automationWorkflowId } from '../../src/protocol/automation.js';
import { interactiveTaskQueue } from '../../src/protocol/task-queues.js';
import { WORKFLOW_TYPES } from '../../src/protocol/workflow-names.js';
import { planOf } from '../support/automation-stage.js';
import { startRig, type Rig, until } from '../support/rig.js';
import { temporalServer, workflowBundle } from '../support/temporal-server.js';

let rig: Rig;
let connection: NativeConnection;
beforeAll(async () => {
  rig = await startRig({ worker: false });
  connection = await NativeConnection.connect({ address: (await temporalServer()).address });
});
afterAll(async () => {
  await connection.close();
  await rig.close();
});

/** Serves the rig's task queue until `run` has ended: its workflows, and the activity that hands batches over. */
async function whileServed(calls: BatchCalls, run: () => Promise<void>): Promise<void> {
  const { taskQueue } = rig;
  const { namespace } = await temporalServer();
  const { prepareBatch } = createChildBatchActivities(calls);
  const shared = { connection, namespace };
  const activities = { activities: { prepareBatch }, taskQueue: interactiveTaskQueue(taskQueue) };
  const handing = await Worker.create({ ...shared, ...activities });
  const workflows = await Worker.create({ ...shared, taskQueue, workflowBundle: await workflowBundle() });
  await handing.runUntil(workflows.runUntil(run));
}

test('a plan that is cancelled while its batch is handed over leaves no shard waiting', async () => {
  const { workflow } = rig.client.client;
  const rows = Array.from({ length: 1_500 }, (_, n) => `Row ${n}? [takes 60s]`);
  const plan = planOf([{ kind: 'batch', id: 'rows', rows, concurrency: 2 }]);
  const workflowId = automationWorkflowId(randomUUID());
  const handle = await workflow.start(WORKFLOW_TYPES.automation, {
    ...{ workflowId, taskQueue: rig.taskQueue },
    args: [{ plan, inputs: {}, agentRid: rig.simulator.agentRid } satisfies AutomationInput],
  });

  let isHandedOver = false;
  let knows = false;
  const calls: BatchCalls = {
    ...batchCalls,
    async prepare(...args) {
      const prepared = await batchCalls.prepare(...args);
      isHandedOver = true;
      await until('the plan knows that it is cancelled', () => knows);
      return prepared;
    },
  };
  await whileServed(calls, async () => {
    await until('the shards are handed over', () => isHandedOver);
    await handle.cancel();
    await until('a workflow task tells of the cancellation', async () => {
      const events = (await handle.fetchHistory()).events ?? [];
      const request = events.findIndex(
        ({ workflowExecutionCancelRequestedEventAttributes: attributes }) => attributes != null,
      );
      return request > 0 && events.slice(request).some((event) => event.workflowTaskCompletedEventAttributes != null);
    });
    knows = true;
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    await until('nothing of the batch runs', async () => (await openWorkflowsOf(workflowId)) === 0);
  });
  expect(rig.simulator.ledger()).toMatchObject({ running: [], exchanges: [] });
});

async function openWorkflowsOf(automation: string): Promise<number> {
  const query = `AipBatch STARTS_WITH '${automation}' AND ExecutionStatus = 'Running'`;
  return (await rig.client.client.workflow.count(query)).count;
}
