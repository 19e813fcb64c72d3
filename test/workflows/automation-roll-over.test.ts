import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { describeAutomation } from '../../src/client/index.js';
import type { Plan } from '../../src/protocol/plan.js';
import type { FaultRule } from '../../src/simulator/index.js';
import {
  approve,
  ask,
  askedOf,
  forEach,
  onError,
  parallel,
  planOf,
  run,
  type RunningPlan,
  set,
  wait,
  when,
} from '../support/automation-stage.js';
import { startRig, type Rig, until } from '../support/rig.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.close());

const PLANS: Record<string, Plan> = {
  'a forEach in a forEach, three at once': planOf(
    [
      forEach(
        '[1..3]',
        [
          set({ seen: '{{ $append(vars.seen, item) }}' }),
          ask('{{ inputs.tag }} outer {{ item }}', { id: 'outer', conversation: 'own' }),
          forEach('["a", "b"]', [ask('{{ inputs.tag }} inner {{ item }} {{ letter }}', { id: 'inner' })], {
            ...{ as: 'letter', id: 'letters', concurrency: 2, collect: 'letter & item & $string(index)' },
          }),
          when('item % 2 = 0', [
            ask('{{ inputs.tag }} even {{ item }} after {{ $length(steps.outer.answer) > 0 }}', {
              conversation: 'own',
            }),
          ]),
        ],
        {
          id: 'each',
          concurrency: 3,
          conversations: { own: { title: 'Of {{ item }}' } },
          collect: 'steps.letters.results',
        },
      ),
      ask('{{ inputs.tag }} last'),
    ],
    { output: '{"each": steps.each, "seen": $sort(vars.seen)}' },
  ),
  'branches with waits, a retry in its pause, and jumps': planOf(
    [
      set({ n: '{{ (vars.n ? vars.n : 0) + 1 }}' }, { id: 'again' }),
      parallel({
        waits: [wait(150), ask('{{ inputs.tag }} after its wait {{ vars.n }}', { id: 'waited' }), wait(50)],
        retries: [
          ask('{{ inputs.tag }} flaky {{ vars.n }}', { id: 'flaky', conversation: 'b', ...onError('stop', 2, 150) }),
          set({ b: 1 }),
        ],
        skips: [{ ...wait({ for: 'soon' }), ...onError('skip') }, set({ c: '{{ error.errorName }}' })],
      }),
      when('vars.n < 3', [{ ...wait({ for: 'never' }), ...onError({ goto: 'again' }) }]),
      ask('{{ inputs.tag }} last {{ vars.n }}'),
    ],
    { conversations: { main: {}, b: {} }, output: '{"vars": vars, "error": error.step, "flaky": steps.flaky.status}' },
  ),
  'approvals, decided while it rolls over': planOf(
    [
      forEach(
        ['one', 'two', 'three'],
        [
          ask('{{ inputs.tag }} before {{ item }}'),
          approve('{{ item }}?', { id: 'ok' }),
          ask('{{ inputs.tag }} after {{ item }} by {{ steps.ok.by }}'),
        ],
        { id: 'each', concurrency: 2, collect: 'steps.ok.by' },
      ),
    ],
    { output: 'steps.each.results' },
  ),
};

/** Approves whatever waits, until the run has ended. */
async function approveAll(plan: RunningPlan): Promise<void> {
  let isOver = false;
  const ended = plan.handle.result().then(
    () => (isOver = true),
    () => (isOver = true),
  );
  while (!isOver) {
    const { approvals } = await plan.status();
    for (const { approvalId } of approvals) {
      // Refused where it was decided a moment ago, and the query did not know.
      await plan.decide({ approvalId, decision: 'approve', by: `by ${approvalId}` }).catch(() => undefined);
    }
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50))]);
  }
}

/** Fails once. */
const flaky = (tag: string): FaultRule => ({
  operation: 'streamingContinue',
  match: { textIncludes: `${tag} flaky 1` },
  fault: { kind: 'error', errorName: 'AgentIterationsExceededLimit' },
  times: 1,
});

/** Steps a run. The server lets a run begin a second after the one before it, so not many. */
const MOST_STEPS = [Infinity, 2, 3, 7];

/** A plan under each of these limits. */
async function variants(plan: Plan, number: number) {
  const variant = async (maxStepsPerRun: number) => {
    const tag = tagOf(number, maxStepsPerRun);
    const limit = maxStepsPerRun === Infinity ? {} : { maxStepsPerRun };
    const started = await run(rig, plan, { inputs: { tag }, ...limit });
    if (JSON.stringify(plan).includes('approve')) await approveAll(started);
    const { output, totals } = await started.result();
    const texts = askedOf(rig, `${tag} `).map(({ text }) => text.replace(tag, ''));
    return { same: { output, texts: texts.sort(), steps: totals.steps }, runs: (await started.status()).runs };
  };
  return Promise.all(MOST_STEPS.map(variant));
}

const tagOf = (plan: number, maxStepsPerRun: number) => `plan-${plan}-${maxStepsPerRun}`;

describe('plans', () => {
  let all: Awaited<ReturnType<typeof variants>>[];
  beforeAll(async () => {
    const plans = Object.values(PLANS);
    const tags = plans.flatMap((_, number) => MOST_STEPS.map((most) => tagOf(number, most)));
    rig.simulator.setFaults(tags.map(flaky));
    all = await Promise.all(plans.map(variants));
    expect(rig.simulator.ledger().duplicateCounts.messageId).toBe(0);
  });

  test.each(Object.keys(PLANS).map((name, number) => [name, number] as const))(
    'of %s come to the same, with the same exchanges, however often they roll over',
    (_, number) => {
      const [whole, ...rolled] = all[number]!;
      expect(whole?.runs).toBe(1);
      for (const { same, runs } of rolled) {
        expect(same).toEqual(whole?.same);
        expect(runs).toBeGreaterThan(1);
      }
      // With so few steps a run, most are begun in a run of their own.
      expect(rolled[0]?.runs).toBeGreaterThanOrEqual(5);
    },
  );
});

describe('what a run hands over', () => {
  test('stays small over 500 items, and the step tree counts all', async () => {
    const items = Array.from({ length: 500 }, (_, n) => `item ${n}`);
    const plan = planOf(
      [
        forEach('inputs.items', [set({ last: '{{ item }}' }, { id: 'x' })], {
          id: 'each',
          concurrency: 5,
          collect: 'index',
        }),
      ],
      { output: '$sum(steps.each.results)' },
    );
    const started = await run(rig, plan, { inputs: { items }, maxStepsPerRun: 100 });
    expect(await started.output()).toBe(124_750);
    const { steps, runs, totals } = await started.status();
    expect(steps[0]?.children?.[0]?.steps[0]).toMatchObject({ begun: 500, done: 500, state: 'done' });
    expect(totals.steps).toBe(501);
    expect(runs).toBeGreaterThanOrEqual(5);
    const { historySize } = await started.handle.describe();
    expect(historySize).toBeLessThan(200 * 1024);
  });

  test.each([undefined, 20])(
    'too much to be kept fails the plan, and says what to do (%p steps a run)',
    async (most) => {
      const text = 'x'.repeat(10_000);
      const plan = planOf([
        set({ text }),
        forEach('[1..60]', [set({ copy: '{{ vars.text }}' })], { id: 'each', collect: 'vars.text' }),
        set({ never: '{{ steps.each.results }}' }),
      ]);
      const started = await run(rig, plan, most === undefined ? {} : { maxStepsPerRun: most });
      expect(await started.failure()).toMatchObject({
        type: 'PlanStateTooLarge',
        message: expect.stringMatching(/collect less of each item/),
      });
      // As soon as it is too much, which is after some 36 items.
      const { begun } = (await started.status()).steps[1]!.children![0]!.steps[0]!;
      expect(begun).toBeGreaterThan(30);
      expect(begun).toBeLessThan(40);
    },
  );

  test('items whose steps are kept only while they are done leave nothing behind', async () => {
    // 100 items of 10 kB each, in a plan that may keep 384 KiB.
    const plan = planOf(
      [
        forEach(
          '[1..100]',
          [
            ask('[answer]{{ inputs.text }}', { id: 'a', conversation: 'own' }),
            set({ n: '{{ $length(steps.a.answer) }}' }),
          ],
          {
            ...{ concurrency: 4, conversations: { own: {} } },
          },
        ),
        set({ big: '{{ inputs.text & inputs.text }}' }),
      ],
      { output: 'vars.n' },
    );
    const started = await run(rig, plan, { inputs: { text: 'y'.repeat(10_000) }, maxStepsPerRun: 90 });
    expect(await started.output()).toBe(10_000);
  });

  test('a conversation goes on in its session', async () => {
    const plan = planOf(
      [ask('One {{ run.id }} [set status=shipped]'), wait(20), ask('Two {{ run.id }}', { id: 'two' })],
      {
        output: 'steps.two.answer',
      },
    );
    const started = await run(rig, plan, { maxStepsPerRun: 1 });
    expect(await started.output()).toContain('status = “shipped”');
    const asked = askedOf(rig, started.id);
    expect(asked.map(({ turn }) => turn)).toEqual([1, 2]);
    expect(asked[0]?.sessionRid).toBe(asked[1]?.sessionRid);
  });

  test('a cancel is not lost between runs', async () => {
    const plan = planOf([set({ n: 0 }, { id: 'again' }), { ...wait({ for: 'x' }), ...onError({ goto: 'again' }) }]);
    const started = await run(rig, plan, { maxStepsPerRun: 1 });
    await until('it rolls over', async () => (await started.status()).runs > 2);
    await started.handle.cancel();
    expect(await started.isCancelled()).toBe(true);
  });
});

test('a batch that runs for long holds up no branch beside it', async () => {
  const plan = planOf([
    parallel({
      batch: [{ kind: 'batch', rows: ['[takes 120s] Long?'], concurrency: 1 }],
      asks: [forEach('[1..8]', [ask('beside {{ item }}')]), approve('Seen?', { id: 'seen' })],
    }),
  ]);
  const started = await run(rig, plan, { maxStepsPerRun: 3 });
  await started.approvals(1);
  expect(await started.status()).toMatchObject({ runs: 1, totals: { answered: 8 } });
  await until('the batch is at work', () => rig.simulator.ledger().running.length === 1);
  await started.handle.cancel();
  expect(await started.isCancelled()).toBe(true);
  expect(rig.simulator.ledger().running).toEqual([]);
});

test('a later run is known to have started when the first did, and keeps what else its memo says', async () => {
  const { agentRid } = rig.simulator;
  const plan = planOf([set({ a: 1 }), set({ b: 1 }), approve('Go on?', { id: 'go' })]);
  const handle = await rig.client.client.workflow.start('automationWorkflow', {
    workflowId: `automation/${randomUUID()}`,
    taskQueue: rig.taskQueue,
    args: [{ plan, inputs: {}, agentRid, maxStepsPerRun: 1 }],
    memo: { automation: { plan: 'test', source: 'test.yaml' }, other: [1] },
    workflowExecutionTimeout: '2 minutes',
  });
  const look = () => describeAutomation(rig.client, handle.workflowId);
  await until('it waits in a later run', async () => {
    const { live } = await look();
    return live?.approvals.length === 1 && live.runs > 2;
  });
  const { startedAt, live, plan: name, source } = await look();
  expect({ startedAt: startedAt.toISOString(), name, source }).toEqual({
    ...{ startedAt: live?.startedAt, name: 'test', source: 'test.yaml' },
  });
  expect((await handle.describe()).memo?.['other']).toEqual([1]);
  await handle.executeUpdate('decide', { args: [{ decision: 'approve' }] });
  await handle.result();
});
