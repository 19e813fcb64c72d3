import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { describeAutomation, startAutomation } from '../../src/client/index.js';
import { readPlan } from '../../src/plans/index.js';
import { startBrowser } from '../support/browser.js';
import { startRig, until, type Rig } from '../support/rig.js';
import { TemporalUi } from '../support/temporal-ui.js';

const { plan: RELEASE } = readPlan(`
name: release
steps:
  - approve: { message: "Send the notes?", wait: 3d }
    id: send
  - ask: "Send them. [takes 60s]"
    id: sent
output: steps.send.by
`);

let rig: Rig;
let browser: Browser;
let ui: TemporalUi;
beforeAll(async () => {
  browser = await startBrowser();
  rig = await startRig();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await rig?.close();
});
beforeEach(async () => {
  ui = await TemporalUi.open(browser);
});

async function waiting() {
  const { automationId, ...run } = await startAutomation(rig.client, {
    automationId: `ui/${randomUUID()}`,
    plan: RELEASE,
    agentRid: rig.simulator.agentRid,
  });
  const described = () => describeAutomation(rig.client, automationId);
  await until('it waits for somebody', async () => (await described()).live?.approvals.length === 1);
  return { run, described };
}

describe('an automation in the Temporal UI', () => {
  test('says what it waits for and how to answer, is approved by a signal, and cancelled at the agent', async () => {
    const { run, described } = await waiting();
    await ui.openWorkflow(run, 'user-metadata');
    await ui.shows(['approval send', 'send the signal', '"by": "your name"']);
    await ui.openWorkflow(run, 'history');
    await ui.sendSignal('approve', { by: 'Ann', comment: 'looks good' });
    await until('it goes on', async () => (await described()).live?.decisions[0]?.by === 'Ann');
    await until('the agent writes', () => rig.simulator.ledger().running.length === 1);
    await ui.requestCancellation();
    await until('it has ended as cancelled', async () => (await described()).status === 'cancelled');
    expect(rig.simulator.ledger().running).toEqual([]);
    await ui.shows(['Canceled']);
  }, 90_000);
});
