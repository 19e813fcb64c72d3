import { randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { readPlan } from '../../src/plans/index.js';
import {
  type ApprovalNotice,
  type AutomationInput,
  type AutomationResult,
  automationWorkflowId,
} from '../../src/protocol/automation.js';
import { WORKFLOW_TYPES } from '../../src/protocol/workflow-names.js';
import { pluginOf, startUsersWorker, type UsersWorker } from '../support/plugin-stage.js';
import { startRig } from '../support/rig.js';
import { quietRuntime } from '../support/worker-of.js';
import { timeSkippingEnvironment } from '../support/time-skipping.js';

quietRuntime();

const DAY_MS = 86_400_000;

const PLAN = `
name: quarter
deadline: 90d
steps:
  - { id: first, ask: How are things at the beginning? }
  - wait: 30d
  - parallel:
      people: [{ id: release, approve: { message: Go on?, wait: 30d, default: approve, remindEvery: 10d } }]
      days: [{ forEach: [1, 2, 3], do: [{ wait: 5d }, { ask: 'How are things on day {{ item }}?' }] }]
  - { id: last, ask: And how are they now? }
output: "{ 'days': $floor(($millis() - $toMillis(run.startedAt)) / 86400000), 'byDefault': steps.release.byDefault, 'session': steps.last.sessionRid = steps.first.sessionRid }"
`;

test('a plan waits for months, with bounded history, and goes on (time is skipped)', async () => {
  const environment = await timeSkippingEnvironment();
  if (environment === undefined) {
    console.warn('Not tried: a test server that skips time needs Java and Maven');
    return;
  }
  const notices: ApprovalNotice[] = [];
  const { address, namespace = 'default', client } = environment;
  const rig = await startRig({ worker: false, server: { address, namespace } });
  let users: UsersWorker | undefined;
  try {
    rig.simulator.changeSettings({ sessionLifetimeMs: 365 * DAY_MS });
    // A fleet's open activity would keep the server from skipping time.
    const onApproval = (notice: ApprovalNotice) => void notices.push(notice);
    users = await startUsersWorker(rig, {
      ...{ connection: environment.nativeConnection, namespace },
      plugins: [pluginOf(rig, { shareLimits: false, onApproval })],
    });
    const { plan } = readPlan(PLAN, { file: 'quarter.yaml' });
    const input: AutomationInput = {
      ...{ plan, inputs: {}, agentRid: rig.simulator.agentRid },
    };
    const handle = await client.workflow.start(WORKFLOW_TYPES.automation, {
      workflowId: automationWorkflowId(randomUUID()),
      taskQueue: rig.taskQueue,
      args: [input],
    });
    const { output, totals } = (await handle.result()) as AutomationResult;
    expect(output).toEqual({ days: 60, byDefault: true, session: true });
    expect(totals.answered).toBe(5);
    expect(notices.map(({ reminder }) => reminder)).toEqual([0, 1, 2]);
    const { historyLength } = await handle.describe();
    expect(historyLength).toBeLessThan(150);
    expect(rig.simulator.ledger().exchanges.map(({ status }) => status)).toEqual(Array(5).fill('landed'));
  } finally {
    await users?.stop();
    await rig.close();
    await environment.teardown();
  }
}, 180_000);
