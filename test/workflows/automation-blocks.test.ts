import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  approve,
  ask,
  askedOf,
  forEach,
  mostAtOnce,
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
const sessionsOf = (exchanges: { sessionRid: string }[]) => new Set(exchanges.map(({ sessionRid }) => sessionRid));

describe('forEach', () => {
  test('gives results in the order of the items, so many at once, each item in its own conversation', async () => {
    const plan = planOf(
      [
        forEach(
          'inputs.list',
          [
            // The first three take long enough to be begun together on a busy machine, too.
            ask('First {{ item }} of {{ run.id }} [takes {{ index < 3 ? "2s" : "150ms" }}]', {
              id: 'a',
              conversation: 'own',
            }),
            ask('Second {{ item }} of {{ run.id }} [answer]{{ index }}', { id: 'b', conversation: 'own' }),
          ],
          { id: 'each', concurrency: 3, conversations: { own: {} }, collect: 'item & steps.b.answer' },
        ),
      ],
      { output: 'steps.each' },
    );
    const list = ['ä', 'b', 'c', 'd', 'e', 'f', 'g'];
    const started = await run(rig, plan, { inputs: { list } });
    expect(await started.output()).toEqual({ count: 7, failed: 0, results: list.map((item, index) => item + index) });
    const asked = askedOf(rig, started.id);
    expect(asked).toHaveLength(14);
    expect(sessionsOf(asked).size).toBe(7);
    expect(mostAtOnce(asked)).toBe(3);
    const { steps } = await started.status();
    expect(steps[0]).toMatchObject({ state: 'done', items: 7, begun: 1 });
    expect(steps[0]?.children?.[0]?.steps).toMatchObject([
      { begun: 7, done: 7, state: 'done' },
      { begun: 7, done: 7, state: 'done' },
    ]);
  });

  test('in a shared conversation items take turns, in one session', async () => {
    const plan = planOf([forEach('[1..5]', [ask('{{ item }} of {{ run.id }} [takes 30ms]')], { concurrency: 5 })]);
    const started = await run(rig, plan);
    await started.result();
    const asked = askedOf(rig, started.id);
    expect(asked.map(({ turn }) => turn)).toEqual([1, 2, 3, 4, 5]);
    expect(sessionsOf(asked).size).toBe(1);
    expect(rig.simulator.summary().totals.overlapsRefused).toBe(0);
  });

  test('counts items that fail, and goes on, when told to', async () => {
    const plan = planOf(
      [
        forEach('["x", "[fail AgentIterationsExceededLimit]", "y"]', [ask('{{ item }}', { id: 'a' })], {
          ...{ id: 'each', collect: 'item', onItemError: 'continue' as const },
        }),
      ],
      { output: 'steps.each' },
    );
    expect(await outputOf(rig, plan)).toEqual({ count: 3, failed: 1, results: ['x', null, 'y'] });
  });

  test('the first item that fails ends it, and cancels the others at the agent', async () => {
    const texts = [FAILS, '[takes 20s]', '[takes 20s] too', 'never'];
    const steps = [when('index = 0', [approve('Fail?')]), ask('{{ item }} {{ run.id }}', { conversation: 'own' })];
    const plan = planOf([
      forEach(texts, steps, {
        ...{ concurrency: 3, conversations: { own: {} } },
      }),
    ]);
    const started = await run(rig, plan);
    await until('the others run', () => runningOf(rig, started.id).length === 2);
    await started.approvals(1);
    await started.decide({ decision: 'approve' });
    expect(await started.failure()).toMatchObject({ type: 'AgentIterationsExceededLimit' });
    expect(runningOf(rig, started.id)).toEqual([]);
    expect(
      askedOf(rig, started.id)
        .map(({ status }) => status)
        .sort(),
    ).toEqual(['cancelled', 'cancelled', 'failed']);
    const asking = stepsByPath(await started.status())['steps[0].do[1]'];
    expect(asking).toMatchObject({ begun: 3, failed: 1, state: 'failed' });
  });

  test('nests, and takes nothing, and what is no list', async () => {
    const inner = forEach('$type(outer) = "array" ? outer : [outer]', [set({ last: '{{ item }}' })], {
      ...{ id: 'inner', collect: '$string(item) & "/" & $string(index)' },
    });
    const plan = planOf(
      [
        forEach('inputs.lists', [inner], { id: 'a', as: 'outer', collect: 'steps.inner.results', concurrency: 2 }),
        forEach('inputs.none', [ask('Never?')], { id: 'b', collect: 'item' }),
        forEach('[]', [ask('Never?')], { id: 'c' }),
        forEach('inputs.one', [set({ one: '{{ item }}' })], { id: 'd', collect: 'item' }),
        forEach('inputs.objects[n > 1]', [set({ two: '{{ item.n }}' })], { id: 'e', collect: 'item.n' }),
        forEach(['{{ inputs.one }}', { n: '{{ inputs.one.k }}' }], [set({ x: 1 })], { id: 'f', collect: 'item' }),
      ],
      { output: '{"a": steps.a.results, "rest": [steps.b, steps.c, steps.d, steps.e, steps.f].results}' },
    );
    const inputs = { lists: [['x', 'y'], 5, []], one: { k: 1 }, objects: [{ n: 1 }, { n: 2 }] };
    expect(await outputOf(rig, plan, { inputs })).toEqual({
      a: [['x/0', 'y/1'], ['5/0'], []],
      rest: [{ k: 1 }, 2, { k: 1 }, { n: 1 }],
    });
    expect(rig.simulator.summary().totals.continuesReceived).toBe(0);
  });

  test('retried, it begins anew: with new sessions, also where it had opened some', async () => {
    rig.simulator.setFaults([
      {
        operation: 'streamingContinue',
        match: { textIncludes: 'second' },
        fault: { kind: 'error', errorName: 'AgentIterationsExceededLimit' },
        times: 1,
      },
    ]);
    const plan = planOf(
      [
        forEach('["first", "second", "third"]', [ask('{{ item }} {{ run.id }}', { conversation: 'own' })], {
          ...{ id: 'each', conversations: { own: {} }, collect: 'item', ...onError('stop', 1) },
        }),
      ],
      { output: 'steps.each.results' },
    );
    const started = await run(rig, plan);
    expect(await started.output()).toEqual(['first', 'second', 'third']);
    expect(askedOf(rig, `first ${started.id}`)).toHaveLength(2);
    expect(sessionsOf(askedOf(rig, `first ${started.id}`)).size).toBe(2);
    expect((await started.status()).steps[0]).toMatchObject({ begun: 1, done: 1, failed: 0, state: 'done' });
  });
});

describe('parallel', () => {
  test('does its branches at once, and what they resulted in is seen after it', async () => {
    const branch = (name: string) => [
      ask(`${name} {{ run.id }} [takes 2s] [answer]${name}`, { id: name, conversation: name }),
    ];
    const plan = planOf([parallel({ a: branch('a'), b: branch('b') })], {
      conversations: { a: {}, b: {} },
      output: 'steps.a.answer & steps.b.answer',
    });
    const started = await run(rig, plan);
    expect(await started.output()).toBe('ab');
    expect(mostAtOnce(askedOf(rig, started.id))).toBe(2);
  });

  test('a branch that fails cancels the others at the agent, in whatever they do', async () => {
    const plan = planOf(
      [
        parallel({
          failing: [approve('Fail?', { id: 'fail' }), ask(`{{ run.id }} ${FAILS}`, { conversation: 'a' })],
          asking: [ask('{{ run.id }} [takes 20s]', { conversation: 'b' }), ask('Never {{ run.id }}')],
          waiting: [wait(60_000)],
          approving: [approve('Really?')],
          nested: [parallel({ deep: [ask('{{ run.id }} [takes 20s]', { conversation: 'c' })] })],
        }),
      ],
      { conversations: { main: {}, a: {}, b: {}, c: {} } },
    );
    const started = await run(rig, plan);
    await until('the others ask', () => runningOf(rig, started.id).length === 2);
    await started.approvals(2);
    await started.decide({ approvalId: 'fail', decision: 'approve' });
    expect(await started.failure()).toMatchObject({ type: 'AgentIterationsExceededLimit' });
    expect(runningOf(rig, started.id)).toEqual([]);
    expect(askedOf(rig, started.id)).toHaveLength(3);
    const steps = stepsByPath(await started.status());
    const states = Object.fromEntries(Object.entries(steps).map(([path, { state }]) => [path, state]));
    expect(states).toEqual({
      'steps[0]': 'failed',
      'steps[0].parallel.failing[0]': 'done',
      'steps[0].parallel.failing[1]': 'failed',
      'steps[0].parallel.asking[0]': 'cancelled',
      'steps[0].parallel.asking[1]': 'pending',
      'steps[0].parallel.waiting[0]': 'cancelled',
      'steps[0].parallel.approving[0]': 'cancelled',
      'steps[0].parallel.nested[0]': 'cancelled',
      'steps[0].parallel.nested[0].parallel.deep[0]': 'cancelled',
    });
  });

  test('a jump out of a branch cancels the others, and can come back', async () => {
    const plan = planOf(
      [
        set({ tries: '{{ $number(vars.tries ? vars.tries : 0) + 1 }}' }, { id: 'again' }),
        when('vars.tries < 3', [
          parallel({
            jumps: [
              approve('Jump?'),
              ask(`{{ run.id }} ${FAILS}`, { conversation: 'a', ...onError({ goto: 'again' }) }),
            ],
            asks: [ask('Slow {{ run.id }} [takes 20s]', { conversation: 'b' })],
          }),
        ]),
      ],
      { conversations: { a: {}, b: {} }, output: 'vars.tries' },
    );
    const started = await run(rig, plan);
    const slow = `Slow ${started.id}`;
    for (const before of [0, 1]) {
      const isAsking = () => askedOf(rig, slow).length === before && runningOf(rig, slow).length === 1;
      await until(`it asks after ${before} jumps`, isAsking);
      await started.approvals(1);
      await started.decide({ decision: 'approve' });
    }
    expect(await started.output()).toBe(3);
    expect(askedOf(rig, slow).map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
    expect(runningOf(rig, started.id)).toEqual([]);
  });
});
