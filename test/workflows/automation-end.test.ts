import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { BatchStep, Plan } from '../../src/protocol/plan.js';
import {
  approve,
  ask,
  askedOf,
  failureOf,
  forEach,
  onError,
  parallel,
  planOf,
  run,
  runningOf,
  stepsByPath,
  wait,
} from '../support/automation-stage.js';
import { startRig, type Rig, until } from '../support/rig.js';
import { startWorkerProcess } from '../support/worker-process.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.close());
afterEach(() => rig.simulator.reset());

const SLOW = '{{ run.id }} [takes 30s]';
const FAILS = '[fail AgentIterationsExceededLimit]';
const batch = (rows: BatchStep['rows'], rest: Partial<BatchStep> = {}): BatchStep => ({
  ...{ kind: 'batch', id: 'batch', rows, concurrency: 3 },
  ...rest,
});

describe('a batch', () => {
  test('results in counts and in the outcomes in the order of the rows', async () => {
    const plan = planOf(
      [batch('$map(inputs.list, function($one) { {"id": "r" & $one, "text": "Row " & $one & " [answer]" & $one} })')],
      {
        output: '{"ids": steps.batch.results.id, "answers": steps.batch.results.answers, "counts": steps.batch.counts}',
      },
    );
    const started = await run(rig, plan, { inputs: { list: [3, 1, 2] } });
    expect(await started.output()).toMatchObject({
      ids: ['r3', 'r1', 'r2'],
      answers: ['3', '1', '2'],
      counts: { succeeded: 3, failed: 0 },
    });
    const { totals } = await started.status();
    expect(totals).toMatchObject({ answered: 3, failed: 0, tokens: expect.any(Number) });
    expect(totals.tokens).toBeGreaterThan(0);
  });

  test('puts up with so many failed rows and no more, and is another batch when tried again', async () => {
    const rows = ['one', `two ${FAILS}`, `three ${FAILS}`];
    const enough = planOf([batch(rows, { maxFailures: 2 })], { output: 'steps.batch.counts.failed' });
    const started = await run(rig, enough);
    expect(await started.output()).toBe(2);
    expect((await started.status()).totals).toMatchObject({ answered: 1, failed: 2, cancelled: 0 });
    const tooMany = await run(rig, planOf([batch(rows, { maxFailures: 1, ...onError('stop', 1) })]));
    expect(await tooMany.failure()).toMatchObject({ type: 'TooManyFailedRows' });
    expect(await failureOf(rig, planOf([batch('[5]')]))).toMatchObject({
      type: 'ExpressionFailed',
      message: expect.stringContaining('Row 1 of the batch'),
    });
    expect(
      await failureOf(
        rig,
        planOf([
          batch([
            { id: 'a', text: 'x' },
            { id: 'a', text: 'y' },
          ]),
        ]),
      ),
    ).toMatchObject({
      type: 'BatchInputError',
    });
  });
});

const WAITS: [what: string, plan: Plan, running: number][] = [
  ['an exchange', planOf([ask(SLOW)]), 1],
  ['a wait', planOf([wait(60_000)]), 0],
  ['an approval', planOf([approve('Well?')]), 0],
  ['the pause before a retry', planOf([ask(FAILS, onError('stop', 3, 60_000))]), 0],
  ['a batch', planOf([batch(['a {{ run.id }} [takes 30s]', 'b {{ run.id }} [takes 30s]'])]), 2],
  ['a forEach, with some that wait for their turn', planOf([forEach('[1..6]', [ask(SLOW)], { concurrency: 3 })]), 1],
  [
    'all at once',
    planOf(
      [
        parallel(
          {
            a: [ask(SLOW, { conversation: 'a' })],
            b: [
              forEach('[1..2]', [ask(SLOW, { conversation: 'own' })], { concurrency: 2, conversations: { own: {} } }),
            ],
            c: [approve('Well?')],
            d: [wait(60_000)],
          },
          { deadlineMs: 60_000, ...onError('skip') },
        ),
        ask('Never {{ run.id }}'),
      ],
      { conversations: { a: {}, main: {} } },
    ),
    3,
  ],
];

describe('cancelled', () => {
  test.each(WAITS)('in %s, it ends as Canceled, and nothing runs at the agent', async (_, plan, running) => {
    const started = await run(rig, plan);
    await until('it is under way', async () => {
      const steps = Object.values(stepsByPath(await started.status()));
      const waits = steps.some(({ state }) => state === 'waiting') || running > 0;
      return waits && runningOf(rig, started.id).length === running;
    });
    await started.handle.cancel();
    expect(await started.isCancelled()).toBe(true);
    expect(runningOf(rig, started.id)).toEqual([]);
    const asked = askedOf(rig, started.id);
    expect(asked.map(({ status }) => status)).toEqual(Array(running).fill('cancelled'));
    const { state, steps, approvals } = await started.status();
    expect(state).toBe('finished');
    expect(approvals).toEqual([]);
    const begun = Object.values(stepsByPath({ steps })).filter((step) => step.begun > 0);
    expect(begun.map((step) => step.state)).toEqual(Array(begun.length).fill('cancelled'));
  });

  test('while an exchange has just been answered, it ends all the same', async () => {
    const started = await run(rig, planOf([ask('One {{ run.id }}'), ask(`Two ${SLOW}`)]));
    await until('it is answered', () => askedOf(rig, `One ${started.id}`).length === 1);
    await started.handle.cancel();
    expect(await started.isCancelled()).toBe(true);
    expect(runningOf(rig, started.id)).toEqual([]);
  });
});

test('terminated, it leaves nothing running at the agent', async () => {
  const plan = planOf([
    forEach('[1..3]', [ask(SLOW, { conversation: 'own' })], { concurrency: 3, conversations: { own: {} } }),
  ]);
  const started = await run(rig, plan);
  await until('all ask', () => runningOf(rig, started.id).length === 3);
  await started.handle.terminate('enough');
  await until('nothing runs', () => runningOf(rig, started.id).length === 0);
  expect(askedOf(rig, started.id).map(({ status }) => status)).toEqual(['cancelled', 'cancelled', 'cancelled']);
});

test('its worker killed in the middle of a forEach, every exchange is made once', async () => {
  const other = await startRig({ worker: false });
  const worker = await startWorkerProcess(other);
  try {
    const plan = planOf(
      [
        forEach(
          '[1..8]',
          [
            ask('{{ run.id }} a {{ item }} [takes 500ms]', { id: 'a', conversation: 'own' }),
            ask('{{ run.id }} b {{ item }}', { conversation: 'own' }),
          ],
          {
            ...{ id: 'each', concurrency: 3, conversations: { own: {} }, collect: 'item' },
          },
        ),
      ],
      { output: 'steps.each.results' },
    );
    const started = await run(other, plan, { maxStepsPerRun: 12 });
    await until('some are answered, some are asked', () => {
      return askedOf(other, started.id).length >= 4 && runningOf(other, started.id).length > 0;
    });
    await worker.kill();
    await other.startWorker();
    expect(await started.output()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const texts = askedOf(other, started.id).map(({ text }) => text);
    expect(texts).toHaveLength(16);
    expect(new Set(texts).size).toBe(16);
  } finally {
    await worker.kill();
    await other.close();
  }
});
