import { describe, expect, test } from '@jest/globals';
import { faultText } from '../../src/plans/plan-faults.js';
import { faultsOf, steps, testBroken } from '../support/broken-plan.js';

describe('readPlan() refuses what is no YAML', () => {
  testBroken([
    { name: 'an empty file', yaml: '', faults: [['1:1', 'holds no plan', 'write name: and steps:']] },
    { name: 'a file of comments', yaml: '# to come\n', faults: [['1:1', 'holds no plan', 'docs/plans.md']] },
    {
      name: 'a tab as indentation',
      yaml: 'name: p\nsteps:\n\t- ask: x\n',
      faults: [['3:1', 'indented by a tab', 'by spaces']],
    },
    {
      name: 'a tab that the lines around make no sense with: one fault',
      yaml: steps('  - id: a\n\task: Hi\n  - ask: Ho\n'),
      faults: [['4:1', 'indented by a tab', 'by spaces']],
    },
    {
      name: 'a tab behind spaces',
      yaml: steps('  - id: a\n  \task: Hi\n'),
      faults: [['4:1', 'indented by a tab', 'by spaces']],
    },
    {
      name: 'tabs in many lines: one fault',
      yaml: steps('\t- forEach: [1]\n\t\tdo:\n\t\t\t- ask: x\n'),
      faults: [['3:1', 'indented by a tab', 'by spaces']],
    },
    {
      name: 'a tab, and something else far above it',
      yaml: 'name: a: b\ndescription: x\nsteps:\n  - ask: x\n\t  id: a\n',
      faults: [
        ['1:7', 'second ": "', 'in double quotes'],
        ['5:1', 'indented by a tab', 'by spaces'],
      ],
    },
    {
      name: 'a tab in a text, and something else behind it',
      yaml: steps('  - ask: |\n      a\n      \tb\n  - ask: b: c\n'),
      faults: [['6:10', 'second ": "', 'in double quotes']],
    },
    {
      name: 'a colon in a text without quotes',
      yaml: steps('  - ask: Note: be brief\n'),
      faults: [['3:10', 'second ": "', 'in double quotes']],
    },
    {
      name: 'a text that begins with a character that YAML keeps',
      yaml: steps('  - ask: @everyone\n'),
      faults: [['3:10', 'YAML keeps for itself', 'in double quotes']],
    },
    {
      name: 'a quote that is not closed',
      yaml: steps('  - ask: "x\n'),
      faults: [['4:1', 'Missing closing', 'close the quote']],
    },
    { name: 'a tag', yaml: steps('  - ask: !text x\n'), faults: [['3:10', 'has a tag', 'take it out']] },
    {
      name: 'an alias without its anchor',
      yaml: steps('  - ask: *question\n'),
      faults: [['3:10 steps[0].ask', 'alias (*…) of nothing', 'write its anchor']],
    },
    {
      name: 'a key that is written twice',
      yaml: 'name: p\nname: q\nsteps:\n  - ask: x\n',
      faults: [['2:1 name', 'written twice', 'keep one']],
    },
    {
      name: 'two documents',
      yaml: 'name: p\nsteps:\n  - ask: x\n---\nname: q\n',
      faults: [['4:1', 'second document', 'file of its own']],
    },
    {
      name: 'a template without quotes',
      yaml: steps('  - ask: {{ inputs.x }}\n'),
      faults: [['3:10 steps[0].ask', 'begins with {{ outside of quotes', 'in double quotes']],
    },
    {
      name: 'a number that JSON does not have',
      yaml: steps('  - set: { most: .inf }\n'),
      faults: [['3:18 steps[0].set.most', 'no number that JSON has', 'finite']],
    },
    {
      name: 'a merge of what is no object',
      yaml: steps('  - ask: x\n    <<: 3\n'),
      faults: [['4:5 steps[0].<<', 'merges what is no object', '<<: *name']],
    },
    {
      name: 'aliases that stand for too much',
      yaml: `a: &a [${'x,'.repeat(30)}]\nb: &b [${'*a,'.repeat(30)}]\nc: &c [${'*b,'.repeat(30)}]\nd: [${'*c,'.repeat(30)}]\n`,
      faults: [['1:1', 'by aliases', 'write fewer']],
    },
    {
      name: 'more aliases than anybody writes',
      yaml: `a: &a x\nb: [${'*a,'.repeat(1_001)}]\n`,
      faults: [[`2:${5 + 1_000 * 3} b[1000]`, 'by aliases', 'write fewer']],
    },
    {
      name: 'a file that is too large',
      yaml: steps(`  - ask: ${'x'.repeat(256 * 1024)}\n`),
      faults: [['1:1', 'takes 262169 bytes, and a plan may take 262144', 'as inputs']],
    },
    {
      name: 'a value that has no end of nesting',
      yaml: `name: ${'['.repeat(30_000)}`,
      faults: [['1:1', 'nested too deeply', 'move the inner parts out']],
    },
  ]);
});

describe('readPlan() refuses what a plan is not made of', () => {
  testBroken([
    { name: 'a list', yaml: '- ask: x\n', faults: [['1:1', 'is an array', 'put these steps under steps:']] },
    { name: 'a text', yaml: 'nightly report\n', faults: [['1:1', 'is a string', 'write name: and steps:']] },
    { name: 'no name', yaml: 'steps:\n  - ask: x\n', faults: [['1:1 name', 'is missing', 'write a text']] },
    {
      name: 'a name with a blank',
      yaml: 'name: nightly report\nsteps:\n  - ask: x\n',
      faults: [['1:7 name', '"nightly report"', 'like nightly-report']],
    },
    {
      name: 'a name that is too long',
      yaml: `name: ${'n'.repeat(101)}\nsteps:\n  - ask: x\n`,
      faults: [['1:7 name', 'longer than 100', 'shorten it']],
    },
    { name: 'no steps', yaml: 'name: p\n', faults: [['1:1 steps', 'is missing', 'write a list']] },
    { name: 'empty steps', yaml: 'name: p\nsteps: []\n', faults: [['2:8 steps', 'is empty', 'at least one step']] },
    {
      name: 'steps without a value',
      yaml: 'name: p\nsteps:\n',
      faults: [['2:7 steps', 'is empty, but must be a list', 'write it']],
    },
    {
      name: 'steps that are an object',
      yaml: 'name: p\nsteps:\n  ask: x\n',
      faults: [['3:3 steps', 'is an object, but must be a list', '"- "']],
    },
    {
      name: 'a misspelt key of the plan',
      yaml: 'name: p\ndescripton: x\nsteps:\n  - ask: x\n',
      faults: [['2:1 descripton', 'no key of this object', 'did you mean "description"?', 'description']],
    },
    {
      name: 'a misspelt key that must be there',
      yaml: 'name: p\nstep:\n  - ask: x\n',
      faults: [['2:1 step', 'no key of this object', 'did you mean "steps"?', 'steps']],
    },
    {
      name: 'a key that means nothing',
      yaml: 'name: p\nversion: 2\nsteps:\n  - ask: x\n',
      faults: [['2:1 version', 'no key of this object', 'take it out, or use one of name, description']],
    },
    {
      name: 'a duration without a unit',
      yaml: 'name: p\ndeadline: 90\nsteps:\n  - ask: x\n',
      faults: [['2:11 deadline', 'is 90, a number without a unit', '"90s" for seconds']],
    },
    {
      name: 'a duration in words',
      yaml: 'name: p\ndeadline: 2 hours\nsteps:\n  - ask: x\n',
      faults: [['2:11 deadline', '"2 hours", which is no duration', '1h30m']],
    },
    {
      name: 'a duration in months',
      yaml: 'name: p\ndeadline: P1M\nsteps:\n  - ask: x\n',
      faults: [['2:11 deadline', 'months and years differ', 'P30D']],
    },
    {
      name: 'a duration of nothing',
      yaml: 'name: p\ndeadline: 0s\nsteps:\n  - ask: x\n',
      faults: [['2:11 deadline', 'no time at all', 'leave it out']],
    },
    {
      name: 'a duration of a century',
      yaml: 'name: p\ndeadline: 5200w\nsteps:\n  - ask: x\n',
      faults: [['2:11 deadline', 'more than ten years', 'shorter one']],
    },
    {
      name: 'steps without a bound',
      yaml: 'name: p\nmaxSteps: 0\nsteps:\n  - ask: x\n',
      faults: [['2:11 maxSteps', 'is 0, but must be a whole number from 1', 'without quotes']],
    },
    {
      name: 'an input of a type that is none',
      yaml: 'name: p\ninputs:\n  region: strng\nsteps:\n  - ask: x\n',
      faults: [['3:11 inputs.region', '"strng", but must be string, number', 'did you mean "string"?', 'string']],
    },
    {
      name: 'an input without a type',
      yaml: 'name: p\ninputs:\n  region: { default: north }\nsteps:\n  - ask: x\n',
      faults: [['3:11 inputs.region.type', 'is missing', 'write string, number, boolean, object, array or any']],
    },
    {
      name: 'an input whose default is of another type',
      yaml: 'name: p\ninputs:\n  days: { type: number, default: "7" }\nsteps:\n  - ask: x\n',
      faults: [['3:34 inputs.days.default', 'is a string, but must be a number', 'mend it, or the type']],
    },
    {
      name: 'an input that is required and has a default',
      yaml: 'name: p\ninputs:\n  days: { type: number, default: 7, required: true }\nsteps:\n  - ask: x\n',
      faults: [['3:47 inputs.days.required', 'is true beside a default', 'take one of them out']],
    },
    {
      name: 'an input with a name that expressions cannot say',
      yaml: 'name: p\ninputs:\n  sales-region: string\nsteps:\n  - ask: x\n',
      faults: [['3:3 inputs.sales-region', 'a name that expressions cannot say', 'like sales_region']],
    },
    {
      name: 'inputs as a list',
      yaml: 'name: p\ninputs: [region]\nsteps:\n  - ask: x\n',
      faults: [['2:9 inputs', 'is an array, but must be an object', 'write an object here']],
    },
    {
      name: 'a version without quotes',
      yaml: 'name: p\nconversations:\n  a:\n    agentVersion: 1.0\nsteps:\n  - ask: x\n',
      faults: [['4:19 conversations.a.agentVersion', 'is a number, but must be a text', 'put it in quotes: "1.0"']],
    },
    {
      name: 'an agent that is no RID of an agent',
      yaml: 'name: p\nconversations:\n  a: { agent: ri.aip-agents..session.1 }\nsteps:\n  - ask: x\n',
      faults: [['3:15 conversations.a.agent', 'no RID of an agent', 'ri.aip-agents..agent.…']],
    },
    {
      name: 'a choice of a conversation that is none',
      yaml: 'name: p\nconversations:\n  a: { onExpired: newsession }\nsteps:\n  - ask: x\n',
      faults: [
        [
          '3:19 conversations.a.onExpired',
          '"newsession", but must be newSession or fail',
          'did you mean',
          'newSession',
        ],
      ],
    },
    {
      name: "a key that the client's options have",
      yaml: 'name: p\nconversations:\n  a: { agentRid: ri.aip-agents..agent.1 }\nsteps:\n  - ask: x\n',
      faults: [['3:8 conversations.a.agentRid', 'no key of this object', 'did you mean "agent"?', 'agent']],
    },
    {
      name: 'a parameter that is neither a text nor a value of the API',
      yaml: 'name: p\nconversations:\n  a: { parameters: { team: 7 } }\nsteps:\n  - ask: x\n',
      faults: [
        ['3:28 conversations.a.parameters.team', 'is a number, but must be a text or an object', 'in quotes: "7"'],
      ],
    },
    {
      name: 'a parameter of a type that is none',
      yaml: 'name: p\nconversations:\n  a: { parameters: { team: { type: text, value: x } } }\nsteps:\n  - ask: x\n',
      faults: [
        ['3:36 conversations.a.parameters.team.type', '"text", but must be string or objectSet', 'one of these'],
      ],
    },
  ]);
});

test('a tab is told once, with all of its lines', () => {
  const faults = faultsOf('name: p\ninputs:\n\ta: string\n\tb: string\nsteps:\n\t- ask: x\n');
  expect(faults.map((fault) => faultText('p.yaml', fault))).toEqual([
    'p.yaml:3:1 is indented by a tab, which YAML does not allow; indent by spaces (2 more, in lines 4 and 6)',
  ]);
});
