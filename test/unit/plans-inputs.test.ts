import { describe, expect, test } from '@jest/globals';
import type { Plan, PlanInput } from '../../src/protocol/plan.js';
import { checkInputs, parseInputAssignments, PlanInputError, type PlanInputFault } from '../../src/plans/index.js';

const planWith = (inputs: Record<string, PlanInput>): Plan => ({
  name: 'p',
  inputs,
  conversations: { main: {} },
  maxSteps: 10,
  steps: [],
});

const PLAN = planWith({
  region: { type: 'string', required: true, description: 'Region that is reported on' },
  days: { type: 'number', required: false, default: 7 },
  dry: { type: 'boolean', required: false },
  filter: { type: 'object', required: false },
  items: { type: 'array', required: false, default: [] },
  extra: { type: 'any', required: false },
});

function faultsOf(run: () => unknown): readonly PlanInputFault[] {
  try {
    run();
  } catch (error) {
    if (error instanceof PlanInputError) return error.faults;
    throw error;
  }
  return [];
}

describe('checkInputs()', () => {
  test('fills in defaults, and leaves out what is not given', () => {
    expect(checkInputs(PLAN, { region: 'north' })).toEqual({ region: 'north', days: 7, items: [] });
  });

  test('takes what is given before the default', () => {
    const given = { region: 'n', days: 0, dry: false, filter: { a: [1] }, items: [1], extra: null };
    expect(checkInputs(PLAN, given)).toEqual({ region: 'n', days: 0, dry: false, filter: { a: [1] }, items: [1] });
  });

  test('takes null for what may be left out, and for nothing else', () => {
    expect(checkInputs(PLAN, { region: 'n', days: null, dry: undefined })).toEqual({ region: 'n', days: 7, items: [] });
    expect(faultsOf(() => checkInputs(PLAN, { region: null }))).toMatchObject([{ input: 'region' }]);
    expect(checkInputs(planWith({ a: { type: 'any', required: true } }), { a: null })).toEqual({ a: null });
  });

  const broken: [
    name: string,
    given: Record<string, unknown>,
    input: string,
    met: string,
    suggestion: string | undefined,
  ][] = [
    [
      'one that is missing',
      {},
      'region',
      'is missing (Region that is reported on); write it like region=text',
      undefined,
    ],
    ['one that is misspelt', { regoin: 'n' }, 'regoin', 'no input of the plan; did you mean "region"?', 'region'],
    [
      'one that is unknown',
      { region: 'n', zone: 1 },
      'zone',
      'plan p has region, days, dry, filter, items and extra',
      undefined,
    ],
    ['a number for a text', { region: 7 }, 'region', 'is a number, but must be a string; write it like', undefined],
    ['a text for a number', { region: 'n', days: '7' }, 'days', 'is a string, but must be a number', undefined],
    ['a number that JSON does not have', { region: 'n', days: NaN }, 'days', 'no number that JSON has', undefined],
    ['an array for an object', { region: 'n', filter: [] }, 'filter', 'is an array, but must be an object', undefined],
    ['an object for an array', { region: 'n', items: {} }, 'items', 'is an object, but must be an array', undefined],
    ['a function', { region: 'n', extra: () => 1 }, 'extra', 'is a function, which JSON does not have', undefined],
  ];
  test.each(broken)('refuses %s', (_, given, input, met, suggestion) => {
    const faults = faultsOf(() => checkInputs(PLAN, given));
    expect(faults).toHaveLength(1);
    expect(faults[0]?.input).toBe(input);
    expect(faults[0]?.message).toContain(met);
    expect(faults[0]?.suggestion).toBe(suggestion);
  });

  test('tells everything that is wrong at once', () => {
    const faults = faultsOf(() => checkInputs(PLAN, { days: 'x', zone: 1 }));
    expect(faults.map(({ input }) => input)).toEqual(['zone', 'region', 'days']);
  });

  test('refuses inputs that are too large together', () => {
    const items = ['x'.repeat(256 * 1024)];
    expect(faultsOf(() => checkInputs(PLAN, { region: 'n', items }))[0]?.message).toMatch(
      /the inputs take \d+ bytes, and a run may have 262144/,
    );
  });

  test('a name that every object has is no input', () => {
    expect(faultsOf(() => checkInputs(PLAN, { region: 'n', ['constructor']: 1 }))).toMatchObject([
      { input: 'constructor' },
    ]);
  });
});

describe('parseInputAssignments()', () => {
  const parsed: [assignment: string, value: unknown][] = [
    ['region=north', 'north'],
    ['region=', ''],
    ['region=a=b', 'a=b'],
    ['region=7', '7'],
    ['days=7.5', 7.5],
    ['days=-1e3', -1000],
    ['dry=true', true],
    ['dry=false', false],
    ['filter={"a": 1}', { a: 1 }],
    ['items=["a", 2]', ['a', 2]],
    ['extra=text', 'text'],
    ['extra=12', 12],
    ['extra="12"', '12'],
  ];
  test.each(parsed)('reads %s by its type', (assignment, value) => {
    expect(parseInputAssignments([assignment], PLAN)).toEqual({ [assignment.split('=', 1)[0] ?? '']: value });
  });

  const broken: [assignments: string[], met: string][] = [
    [['region'], 'has no name and value; write it like region=north'],
    [['=north'], 'has no name and value'],
    [['zone=1'], 'is no input of the plan'],
    [['region=a', 'region=b'], 'is given twice'],
    [['days=seven'], 'is "seven", but must be a number; write it like 12.5'],
    [['days='], 'is "", but must be a number'],
    [['days="7"'], 'must be a number'],
    [['dry=yes'], 'is "yes", but must be a boolean; write it like true'],
    [['filter=[1]'], 'must be an object as JSON; write it like {"team": "north"}'],
    [['items=a,b'], 'must be an array as JSON; write it like ["a", "b"]'],
  ];
  test.each(broken)('refuses %j', (assignments, met) => {
    const faults = faultsOf(() => parseInputAssignments(assignments, PLAN));
    expect(faults).toHaveLength(1);
    expect(faults[0]?.message).toContain(met);
  });
});
