import { describe, expect, test } from '@jest/globals';
import { faultsOf, steps, testBroken } from '../support/broken-plan.js';

const TWO_CONVERSATIONS = 'name: p\nconversations:\n  analyst: {}\n  lawyer: {}\n';

describe('readPlan() refuses what a step of a kind cannot be', () => {
  testBroken([
    {
      name: 'ask: a number',
      yaml: steps('  - ask: 42\n'),
      faults: [['3:10 steps[0].ask', 'is a number, but must be a text or an object', 'quotes: "42"']],
    },
    {
      name: 'ask: without a text',
      yaml: steps('  - ask: { mode: blocking }\n'),
      faults: [['3:10 steps[0].ask.text', 'is missing', 'write a text']],
    },
    {
      name: 'ask: a misspelt mode',
      yaml: steps('  - ask: { text: x, mode: blockin }\n'),
      faults: [['3:27 steps[0].ask.mode', '"blockin"', 'did you mean "blocking"?', 'blocking']],
    },
    {
      name: 'ask: several conversations, and none named',
      yaml: `${TWO_CONVERSATIONS}steps:\n  - ask: x\n`,
      faults: [['6:5 steps[0]', 'does not say in which conversation', 'add in: analyst']],
    },
    {
      name: 'ask: a conversation that there is not',
      yaml: `${TWO_CONVERSATIONS}steps:\n  - ask: x\n    in: lawyr\n`,
      faults: [['7:9 steps[0].in', 'names conversation "lawyr"', 'did you mean "lawyer"?', 'lawyer']],
    },
    {
      name: 'ask: a conversation that there is not, asked twice: one fault, with both places',
      yaml: `${TWO_CONVERSATIONS}steps:\n  - ask: x\n    in: lawyr\n  - ask: y\n    in: lawyr\n  - ask: z\n    in: analist\n`,
      faults: [
        ['7:9 steps[0].in', 'names conversation "lawyr"', 'did you mean "lawyer"?', 'lawyer'],
        ['11:9 steps[2].in', 'names conversation "analist"', 'did you mean "analyst"?', 'analyst'],
      ],
    },
    {
      name: 'ask: a conversation in a plan without any',
      yaml: steps('  - ask: x\n    in: analyst\n'),
      faults: [['4:9 steps[0].in', 'names conversation "analyst"', 'declare it under conversations:']],
    },
    {
      name: 'ask: a conversation of the items of a forEach, outside of it',
      yaml: steps(
        '  - forEach: [1]\n    conversations: { fresh: {} }\n    do: [{ ask: x }]\n  - ask: y\n    in: fresh\n',
      ),
      faults: [['7:9 steps[1].in', 'names conversation "fresh"', 'declare it under conversations:']],
    },
    {
      name: 'askJson: without a schema',
      yaml: steps('  - askJson: { text: x }\n'),
      faults: [['3:14 steps[0].askJson.schema', 'is missing', 'write an object']],
    },
    {
      name: 'askJson: more attempts than allowed',
      yaml: steps('  - askJson: { text: x, maxAttempts: 11, schema: {} }\n'),
      faults: [
        ['3:38 steps[0].askJson.maxAttempts', 'is 11, but must be a whole number from 1 to 10', 'without quotes'],
      ],
    },
    {
      name: 'askJson: a type of another language',
      yaml: steps('  - askJson: { text: x, schema: { type: int } }\n'),
      faults: [
        ['3:41 steps[0].askJson.schema.type', '"int", no type of JSON Schema', 'did you mean "integer"?', 'integer'],
      ],
    },
    {
      name: 'askJson: a misspelt keyword',
      yaml: steps('  - askJson: { text: x, schema: { propertes: { a: { type: string } } } }\n'),
      faults: [
        [
          '3:35 steps[0].askJson.schema.propertes',
          'no keyword of JSON Schema',
          'did you mean "properties"?',
          'properties',
        ],
      ],
    },
    {
      name: 'askJson: a bad pattern',
      yaml: steps("  - askJson: { text: x, schema: { type: string, pattern: '[a-' } }\n"),
      faults: [['3:58 steps[0].askJson.schema.pattern', 'no regular expression', 'mend it']],
    },
    {
      name: 'askJson: a schema that is fetched',
      yaml: steps("  - askJson: { text: x, schema: { $ref: 'https://example.com/s.json' } }\n"),
      faults: [['3:41 steps[0].askJson.schema.$ref', 'nothing is fetched', '"#/$defs/name"']],
    },
    {
      name: 'askJson: a definition that there is not',
      yaml: steps("  - askJson: { text: x, schema: { $ref: '#/$defs/itm', $defs: { item: {} } } }\n"),
      faults: [
        [
          '3:41 steps[0].askJson.schema.$ref',
          'the schema does not have',
          'did you mean "#/$defs/item"?',
          '#/$defs/item',
        ],
      ],
    },
    {
      name: 'askJson: required that is no list',
      yaml: steps('  - askJson: { text: x, schema: { required: a } }\n'),
      faults: [['3:45 steps[0].askJson.schema.required', 'must be a list of names', 'required: [name]']],
    },
    {
      name: 'askJson: required of what may not be',
      yaml: steps(
        '  - askJson: { text: x, schema: { properties: { ok: {} }, required: [okk], additionalProperties: false } }\n',
      ),
      faults: [
        ['3:70 steps[0].askJson.schema.required[0]', 'additionalProperties forbids', 'did you mean "ok"?', 'ok'],
      ],
    },
    {
      name: 'askJson: an empty enum',
      yaml: steps('  - askJson: { text: x, schema: { enum: [] } }\n'),
      faults: [['3:41 steps[0].askJson.schema.enum', 'list of the values allowed', 'at least one']],
    },
    {
      name: 'approve: an empty message',
      yaml: steps('  - approve: " "\n'),
      faults: [['3:14 steps[0].approve', 'is empty', 'write a text']],
    },
    {
      name: 'approve: a default that never decides',
      yaml: steps('  - approve: { message: x, default: reject }\n'),
      faults: [['3:37 steps[0].approve.default', 'there is no wait', 'wait: 3d']],
    },
    {
      name: 'approve: a decision that is none',
      yaml: steps('  - approve: { message: x, wait: 3d, default: rejected }\n'),
      faults: [
        [
          '3:47 steps[0].approve.default',
          '"rejected", but must be approve or reject',
          'did you mean "reject"?',
          'reject',
        ],
      ],
    },
    {
      name: 'approve: reminders all the time',
      yaml: steps('  - approve: { message: x, remindEvery: 1ms }\n'),
      faults: [['3:41 steps[0].approve.remindEvery', 'may not be shorter than 1000 ms', 'write it like']],
    },
    {
      name: 'wait: a template',
      yaml: steps('  - wait: "{{ inputs.pause }}"\n'),
      faults: [['3:11 steps[0].wait', 'is a template', '{ for: "{{ … }}" }']],
    },
    {
      name: 'wait: a point in time',
      yaml: steps('  - wait: 2026-12-01T08:00:00Z\n'),
      faults: [['3:11 steps[0].wait', 'a point in time', '{ until: "2026-12-01T08:00:00Z" }']],
    },
    {
      name: 'wait: until a time without its zone',
      yaml: steps('  - wait: { until: 2026-12-01T08:00:00 }\n'),
      faults: [['3:20 steps[0].wait.until', 'lacks its zone', 'Z']],
    },
    {
      name: 'wait: until a time that has passed',
      yaml: steps('  - wait: { until: 2026-05-31T08:00:00Z }\n'),
      faults: [['3:20 steps[0].wait.until', 'has passed', 'a time to come']],
    },
    {
      name: 'wait: until a time that nobody here will see',
      yaml: steps('  - wait: { until: 2226-05-31T08:00:00Z }\n'),
      faults: [['3:20 steps[0].wait.until', 'more than ten years', 'earlier']],
    },
    {
      name: 'wait: until a duration',
      yaml: steps('  - wait: { until: 3d }\n'),
      faults: [['3:20 steps[0].wait.until', 'is a duration', 'write wait: 3d']],
    },
    {
      name: 'wait: for what is no duration',
      yaml: steps('  - wait: { for: soon }\n'),
      faults: [['3:18 steps[0].wait.for', '"soon", which is no duration', '1h30m']],
    },
    {
      name: 'wait: neither for nor until',
      yaml: steps('  - wait: {}\n'),
      faults: [['3:11 steps[0].wait.until', 'is missing', 'write a text']],
    },
    {
      name: 'forEach: a template',
      yaml: `name: p\ninputs: { items: array }\nsteps:\n  - forEach: "{{ inputs.items }}"\n    do: [{ ask: x }]\n`,
      faults: [['4:15 steps[0].forEach', 'is a template, but must be an expression', 'leave the {{ and }} out']],
    },
    {
      name: 'forEach: without do',
      yaml: steps('  - forEach: [1]\n'),
      faults: [['3:5 steps[0].do', 'is missing', 'write a list']],
    },
    {
      name: 'forEach: an empty do',
      yaml: steps('  - forEach: [1]\n    do: []\n'),
      faults: [['4:9 steps[0].do', 'is empty', 'at least one step']],
    },
    {
      name: 'forEach: no items',
      yaml: steps('  - forEach: []\n    do: [{ ask: x }]\n'),
      faults: [['3:14 steps[0].forEach', 'holds no items', 'write some']],
    },
    {
      name: 'forEach: more at once than allowed',
      yaml: steps('  - forEach: [1]\n    concurrency: 101\n    do: [{ ask: x }]\n'),
      faults: [['4:18 steps[0].concurrency', 'is 101, but must be a whole number from 1 to 100', 'write one']],
    },
    {
      name: 'forEach: an item with the name of something else',
      yaml: steps('  - forEach: [1]\n    as: steps\n    do: [{ ask: x }]\n'),
      faults: [['4:9 steps[0].as', '"steps", which every expression knows', 'like item']],
    },
    {
      name: 'forEach: misspelt onItemError',
      yaml: steps('  - forEach: [1]\n    onItemErorr: continue\n    do: [{ ask: x }]\n'),
      faults: [['4:5 steps[0].onItemErorr', 'no key', 'did you mean "onItemError"?', 'onItemError']],
    },
    {
      name: 'if: a truth value without quotes',
      yaml: steps('  - if: true\n    then: [{ ask: x }]\n'),
      faults: [['3:9 steps[0].if', 'is a boolean, but must be a text', 'quotes: "true"']],
    },
    {
      name: 'if: without then',
      yaml: steps('  - if: "true"\n    else: [{ ask: x }]\n'),
      faults: [['3:5 steps[0].then', 'is missing', 'write a list']],
    },
    {
      name: 'parallel: no branches',
      yaml: steps('  - parallel: {}\n'),
      faults: [['3:15 steps[0].parallel', 'holds no branches', 'at least two']],
    },
    {
      name: 'parallel: a branch with a name that is none',
      yaml: steps('  - parallel:\n      a b: [{ ask: x }]\n      c: [{ ask: x }]\n'),
      faults: [['4:7 steps[0].parallel.a b', 'expressions cannot say', 'like a_b']],
    },
    {
      name: 'parallel: a branch that is a step',
      yaml: steps('  - parallel:\n      a: { ask: x }\n      c: [{ ask: x }]\n'),
      faults: [['4:10 steps[0].parallel.a', 'is an object, but must be a list', '"- "']],
    },
    {
      name: 'batch: without rows',
      yaml: steps('  - batch: { concurrency: 5 }\n'),
      faults: [['3:12 steps[0].batch.rows', 'is missing', 'write a text or a list']],
    },
    {
      name: 'batch: a row with two texts',
      yaml: steps('  - batch: { rows: [{ text: a, turns: [b] }] }\n'),
      faults: [['3:39 steps[0].batch.rows[0].turns', 'stands beside text', 'one of the two']],
    },
    {
      name: 'batch: a row without a text',
      yaml: steps('  - batch: { rows: [{ id: a }] }\n'),
      faults: [['3:21 steps[0].batch.rows[0]', 'has neither text nor turns', 'one of them']],
    },
    {
      name: 'batch: two rows with one id',
      yaml: steps('  - batch: { rows: [{ id: a, text: x }, { id: a, text: y }] }\n'),
      faults: [['3:47 steps[0].batch.rows[1].id', 'the id of a row before it', 'one of its own']],
    },
    {
      name: 'set: nothing',
      yaml: steps('  - set: {}\n'),
      faults: [['3:10 steps[0].set', 'sets nothing', 'at least one variable']],
    },
    {
      name: 'set: a name that is none',
      yaml: steps('  - set: { 2nd: x }\n'),
      faults: [['3:12 steps[0].set.2nd', 'expressions cannot say', 'like _2nd']],
    },
    {
      name: 'fail: without a message',
      yaml: steps('  - fail:\n'),
      faults: [['3:10 steps[0].fail', 'is empty, but must be a text', 'write it']],
    },
  ]);
});

test('a misspelt conversation is told with all of its places', () => {
  const [fault] = faultsOf(`${TWO_CONVERSATIONS}steps:\n  - ask: x\n    in: lawyr\n  - ask: y\n    in: lawyr\n`);
  expect(fault?.others).toEqual([{ path: 'steps[1].in', line: 9, column: 9 }]);
});
