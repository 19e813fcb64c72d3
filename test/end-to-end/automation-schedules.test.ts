import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ScheduleSpec } from '@temporalio/client';
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
  type ScheduleOverlap,
  triggerAutomationSchedule,
  updateAutomationSchedule,
} from '../../src/client/index.js';
import { cronProblem, zoneProblem } from '../../src/client/automation-schedule-check.js';
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
    [
      'a cron expression that is none',
      { cron: ['0 6 * * *', '0 6 * *'] },
      /^Cannot schedule a plan by cron expression "0 6 \* \*": it has 4 fields; give five \(minute, hour, .*\), as in "0 6 \* \* 1-5"/,
    ],
    [
      'an hour that is none',
      { cron: ['0 24 * * *'] },
      /^Cannot schedule a plan by cron expression "0 24 \* \* \*": hour is "24"; give 0 to 23, or \* for all; also ranges \(1-4\)/,
    ],
    [
      'a time zone that nothing here tells from one',
      { timeZone: 'Europe/Atlantis' },
      /^Cannot create schedule test-.*: time zone "Europe\/Atlantis": no time zone has this name; give an IANA name, such as Europe/,
    ],
    [
      'a misspelt time zone',
      { timeZone: 'Europe/Berln' },
      /^Cannot schedule a plan in time zone "Europe\/Berln": no time zone has this name; did you mean "Europe\/Berlin"\?$/,
    ],
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
  const name = await create({ note: 'for the board' });
  const now = () => describeAutomationSchedule(rig.client, name);
  expect(await resumeAutomationSchedule(rig.client, name)).toEqual({ wasPaused: false });
  expect(await now()).toMatchObject({ paused: false, note: 'for the board' });
  const paused = await pauseAutomationSchedule(rig.client, name, { note: 'holidays' });
  expect(paused).toEqual({ wasPaused: false, noteBefore: 'for the board' });
  expect(await now()).toMatchObject({ paused: true, note: 'holidays' });
  const again = await pauseAutomationSchedule(rig.client, name);
  expect(again).toEqual({ wasPaused: true, noteBefore: 'holidays' });
  expect(await now()).toMatchObject({ paused: true, note: 'holidays' });
  await pauseAutomationSchedule(rig.client, name, { note: 'longer' });
  expect(await now()).toMatchObject({ paused: true, note: 'longer' });
  expect(await resumeAutomationSchedule(rig.client, name)).toEqual({ wasPaused: true });
  expect((await now()).paused).toBe(false);
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
  const once = { running: [automationId] };
  const trigger = (overlap?: ScheduleOverlap) =>
    triggerAutomationSchedule(rig.client, name, overlap === undefined ? {} : { overlap });
  expect(await trigger()).toEqual({ ...once, notStarted: 'skipped', overlap: 'skip' });
  expect((await describeAutomationSchedule(rig.client, name)).counts).toMatchObject({ started: 1, skipped: 1 });
  expect(await trigger('bufferOne')).toEqual({ ...once, notStarted: 'waits', overlap: 'bufferOne' });
  expect(await trigger('bufferOne')).toEqual({ ...once, notStarted: 'skipped', overlap: 'bufferOne' });
  expect(await trigger('bufferAll')).toEqual({ ...once, notStarted: 'waits', overlap: 'bufferAll' });
  // Temporal names runs by the second.
  await until('the next second', () => new Date().toISOString().slice(0, 19) > automationId.slice(-20, -1));
  const beside = await triggerAutomationSchedule(rig.client, name, { overlap: 'allowAll' });
  expect(beside.automationId).toMatch(new RegExp(`^${name}-20`));
  expect(beside.automationId).not.toBe(automationId);
  for (const id of [automationId, beside.automationId ?? '']) {
    await rig.client.client.workflow.getHandle(`automation/${id}`).terminate();
  }
});

test('what is told of cron expressions and time zones is what the server takes', async () => {
  const { schedule } = rig.client.client;
  const takes = async (spec: ScheduleSpec): Promise<boolean> => {
    const scheduleId = `test-${randomUUID()}`;
    const action = { type: 'startWorkflow', workflowType: 'none', taskQueue: rig.taskQueue } as const;
    const handle = await schedule
      .create({ scheduleId, spec, action, state: { paused: true } })
      .catch((error: unknown) => {
        if (!(error instanceof TypeError)) throw error;
      });
    await handle?.delete();
    return handle !== undefined;
  };
  const wrong: string[] = [];
  for (const expression of CRON) {
    const isTaken = await takes({ cronExpressions: [expression] });
    if (isTaken !== (cronProblem(expression) === undefined)) wrong.push(`${expression}: ${cronProblem(expression)}`);
  }
  for (const timezone of ZONES) {
    const isTaken = await takes({ cronExpressions: ['0 6 * * *'], timezone });
    if (isTaken !== (zoneProblem(timezone) === undefined)) wrong.push(`${timezone}: ${zoneProblem(timezone)}`);
  }
  expect(wrong).toEqual([]);
  // It would take the rest of these for comments.
  expect(cronProblem('0 6 * * 1#2')).toMatch(/it has a # within a field/);
});

const CRON = [
  ...['0 6 * * 1-5', '0 6 * * MON-fri', '0 6 * * monday', '0 6 * * sund', '0 6 * * su', '0 6 * * s', '0 6 * * 7'],
  ...['0 6 * * 0-7', '0 6 * * 5-7', '0 6 * * 8', '0 6 * * fri-mon', '0 6 * * 5L', '0 6 * jan,Feb *', '0 6 * sept *'],
  ...['0 6 * juni *', '0 6 * j *', '0 6 * 13 *', '0 6 * 0 *', '0 6 L * *', '0 6 ? * *', '0 6 1W * *', '0 6 32 * *'],
  ...['0 6 0 * *', '0 6 5-1 * *', '*/5 * * * *', '5/10 * * * *', '1-5/2,7 6 * * *', '*/100 * * * *', '*/0 * * * *'],
  ...['*/2/3 * * * *', '1-2-3 * * * *', '*-5 6 * * *', '-5 6 * * *', '60 6 * * *', '0 24 * * *', '0 6,7,, * * *'],
  ...['+1 6 * * *', '01 06 * * *', '0x1 6 * * *', '1.5 6 * * *', '  0 6\t* * *  ', '0 6', '', '0 6 * * * 2026'],
  ...['0 6 * * * *', '0 6 * * * 1999', '0 6 * * * 2101', '30 0 6 * * * *', '60 0 6 * * * *', '0 0 6 * * * * *'],
  ...['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly', '@Daily', '@reboot', '@'],
  ...['@every 1h', '@every 1h/5m', '0 6 * * * # note', '@hourly #x', '# 0 6 * * *', 'TZ=Europe/Berlin 0 6 * * *'],
  ...['CRON_TZ=Europe/Berlin 0 6 * * *', 'TZ=Europe/Berln 0 6 * * *', 'TZ=Europe/Berlin'],
];

const ZONES = [
  ...['Europe/Berlin', 'US/Pacific', 'Asia/Calcutta', 'Asia/Kolkata', 'America/Argentina/Buenos_Aires', 'Etc/GMT+2'],
  ...[
    'UTC',
    'GMT',
    'EST',
    'EST5EDT',
    'CST6CDT',
    'PRC',
    'GB',
    'Europe/Kyiv',
    'europe/berlin',
    'utc',
    'PST',
    'JST',
    'ACT',
  ],
  ...['MEZ', 'CEST', 'Z', '+02:00', 'GMT+2', 'UTC+2', 'Berlin', 'Europe/Berln', 'Amerika/New_York'],
];

test('backfill starts the plan for each time of a span', async () => {
  const begunMs = Date.now();
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
  for (const { automationId, scheduledAt } of lastRuns) {
    await until('its search attributes are there', async () => {
      return (await describeAutomation(rig.client, automationId)).schedule === name;
    });
    const description = await describeAutomation(rig.client, automationId);
    expect(description.scheduledAt).toEqual(scheduledAt);
    // To the second: it is the server's clock.
    expect(description.startedAt.getTime()).toBeGreaterThan(begunMs - 1_000);
    await rig.client.client.workflow.getHandle(`automation/${automationId}`).terminate();
  }
  await expect(backfillAutomationSchedule(rig.client, name, { from: to, to: from })).rejects.toThrow(
    'give a beginning before the end',
  );
});
