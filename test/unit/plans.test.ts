import { describe, expect, test } from '@jest/globals';
import type { PlanStep } from '../../src/protocol/plan.js';
import { PlanError, readPlan } from '../../src/plans/index.js';
import { faultsOf, NOW, steps } from '../support/broken-plan.js';

const planOf = (yaml: string) => readPlan(yaml, { file: 'p.yaml', now: () => NOW }).plan;
/** The first step of a plan of these. */
const stepOf = (text: string): PlanStep | undefined => planOf(steps(text)).steps[0];

const AGENT = 'ri.aip-agents..agent.5f0c1c52-9a41-4d5e-8f5c-2a3b6f1d0001';
const asked = (text: string) => ({ kind: 'ask', conversation: 'main', text });

describe('readPlan() brings a plan into its longest form', () => {
  test('the least that a plan can be', () => {
    expect(planOf('name: p\nsteps: [{ ask: Hello }]\n')).toEqual({
      name: 'p',
      inputs: {},
      conversations: { main: {} },
      maxSteps: 100_000,
      steps: [asked('Hello')],
    });
  });

  test('all that stands beside the steps', () => {
    const plan = planOf(`
name: p.1
description: What it is for
inputs:
  region: string
  days: { type: number, description: Days back, default: 7 }
  note: { type: any, required: false }
conversations:
  analyst:
    agent: ${AGENT}
    agentVersion: "1.0"
    title: Report {{ inputs.region }}
    mode: blocking
    parameters: { team: "{{ inputs.region }}", set: { type: objectSet, objectSet: { type: base }, ontology: o } }
    carryParameters: false
    onExpired: fail
    onContextOverflow: shorten
    carryOver: none
    exchangeTimeout: 15m
    callTimeout: PT5M
deadline: 1d12h
maxSteps: 50
steps: [{ ask: Hello }]
output: steps
`);
    expect(plan).toEqual({
      name: 'p.1',
      description: 'What it is for',
      inputs: {
        region: { type: 'string', required: true },
        days: { type: 'number', description: 'Days back', required: false, default: 7 },
        note: { type: 'any', required: false },
      },
      conversations: {
        analyst: {
          agent: AGENT,
          agentVersion: '1.0',
          title: 'Report {{ inputs.region }}',
          mode: 'blocking',
          parameters: {
            team: '{{ inputs.region }}',
            set: { type: 'objectSet', objectSet: { type: 'base' }, ontology: 'o' },
          },
          carryParameters: false,
          onExpired: 'fail',
          onContextOverflow: 'shorten',
          carryOver: 'none',
          exchangeTimeoutMs: 900_000,
          callTimeoutMs: 300_000,
        },
      },
      deadlineMs: 129_600_000,
      maxSteps: 50,
      steps: [{ kind: 'ask', conversation: 'analyst', text: 'Hello' }],
      output: 'steps',
    });
  });

  const table: [text: string, step: object][] = [
    ['{ ask: Hello }', asked('Hello')],
    [
      '{ id: a, title: t, deadline: 10m, ask: { text: Hello, mode: blocking, parameters: { x: y } } }',
      { ...asked('Hello'), id: 'a', title: 't', deadlineMs: 600_000, mode: 'blocking', parameters: { x: 'y' } },
    ],
    [
      '{ askJson: { text: Hello, schema: { type: object } } }',
      { ...asked('Hello'), kind: 'askJson', schema: { type: 'object' }, maxAttempts: 3 },
    ],
    ['{ approve: Now? }', { kind: 'approve', message: 'Now?', continueWhenRejected: false }],
    [
      '{ approve: { message: Now?, wait: 3d, default: reject, remindEvery: 1d, onReject: continue } }',
      {
        kind: 'approve',
        message: 'Now?',
        waitMs: 259_200_000,
        default: 'reject',
        remindEveryMs: 86_400_000,
        continueWhenRejected: true,
      },
    ],
    ['{ wait: 1h30m }', { kind: 'wait', wait: { forMs: 5_400_000 } }],
    ['{ wait: { for: 10s } }', { kind: 'wait', wait: { forMs: 10_000 } }],
    ['{ wait: { for: "{{ run.id }}" } }', { kind: 'wait', wait: { for: '{{ run.id }}' } }],
    ['{ wait: { until: 2026-12-01T08:00:00Z } }', { kind: 'wait', wait: { until: '2026-12-01T08:00:00Z' } }],
    [
      '{ forEach: [1, "{{ run.id }}"], do: [{ ask: "{{ item }}" }] }',
      {
        kind: 'forEach',
        items: [1, '{{ run.id }}'],
        as: 'item',
        concurrency: 1,
        conversations: {},
        do: [asked('{{ item }}')],
        onItemError: 'stop',
      },
    ],
    [
      '{ forEach: "[1..3]", as: n, concurrency: 5, conversations: { own: { callTimeout: 1m } }, do: [{ ask: x }], collect: n, onItemError: continue }',
      {
        kind: 'forEach',
        items: '[1..3]',
        as: 'n',
        concurrency: 5,
        conversations: { own: { callTimeoutMs: 60_000 } },
        do: [{ kind: 'ask', conversation: 'own', text: 'x' }],
        collect: 'n',
        onItemError: 'continue',
      },
    ],
    ['{ if: run.id, then: [{ ask: x }] }', { kind: 'if', if: 'run.id', then: [asked('x')], else: [] }],
    [
      '{ if: run.id, then: [{ ask: x }], else: [{ ask: y }] }',
      { kind: 'if', if: 'run.id', then: [asked('x')], else: [asked('y')] },
    ],
    [
      '{ parallel: { north: [{ ask: x }], south: [{ ask: y }] } }',
      {
        kind: 'parallel',
        branches: [
          { name: 'north', do: [asked('x')] },
          { name: 'south', do: [asked('y')] },
        ],
      },
    ],
    [
      '{ parallel: [[{ ask: x }], [{ ask: y }]] }',
      {
        kind: 'parallel',
        branches: [
          { name: '1', do: [asked('x')] },
          { name: '2', do: [asked('y')] },
        ],
      },
    ],
    [
      '{ batch: { rows: [x, { id: a, turns: [y, z] }] } }',
      { kind: 'batch', rows: ['x', { id: 'a', turns: ['y', 'z'] }], concurrency: 20 },
    ],
    [
      `{ batch: { rows: "[run.id]", agent: ${AGENT}, agentVersion: "2.0", concurrency: 5, mode: blocking, isolation: workflow, maxFailures: 0 } }`,
      {
        kind: 'batch',
        rows: '[run.id]',
        agent: AGENT,
        agentVersion: '2.0',
        concurrency: 5,
        mode: 'blocking',
        isolation: 'workflow',
        maxFailures: 0,
      },
    ],
    ['{ set: { a: 1, b: ["{{ run.id }}"] } }', { kind: 'set', set: { a: 1, b: ['{{ run.id }}'] } }],
    ['{ fail: "No: {{ run.id }}" }', { kind: 'fail', message: 'No: {{ run.id }}' }],
  ];
  test.each(table)('%s', (text, step) => {
    expect(stepOf(`  - ${text}\n`)).toEqual(step);
  });

  test.each([
    ['stop', { retries: 0, delayMs: 0, backoff: 1, then: 'stop' }],
    ['skip', { retries: 0, delayMs: 0, backoff: 1, then: 'skip' }],
    ['{ goto: b }', { retries: 0, delayMs: 0, backoff: 1, then: { goto: 'b' } }],
    ['{ retry: 3 }', { retries: 3, delayMs: 10_000, backoff: 2, then: 'stop' }],
    ['{ retry: 3, delay: 0s, backoff: 1.5, then: skip }', { retries: 3, delayMs: 0, backoff: 1.5, then: 'skip' }],
    ['{ retry: 1, then: { goto: b } }', { retries: 1, delayMs: 10_000, backoff: 2, then: { goto: 'b' } }],
  ])('onError: %s', (text, onError) => {
    expect(stepOf(`  - ask: x\n    onError: ${text}\n  - id: b\n    ask: y\n`)?.onError).toEqual(onError);
  });
});

describe('readPlan() takes plans as they are written', () => {
  test('in JSON, indented by tabs', () => {
    const json = JSON.stringify({ name: 'p', steps: [{ ask: 'Hello' }] }, null, '\t');
    expect(planOf(json)).toEqual(planOf('name: p\nsteps: [{ ask: Hello }]\n'));
  });

  test('with a byte order mark, and the line ends of Windows', () => {
    expect(planOf('\uFEFFname: p\r\nsteps:\r\n  - ask: Hello\r\n').steps).toEqual([asked('Hello')]);
  });

  test('with anchors, aliases and merges, each step for itself', () => {
    const plan = planOf(`
name: p
steps:
  - &question
    ask: Hello
    onError: skip
  - <<: *question
    ask: Again
  - forEach: [1]
    conversations: { own: {} }
    do: [*question]
`);
    const [first, second, third] = plan.steps;
    expect([first?.onError?.then, second?.onError?.then]).toEqual(['skip', 'skip']);
    expect(second).toMatchObject({ text: 'Again', conversation: 'main' });
    expect(third).toMatchObject({ do: [{ text: 'Hello', conversation: 'own' }] });
  });

  test('a fault in an anchor is told where it is written', () => {
    const yaml = 'name: p\nx: &x { retyr: 3 }\nsteps:\n  - ask: x\n    onError: *x\n';
    expect(faultsOf(yaml).map(({ line, path }) => [line, path])).toEqual([
      [2, 'x'],
      [2, 'steps[0].onError.retyr'],
    ]);
  });

  test('conversations of a forEach before those of the plan, where it names them', () => {
    const plan = planOf(
      'name: p\nconversations: { a: {} }\nsteps:\n  - forEach: [1]\n    conversations: { b: {} }\n    do: [{ ask: x, in: b }, { ask: y, in: a }]\n',
    );
    expect(plan.steps[0]).toMatchObject({ do: [{ conversation: 'b' }, { conversation: 'a' }] });
  });

  test('a thousand steps', () => {
    expect(planOf(steps('  - ask: x\n'.repeat(1_000))).steps).toHaveLength(1_000);
  });

  test('nested ten deep', () => {
    let inner = '[{ ask: x }]';
    for (let level = 0; level < 9; level++) inner = `[{ forEach: [1], as: i${level}, do: ${inner} }]`;
    expect(faultsOf(`name: p\nsteps: ${inner}\n`)).toEqual([]);
    expect(faultsOf(`name: p\nsteps: [{ forEach: [1], do: ${inner} }]\n`)).toHaveLength(1);
  });
});

describe('PlanError', () => {
  const errorOf = (yaml: string): PlanError => {
    try {
      readPlan(yaml, { file: 'plans/nightly.yaml' });
    } catch (error) {
      if (error instanceof PlanError) return error;
    }
    throw new Error('was read');
  };

  test('has a line for each fault: file, line, column, path and message', () => {
    expect(errorOf(steps('  - aks: x\n  - wait: 5\n')).message.split('\n')).toEqual([
      'plans/nightly.yaml:3:5 steps[0].aks: is nothing that a step does; did you mean "ask"?',
      'plans/nightly.yaml:4:11 steps[1].wait: is 5, a number without a unit; write "5s" for seconds or "5ms" for milliseconds',
    ]);
  });

  test('lists fifty faults, and counts the others', () => {
    const error = errorOf(steps('  - wait: 5\n'.repeat(120)));
    expect(error.faults).toHaveLength(120);
    const lines = error.message.split('\n');
    expect(lines).toHaveLength(51);
    expect(lines.at(-1)).toBe('… and 70 more');
  });
});
