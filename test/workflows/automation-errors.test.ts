import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  ask,
  askedOf,
  failureOf,
  forEach,
  holdBack,
  onError,
  outputOf,
  parallel,
  planOf,
  run,
  runningOf,
  set,
  stepsByPath,
  wait,
  when,
} from '../support/automation-stage.js';
import { startRig, type Rig, until } from '../support/rig.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.close());
afterEach(() => {
  rig.simulator.setFaults([]);
  rig.simulator.reset();
});

const FAILS = '[fail AgentIterationsExceededLimit]';

describe('onError', () => {
  test('tries again after a pause, and then skips, stops or goes on elsewhere', async () => {
    const failing = (words: string, then: 'skip' | 'stop' | { goto: string }) =>
      ask(`${words} {{ run.id }} ${FAILS}`, { id: words, ...onError(then, 2) });
    const plan = planOf(
      [
        failing('skipped', 'skip'),
        set({ skipped: '{{ steps.skipped.status }}', why: '{{ error.errorName }}', where: '{{ error.step }}' }),
        failing('jumps', { goto: 'end' }),
        ask('Passed over {{ run.id }}'),
        set({ end: '{{ error.step }}' }, { id: 'end' }),
        failing('stops', 'stop'),
      ],
      {},
    );
    const started = await run(rig, plan);
    expect(await started.failure()).toMatchObject({ message: expect.stringContaining('Step steps[5] (stops) failed') });
    expect(askedOf(rig, started.id).map(({ text }) => text.split(' ')[0])).toEqual(
      ['skipped', 'jumps', 'stops'].flatMap((word) => [word, word, word]),
    );
    expect((await started.status()).steps.map(({ state }) => state)).toEqual([
      ...['skipped', 'done', 'failed', 'pending', 'done', 'failed'],
    ]);
    // What was tried but once tells of no tries.
    expect((await started.status()).steps.map(({ tries }) => tries)).toEqual([
      ...[3, undefined, 3, undefined, undefined, 3],
    ]);
    const output = await outputOf(rig, { ...plan, steps: plan.steps.slice(0, 5), output: 'vars' });
    expect(output).toEqual({
      skipped: 'skipped',
      why: 'AgentIterationsExceededLimit',
      where: 'steps[0] (skipped)',
      end: 'steps[2] (jumps)',
    });
  });

  test('counts the tries of all items, over a roll-over too', async () => {
    const flaky = ask(`{{ item }} {{ run.id }} ${FAILS}`, { id: 'flaky', ...onError('skip', 2) });
    const plan = planOf([forEach('[1..3]', [flaky], { concurrency: 1 })]);
    const started = await run(rig, plan, { maxStepsPerRun: 1 });
    await started.result();
    const status = await started.status();
    expect(status.runs).toBeGreaterThan(1);
    expect(stepsByPath(status)['steps[0].do[0]']).toMatchObject({ begun: 3, tries: 9 });
  });

  test('says while it waits for its next try, and however far off that is', async () => {
    const plan = planOf(
      [
        parallel({
          a: [ask(FAILS, { onError: { retries: 100, delayMs: 3_000_000, backoff: 1e9, then: 'stop' } })],
          b: [ask('Held back', { conversation: 'b' })],
        }),
      ],
      { conversations: { main: {}, b: {} } },
    );
    const letIn = holdBack(rig, 'Held back');
    const started = await run(rig, plan);
    await until('one waits', async () => {
      const { waitingFor } = stepsByPath(await started.status())['steps[0].parallel.a[0]'] ?? {};
      return waitingFor !== undefined;
    });
    // Something runs yet.
    expect((await started.status()).state).toBe('running');
    letIn();
    await until('all of it waits', async () => (await started.status()).state === 'waiting');
    expect((await started.status()).waitingFor).toBe('its next try (1 of 100)');
    await started.handle.cancel();
    expect(await started.isCancelled()).toBe(true);
  });

  test('a jump backward ends at maxSteps, one forward leaves blocks', async () => {
    const endless = planOf([set({ a: 1 }, { id: 'a' }), when('1', [wait({ for: 'soon' })], [])], { maxSteps: 50 });
    endless.steps[1] = { ...endless.steps[1]!, ...onError({ goto: 'a' }) };
    expect(await failureOf(rig, endless)).toMatchObject({
      type: 'TooManySteps',
      message: expect.stringContaining('50 steps'),
    });
    const out = planOf(
      [
        forEach('[1..3]', [when('item = 2', [{ ...wait({ for: 'soon' }), ...onError({ goto: 'end' }) }])], {
          id: 'each',
        }),
        set({ never: 1 }),
        set({ end: '{{ $exists(vars.never) }}' }, { id: 'end' }),
      ],
      { output: 'vars.end' },
    );
    expect(await outputOf(rig, out)).toBe(false);
  });

  test('a jump to a step that is not there fails the plan, not its worker', async () => {
    const plan = planOf([{ ...wait({ for: 'soon' }), ...onError({ goto: 'nowhere' }) }]);
    expect(await failureOf(rig, plan)).toMatchObject({ type: 'InvalidInput' });
  });
});

describe('deadlines', () => {
  test('a step past its deadline is cancelled at the agent, and onError decides', async () => {
    const plan = planOf(
      [
        parallel(
          { a: [ask('{{ run.id }} [takes 20s]', { conversation: 'a' })], b: [ask('{{ run.id }} [takes 20s] too')] },
          {
            ...{ id: 'late', deadlineMs: 4_000, ...onError('skip') },
          },
        ),
      ],
      { conversations: { main: {}, a: {} }, output: 'error' },
    );
    const started = await run(rig, plan);
    expect(await started.output()).toEqual({
      errorName: 'DeadlinePassed',
      message: 'It had not ended within 4 s',
      step: 'steps[0] (late)',
    });
    expect(askedOf(rig, started.id).map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
    expect(runningOf(rig, started.id)).toEqual([]);
  });

  test('so is a plan past its own', async () => {
    const plan = planOf([ask('{{ run.id }} [takes 20s]', { deadlineMs: 30_000 })], { deadlineMs: 4_000 });
    const started = await run(rig, plan);
    expect(await started.failure()).toEqual({
      type: 'DeadlinePassed',
      message: 'The plan failed: It had not ended within 4 s',
    });
    expect(askedOf(rig, started.id).map(({ status }) => status)).toEqual(['cancelled']);
  });
});
