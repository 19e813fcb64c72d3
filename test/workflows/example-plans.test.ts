/** The plans to begin with, run as `aip-temporal dev` runs them: asked of the simulator, and approved. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { checkInputs, readPlan } from '../../src/plans/index.js';
import { plainAgent } from '../../src/simulator/index.js';
import { run } from '../support/automation-stage.js';
import { plansOfFolder } from '../support/plan-files.js';
import { type Rig, startRig, until } from '../support/rig.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.close());

/** What those with inputs that must be given are given, and what a run comes to. */
const RUNS: Readonly<Record<string, { inputs?: object; output: unknown }>> = {
  'mt-bench': {
    inputs: { conversations: [{ id: 'a', turns: ['Who wrote it?', 'And when?'] }] },
    output: { answered: 1, failed: 0 },
  },
  'nightly-report': { output: { region: 'north', total: 1, report: expect.stringContaining('**Answer 2**') } },
  approval: {
    inputs: { customer: 'Ann', occasion: 'a parcel that is late' },
    output: { approvedBy: 'Ann', mail: expect.any(String) },
  },
  reviews: { inputs: { reviews: ['Good.', 'Bad.'] }, output: { counts: { succeeded: 2, failed: 0 } } },
  triage: {
    inputs: { case: 'There is a fire.', specialist: plainAgent.agentRid },
    output: { urgency: 'low', reply: expect.stringContaining('**Answer 2**') },
  },
};

test.each(await plansOfFolder('examples/plans'))('$name runs to its end', async ({ name, yaml }) => {
  const { plan } = readPlan(yaml, { file: name });
  const { inputs = {}, output } = RUNS[plan.name] ?? {};
  const running = await run(rig, plan, { inputs: checkInputs(plan, { ...inputs }) });
  let hasEnded = false;
  const ended = running.output().finally(() => (hasEnded = true));
  await until('it has ended', async () => {
    const { approvals } = await running.status();
    for (const { approvalId } of approvals) await running.decide({ approvalId, decision: 'approve', by: 'Ann' });
    return hasEnded;
  });
  expect(await ended).toMatchObject(output as object);
});
