import { describe, expect, test } from '@jest/globals';
import { ServiceError, type ScheduleSpecDescription } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { checkAutomation } from '../../src/client/automation-check.js';
import { automationQuery } from '../../src/client/automation-list.js';
import { intervalWords, scheduleWords } from '../../src/client/automation-schedule-spec.js';
import { watchAutomation } from '../../src/client/automation-watch.js';
import type { ClientContext } from '../../src/client/connection.js';
import { TemporalUnreachableError } from '../../src/client/errors.js';
import { MAIN_CONVERSATION, type Plan, type PlanStep } from '../../src/protocol/plan.js';

/** What the SDK throws when nothing listens at Temporal's address. */
function unavailable(): ServiceError {
  const cause = Object.assign(new Error('14 UNAVAILABLE'), { code: 14, details: 'no connection', metadata: {} });
  return new ServiceError('Failed to describe workflow', { cause });
}

/**
 * A look: Temporal does not answer; so that it shows only at last, as where the SDK tries again; only this call is slow; it has
 * ended; so many events, with a worker or without.
 */
type Look = 'away' | 'silent' | 'slow' | 'ended' | number | { events: number; workers: 0 };

/** Longer than a look may take before Temporal is asked whether it answers. */
const LONG_MS = 2_500;
const late = <T>(end: () => Promise<T>): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(end()), LONG_MS));

/** A Temporal that answers or fails, one look after the other; `asked` counts the queries. */
function temporal(looks: readonly Look[]): { context: ClientContext; asked: () => number } {
  const left = [...looks];
  let workers = 1;
  let asked = 0;
  let isAway = false;
  const handle = {
    describe: () => {
      const look = left.shift() ?? 'ended';
      isAway = look === 'away' || look === 'silent';
      if (isAway) return look === 'silent' ? late(() => Promise.reject(unavailable())) : Promise.reject(unavailable());
      workers = typeof look === 'object' ? 0 : 1;
      const description = {
        type: 'automationWorkflow',
        workflowId: 'automation/n',
        runId: 'r',
        status: { name: look === 'ended' ? 'TERMINATED' : 'RUNNING' },
        taskQueue: 'q',
        historyLength: typeof look === 'object' ? look.events : look,
        startTime: new Date(),
        memo: { automation: { plan: 'nightly' } },
        typedSearchAttributes: new TypedSearchAttributes([]),
        raw: {},
      };
      return look === 'slow' ? late(() => Promise.resolve(description)) : Promise.resolve(description);
    },
    query: () => Promise.resolve({ state: 'running', asked: ++asked }),
  };
  const poller = () => ({ identity: 'w', lastAccessTime: { seconds: Math.floor(Date.now() / 1000), nanos: 0 } });
  const withDeadline = <T>(_deadline: number, run: () => Promise<T>) => run();
  const client = {
    options: { namespace: 'default', loadedDataConverter: {} },
    workflow: { getHandle: () => handle },
    connection: { withDeadline, options: { address: 'localhost:7233' } },
    withDeadline,
    workflowService: {
      describeTaskQueue: () => Promise.resolve({ pollers: workers === 0 ? [] : [poller()] }),
      getSystemInfo: () => (isAway ? Promise.reject(unavailable()) : Promise.resolve({})),
    },
  };
  return { context: { client, taskQueue: 'q' } as unknown as ClientContext, asked: () => asked };
}

async function watched(looks: readonly Look[]) {
  const { context, asked } = temporal(looks);
  const seen = [];
  for await (const description of watchAutomation(context, 'n', { intervalMs: 1 })) seen.push(description);
  return { seen, asked: asked() };
}

describe('watchAutomation()', () => {
  test('goes on through an outage with what was seen last, and tells of it', async () => {
    const { seen } = await watched([3, 'away', 'away', 5, 'ended']);
    expect(seen.map(({ outage }) => outage !== undefined)).toEqual([false, true, true, false, false]);
    expect(seen[1]).toMatchObject({ live: { state: 'running' }, plan: 'nightly' });
    expect(seen[1]?.outage).toBe('Temporal at localhost:7233 does not answer; trying again');
    expect(seen.at(-1)?.status).toBe('terminated');
  });

  test('tells of an outage while its call is still being tried again, and not of a call that is slow', async () => {
    const { context } = temporal([3, 'silent', 'slow', 'ended']);
    const seen: { outage: boolean; afterMs: number }[] = [];
    let before = Date.now();
    for await (const { outage } of watchAutomation(context, 'n', { intervalMs: 1 })) {
      seen.push({ outage: outage !== undefined, afterMs: Date.now() - before });
      before = Date.now();
    }
    expect(seen.map(({ outage }) => outage)).toEqual([false, true, true, false, false]);
    expect(seen[1]?.afterMs).toBeLessThan(LONG_MS);
  });

  test('ends at once when it is aborted, also while a call is being tried again', async () => {
    const { context } = temporal([3, 'silent']);
    const stop = new AbortController();
    const seen = [];
    for await (const description of watchAutomation(context, 'n', { intervalMs: 1, signal: stop.signal })) {
      seen.push(description.outage);
      setTimeout(() => stop.abort(), 50);
    }
    expect(seen).toEqual([undefined]);
  });

  test('fails at once when Temporal does not even answer the first look', async () => {
    await expect(watched(['away'])).rejects.toBeInstanceOf(TemporalUnreachableError);
  });

  test('asks for the state only when the history has grown', async () => {
    expect((await watched([3, 3, 3, 4, 4, 'ended'])).asked).toBe(3);
  });

  test('without a worker keeps what was known, and says so', async () => {
    const { seen } = await watched([3, { events: 4, workers: 0 }, 4, 'ended']);
    expect(seen[1]).toMatchObject({
      noWorker: expect.stringContaining('no worker answers'),
      live: { state: 'running' },
    });
    expect(seen[2]?.noWorker).toBeUndefined();
  });
});

describe('checkAutomation()', () => {
  const plan = (steps: PlanStep[], conversations: Plan['conversations'] = { [MAIN_CONVERSATION]: {} }): Plan => ({
    ...{ name: 'p', inputs: {}, maxSteps: 10 },
    conversations,
    steps,
  });
  const ask = (conversation: string): PlanStep => ({ kind: 'ask', conversation, text: 'x' });
  const forEach = (more: Partial<Extract<PlanStep, { kind: 'forEach' }>>): PlanStep => ({
    ...{ kind: 'forEach', items: [], as: 'item', concurrency: 1, conversations: {}, do: [], onItemError: 'stop' },
    ...more,
  });

  test.each<[string, Plan]>([
    ['asks nothing', plan([{ kind: 'fail', message: 'x' }])],
    ['names its agents', plan([ask('a')], { a: { agent: 'ri.x' } })],
    ['names them for each item', plan([forEach({ conversations: { a: { agent: 'ri.x' } }, do: [ask('a')] })])],
  ])('a plan that %s needs no agent', (_, given) => {
    expect(() => checkAutomation({ plan: given, inputs: {} })).not.toThrow();
  });

  test.each<[string, Plan]>([
    ['steps[0]', plan([ask(MAIN_CONVERSATION)])],
    ['conversation a of steps[0].do[0]', plan([forEach({ conversations: { a: {} }, do: [ask('a')] })])],
    [
      'steps[0].else[0]',
      plan([{ kind: 'if', if: 'true', then: [], else: [{ kind: 'batch', rows: [], concurrency: 1 }] }]),
    ],
    ['steps[0].parallel.b[0]', plan([{ kind: 'parallel', branches: [{ name: 'b', do: [ask(MAIN_CONVERSATION)] }] }])],
  ])('%s is told when it has no agent to ask', (path, given) => {
    expect(() => checkAutomation({ plan: given, inputs: {} })).toThrow(
      `without an agent: ${path} names none; give one`,
    );
    expect(() => checkAutomation({ plan: given, inputs: {}, agentRid: 'ri.y' })).not.toThrow();
  });

  test('inputs beyond the bound are refused', () => {
    const inputs = { text: 'x'.repeat(300_000) };
    expect(() => checkAutomation({ plan: plan([]), inputs })).toThrow(
      /its inputs have 300011 bytes of JSON; give at most/,
    );
  });
});

test('automationQuery() asks for those that wait among those that run', () => {
  expect(automationQuery({})).toBe("WorkflowType = 'automationWorkflow'");
  expect(automationQuery({ needsAttention: true })).toBe(
    "WorkflowType = 'automationWorkflow' AND ExecutionStatus = 'Running' AND AipNeedsAttention = true",
  );
});

describe('scheduleWords()', () => {
  const all = (start: number, end: number) => [{ start, end, step: 1 }];
  const calendar = (more: object) => ({
    ...{ second: all(0, 0), minute: all(0, 0), hour: all(6, 6), dayOfMonth: all(1, 31), year: [] },
    month: [{ start: 'JANUARY', end: 'DECEMBER', step: 1 }],
    dayOfWeek: [{ start: 'SUNDAY', end: 'SATURDAY', step: 1 }],
    ...more,
  });

  test.each<[string, object]>([
    ['0 6 * * * (UTC)', { calendars: [calendar({})] }],
    [
      '*/15 6-9,18 * * 1-5 (UTC)',
      {
        calendars: [
          calendar({
            minute: [{ start: 0, end: 59, step: 15 }],
            hour: [...all(6, 9), ...all(18, 18)],
            dayOfWeek: [{ start: 'MONDAY', end: 'FRIDAY', step: 1 }],
          }),
        ],
      },
    ],
    [
      '30 0 6 1 1 * 2030 (Asia/Tokyo)',
      {
        calendars: [
          calendar({
            second: all(30, 30),
            dayOfMonth: all(1, 1),
            month: [{ start: 'JANUARY', end: 'JANUARY', step: 1 }],
            year: all(2030, 2030),
          }),
        ],
        timezone: 'Asia/Tokyo',
      },
    ],
    [
      'every 1h30m; every 1d, 2h later',
      {
        intervals: [
          { every: 5_400_000, offset: 0 },
          { every: 86_400_000, offset: 7_200_000 },
        ],
      },
    ],
    ['never', {}],
  ])('%s', (words, spec) => {
    expect(scheduleWords(spec as ScheduleSpecDescription)).toBe(words);
  });

  test('intervalWords() writes durations as options take them', () => {
    expect([90_000, 86_400_000, 500].map(intervalWords)).toEqual(['1m30s', '1d', '500ms']);
  });
});
