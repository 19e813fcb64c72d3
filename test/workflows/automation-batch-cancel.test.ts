import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type AutomationInput, automationWorkflowId } from '../../src/protocol/automation.js';
import { WORKFLOW_TYPES } from '../../src/protocol/workflow-names.js';
import { planOf } from '../support/automation-stage.js';
import { startRig, type Rig, until } from '../support/rig.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.close());

test('a plan that is cancelled while its batch is handed over leaves no shard waiting', async () => {
  const { workflow } = rig.client.client;
  const rows = Array.from({ length: 1_500 }, (_, n) => `Row ${n}? [takes 60s]`);
  const plan = planOf([{ kind: 'batch', id: 'rows', rows, concurrency: 2 }]);
  const workflowId = automationWorkflowId(randomUUID());
  const handle = await workflow.start(WORKFLOW_TYPES.automation, {
    ...{ workflowId, taskQueue: rig.taskQueue },
    args: [{ plan, inputs: {}, agentRid: rig.simulator.agentRid } satisfies AutomationInput],
  });
  await until('it hands over', async () => {
    const { raw } = await handle.describe();
    return raw.pendingActivities?.some(({ activityType }) => activityType?.name === 'prepareBatch') ?? false;
  });
  await handle.cancel();
  await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  const open = async () => {
    let count = 0;
    const query = `AipBatch STARTS_WITH '${workflowId}' AND ExecutionStatus = 'Running'`;
    for await (const _ of workflow.list({ query })) count++;
    return count;
  };
  await until('nothing of the batch runs', async () => (await open()) === 0);
  expect(rig.simulator.ledger().running).toEqual([]);
});
