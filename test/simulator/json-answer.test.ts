import { Validator } from '@cfworker/json-schema';
import { describe, expect, test } from '@jest/globals';
import { simulatedAnswer } from '../../src/simulator/index.js';
import { jsonAnswer } from '../../src/simulator/json-answer.js';

/** As `askJson` words it. */
const questionOf = (schema: object, question = 'How many?') =>
  `${question}\n\nAnswer with JSON alone, without any text around it. It must fit this JSON Schema:\n${JSON.stringify(schema)}`;

const answerTo = (text: string) => simulatedAnswer({ text, agentVersion: '2.0', turn: 1 });

const TREE = {
  $ref: '#/$defs/node',
  $defs: {
    node: {
      type: 'object',
      properties: { name: { type: 'string' }, children: { type: 'array', items: { $ref: '#/$defs/node' } } },
      required: ['name'],
    },
  },
};

describe('a question that tells a JSON Schema is answered with JSON that fits it', () => {
  test.each<[string, object, unknown]>([
    ['a whole number', { type: 'integer' }, 1],
    ['a number from and to', { type: 'number', minimum: 20, maximum: 30 }, 20],
    ['a number between', { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 }, 0.5],
    ['a negative number', { type: 'integer', maximum: -3.5 }, -4],
    ['a multiple', { type: 'integer', minimum: 11, multipleOf: 5 }, 15],
    ['a boolean', { type: 'boolean' }, true],
    ['nothing', { type: 'null' }, null],
    ['the first of several types', { type: ['integer', 'null'] }, 1],
    ['a constant', { const: { a: [] } }, { a: [] }],
    ['one of a list', { enum: ['low', 'severe'] }, 'low'],
    ['a default', { type: 'string', default: 'north' }, 'north'],
    ['an example', { type: 'string', examples: ['Oslo', 'Rome'] }, 'Oslo'],
    ['a text', { type: 'string' }, 'A simulated text.'],
    ['a short text', { type: 'string', maxLength: 4 }, 'A si'],
    ['a long text', { type: 'string', minLength: 40 }, 'A simulated text.A simulated text.A simul'.slice(0, 40)],
    ['a text of digits', { type: 'string', pattern: '^\\d+$' }, '1'],
    ['a text of a pattern and a length', { type: 'string', pattern: '^[A-Z]*$', minLength: 3 }, 'AAA'],
    ['a time', { type: 'string', format: 'date-time' }, '2026-01-31T12:00:00Z'],
    ['a list', { type: 'array', items: { type: 'integer' } }, [1]],
    ['a list of a length', { type: 'array', items: { enum: ['x'] }, minItems: 3 }, ['x', 'x', 'x']],
    ['an empty list', { type: 'array', maxItems: 0 }, []],
    ['a tuple', { prefixItems: [{ type: 'integer' }, { type: 'boolean' }], items: false }, [1, true]],
    [
      'an object with what is required and what may be there',
      { properties: { a: { type: 'integer' }, b: {} }, required: ['a', 'c'], additionalProperties: { type: 'null' } },
      { a: 1, b: 'A simulated text.', c: null },
    ],
    [
      'an object without what no text at hand fits',
      { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'string', pattern: '^INC-\\d$' } } },
      { a: 1 },
    ],
    [
      'the first of alternatives',
      { type: 'object', oneOf: [{ properties: { a: { const: 1 } }, required: ['a'] }, { required: ['b'] }] },
      { a: 1 },
    ],
    [
      'all of several',
      { allOf: [{ properties: { a: { const: 1 } }, required: ['a'] }, { required: ['b'] }] },
      { a: 1, b: 'A simulated text.' },
    ],
    ['a reference', { $ref: '#/$defs/a~1b', $defs: { 'a/b': { type: 'integer' } } }, 1],
  ])('%s', (_, schema, expected) => {
    const value: unknown = JSON.parse(answerTo(questionOf(schema)));
    expect(value).toEqual(expected);
    expect(new Validator(schema, '2020-12').validate(value)).toMatchObject({ valid: true });
  });

  test('a schema that refers to itself has an end', () => {
    const answer = answerTo(questionOf(TREE));
    expect(answer.length).toBeLessThan(1_000);
    expect(new Validator(TREE, '2020-12').validate(JSON.parse(answer))).toMatchObject({ valid: true });
    expect(jsonAnswer(questionOf({ anyOf: [{ $ref: '#' }] }))).toBe('"A simulated text."');
    expect(jsonAnswer(questionOf({ properties: { a: { $ref: '#' } }, required: ['a'] }))).toContain('{"a":null}');
  });

  test('in a fence, with words behind it', () => {
    expect(answerTo('Fit this JSON schema:\n```json\n{ "type": "integer" }\n```\nHow many are late?')).toBe('1');
  });

  test('the last one, where a new session is told what was said before', () => {
    const earlier = `User: ${questionOf({ type: 'integer' })}\n\nAgent: 1\n\n---\n\n`;
    expect(answerTo(earlier + questionOf({ type: 'boolean' }))).toBe('true');
    expect(answerTo(`${earlier}And now?`)).toContain('**Answer 1**');
  });
});

describe('no JSON is answered', () => {
  test.each([
    ['without a schema', 'What is late? {"type": "integer"}'],
    ['with words about one', 'What is a JSON Schema? Like {this}?'],
    ['with one that cannot be read', questionOf({ type: 'integer' }).slice(0, -1)],
    ['with a pattern that no text at hand fits', questionOf({ type: 'string', pattern: '^INC-\\d$' })],
    ['with a pattern that is none', questionOf({ type: 'string', pattern: '(' })],
  ])('to a question %s', (_, text) => expect(answerTo(text)).toContain('**Answer 1**'));
});

test('directives count before a schema', () => {
  const schema = { type: 'object', properties: { n: { type: 'integer' } } };
  expect(answerTo(questionOf(schema, 'How many? [answer]7'))).toMatch(/^7\n\nAnswer with JSON alone/);
  const long = answerTo(questionOf(schema, 'How many? [long 500]'));
  expect(long.length).toBeGreaterThanOrEqual(500);
  expect(long).toMatch(/^\{"n":1\}\n/);
});
