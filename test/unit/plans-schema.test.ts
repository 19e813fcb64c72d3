import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Validator } from '@cfworker/json-schema';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { planJsonSchema, readPlan } from '../../src/plans/index.js';
import { STEP_KINDS } from '../../src/plans/plan-words.js';
import { faultsOf, NOW, steps } from '../support/broken-plan.js';
import { plansOfPage, plansOfFolder } from '../support/plan-files.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const committed = JSON.parse(await readFile(`${root}schemas/plan.schema.json`, 'utf8')) as object;
const plans = [...(await plansOfFolder('examples/plans')), ...(await plansOfPage('docs/plans.md'))];

const validator = new Validator(committed, '7', false);
const fits = (yaml: string): boolean => validator.validate(parse(yaml, { merge: true })).valid;

describe('plans that users are shown', () => {
  test('are there: five examples, and as many in the docs as there are steps to show', () => {
    expect(plans.filter(({ name }) => name.startsWith('examples/'))).toHaveLength(5);
    expect(plans.filter(({ name }) => name.startsWith('docs/')).length).toBeGreaterThan(14);
  });

  test.each(plans)('$name is read without a fault or a warning', ({ name, yaml }) => {
    expect(readPlan(yaml, { file: name, now: () => NOW }).warnings).toEqual([]);
  });

  test.each(plans)('$name fits the schema for editors', ({ yaml }) => {
    expect(validator.validate(parse(yaml, { merge: true })).errors).toEqual([]);
  });

  test('show every kind of step, and every key of each', async () => {
    const page = await readFile(`${root}docs/plans.md`, 'utf8');
    for (const kind of STEP_KINDS) expect(plans.some(({ yaml }) => yaml.includes(`${kind}:`))).toBe(true);
    const missing = [...keysOf(committed)].filter((key) => !new RegExp(`\\b${key}\\b`).test(page));
    // Parts of an object set, which the API's documentation tells.
    expect(missing.filter((key) => !['objectSet', 'ontology'].includes(key))).toEqual([]);
  });
});

describe('schemas/plan.schema.json', () => {
  test('is what the code makes: else run npm run plan-schema', () => {
    expect(committed).toEqual(planJsonSchema());
  });

  test('tells what every key is for', () => {
    const silent = [...properties(committed)]
      .filter(([, schema]) => !('description' in schema) && !('allOf' in schema) && !('$ref' in schema))
      .map(([key]) => key);
    expect(silent).toEqual([]);
    expect([...properties(committed)].length).toBeGreaterThan(80);
  });

  test.each([
    ['no name', 'steps: [{ ask: x }]\n'],
    ['no steps', 'name: p\n'],
    ['empty steps', 'name: p\nsteps: []\n'],
    ['an unknown key', 'name: p\nversion: 1\nsteps: [{ ask: x }]\n'],
    ['a duration without a unit', 'name: p\ndeadline: 10\nsteps: [{ ask: x }]\n'],
    ['an input of no type', 'name: p\ninputs: { a: text }\nsteps: [{ ask: x }]\n'],
    ['a conversation with an unknown key', 'name: p\nconversations: { a: { agentRid: x } }\nsteps: [{ ask: x }]\n'],
    ['a misspelt kind', steps('  - aks: x\n')],
    ['two kinds', steps('  - ask: x\n    wait: 5m\n')],
    ['a bad id', steps('  - id: my-step\n    ask: x\n')],
    ['a number as a question', steps('  - ask: 42\n')],
    ['askJson without a schema', steps('  - askJson: { text: x }\n')],
    ['a decision that is none', steps('  - approve: { message: x, wait: 1d, default: yes }\n')],
    ['a wait without a unit', steps('  - wait: 5\n')],
    ['a forEach without do', steps('  - forEach: [1]\n')],
    ['more at once than allowed', steps('  - forEach: [1]\n    concurrency: 101\n    do: [{ ask: x }]\n')],
    ['an if without then', steps('  - if: run.id\n')],
    [
      'a fault deep inside',
      steps('  - if: run.id\n    then: [{ parallel: { a: [{ forEach: [1], do: [{ aks: x }] }] } }]\n'),
    ],
    ['a batch without rows', steps('  - batch: { concurrency: 5 }\n')],
    ['onError that is none', steps('  - ask: x\n    onError: ignore\n')],
  ])('refuses %s, as the reader does', (_, yaml) => {
    expect(fits(yaml)).toBe(false);
    expect(faultsOf(yaml)).not.toEqual([]);
  });
});

type Schema = Record<string, unknown>;

function* properties(schema: unknown): Generator<[key: string, schema: Schema]> {
  if (typeof schema !== 'object' || schema === null) return;
  for (const [key, inner] of Object.entries(schema)) {
    if (key === 'properties') yield* Object.entries(inner as Record<string, Schema>);
    yield* properties(inner);
  }
}

const keysOf = (schema: object): Set<string> => new Set([...properties(schema)].map(([key]) => key));
