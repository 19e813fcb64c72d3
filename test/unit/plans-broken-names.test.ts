import { describe, expect, test } from '@jest/globals';
import { faultText, readPlan } from '../../src/plans/index.js';
import { faultsOf, NOW, steps, testBroken } from '../support/broken-plan.js';

/** The steps begin in line 5. */
const withInputs = (text: string): string =>
  `name: p\ninputs: { region: string, items: array, least: number }\nconversations: { main: {} }\nsteps:\n${text}`;

describe('readPlan() refuses what is no expression or template', () => {
  testBroken([
    {
      name: 'a template without its end',
      yaml: withInputs('  - ask: "Sales of {{ inputs.region"\n'),
      faults: [['5:20 steps[0].ask', 'has a {{ without its }}', 'close it']],
    },
    {
      name: 'a template without an expression',
      yaml: withInputs('  - ask: "Sales of {{ }}"\n'),
      faults: [['5:22 steps[0].ask', 'nothing between {{ and }}', 'inputs.region']],
    },
    {
      name: 'a syntax error in a template',
      yaml: withInputs('  - ask: "Sales of {{ inputs.region north }}"\n'),
      faults: [['5:37 steps[0].ask', 'Syntax error: "north", at character 16', 'mend it there']],
    },
    {
      name: 'a syntax error in a text over several lines',
      yaml: withInputs('  - ask: |\n      Good morning.\n      Sales of {{ inputs. }}, please.\n'),
      faults: [['7:27 steps[0].ask', 'is no JSONata expression', 'mend it there']],
    },
    {
      name: 'a syntax error in an expression',
      yaml: withInputs('  - if: "inputs.least >"\n    then: [{ ask: x }]\n'),
      faults: [['5:24 steps[0].if', 'Unexpected end of expression', 'mend it there']],
    },
    {
      name: 'a regular expression that looks ahead',
      yaml: withInputs('  - if: "$contains(inputs.region, /a|n(?=o)\\\\/x/i)"\n    then: [{ ask: x }]\n'),
      faults: [['5:35 steps[0].if', 'cannot match: /a|n(?=o)\\/x/ is none that can be matched safely', 'in two steps']],
    },
    {
      name: 'a regular expression that repeats repeats',
      yaml: withInputs('  - ask: "{{ $match(inputs.region, /((a{30}){30}){30}/) }}"\n'),
      faults: [['5:36 steps[0].ask', 'invalid repeat count', 'in two steps']],
    },
    {
      name: 'a syntax error in the output',
      yaml: `${withInputs('  - ask: x\n')}output: "{ 'a': }"\n`,
      faults: [['6:17 output', 'no JSONata expression', 'mend it there']],
    },
    ...(
      [
        ['inputs.least == 3', 24, 'write = instead of =='],
        ['inputs.least !== 3', 25, 'write != instead of !=='],
        ['inputs.least && inputs.region', 24, 'write and instead of &&'],
        ['inputs.least || inputs.region', 23, 'write or instead of ||'],
        ['!inputs.least', 10, 'write $not(…) instead of !'],
        [`inputs.region = 'a == b' inputs.least`, 35, 'mend it there'],
      ] as const
    ).map(([expression, column, remedy]) => ({
      name: `an operator of another language: ${expression}`,
      yaml: withInputs(`  - if: "${expression}"\n    then: [{ ask: x }]\n`),
      faults: [[`5:${column} steps[0].if`, 'is no JSONata expression', remedy] as [string, string, string]],
    })),
    {
      name: 'a string that is not closed',
      yaml: withInputs(`  - if: "inputs.region = 'north"\n    then: [{ ask: x }]\n`),
      faults: [['5:32 steps[0].if', 'terminated by a matching quote', 'mend it there']],
    },
    {
      name: 'a template instead of an expression',
      yaml: withInputs('  - if: "{{ inputs.region }}"\n    then: [{ ask: x }]\n'),
      faults: [['5:10 steps[0].if', 'is a template, but must be an expression', 'leave the {{ and }} out']],
    },
    {
      name: 'a function that JSONata does not have',
      yaml: withInputs('  - ask: "{{ $lenght(inputs.region) }}"\n'),
      faults: [['5:14 steps[0].ask', 'uses $lenght, which is no function', 'did you mean "length"?', 'length']],
    },
    {
      name: 'a variable that nothing gives a value',
      yaml: withInputs('  - ask: "{{ $region }}"\n'),
      faults: [['5:14 steps[0].ask', 'uses $region, which has no value here', 'like inputs.region']],
    },
    {
      name: 'a template in a parameter, however deep',
      yaml: withInputs('  - ask:\n      text: x\n      parameters: { team: "{{ inputs.regoin }}" }\n'),
      faults: [['7:31 steps[0].ask.parameters.team', 'reads inputs.regoin', 'did you mean "region"?', 'region']],
    },
  ]);
});

describe('readPlan() refuses names that mean nothing', () => {
  testBroken([
    {
      name: 'an input that is misspelt',
      yaml: withInputs('  - ask: "{{ inputs.regin }}"\n'),
      faults: [['5:14 steps[0].ask', 'reads inputs.regin, no input of the plan', 'did you mean "region"?', 'region']],
    },
    {
      name: 'an input of a plan without any',
      yaml: steps('  - ask: "{{ inputs.team }}"\n'),
      faults: [['3:14 steps[0].ask', 'reads inputs.team', 'declare it under inputs:, which has none']],
    },
    {
      name: 'an input without inputs. before it',
      yaml: withInputs('  - ask: "{{ region }}"\n'),
      faults: [
        ['5:14 steps[0].ask', 'reads region, which is nothing here', 'did you mean "inputs.region"?', 'inputs.region'],
      ],
    },
    {
      name: 'a step without steps. before it',
      yaml: withInputs('  - id: summary\n    ask: x\n  - ask: "{{ summary.answer }}"\n'),
      faults: [['7:14 steps[1].ask', 'reads summary', 'did you mean "steps.summary"?', 'steps.summary']],
    },
    {
      name: 'a root that is misspelt',
      yaml: withInputs('  - ask: "{{ input.region }}"\n'),
      faults: [['5:14 steps[0].ask', 'reads input, which is nothing here', 'did you mean "inputs"?', 'inputs']],
    },
    {
      name: 'a text without quotes',
      yaml: withInputs(`  - if: inputs.region = north\n    then: [{ ask: x }]\n`),
      faults: [['5:25 steps[0].if', 'reads north, which is nothing here', "a text stands in quotes: 'north'"]],
    },
    {
      name: 'a step that is misspelt',
      yaml: withInputs('  - id: summary\n    ask: x\n  - ask: "{{ steps.sumary.answer }}"\n'),
      faults: [['7:14 steps[1].ask', 'reads steps.sumary, the id of no step', 'did you mean "summary"?', 'summary']],
    },
    {
      name: 'a step in a plan without ids',
      yaml: withInputs('  - ask: "{{ steps.a.answer }}"\n'),
      faults: [['5:14 steps[0].ask', 'reads steps.a', 'give a step this id']],
    },
    {
      name: 'a step that comes later',
      yaml: withInputs('  - ask: "{{ steps.later.answer }}"\n  - id: later\n    ask: x\n'),
      faults: [['5:14 steps[0].ask', 'reads steps.later, which is done only later', 'move one of the two']],
    },
    {
      name: 'a step in itself',
      yaml: withInputs('  - id: me\n    ask: "{{ steps.me.answer }}"\n'),
      faults: [['6:14 steps[0].ask', 'the step that it stands in', 'read an earlier one']],
    },
    {
      name: 'a step of the items of a forEach, outside of it',
      yaml: withInputs(
        '  - id: all\n    forEach: inputs.items\n    do:\n      - id: one\n        ask: "{{ item }}"\n  - ask: "{{ steps.one.answer }}"\n',
      ),
      faults: [['10:14 steps[1].ask', 'which each item of a forEach has of its own', 'read steps.all.results']],
    },
    {
      name: 'a variable that is never set',
      yaml: withInputs('  - set: { total: 1 }\n  - ask: "{{ vars.totl }}"\n'),
      faults: [['6:14 steps[1].ask', 'reads vars.totl, no variable', 'did you mean "total"?', 'total']],
    },
    {
      name: 'an item outside of its forEach',
      yaml: withInputs(
        '  - forEach: inputs.items\n    as: city\n    do: [{ ask: "{{ city }}" }]\n  - ask: "{{ city }}"\n',
      ),
      faults: [['8:14 steps[1].ask', 'reads city, which is nothing here', 'in the do: of its forEach only']],
    },
    {
      name: 'item where it has another name',
      yaml: withInputs('  - forEach: inputs.items\n    as: city\n    do: [{ ask: "{{ item }}" }]\n'),
      faults: [
        ['7:21 steps[0].do[0].ask', 'reads item, which is nothing here', 'begins with one of inputs, steps, vars'],
      ],
    },
    {
      name: 'index outside of a forEach',
      yaml: withInputs('  - ask: "{{ index }}"\n'),
      faults: [['5:14 steps[0].ask', 'reads index', 'in the do: of its forEach only']],
    },
    {
      name: 'what is not known of the run',
      yaml: withInputs('  - ask: "{{ run.startedAT }}"\n'),
      faults: [['5:14 steps[0].ask', 'reads run.startedAT', 'did you mean "startedAt"?', 'startedAt']],
    },
    {
      name: 'a name in the agent of a conversation',
      yaml: 'name: p\ninputs: { agent: string }\nconversations:\n  main: { agent: "{{ inputs.agnt }}" }\nsteps:\n  - ask: x\n',
      faults: [['4:22 conversations.main.agent', 'reads inputs.agnt', 'did you mean "agent"?', 'agent']],
    },
    {
      name: 'a name inside a function, a condition and an object',
      yaml: `${withInputs('  - ask: x\n')}output: "{ 'n': $count(inputs.item), 'r': inputs.least > 1 ? inputs.regio : 'x' }"\n`,
      faults: [
        ['6:24 output', 'reads inputs.item, no input', 'did you mean "items"?', 'items'],
        ['6:62 output', 'reads inputs.regio, no input', 'did you mean "region"?', 'region'],
      ],
    },
    {
      name: 'a name at the root, from within a filter',
      yaml: withInputs('  - forEach: inputs.items[size > $$.inputs.lest]\n    do: [{ ask: x }]\n'),
      faults: [['5:37 steps[0].forEach', 'reads inputs.lest', 'did you mean "least"?', 'least']],
    },
  ]);
});

describe('a name that means nothing is one fault, at its first use', () => {
  const yaml = `name: p
inputs: { qestion: string }
conversations: { main: { title: "{{ inputs.question }}" } }
steps:
  - ask: "{{ inputs.question }}, {{ inputs.question }}?"
  - if: inputs.question = 'x'
    then: [{ ask: "{{ inputs.reigon }}" }, { ask: "{{ inputs.reigon }}" }]
output: inputs.question
`;

  test('which tells all others', () => {
    const message = 'reads inputs.question, no input of the plan; did you mean "qestion"?';
    const region = 'reads inputs.reigon, no input of the plan; declare it under inputs:, which has qestion';
    expect(faultsOf(yaml)).toEqual([
      {
        ...{ path: 'conversations.main.title', line: 3, column: 37, message, suggestion: 'qestion' },
        others: [
          { path: 'steps[0].ask', line: 5, column: 14 },
          { path: 'steps[0].ask', line: 5, column: 37 },
          { path: 'steps[1].if', line: 6, column: 9 },
          { path: 'output', line: 8, column: 9 },
        ],
      },
      {
        ...{ path: 'steps[1].then[0].ask', line: 7, column: 23, message: region },
        others: [{ path: 'steps[1].then[1].ask', line: 7, column: 55 }],
      },
    ]);
  });

  test('and in words in which lines they are', () => {
    const [first, second] = faultsOf(yaml).map((fault) => faultText('p.yaml', fault));
    expect(first).toBe(
      'p.yaml:3:37 conversations.main.title: reads inputs.question, no input of the plan; did you mean "qestion"? (4 more, in lines 5, 6 and 8)',
    );
    expect(second).toMatch(/ \(1 more, in line 7\)$/);
  });

  test('while other faults that read alike are told each', () => {
    expect(faultsOf(steps('  - ask: "{{ }}"\n  - ask: "{{ }}"\n'))).toHaveLength(2);
  });
});

describe('readPlan() takes expressions for what they are', () => {
  test.each([
    ['names in a filter', 'inputs.items[price > 10].name'],
    ['names behind a dot', "inputs.items.{ 'name': name, 'n': $count(parts) }"],
    ['names in an order', 'inputs.items^(>price, name)'],
    ['names in a group', 'inputs.items{ kind: $sum(price) }'],
    ['variables of its own', '($all := inputs.items; $first := $all[0]; $first.name)'],
    ['arguments of a function', '$map(inputs.items, function($item, $i) { $item.name & $i & inputs.region })'],
    ['a chain', 'inputs.items ~> $filter(function($v) { $v.n > inputs.least }) ~> $count()'],
    ['a variable of a path', "inputs.items@$i.{ 'name': $i.name }"],
    ['names in backticks', 'inputs.items.`unit price`'],
    ['what the run knows', 'run.id & error.message'],
    ['a wildcard', 'steps.*.answer'],
    ['a context', '$$.inputs.region'],
    ['braces in a text', '"{{" & "}}"'],
  ])('%s', (_, expression) => {
    const yaml = withInputs(
      `  - ask: ${JSON.stringify(`{{ ${expression} }}`)}\noutput: ${JSON.stringify(expression)}\n`,
    );
    expect(readPlan(yaml, { now: () => NOW }).warnings).toEqual([]);
  });
});

describe('readPlan() warns of', () => {
  const warned: [name: string, yaml: string, place: string, met: string, suggestion?: string][] = [
    [
      'names of the plan inside a filter',
      withInputs('  - forEach: inputs.items[size > inputs.least]\n    do: [{ ask: x }]\n'),
      '5:34 steps[0].forEach',
      'looks inputs.least up in the value before it',
      '$$.inputs.least',
    ],
    [
      'a field of a result that is misspelt',
      withInputs('  - id: a\n    ask: x\n  - ask: "{{ steps.a.anwser }}"\n'),
      '7:14 steps[1].ask',
      'reads steps.a.anwser',
      'answer',
    ],
    [
      'a result of a step that has none',
      withInputs('  - id: a\n    wait: 1m\n  - ask: "{{ steps.a.answer }}"\n'),
      '7:14 steps[1].ask',
      'a wait results in nothing',
    ],
    [
      'what becomes of a fail that fails',
      withInputs('  - fail: x\n    onError: skip\n'),
      '6:14 steps[0].onError',
      'means nothing to a fail',
    ],
    [
      'a later step, where the plan jumps back',
      withInputs('  - id: a\n    ask: "{{ steps.b.answer }}"\n  - id: b\n    ask: x\n    onError: { goto: a }\n'),
      '6:14 steps[0].ask',
      'reads steps.b, which is done only later',
    ],
    [
      'a step of the other branch',
      withInputs('  - if: "true"\n    then: [{ id: a, ask: x }]\n    else: [{ ask: "{{ steps.a.answer }}" }]\n'),
      '7:23 steps[0].else[0].ask',
      'of the other branch of its if',
    ],
    [
      'a step of a branch at the same time',
      withInputs('  - parallel:\n      a: [{ id: a, ask: x }]\n      b: [{ ask: "{{ steps.a.answer }}" }]\n'),
      '7:22 steps[0].parallel.b[0].ask',
      'of another branch of its parallel',
    ],
    ['a step behind a fail', withInputs('  - fail: x\n  - ask: y\n'), '6:5 steps[1]', 'is never done'],
    [
      'a step that jumps to itself',
      withInputs('  - id: a\n    ask: x\n    onError: { goto: a }\n'),
      '7:22 steps[0].onError.goto',
      'again and again',
    ],
    [
      'items at once in one conversation',
      withInputs('  - forEach: inputs.items\n    concurrency: 5\n    do: [{ ask: x }]\n'),
      '7:10 steps[0].do[0]',
      'which all items share',
    ],
    [
      'an item that hides another',
      withInputs('  - forEach: inputs.items\n    do:\n      - forEach: item\n        do: [{ ask: x }]\n'),
      '7:9 steps[0].do[0]',
      'which hides that one',
    ],
    [
      'reminders that come too late',
      withInputs('  - approve: { message: x, wait: 1d, remindEvery: 1d }\n'),
      '5:51 steps[0].approve.remindEvery',
      'nobody is reminded',
    ],
    [
      'a template in a title',
      withInputs('  - ask: x\n    title: "{{ inputs.region }}"\n'),
      '6:12 steps[0].title',
      'is shown as it stands',
    ],
    [
      'an end of a template without its begin',
      withInputs('  - ask: "Sales of { inputs.region }}"\n'),
      '5:36 steps[0].ask',
      'has }}, which is sent as it stands',
    ],
    [
      'a template of another language',
      withInputs('  - ask: "Sales of ${inputs.region}"\n'),
      '5:20 steps[0].ask',
      'has ${, which is sent',
    ],
    [
      'required names that are misspelt',
      withInputs('  - askJson: { text: x, schema: { properties: { ok: {} }, required: [okk] } }\n'),
      '5:70 steps[0].askJson.schema.required[0]',
      'properties does not have',
      'ok',
    ],
  ];
  test.each(warned.map(([name, ...rest]) => ({ name, rest })))('$name', ({ rest: [yaml, place, met, suggestion] }) => {
    const [warning, ...others] = readPlan(yaml, { now: () => NOW }).warnings;
    expect(others).toEqual([]);
    expect(`${warning?.line}:${warning?.column} ${warning?.path}`).toBe(place);
    expect(warning?.message).toContain(met);
    expect(warning?.suggestion).toBe(suggestion);
  });
});
