import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { failureOf, forEach, outputOf, planOf, run, set, wait, when } from '../support/automation-stage.js';
import { startRig, type Rig } from '../support/rig.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.close());

describe('an expression', () => {
  test.each([
    ['recurses for ever', '($f := function($x) { $f($x + 1) + 1 }; $f(0))'],
    ['recurses for ever without growing', '($f := function($x) { $f($x + 1) }; $f(0))'],
    ['makes a huge range', '[1..9999999]'],
    [
      'makes many ranges',
      '$map([1..1000], function($n) { $sum([1..$n]) + $reduce([1..1000], function($a, $b) { $a + $b }) })',
    ],
    ['doubles a list for ever', '$reduce([1..60], function($list, $n) { $append($list, $list) }, [1])'],
    ['comes to too much', '$map([1..50000], function($n) { "about ten characters" })'],
    ['is no JSONata', 'inputs.('],
    ['takes a text for a number', '"x" * 2'],
    ['throws by itself', '$error("as it likes")'],
  ])('that %s fails its step, and not its worker', async (_, expression) => {
    expect(await failureOf(rig, planOf([set({ x: `{{ ${expression} }}` })]))).toMatchObject({
      type: 'ExpressionFailed',
      message: expect.stringMatching(/^Step steps\[0\] failed: Cannot evaluate ".*; mend the expression$/s),
    });
  });

  test('may read a text only so often', async () => {
    const again = '$match($join([1..999].("l ipsum ")), /l[^]*?z|l/)';
    expect(await failureOf(rig, planOf([set({ x: `{{ ${again} }}` })]))).toMatchObject({
      message: expect.stringContaining('it goes on for too long'),
    });
    const once = again.replace('[^]*?z|l', '');
    expect(await outputOf(rig, planOf([], { output: `$count(${once})` }))).toBe(999);
  });

  test('has its own bound, also where many are evaluated at once', async () => {
    // Some 4,000 evaluations each, which is 80,000 together.
    const sum = '$sum($map([1..1000], function($n) { $n + item }))';
    const plan = planOf(
      [forEach('[1..10]', [set({ x: `{{ ${sum} }}` })], { id: 'each', concurrency: 10, collect: sum })],
      {
        output: '$count(steps.each.results)',
      },
    );
    expect(await outputOf(rig, plan)).toBe(10);
  });

  test('sees the time of the workflow, the same in one evaluation and later after a wait', async () => {
    const plan = planOf(
      [set({ a: '{{ $millis() }}', text: '{{ $now() }}' }), wait(40), set({ b: '{{ $millis() }}' })],
      {
        output: '{"a": vars.a, "passed": vars.b - vars.a, "text": vars.text}',
      },
    );
    const started = await run(rig, plan);
    const output = (await started.output()) as { a: number; passed: number; text: string };
    expect(output.passed).toBeGreaterThanOrEqual(40);
    expect(Date.parse(output.text)).toBeLessThanOrEqual(output.a);
    const { startedAt } = await started.status();
    expect(output.a - Date.parse(startedAt)).toBeLessThan(1_000);
  });

  test.each([
    ['a list of one is that one', 'inputs.list[n = 1].n', 1],
    ['and a list where that is asked for', 'inputs.list[n = 1].n[]', [1]],
    ['a list stays one', '[inputs.list.n]', [1, 2, 3]],
    ['nothing is nothing', 'inputs.list[n > 9]', undefined],
    ['an empty list is one', '[]', []],
    ['unicode', '"Grüße, " & inputs.`städte`[0] & " 🚢"', 'Grüße, 東京 🚢'],
    ['lengths are those of characters', '$length("🚢")', 1],
    ['null', 'null', null],
    [
      'matches',
      '$match("2026-11-28 und 2025-01-02", /(\\d{4})-(\\d\\d)/).(match & "@" & index & groups[1])',
      ['2026-11@011', '2025-01@1501'],
    ],
    ['a match that back-tracking would never come to', '$contains($pad("", 60, "a") & "!", /^(a+)+$/)', false],
    ['replaced', '$replace("a.b.c", /\\.(.)/, "-$1$1")', 'a-bb-cc'],
    [
      'replaced by a function',
      '$replace("über 12", /Ü(B)/i, function($m) { $uppercase($m.match) & $m.groups[0] })',
      'ÜBbER 12'.replace('ER', 'er'),
    ],
    ['split', '$split("a,  b ,c", /\\s*,\\s*/)', ['a', 'b', 'c']],
    ['lines', '$count($match("a\\nb\\nc", /^.$/m))', 3],
    ['the start is there once', '$count($match("aaa", /^a/))', 1],
    ['behind', '$match("🚢 kg 5 EUR 7", /(?<=EUR )\\d/).match', '7'],
    ['of an expression in a text', '$eval("$contains(\\"abc\\", /B/i)")', true],
    ['a division', '6 / 4', 1.5],
    ['false', 'inputs.list[0].n > 5', false],
    ['a function is nothing that can be told', '{"f": $sum}', {}],
  ])('%s', async (_, expression, value) => {
    const inputs = { list: [{ n: 1 }, { n: 2 }, { n: 3 }], städte: ['東京', 'Łódź'] };
    const output = await outputOf(rig, planOf([], { output: expression }), { inputs });
    if (expression.includes('$sum')) expect(Object.keys(output as object)).toHaveLength(1);
    else expect(output).toEqual(value);
  });

  test.each([
    ['""', false],
    ['"no"', true],
    ['0', false],
    ['[]', false],
    ['[0, 0]', false],
    ['[0, 1]', true],
    ['{}', false],
    ['inputs.none', false],
    ['inputs.none = null', false],
    ['$not(inputs.none)', false],
  ])('as a condition, %s is %p', async (condition, holds) => {
    const plan = planOf([when(condition, [set({ is: true })], [set({ is: false })])], { output: 'vars.is' });
    expect(await outputOf(rig, plan)).toBe(holds);
  });

  test('none can change what the plan knows', async () => {
    const plan = planOf([set({ copy: '{{ inputs ~> |$|{"n": 2}| }}' })], { output: '[inputs.n, vars.copy.n]' });
    expect(await outputOf(rig, plan, { inputs: { n: 1 } })).toEqual([1, 2]);
  });

  test('variables set by items at once are all kept', async () => {
    const plan = planOf([forEach('[1..20]', [set({ n: '{{ vars.n + 1 }}' })], { concurrency: 20 })], {
      output: 'vars.n',
    });
    expect(await outputOf(rig, { ...plan, steps: [set({ n: 0 }), ...plan.steps] })).toBe(20);
  });
});
