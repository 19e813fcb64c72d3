import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ApprovalNotice } from '../../src/protocol/automation.js';
import type { Plan } from '../../src/protocol/plan.js';
import { searchAttributeKeys } from '../../src/protocol/search-attributes.js';
import {
  approve,
  ask,
  failureOf,
  forEach,
  holdBack,
  onError,
  outputOf,
  parallel,
  planOf,
  run,
  type RunningPlan,
  set,
  stepsByPath,
  wait,
} from '../support/automation-stage.js';
import { startRig, type Rig, until } from '../support/rig.js';

let rig: Rig;
/** What the worker's hook was told, and what it does when told. */
const notices: ApprovalNotice[] = [];
let onNotice: (notice: ApprovalNotice) => void | Promise<void> = () => undefined;
beforeAll(async () => {
  rig = await startRig({ worker: false });
  await rig.startWorker({
    async onApproval(notice) {
      notices.push(notice);
      await onNotice(notice);
    },
  });
});
afterAll(() => rig.close());

const noticesOf = ({ id }: RunningPlan) => notices.filter(({ workflowId }) => workflowId === id);

/** Why an update was refused. */
async function refusal(deciding: Promise<unknown>): Promise<string> {
  const error = await deciding.then(
    () => undefined,
    (thrown: unknown) => thrown as Error & { cause?: Error },
  );
  return error?.cause?.message ?? 'it was not refused';
}

async function needsAttention({ handle }: RunningPlan): Promise<boolean> {
  const { typedSearchAttributes } = await handle.describe();
  return typedSearchAttributes.get(searchAttributeKeys.needsAttention) === true;
}

describe('an approval', () => {
  test('by signal: who and why are recorded, and the run needs attention only meanwhile', async () => {
    const started = await run(
      rig,
      planOf([approve('Release {{ inputs.what }}?', { id: 'release' }), wait(60_000)], { output: 'steps.release' }),
      { inputs: { what: 'Zürich' } },
    );
    expect(await started.approvals(1)).toEqual([
      { approvalId: 'release', message: 'Release Zürich?', askedAt: expect.any(String), reminders: 0 },
    ]);
    await until('it needs attention', () => needsAttention(started));
    expect(await started.status()).toMatchObject({ state: 'waiting', waitingFor: 'approval release' });
    expect(await started.handle.query('approvals')).toHaveLength(1);
    await started.handle.signal('approve', { by: 'Ann', comment: 'fine' });
    await until('it goes on', async () => (await started.status()).waitingFor === 'its time');
    expect(await needsAttention(started)).toBe(false);
    const { decisions, approvals } = await started.status();
    expect(approvals).toEqual([]);
    expect(decisions).toEqual([
      { approvalId: 'release', decision: 'approve', by: 'Ann', comment: 'fine', at: expect.any(String) },
    ]);
    await started.handle.cancel();
  });

  test('by update: told whether it counted; the first decision stays', async () => {
    const plan = planOf([approve('One?', { id: 'one' }), approve('Two?', { id: 'two' })], {
      output: '[steps.one.by, steps.two.approved]',
    });
    const started = await run(rig, plan);
    await started.approvals(1);
    const decided = { decision: 'approve' as const, approvalId: 'one', by: 'Ann' };
    expect(await started.decide(decided)).toMatchObject({ approvalId: 'one', decision: 'approve', by: 'Ann' });
    expect(await refusal(started.decide({ ...decided, decision: 'reject', by: 'Bob' }))).toMatch(
      /^Cannot decide: no approval one waits \(what waits is two\); one was decided at .* by Ann: approve$/,
    );
    await started.handle.signal('reject', { approvalId: 'one', by: 'Bob' });
    await started.decide({ decision: 'approve' });
    expect(await started.output()).toEqual(['Ann', true]);
  });

  test('what makes no sense is refused, and leaves it waiting', async () => {
    const idle = await run(rig, planOf([wait(60_000)]));
    await until('it waits', async () => (await idle.status()).state === 'waiting');
    expect(await refusal(idle.decide({ decision: 'approve' }))).toBe('Cannot decide: nothing waits for it');
    await idle.handle.cancel();
    const started = await run(
      rig,
      planOf([parallel({ a: [approve('A?', { id: 'a' })], b: [approve('B?', { id: 'b' })] })]),
    );
    await started.approvals(2);
    const bad = (input: unknown) => refusal(started.decide(input as Parameters<RunningPlan['decide']>[0]));
    expect(await bad({ decision: 'approve' })).toMatch(/2 approvals wait: give the approvalId of one of a, b/);
    expect(await bad({ decision: 'approve', approvalId: 'c' })).toMatch(/no approval c waits \(what waits is a, b\)/);
    expect(await bad({ decision: 'perhaps', approvalId: 'a' })).toMatch(/must be "approve" or "reject"/);
    expect(await bad({ decision: 'approve', approvalId: 7 })).toMatch(/must be texts/);
    expect(await bad({ decision: 'approve', approvalId: 'a', comment: 'x'.repeat(5_000) })).toMatch(/4000 characters/);
    expect(await bad(undefined)).toMatch(/Cannot decide/);
    for (const nonsense of [undefined, null, 'yes', 5, [], { approvalId: { a: 1 } }]) {
      await started.handle.signal('approve', nonsense);
    }
    expect(await started.approvals(2)).toHaveLength(2);
    await started.decide({ decision: 'approve', approvalId: 'a' });
    await started.decide({ decision: 'approve' });
    await started.result();
  });

  test('a rejection fails the step, unless the plan goes on with it', async () => {
    const failing = await run(rig, planOf([approve('Sure?', { id: 'sure' })]));
    await failing.approvals(1);
    await failing.handle.signal('reject', { by: 'Ann', comment: 'not today' });
    expect(await failing.failure()).toEqual({
      type: 'Rejected',
      message: 'Step steps[0] (sure) failed: Rejected by Ann: not today',
    });
    const going = await run(
      rig,
      planOf([approve('Sure?', { id: 'sure', continueWhenRejected: true })], { output: 'steps.sure' }),
    );
    await going.approvals(1);
    await going.decide({ decision: 'reject' });
    expect(await going.output()).toMatchObject({ approved: false, decision: 'reject' });
  });

  test.each([
    ['approve', true],
    ['reject', false],
  ] as const)('when nobody decides, the default does: %s', async (byDefault, approved) => {
    const step = approve('Anybody?', { id: 'a', waitMs: 60, default: byDefault, continueWhenRejected: true });
    expect(await outputOf(rig, planOf([step], { output: 'steps.a' }))).toMatchObject({ approved, byDefault: true });
  });

  test('without a default it fails; a retry asks anew, with a deadline anew', async () => {
    const asking = (waitMs: number) =>
      planOf([approve('Anybody?', { id: 'a', waitMs, ...onError('stop', 1) })], { output: 'steps.a.by' });
    expect(await failureOf(rig, asking(50))).toMatchObject({ type: 'DeadlinePassed' });
    const started = await run(rig, asking(3_000));
    const [first] = await started.approvals(1);
    let second = first;
    await until('it is asked again', async () => {
      [second] = (await started.status()).approvals;
      return second !== undefined && second.askedAt !== first?.askedAt;
    });
    const shown = (await started.status()).waitingUntil;
    expect(shown).toBe(second?.deadline);
    await started.decide({ decision: 'approve', by: 'Ann' });
    expect(await started.output()).toBe('Ann');
  });

  const HOUR_MS = 3_600_000;
  test.each<[string, Plan, { deadlineMs: number; default?: 'approve'; then: string; path?: string }]>([
    [
      'its own wait, when that ends first',
      planOf([approve('Ok?', { waitMs: HOUR_MS, default: 'approve', deadlineMs: 2 * HOUR_MS })]),
      { deadlineMs: HOUR_MS, default: 'approve', then: 'it is approved' },
    ],
    [
      'its deadline, when that ends first: it decides nothing',
      planOf([approve('Ok?', { waitMs: 3 * HOUR_MS, default: 'approve', deadlineMs: 2 * HOUR_MS })]),
      { deadlineMs: 2 * HOUR_MS, then: 'it fails' },
    ],
    [
      'its deadline, where it has no wait',
      planOf([approve('Ok?', { deadlineMs: 2 * HOUR_MS })]),
      { deadlineMs: 2 * HOUR_MS, then: 'it fails' },
    ],
    [
      'the deadline of the step around it',
      planOf([
        forEach('[1]', [approve('Ok?', { waitMs: 3 * HOUR_MS, deadlineMs: 4 * HOUR_MS })], { deadlineMs: HOUR_MS }),
      ]),
      { deadlineMs: HOUR_MS, then: 'steps[0] fails', path: 'steps[0].do[0]' },
    ],
    [
      'the deadline of the plan',
      planOf([approve('Ok?', { waitMs: 3 * HOUR_MS, default: 'approve' })], { deadlineMs: HOUR_MS }),
      { deadlineMs: HOUR_MS, then: 'the plan fails' },
    ],
  ])('tells %s', async (_, plan, { deadlineMs, default: byDefault, then, path = 'steps[0]' }) => {
    const started = await run(rig, plan);
    const [approval] = await started.approvals(1);
    const { startedAt, waitingUntil, waitingThen, ...status } = await started.status();
    expect(approval).toMatchObject({ then, deadline: waitingUntil });
    expect(approval?.default).toBe(byDefault);
    expect(waitingThen).toBe(then);
    expect(stepsByPath(status)[path]).toMatchObject({ state: 'waiting', waitingUntil, waitingThen });
    // What has begun within its first hour ends within the one after.
    expect(Math.floor((Date.parse(waitingUntil ?? '') - Date.parse(startedAt)) / HOUR_MS)).toBe(deadlineMs / HOUR_MS);
    await started.handle.cancel();
    expect(await started.isCancelled()).toBe(true);
  });

  test('in items that are done at once, each has an id of its own', async () => {
    const plan = planOf(
      [
        forEach(
          '[1..2]',
          [
            forEach('[1..2]', [approve('{{ item }}?', { id: 'ok' })], {
              id: 'in',
              concurrency: 2,
              collect: 'steps.ok.by',
            }),
          ],
          {
            ...{ id: 'each', concurrency: 2, collect: 'steps.in.results' },
          },
        ),
      ],
      { output: 'steps.each.results' },
    );
    const started = await run(rig, plan);
    const ids = (await started.approvals(4)).map(({ approvalId }) => approvalId).sort();
    expect(ids).toEqual(['ok#0#0', 'ok#0#1', 'ok#1#0', 'ok#1#1']);
    for (const approvalId of ids) await started.decide({ decision: 'approve', approvalId, by: approvalId });
    expect(await started.output()).toEqual([ids.slice(0, 2), ids.slice(2)]);
  });
});

describe('the hook', () => {
  test('is told when it begins to wait, and reminded until somebody decides', async () => {
    const started = await run(rig, planOf([approve('Please?', { id: 'please', remindEveryMs: 80 })]));
    await until('it was reminded twice', () => noticesOf(started).length >= 3);
    await started.decide({ decision: 'approve' });
    await started.result();
    const told = noticesOf(started);
    expect(told[0]).toMatchObject({
      plan: 'test',
      reminder: 0,
      approval: { approvalId: 'please', message: 'Please?', reminders: 0 },
    });
    expect(new Set(told.map(({ reminder }) => reminder)).size).toBe(told.length);
  });

  test('is tried again when it fails, which holds up nobody', async () => {
    let failures = 1;
    onNotice = ({ approval }) => {
      if (approval.message === 'Fails once?' && failures-- > 0) throw new Error('No network');
    };
    const started = await run(rig, planOf([approve('Fails once?'), ask('Go on')]));
    await until('it was told after all', () => noticesOf(started).length === 2);
    onNotice = () => undefined;
    await started.handle.signal('approve');
    await started.result();
  });
});

describe('an approval across a roll-over', () => {
  test('can be decided while the last exchange of the run is under way', async () => {
    const plan = planOf(
      [
        parallel({
          asks: [set({ x: 1 }), ask('Held back'), set({ y: 1 })],
          waits: [approve('Meanwhile?', { id: 'meanwhile' })],
        }),
      ],
      { output: '[steps.meanwhile.by, vars.y]' },
    );
    // The fourth step makes the run roll over, as soon as the exchange has ended.
    const letIn = holdBack(rig, 'Held back');
    const started = await run(rig, plan, { maxStepsPerRun: 4 });
    await started.approvals(1);
    await until('it asks', () => (rig.simulator.summary().totals.faults['status'] ?? 0) > 0);
    await started.decide({ decision: 'approve', by: 'Ann' });
    letIn();
    expect(await started.output()).toEqual(['Ann', 1]);
    expect((await started.status()).runs).toBeGreaterThan(1);
  });

  test('waits on with its deadline, its reminders and what was decided before', async () => {
    const plan = planOf(
      [
        approve('First?', { id: 'first' }),
        parallel({
          asks: Array.from({ length: 4 }, (_, n) => ask(`${n} {{ run.id }}`)),
          waits: [approve('Second?', { id: 'second', waitMs: 120_000, remindEveryMs: 60_000 })],
        }),
      ],
      { output: 'steps.second.by' },
    );
    const started = await run(rig, plan, { maxStepsPerRun: 1 });
    await started.approvals(1);
    await started.decide({ decision: 'approve' });
    let asked = '';
    await until('all is asked, over many runs', async () => {
      const { totals, runs, approvals } = await started.status();
      if (approvals[0] !== undefined) {
        asked ||= approvals[0].askedAt;
        expect(approvals[0].askedAt).toBe(asked);
      }
      return totals.answered === 4 && runs > 4 && approvals.length === 1;
    });
    const { decisions } = await started.status();
    expect(decisions).toMatchObject([{ approvalId: 'first' }]);
    await started.decide({ decision: 'approve', by: 'Ann' });
    expect(await started.output()).toBe('Ann');
    await until('the hook was told', () => noticesOf(started).some(({ approval }) => approval.approvalId === 'second'));
    expect(noticesOf(started).every(({ reminder }) => reminder === 0)).toBe(true);
  });
});
