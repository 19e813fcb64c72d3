import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type AutomationSchedule,
  AutomationScheduleExistsError,
  AutomationScheduleNotFoundError,
  type AutomationScheduleSummary,
  backfillAutomationSchedule,
  createAutomationSchedule,
  deleteAutomationSchedule,
  describeAutomation,
  describeAutomationSchedule,
  InvalidCallError,
  listAutomationSchedules,
  pauseAutomationSchedule,
  resumeAutomationSchedule,
  triggerAutomationSchedule,
  updateAutomationSchedule,
} from '../../src/client/index.js';
import { MAIN_CONVERSATION, type Plan } from '../../src/protocol/plan.js';
import { startRig, until, type Rig } from '../support/rig.js';

/** No worker: a schedule is Temporal's own. */
let rig: Rig;
const made: string[] = [];
beforeAll(async () => {
  rig = await startRig({ worker: false });
});
afterEach(async () => {
  for (const name of made.splice(0)) await deleteAutomationSchedule(rig.client, name).catch(() => undefined);
});
afterAll(() => rig.close());

const PLAN: Plan = {
  name: 'nightly',
  description: 'Reports what is late.',
  inputs: {},
  conversations: { [MAIN_CONVERSATION]: {} },
  maxSteps: 100,
  steps: [{ kind: 'ask', conversation: MAIN_CONVERSATION, text: 'What is late?' }],
};

async function create(settings: Partial<AutomationSchedule> = {}): Promise<string> {
  const name = `test-${randomUUID()}`;
  made.push(name);
  const { agentRid } = rig.simulator;
  const times = settings.cron === undefined && settings.everyMs === undefined ? { cron: ['0 6 * * *'] } : {};
  await createAutomationSchedule(rig.client, {
    name,
    plan: PLAN,
    inputs: { region: 'north' },
    agentRid,
    source: 'nightly.yaml',
    ...times,
    ...settings,
  });
  return name;
}

async function listed(name: string): Promise<AutomationScheduleSummary | undefined> {
  for await (const schedule of listAutomationSchedules(rig.client)) if (schedule.name === name) return schedule;
  return undefined;
}

describe('createAutomationSchedule()', () => {
  test('keeps plan, inputs, times and policies as given, and tells them again', async () => {
    const name = await create({
      cron: ['0 6 * * 1-5', '30 7 1 */3 *'],
      timeZone: 'Europe/Berlin',
      overlap: 'bufferOne',
      jitterMs: 60_000,
      catchupWindowMs: 3_600_000,
      paused: true,
      note: 'begins in March',
    });
    const described = await describeAutomationSchedule(rig.client, name);
    expect(described).toMatchObject({
      name,
      scheduleId: `automation/${name}`,
      plan: 'nightly',
      source: 'nightly.yaml',
      when: '0 6 * * 1-5 (Europe/Berlin); 30 7 1 */3 * (Europe/Berlin)',
      inputs: { region: 'north' },
      agentRid: rig.simulator.agentRid,
      overlap: 'bufferOne',
      jitterMs: 60_000,
      catchupWindowMs: 3_600_000,
      paused: true,
      note: 'begins in March',
      running: [],
      counts: { started: 0, skipped: 0, missed: 0 },
    });
    expect(described.nextRuns.length).toBeGreaterThan(0);
    let summary: AutomationScheduleSummary | undefined;
    await until('it is listed', async () => (summary = await listed(name)) !== undefined);
    expect(summary?.when).toBe(described.when);
    expect(summary?.nextRuns[0]).toBeInstanceOf(Date);
  });

  test('an interval is told in words, and the default is to skip', async () => {
    const name = await create({ everyMs: 5_400_000 });
    expect(await describeAutomationSchedule(rig.client, name)).toMatchObject({ when: 'every 1h30m', overlap: 'skip' });
  });

  test.each<[string, Partial<AutomationSchedule>, RegExp]>([
    ['a cron expression that is none', { cron: ['0 6 * *'] }, /Cannot create schedule test-.*0 6 \* \*|cron/i],
    ['a time zone that is none', { timeZone: 'Europe/Atlantis' }, /Atlantis/],
    ['an interval of nothing', { everyMs: 10 }, /every 10 ms: give at least 1000/],
    ['a time zone of an interval', { everyMs: 60_000, timeZone: 'Europe/Berlin' }, /intervals have none/],
  ])('%s is refused', async (_, settings, message) => {
    const creating = create(settings);
    await expect(creating).rejects.toThrow(message);
    await expect(creating).rejects.toBeInstanceOf(InvalidCallError);
  });

  test('a plan without times, or without an agent, is refused', async () => {
    await expect(createAutomationSchedule(rig.client, { name: 'x', plan: PLAN, agentRid: 'a' })).rejects.toThrow(
      'for no time: give a cron expression, or an interval',
    );
    await expect(createAutomationSchedule(rig.client, { name: 'x', plan: PLAN, everyMs: 60_000 })).rejects.toThrow(
      'Cannot start plan nightly without an agent: steps[0] names none',
    );
  });

  test('a name is used once', async () => {
    const name = await create();
    const again = createAutomationSchedule(rig.client, { name, plan: PLAN, agentRid: 'a', everyMs: 60_000 });
    await expect(again).rejects.toBeInstanceOf(AutomationScheduleExistsError);
  });
});

test('a schedule is paused, goes on, and is deleted', async () => {
  const name = await create();
  await pauseAutomationSchedule(rig.client, name, { note: 'holidays' });
  expect(await describeAutomationSchedule(rig.client, name)).toMatchObject({ paused: true, note: 'holidays' });
  await resumeAutomationSchedule(rig.client, name);
  expect((await describeAutomationSchedule(rig.client, name)).paused).toBe(false);
  await deleteAutomationSchedule(rig.client, name);
  await expect(describeAutomationSchedule(rig.client, name)).rejects.toBeInstanceOf(AutomationScheduleNotFoundError);
});

describe('updateAutomationSchedule()', () => {
  const CHANGED: Plan = { ...PLAN, description: 'Reports more.', maxSteps: 7 };
  const TIMES = { cron: ['0 6 * * 1-5'], everyMs: 5_400_000, timeZone: 'Europe/Berlin', jitterMs: 60_000 };
  const started = async (name: string) =>
    (await rig.client.client.schedule.getHandle(`automation/${name}`).describe()).action;

  test('puts plan and inputs in the place of those of before, and leaves all else', async () => {
    const name = await create({
      ...{ ...TIMES, overlap: 'bufferOne', catchupWindowMs: 3_600_000, paused: true, note: 'holidays' },
    });
    const before = await describeAutomationSchedule(rig.client, name);
    const elsewhere = { client: rig.client.client, taskQueue: 'another' };
    await updateAutomationSchedule(elsewhere, name, { plan: CHANGED, inputs: { days: 2 }, source: 'moved.yaml' });
    const after = await describeAutomationSchedule(rig.client, name);
    expect(after).toEqual({ ...before, inputs: { days: 2 }, source: 'moved.yaml', nextRuns: expect.any(Array) });
    expect(after.nextRuns).toHaveLength(before.nextRuns.length);
    const action = await started(name);
    expect(action).toMatchObject({
      ...{ workflowId: `automation/${name}`, taskQueue: rig.taskQueue, workflowTaskTimeout: 5_000 },
      args: [{ plan: CHANGED, inputs: { days: 2 }, agentRid: rig.simulator.agentRid }],
      staticSummary: 'nightly: Reports more.',
    });
    await updateAutomationSchedule(rig.client, name, { plan: CHANGED, agentRid: 'ri.aip-agents..agent.1' });
    const { source, ...again } = await describeAutomationSchedule(rig.client, name);
    expect(source).toBeUndefined();
    expect(again).toMatchObject({ inputs: {}, agentRid: 'ri.aip-agents..agent.1', paused: true, note: 'holidays' });
  });

  test('refuses a plan of another name, one without an agent, and a schedule that is not there', async () => {
    const name = `test-${randomUUID()}`;
    made.push(name);
    const waiting: Plan = { ...PLAN, steps: [{ kind: 'wait', wait: { forMs: 1 } }] };
    await createAutomationSchedule(rig.client, { name, plan: waiting, everyMs: 60_000 });
    const updating = (plan: Plan) => updateAutomationSchedule(rig.client, name, { plan });
    await expect(updating({ ...PLAN, name: 'weekly' })).rejects.toThrow(
      `Cannot update schedule ${name}: it starts plan nightly, and this one is called weekly; create a schedule for it`,
    );
    await expect(updating(PLAN)).rejects.toThrow('Cannot start plan nightly without an agent: steps[0] names none');
    await expect(updateAutomationSchedule(rig.client, 'nowhere', { plan: PLAN })).rejects.toBeInstanceOf(
      AutomationScheduleNotFoundError,
    );
  });
});

test('trigger starts the plan now, as startAutomation would, and tells its id', async () => {
  const name = await create();
  const { automationId = '' } = await triggerAutomationSchedule(rig.client, name);
  expect(automationId).toMatch(new RegExp(`^${name}-\\d{4}-\\d\\d-\\d\\dT`));
  await until('its search attributes are there', async () => {
    return (await describeAutomation(rig.client, automationId)).schedule === name;
  });
  expect(await describeAutomation(rig.client, automationId)).toMatchObject({
    automationId,
    status: 'running',
    plan: 'nightly',
    source: 'nightly.yaml',
    agentRid: rig.simulator.agentRid,
    state: 'open',
    needsAttention: false,
    noWorker: expect.stringContaining('no worker answers'),
  });
  const { lastRuns, running, counts } = await describeAutomationSchedule(rig.client, name);
  expect(lastRuns.at(-1)?.automationId).toBe(automationId);
  expect(running).toEqual([automationId]);
  expect(counts).toMatchObject({ started: 1, skipped: 0 });
  expect(await triggerAutomationSchedule(rig.client, name)).toEqual({});
  expect((await describeAutomationSchedule(rig.client, name)).counts).toMatchObject({ started: 1, skipped: 1 });
  // Temporal names runs by the second.
  await until('the next second', () => new Date().toISOString().slice(0, 19) > automationId.slice(-20, -1));
  const beside = await triggerAutomationSchedule(rig.client, name, { overlap: 'allowAll' });
  expect(beside.automationId).toMatch(new RegExp(`^${name}-20`));
  expect(beside.automationId).not.toBe(automationId);
  for (const id of [automationId, beside.automationId ?? '']) {
    await rig.client.client.workflow.getHandle(`automation/${id}`).terminate();
  }
});

test('backfill starts the plan for each time of a span', async () => {
  const name = await create({ cron: ['0 6 * * *'] });
  const [from, to] = [new Date('2026-03-01T00:00:00Z'), new Date('2026-03-04T00:00:00Z')];
  await backfillAutomationSchedule(rig.client, name, { from, to, overlap: 'allowAll' });
  await until('three have started', async () => {
    return (await describeAutomationSchedule(rig.client, name)).counts.started === 3;
  });
  const { lastRuns } = await describeAutomationSchedule(rig.client, name);
  expect(lastRuns.map(({ scheduledAt }) => scheduledAt.toISOString())).toEqual([
    '2026-03-01T06:00:00.000Z',
    '2026-03-02T06:00:00.000Z',
    '2026-03-03T06:00:00.000Z',
  ]);
  expect(lastRuns.map(({ automationId }) => automationId)).toEqual(
    lastRuns.map(({ scheduledAt }) => `${name}-${scheduledAt.toISOString().replace('.000', '')}`),
  );
  for (const { automationId } of lastRuns) {
    await rig.client.client.workflow.getHandle(`automation/${automationId}`).terminate();
  }
  await expect(backfillAutomationSchedule(rig.client, name, { from: to, to: from })).rejects.toThrow(
    'give a beginning before the end',
  );
});
