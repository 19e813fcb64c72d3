import { describe } from '@jest/globals';
import { steps, testBroken } from '../support/broken-plan.js';

const TWO_CONVERSATIONS = 'name: p\nconversations:\n  analyst: {}\n  lawyer: {}\n';

/** `forEach`s in one another, so many of them. */
const nested = (depth: number): string => {
  let text = '';
  for (let level = 0; level < depth; level++) {
    const indent = ' '.repeat(level * 4 + 2);
    text += `${indent}- forEach: [1]\n${indent}  as: i${level}\n${indent}  do:\n`;
  }
  return `${text}${' '.repeat(depth * 4 + 2)}- ask: x\n`;
};

describe('readPlan() refuses steps that are none', () => {
  testBroken([
    { name: 'a text', yaml: steps('  - ask the agent\n'), faults: [['3:5 steps[0]', 'is a string', '- ask: "…"']] },
    { name: 'nothing', yaml: steps('  -\n'), faults: [['3:4 steps[0]', 'is empty', '- ask: "…"']] },
    {
      name: 'a step that does nothing',
      yaml: steps('  - id: a\n'),
      faults: [['3:5 steps[0]', 'says nothing that is to be done', 'one of ask, askJson, approve']],
    },
    {
      name: 'a misspelt kind',
      yaml: steps('  - id: a\n    foreach: [1]\n    do: [{ ask: x }]\n'),
      faults: [['4:5 steps[0].foreach', 'nothing that a step does', 'did you mean "forEach"?', 'forEach']],
    },
    {
      name: 'a kind of another tool',
      yaml: steps('  - sleep: 5m\n'),
      faults: [['3:5 steps[0].sleep', 'nothing that a step does', 'did you mean "wait"?', 'wait']],
    },
    {
      name: 'a step of two kinds',
      yaml: steps('  - ask: x\n    wait: 5m\n'),
      faults: [['3:5 steps[0]', 'has ask and wait', 'a step of each']],
    },
    {
      name: 'a key of another kind of step',
      yaml: steps('  - ask: x\n    concurrency: 5\n'),
      faults: [
        ['4:5 steps[0].concurrency', 'no key of this object', 'use one of id, title, onError, deadline, ask, in'],
      ],
    },
    {
      name: 'a conversation under the name that others have for it',
      yaml: steps('  - ask: x\n    conversation: analyst\n'),
      faults: [['4:5 steps[0].conversation', 'no key of this object', 'did you mean "in"?', 'in']],
    },
    {
      name: 'an id that expressions cannot say',
      yaml: steps('  - id: my-step\n    ask: x\n'),
      faults: [['3:9 steps[0].id', '"my-step", which expressions cannot name', 'like my_step']],
    },
    {
      name: 'an id of two steps, however far apart',
      yaml: steps('  - id: a\n    ask: x\n  - if: "true"\n    then:\n      - id: a\n        ask: y\n'),
      faults: [['7:13 steps[1].then[0].id', '"a", the id of steps[0]', 'an id of its own']],
    },
    {
      name: 'a deadline in seconds',
      yaml: steps('  - ask: x\n    deadline: 30\n'),
      faults: [['4:15 steps[0].deadline', 'a number without a unit', '"30s"']],
    },
    {
      name: 'several faults in one plan',
      yaml: 'nam: p\nsteps:\n  - ask: ""\n  - wait: 5\n  - aks: x\n',
      faults: [
        ['1:1 nam', 'no key', 'did you mean "name"?', 'name'],
        ['3:10 steps[0].ask', 'is empty', 'write a text'],
        ['4:11 steps[1].wait', 'without a unit', '"5s"'],
        ['5:5 steps[2].aks', 'nothing that a step does', 'did you mean "ask"?', 'ask'],
      ],
    },
    {
      name: 'steps that are nested too deeply',
      yaml: steps(nested(10)),
      faults: [[`33:43 steps[0]${'.do[0]'.repeat(9)}.do`, 'stands 11 blocks deep', 'move the inner steps out']],
    },
    {
      name: 'a fault in a block of a block',
      yaml: steps(
        '  - parallel:\n      north:\n        - ask: x\n        - if: "true"\n          then:\n            - wait: 5\n',
      ),
      faults: [['8:21 steps[0].parallel.north[1].then[0].wait', 'without a unit', '"5s"']],
    },
    {
      name: 'a fault in a branch without a name',
      yaml: steps('  - parallel:\n      - - ask: x\n      - - wait: 5\n'),
      faults: [['5:17 steps[0].parallel.2[0].wait', 'without a unit', '"5s"']],
    },
  ]);
});

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

describe('readPlan() refuses what cannot become of a step that fails', () => {
  const onError = (text: string) => steps(`  - id: a\n    ask: x\n    onError: ${text}\n  - id: b\n    ask: y\n`);
  testBroken([
    {
      name: 'a word that is none',
      yaml: onError('ignore'),
      faults: [['5:14 steps[0].onError', '"ignore", but must be stop, skip or an object', 'one of these']],
    },
    {
      name: 'a misspelt word',
      yaml: onError('skipp'),
      faults: [['5:14 steps[0].onError', '"skipp"', 'did you mean "skip"?', 'skip']],
    },
    {
      name: 'more retries than allowed',
      yaml: onError('{ retry: 1000 }'),
      faults: [['5:23 steps[0].onError.retry', 'is 1000, but must be a whole number from 0 to 100', 'write one']],
    },
    {
      name: 'retries under another name',
      yaml: onError('{ retries: 3 }'),
      faults: [['5:16 steps[0].onError.retries', 'no key', 'did you mean "retry"?', 'retry']],
    },
    {
      name: 'a delay without retries',
      yaml: onError('{ delay: 10s }'),
      faults: [['5:14 steps[0].onError.retry', 'is missing', 'write a number']],
    },
    {
      name: 'a delay without a unit',
      yaml: onError('{ retry: 3, delay: 10 }'),
      faults: [['5:33 steps[0].onError.delay', 'without a unit', '"10s"']],
    },
    {
      name: 'a backoff that shrinks',
      yaml: onError('{ retry: 3, backoff: 0.5 }'),
      faults: [['5:35 steps[0].onError.backoff', 'is 0.5, but may not be below 1', '2 to double']],
    },
    {
      name: 'retries that take for ever',
      yaml: onError('{ retry: 100 }'),
      faults: [['5:23 steps[0].onError.retry', 'after more than ten years', 'smaller backoff:']],
    },
    {
      name: 'a jump to no step',
      yaml: onError('{ goto: bb }'),
      faults: [['5:22 steps[0].onError.goto', 'jumps to "bb", the id of no step', 'did you mean "b"?', 'b']],
    },
    {
      name: 'a jump after retries to no step',
      yaml: onError('{ retry: 3, then: { goto: report } }'),
      faults: [['5:40 steps[0].onError.then.goto', 'jumps to "report"', 'give the step that is meant this id']],
    },
    {
      name: 'a jump into a block',
      yaml: steps(
        '  - ask: x\n    onError: { goto: inner }\n  - if: "true"\n    then:\n      - id: inner\n        ask: y\n',
      ),
      faults: [['4:22 steps[0].onError.goto', 'inner, which stands in steps[1].then', 'of the same block']],
    },
    {
      name: 'a jump into another branch',
      yaml: steps(
        '  - parallel:\n      a:\n        - ask: x\n          onError: { goto: there }\n      b:\n        - id: there\n          ask: y\n',
      ),
      faults: [
        ['6:28 steps[0].parallel.a[0].onError.goto', 'there, which stands in steps[0].parallel.b', 'of the same block'],
      ],
    },
  ]);
});
