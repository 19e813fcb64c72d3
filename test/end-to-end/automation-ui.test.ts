import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { startAutomation } from '../../src/client/index.js';
import { readPlan } from '../../src/plans/index.js';
import { type AutomationResult, automationWorkflowId } from '../../src/protocol/automation.js';
import { startBrowser } from '../support/browser.js';
import { exchangeStatuses, type Rig, startRig, until } from '../support/rig.js';
import { TemporalUi } from '../support/temporal-ui.js';

let rig: Rig;
let browser: Browser;
let ui: TemporalUi;
beforeAll(async () => {
  browser = await startBrowser();
  rig = await startRig();
  ui = await TemporalUi.open(browser);
});
afterAll(async () => {
  await browser?.close();
  await rig?.close();
});

async function start(text: string) {
  const { plan } = readPlan(text, { file: 'plan.yaml' });
  const { agentRid } = rig.simulator;
  const { automationId, workflowId, runId } = await startAutomation(rig.client, { plan, agentRid });
  expect(workflowId).toBe(automationWorkflowId(automationId));
  return { workflowId, runId, handle: rig.client.client.workflow.getHandle(workflowId) };
}

const RELEASE = `
name: release
steps:
  - { id: draft, ask: Draft it }
  - { id: release, approve: { message: 'Release it? <b>Now</b>, **please**: 1 | 2', wait: 3d, default: reject } }
  - { ask: Send it. }
output: steps.release
`;

test('a plan that waits for somebody is found by an operator, says how to answer, and is answered', async () => {
  const { workflowId, runId, handle } = await start(RELEASE);
  const query = `AipNeedsAttention=true AND WorkflowId="${workflowId}"`;
  await until('the run is listed', async () => {
    for await (const _ of rig.client.client.workflow.list({ query })) return true;
    return false;
  });
  await ui.openList(query);
  await ui.shows([workflowId]);
  await ui.openWorkflow({ workflowId, runId }, 'user-metadata');
  await ui.shows([
    'waiting for approval release until',
    ', then it is rejected',
    '“Release it? <b>Now</b>, **please**: 1 | 2”',
    'To answer, send the signal approve or reject with',
    '"approvalId": "release"',
  ]);
  await ui.shows(['✓ draft (ask)', 'release (approve) until', '· steps[2] (ask)']);
  await ui.sendSignal('approve', { by: 'Ann', comment: 'read it' });
  const result = (await handle.result()) as AutomationResult;
  expect(result.output).toMatchObject({ approved: true, by: 'Ann', comment: 'read it' });
  await until('it is listed no more', async () => {
    for await (const _ of rig.client.client.workflow.list({ query })) return false;
    return true;
  });
});

test('"Request Cancellation" of a plan stops all its exchanges at the agent', async () => {
  const texts = ['Long, to the north? [takes 60s]', 'Long, to the south? [takes 60s]'];
  const { workflowId, runId, handle } = await start(`
name: two-at-once
steps:
  - forEach: ${JSON.stringify(texts)}
    concurrency: 2
    conversations: { own: {} }
    do: [{ ask: '{{ item }}', in: own }]
`);
  const statuses = () => texts.flatMap((text) => exchangeStatuses(rig, text));
  await until('both are answering', () => statuses().filter((status) => status === 'answering').length === 2);
  await ui.openWorkflow({ workflowId, runId }, 'history');
  await ui.requestCancellation();
  await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  expect(statuses()).toEqual(['cancelled', 'cancelled']);
  await ui.shows(['Canceled']);
});
