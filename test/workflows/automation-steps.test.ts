import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AskJsonStep, JsonObject } from '../../src/protocol/plan.js';
import {
  ask,
  askedOf,
  failureOf,
  onError,
  outputOf,
  planOf,
  run,
  set,
  stepsByPath,
  wait,
  when,
} from '../support/automation-stage.js';
import { startRig, type Rig } from '../support/rig.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.close());

const FENCE = '```';
const askJson = (text: string, schema: JsonObject, rest: Partial<AskJsonStep> = {}): AskJsonStep => ({
  ...{ kind: 'askJson', conversation: 'main', text, schema, maxAttempts: 3 },
  ...rest,
});

describe('ask', () => {
  test('fills its template, and results in the answer, its parameters, tokens and session', async () => {
    const plan = planOf(
      [
        ask('Report on {{ inputs.region }} for {{ $uppercase(run.plan) }}: {{ inputs.rows }}', { id: 'first' }),
        ask('Shorter than {{ $length(steps.first.answer) > 0 }}, please [set status=shipped]', { id: 'second' }),
        ask('And the status?', { id: 'third' }),
      ],
      { output: 'steps' },
    );
    const output = await outputOf(rig, plan, { inputs: { region: 'Zürich 東京', rows: [1, { a: 'b' }] } });
    expect(output).toMatchObject({
      first: {
        status: 'answered',
        answer: expect.stringContaining('You asked: “Report on Zürich 東京 for TEST: [1,{"a":"b"}]”'),
        tokens: expect.any(Number),
        sessionRid: expect.any(String),
        parameters: {},
      },
      second: { answer: expect.stringContaining('Shorter than true, please'), parameters: { status: 'shipped' } },
      // Carried over by the conversation.
      third: { answer: expect.stringContaining('status = “shipped”') },
    });
  });

  test('gives parameters, sends in the mode asked for, and asks whom its conversation names', async () => {
    const [, plainAgent] = rig.simulator.agentRids;
    const plan = planOf(
      [
        ask('Who? {{ run.id }}', { id: 'a', mode: 'blocking', parameters: { customerName: '{{ inputs.name }}' } }),
        ask('Other agent? {{ run.id }}', { id: 'b', conversation: 'other' }),
      ],
      {
        conversations: {
          main: { parameters: { language: 'de' } },
          other: { agent: '{{ inputs.agent }}', mode: 'blocking' },
        },
        output: 'steps.a.answer',
      },
    );
    const started = await run(rig, plan, { inputs: { name: 'Ann', agent: plainAgent! } });
    expect(await started.output()).toContain('Known: customerName = “Ann”, language = “de”');
    expect(askedOf(rig, started.id)).toMatchObject([
      { mode: 'blocking', agentRid: rig.simulator.agentRid },
      { mode: 'blocking', agentRid: plainAgent },
    ]);
  });

  test('refuses to ask nothing, or nobody, before it costs a call', async () => {
    const nothing = planOf([ask(' {{ inputs.none }} ')]);
    expect(await failureOf(rig, nothing)).toMatchObject({
      type: 'ExpressionFailed',
      message: expect.stringMatching(/^Step steps\[0\] failed: .*comes to nothing/),
    });
    const { handle } = await run(rig, planOf([ask('Anybody there?')]), { agentRid: '' });
    await expect(handle.result()).rejects.toMatchObject({
      cause: { type: 'InvalidInput', message: expect.stringContaining('has no agent') },
    });
  });

  test('fails with the error of the API, and says so in the tree', async () => {
    const started = await run(
      rig,
      planOf([ask('Wrong? [fail AgentIterationsExceededLimit]', { id: 'wrong' }), ask('Never?')]),
    );
    expect(await started.failure()).toMatchObject({
      type: 'AgentIterationsExceededLimit',
      message: expect.stringContaining('steps[0] (wrong)'),
    });
    const { steps, state, totals } = await started.status();
    expect(state).toBe('finished');
    expect(totals).toMatchObject({ steps: 1, answered: 0, failed: 1 });
    expect(steps).toMatchObject([
      { state: 'failed', error: { errorName: 'AgentIterationsExceededLimit' }, begun: 1, failed: 1 },
      { state: 'pending', begun: 0 },
    ]);
  });
});

describe('askJson', () => {
  const NUMBER = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] };

  test('takes an answer that fits at once, also in a fence', async () => {
    const plan = planOf([askJson(`How many? [answer]Here:\n${FENCE}json\n{"n": 3}\n${FENCE}`, NUMBER, { id: 'n' })], {
      output: 'steps.n',
    });
    expect(await outputOf(rig, plan)).toMatchObject({ json: { n: 3 }, attempts: 1, sessionRid: expect.any(String) });
  });

  test('asks again with the reasons, in the same session', async () => {
    // The schema, which ends every question, holds what the simulator answers to the second one.
    const schema = { type: 'array', items: { type: 'number' }, $comment: '[answer][1, 2]' };
    const plan = planOf([askJson(`Which? [answer]\n${FENCE}\n{"n": "three"}\n${FENCE}`, schema, { id: 'list' })], {
      output: '[steps.list.json, steps.list.attempts, steps.list.sessionRid]',
    });
    const output = (await outputOf(rig, plan)) as unknown[];
    expect(output.slice(0, 3)).toEqual([1, 2, 2]);
    const asked = askedOf(rig, '[1, 2]').filter(({ sessionRid }) => sessionRid === output[3]);
    expect(asked.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^Which\?[^]*Answer with JSON alone[^]*"type":"array"/),
      expect.stringMatching(/^Your answer cannot be used:\n- the whole answer: [^\n]*array[^]*Answer with JSON alone/),
    ]);
  });

  test('fails when no answer fits within its attempts', async () => {
    const schema = { ...NUMBER, $comment: '[answer]Some.' };
    const started = await run(rig, planOf([askJson('How many, {{ run.id }}?', schema, { maxAttempts: 2 })]));
    expect(await started.failure()).toMatchObject({
      type: 'AnswerDoesNotFit',
      message: expect.stringMatching(/within 2 attempts: .*; tell the agent more plainly/),
    });
    expect((await started.status()).totals.answered).toBe(2);
  });

  test('tells the first reason within a sentence of its own', async () => {
    const text = `How many? [answer]${FENCE}json\n{"n": "three"}\n${FENCE}`;
    expect(await failureOf(rig, planOf([askJson(text, NUMBER, { maxAttempts: 1 })]))).toMatchObject({
      message: expect.stringMatching(/within 1 attempt: \/n: .*"number"; tell the agent more plainly/),
    });
  });

  test.each([
    ['a text that its pattern tries for ever', `{"t": "${'a'.repeat(60)}!"}`],
    ['a fence full of line breaks', '\n'.repeat(5_000)],
  ])('fails, and not its worker, where the answer is %s', async (_, answer) => {
    const schema = { type: 'object', properties: { t: { type: 'string', pattern: '^(a+)+$' } }, required: ['t'] };
    const text = `What? [answer]\n${FENCE}json\n${answer}\n`;
    expect(await failureOf(rig, planOf([askJson(text, schema, { maxAttempts: 1 })]))).toMatchObject({
      type: 'AnswerDoesNotFit',
    });
  });

  test('takes what fits a pattern, also one that looks ahead', async () => {
    const schema = {
      type: 'array',
      items: { type: 'string', pattern: '^[A-Z]{2}-\\d+$' },
      contains: { pattern: '^(?=A).*1' },
    };
    const plan = planOf([askJson(`Which? [answer]${FENCE}\n["AB-1", "CD-22"]\n${FENCE}`, schema, { id: 'ids' })], {
      output: 'steps.ids.json',
    });
    expect(await outputOf(rig, plan)).toEqual(['AB-1', 'CD-22']);
  });

  test('fails, and not its worker, with a schema that cannot be used', async () => {
    const started = await run(rig, planOf([askJson('[answer]5', { $ref: '#/$defs/none' })]));
    expect(await started.failure()).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('Cannot use the JSON Schema'),
    });
  });
});

describe('wait', () => {
  test.each([
    ['a while', wait(5)],
    ['as long as an input says', wait({ for: '{{ inputs.pause }}' })],
    ['until a time', wait({ until: '{{ $fromMillis($millis() + 20) }}' })],
    ['until a time that has passed', wait({ until: '2020-01-01' })],
  ])('waits %s', async (_, step) => {
    const plan = planOf([set({ before: '{{ $millis() }}' }), step], { output: '$millis() - vars.before' });
    expect(await outputOf(rig, plan, { inputs: { pause: 'PT0.02S' } })).toBeGreaterThanOrEqual(0);
  });

  test.each([
    ['no duration', wait({ for: 'soon' }), 'it is no duration'],
    ['too long', wait({ for: '99999999999w' }), 'ten years'],
    ['no time', wait({ until: 'tomorrow' }), 'it is no ISO 8601 time'],
    ['a number that only looks like a time', wait({ until: '{{ 5 }}' }), 'it is no ISO 8601 time'],
    ['a time without its zone', wait({ until: '2099-01-01T10:00:00' }), 'zone'],
    ['a time too far off', wait({ until: '9999-01-01T10:00:00Z' }), 'ten years'],
  ])('fails where it is given %s', async (_, step, reason) => {
    expect(await failureOf(rig, planOf([step]))).toMatchObject({
      type: 'ExpressionFailed',
      message: expect.stringContaining(reason),
    });
  });

  test('shows what it waits for, and until when', async () => {
    const started = await run(rig, planOf([wait(60_000)]));
    const status = await started.status();
    expect(status).toMatchObject({ state: 'waiting', waitingFor: 'its time', waitingUntil: expect.any(String) });
    expect(status.steps[0]).toMatchObject({ state: 'waiting', waitingUntil: status.waitingUntil });
    await started.handle.cancel();
    expect(await started.isCancelled()).toBe(true);
  });
});

describe('if, set and fail', () => {
  test.each([
    [5, 'large', 'done', 'pending'],
    [1, 'small', 'pending', 'done'],
  ])('with %d it goes one way, and what was set there is seen after it', async (n, size, then, otherwise) => {
    const plan = planOf([when('inputs.n > 3', [set({ size: 'large' })], [set({ size: 'small' })])], {
      output: 'vars.size',
    });
    const started = await run(rig, plan, { inputs: { n } });
    expect(await started.output()).toBe(size);
    const steps = stepsByPath(await started.status());
    expect(steps['steps[0].then[0]']?.state).toBe(then);
    expect(steps['steps[0].else[0]']?.state).toBe(otherwise);
  });

  test('results of steps inside it are seen after it, and without an else it does nothing', async () => {
    const plan = planOf(
      [when('true', [ask('[answer]inside', { id: 'inner' })]), when('inputs.none', [set({ wrong: true })])],
      { output: '{"inner": steps.inner.answer, "wrong": $exists(vars.wrong)}' },
    );
    expect(await outputOf(rig, plan)).toEqual({ inner: 'inside', wrong: false });
  });

  test('set takes values of every kind, and none sees the others of the same step', async () => {
    const plan = planOf(
      [
        set({ list: [1, '{{ inputs.n }}'], text: 'n = {{ inputs.n }}', nothing: '{{ inputs.none }}' }),
        set({ list: '{{ $append(vars.list, 9) }}', before: '{{ $count(vars.list) }}' }),
      ],
      { output: 'vars' },
    );
    expect(await outputOf(rig, plan, { inputs: { n: 2 } })).toEqual({
      ...{ list: [1, 2, 9], before: 2, text: 'n = 2', nothing: null },
    });
  });

  test('fail ends the plan with its message, whatever onError says', async () => {
    const plan = planOf([
      { kind: 'fail', message: 'No {{ inputs.what }} today', ...onError('skip') },
      set({ never: true }),
    ]);
    expect(await failureOf(rig, plan, { inputs: { what: 'figures' } })).toEqual({
      type: 'PlanFailed',
      message: 'The plan failed: No figures today',
    });
  });

  test('a plan without output results in totals alone; one whose output cannot be told fails', async () => {
    const { output, totals } = await (await run(rig, planOf([set({ a: 1 })]))).result();
    expect(output).toBeUndefined();
    expect(totals).toEqual({ steps: 1, answered: 0, failed: 0, cancelled: 0, tokens: 0 });
    expect(await failureOf(rig, planOf([], { output: '$sum("x")' }))).toMatchObject({
      type: 'ExpressionFailed',
      message: expect.stringMatching(/^The plan failed: Cannot evaluate/),
    });
  });
});
