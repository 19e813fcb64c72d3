import { describe } from '@jest/globals';
import { steps, testBroken } from '../support/broken-plan.js';

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
