import { randomUUID } from 'node:crypto';
import { submitBatch } from '../../src/client/index.js';
import { readPlan } from '../../src/plans/index.js';
import {
  type AutomationInput,
  type AutomationStatus,
  automationStatusQuery,
  automationWorkflowId,
  approveSignal,
  decideUpdate,
  rejectSignal,
} from '../../src/protocol/automation.js';
import type { JsonObject } from '../../src/protocol/plan.js';
import { WORKFLOW_TYPES } from '../../src/protocol/workflow-names.js';
import { type Rig, until } from '../support/rig.js';
import type { Story } from './recorded-runs.js';

type More = Partial<Pick<AutomationInput, 'maxStepsPerRun'>> & { inputs?: JsonObject; automationId?: string };

/** Starts a plan, as written down. */
async function start(rig: Rig, text: string, { inputs = {}, automationId, ...more }: More = {}) {
  const { plan } = readPlan(text, { file: 'story.yaml' });
  const { client, taskQueue, simulator } = rig;
  const handle = await client.client.workflow.start(WORKFLOW_TYPES.automation, {
    workflowId: automationWorkflowId(automationId ?? `recorded/${randomUUID()}`),
    taskQueue,
    args: [{ plan, inputs, agentRid: simulator.agentRid, ...more } satisfies AutomationInput],
  });
  const ended = () => handle.result().catch(() => undefined);
  const status = (): Promise<AutomationStatus> => handle.query(automationStatusQuery);
  const waits = () => until('it waits', async () => (await status()).state === 'waiting');
  return { ...{ id: handle.workflowId, handle, ended, status, waits } };
}

async function answering(rig: Rig): Promise<void> {
  await until('the agent answers', () => rig.simulator.ledger().running.length > 0);
}

const EVERY_STEP = `
name: every-step
inputs: { items: array }
conversations: { main: {}, other: { title: "Of {{ run.plan }}", parameters: { status: open } } }
deadline: 1h
steps:
  - { id: first, ask: "What is late?", in: main, deadline: 5m }
  - id: figures
    askJson:
      text: "How many? [answer]\\n\`\`\`json\\n{\\"n\\": 3}\\n\`\`\`"
      schema: { type: object, properties: { n: { type: integer } }, required: [n] }
    in: other
  - id: each
    forEach: inputs.items
    as: item
    concurrency: 2
    conversations: { own: {} }
    do:
      - { id: one, ask: "{{ item }}? {{ steps.first.answer }}", in: own }
      - { ask: "And then?", in: own }
    collect: steps.one.tokens
  - if: steps.figures.json.n = 3
    then: [{ set: { n: "{{ steps.figures.json.n }}" } }]
    else: [{ fail: "There are {{ steps.figures.json.n }}" }]
  - parallel:
      pause: [{ wait: 1s }]
      asks: [{ ask: "Meanwhile?", in: main }, { ask: "In one piece?", in: other }]
  - id: rows
    batch: { rows: ["One?", "Two?", { id: three, text: "Three?" }], concurrency: 2 }
  - id: release
    approve: { message: "Release?", wait: 3d, default: reject, remindEvery: 1s }
output: "{'n': vars.n, 'rows': $count(steps.rows.results), 'by': steps.release.by, 'each': steps.each.results}"
`;

const ROLLING = `
name: rolling
inputs: { items: array }
steps:
  - id: each
    forEach: inputs.items
    as: item
    concurrency: 2
    conversations: { own: {} }
    do:
      - { ask: "{{ item }}?", in: own }
      - { wait: 1s }
      - { id: then, ask: "And then?", in: own }
    collect: steps.then.answer
  - parallel:
      approval: [{ id: release, approve: "Release?" }]
      asks: [{ ask: "One?", in: main }, { ask: "Two?", in: main }]
  - { ask: "Fails? [fail AgentIterationsExceededLimit]", in: main, onError: { retry: 2, delay: 1s, backoff: 2, then: skip } }
output: "$count(steps.each.results)"
`;

const FAILURES = `
name: failures
steps:
  - { id: a, ask: "Fails? [fail AgentIterationsExceededLimit]", onError: { goto: c } }
  - { id: b, ask: "Never asked" }
  - { id: c, ask: "Too slow? [takes 60s]", deadline: 1s, onError: skip }
  - { id: d, approve: { message: "Well?", wait: 1s, default: approve } }
  - { id: e, approve: { message: "Well?", onReject: continue } }
  - id: each
    forEach: [1, 2]
    onItemError: continue
    do: [{ ask: "Fails? [fail AgentIterationsExceededLimit]" }]
  - parallel:
      slow: [{ ask: "Stopped? [takes 60s]", in: main }]
      fails: [{ wait: 1s }, { fail: "because" }]
`;

const one = (step: string): string => `name: one\nsteps:\n  - ${step}\n`;

/** The stories of automations. */
export const automationRuns: Readonly<Record<string, Story>> = {
  async 'a plan of every kind of step'(rig) {
    const { id, handle, ended, status } = await start(rig, EVERY_STEP, { inputs: { items: ['x', 'y', 'z'] } });
    await until('it was reminded', async () => ((await status()).approvals[0]?.reminders ?? 0) > 1);
    await handle.signal(approveSignal, { by: 'Ann', comment: 'Well done' });
    await ended();
    return [id];
  },

  async 'a plan that rolls over with every second step'(rig) {
    const more = { maxStepsPerRun: 2, inputs: { items: ['x', 'y', 'z'] } };
    const { id, handle, ended, status } = await start(rig, ROLLING, more);
    await until('it waits for somebody', async () => (await status()).approvals.length > 0);
    await handle.executeUpdate(decideUpdate, { args: [{ decision: 'approve', by: 'Ann' }] });
    await ended();
    return [id];
  },

  async 'a plan whose steps fail in every way'(rig) {
    const { id, handle, ended, status } = await start(rig, FAILURES);
    const isAsked = async () => (await status()).approvals.some(({ approvalId }) => approvalId === 'e');
    await until('it waits for somebody', isAsked);
    await handle.signal(rejectSignal, { by: 'Bob' });
    await ended();
    return [id];
  },

  async 'a plan that is cancelled in an exchange'(rig) {
    const { id, handle, ended } = await start(rig, one('ask: "Long? [takes 60s]"'));
    await answering(rig);
    await handle.cancel();
    await ended();
    return [id];
  },

  async 'a plan that is cancelled while it waits for somebody, and for its time'(rig) {
    const plan = one('parallel: { a: [{ approve: "Well?" }], b: [{ wait: 30d }] }');
    const { id, handle, ended, waits } = await start(rig, plan);
    await waits();
    await handle.cancel();
    await ended();
    return [id];
  },

  async 'a plan that is cancelled in a batch'(rig) {
    const { id, handle, ended } = await start(rig, one('{ id: rows, batch: { rows: ["Long? [takes 60s]"] } }'));
    await answering(rig);
    await handle.cancel();
    await ended();
    return [id];
  },

  async 'a plan past its deadline'(rig) {
    const { id, ended } = await start(rig, `deadline: 2s\n${one('ask: "Long? [takes 60s]"')}`);
    await ended();
    return [id];
  },

  async 'a plan that jumps back for ever'(rig) {
    const { id, ended } = await start(
      rig,
      `maxSteps: 6\n${one('{ id: a, ask: "Fails? [fail AgentIterationsExceededLimit]", onError: { goto: a } }')}`,
    );
    await ended();
    return [id];
  },

  async 'a plan that is terminated'(rig) {
    const { id, handle, ended } = await start(rig, one('ask: "Long? [takes 60s]"'));
    await answering(rig);
    await handle.terminate();
    await ended();
    return [id];
  },

  async 'a plan whose batch was there already'(rig) {
    const { client, simulator } = rig;
    const automationId = `recorded/${randomUUID()}`;
    await submitBatch(client, {
      batchId: `${automationWorkflowId(automationId)}/rows/1`,
      agentRid: simulator.agentRid,
      rows: [{ id: 'row-1', turns: ['There? [takes 2s]'] }],
      concurrency: 20,
    });
    const { id, ended } = await start(rig, one('{ id: rows, batch: { rows: ["There? [takes 2s]"] } }'), {
      automationId,
    });
    await ended();
    return [id];
  },
};
