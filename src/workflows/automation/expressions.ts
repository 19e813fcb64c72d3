/** Expressions (JSONata) and templates of plans, over what a plan knows. */
import { CancellationScope, sleep, workflowInfo } from '@temporalio/workflow';
import type { Expression as CompiledExpression } from 'jsonata';
import { FAILURE_TYPES } from '../../protocol/failures.js';
import { jsonBytes } from '../../protocol/json-size.js';
import type { Expression, JsonObject, JsonTemplate, JsonValue, Template } from '../../protocol/plan.js';
import { PLAN_LIMITS } from '../../protocol/plan.js';
import { isWholeExpression, type TemplatePart, templateParts } from '../../protocol/template-parts.js';
import { AtOnce } from './at-once.js';
import { StepError } from './step-error.js';

/** Bounds of one evaluation, so that an expression that never ends fails instead of holding up its worker. */
const MOST_EVALUATIONS = 20_000;
const MOST_DEPTH = 500;
const TOO_LONG = `it goes on for too long (more than ${MOST_EVALUATIONS} parts evaluated); let it go over fewer items`;
const MOST_ITEMS = 100_000;
/** Expressions that are kept compiled. */
const MOST_COMPILED = 500;

/** Told at each evaluation of a part of an expression, before and after (JSONata's own hooks). */
const ON_EVALUATE = Symbol.for('jsonata.__evaluate_entry') as unknown as string;
const ON_EVALUATED = Symbol.for('jsonata.__evaluate_exit') as unknown as string;
/** Of what it comes to, so much counts as much as a part. */
const ITEMS_PER_PART = 100;
const CHARACTERS_PER_PART = 2_000;

/** Of all together in one go of the workflow, which may take 5 s; then they take a breath. A thousand take 20 to 400 ms. */
const MOST_AT_A_STRETCH = 3_000;

const compiled = new Map<string, CompiledExpression>();

/** What an expression comes to, as JSON; undefined where there is nothing. @throws StepError `ExpressionFailed` */
export async function evaluate(
  expression: Expression,
  context: JsonObject,
  asWritten = expression,
): Promise<JsonValue | undefined> {
  try {
    const value = await valueOf(await compile(expression), context);
    const json = JSON.stringify(value);
    if (json !== undefined && jsonBytes(value) > PLAN_LIMITS.stateBytes) {
      throw new Error(`it comes to more than ${PLAN_LIMITS.stateBytes} bytes of JSON`);
    }
    return json === undefined ? undefined : (JSON.parse(json) as JsonValue);
  } catch (error) {
    throw StepError.of(
      FAILURE_TYPES.expressionFailed,
      `Cannot evaluate ${shown(asWritten)}: ${reasonOf(error)}; mend the expression`,
    );
  }
}

/** Parts of the expression that is evaluated now. */
let parts = 0;
/** An evaluation that takes a breath; the others wait until it has ended. */
let unfinished: Promise<void> | undefined;

/** @throws What JSONata throws. */
async function valueOf(program: CompiledExpression, context: JsonObject): Promise<unknown> {
  while (unfinished !== undefined || isOutOfBreath()) await (unfinished ?? breath());
  const evaluation = new AtOnce(() => program.evaluate(context) as Promise<unknown>);
  const isTired = () => spent >= MOST_AT_A_STRETCH;
  parts = 0;
  if (!evaluation.run(isTired)) {
    const finish = async () => {
      do while (isOutOfBreath()) await breath();
      while (!evaluation.run(isTired));
    };
    unfinished = finish().finally(() => (unfinished = undefined));
    await unfinished;
  }
  return evaluation.result();
}

/** @throws Error When it has gone on for too long. */
function spend(more: number): void {
  parts += more;
  spent += more;
  if (parts > MOST_EVALUATIONS) throw new Error(TOO_LONG);
}

let stretch = '';
let spent = 0;
let breathing: Promise<void> | undefined;

function isOutOfBreath(): boolean {
  const now = `${workflowInfo().historyLength} ${Date.now()}`;
  if (now !== stretch) spent = 0;
  stretch = now;
  return spent >= MOST_AT_A_STRETCH;
}

/** One for all that wait for it. */
function breath(): Promise<void> {
  breathing ??= CancellationScope.nonCancellable(() => sleep(1, { summary: 'a breath between expressions' })).finally(
    () => (breathing = undefined),
  );
  return breathing;
}

/** Whether an expression holds, as JSONata's `$boolean` has it: nothing, `false`, 0, "" and empty ones do not. */
export async function holds(expression: Expression, context: JsonObject): Promise<boolean> {
  return (await evaluate(`$boolean((${expression}))`, context, expression)) === true;
}

/** A template's value: of one that is nothing but an expression the value itself, else a text. */
export async function renderValue(template: Template, context: JsonObject): Promise<JsonValue> {
  const isWhole = isWholeExpression(template);
  let text = '';
  for (const part of partsOf(template)) {
    if (part.kind === 'text') {
      if (!isWhole) text += part.text;
      continue;
    }
    const value = await evaluate(part.expression, context);
    if (isWhole) return value ?? null;
    text += textOf(value);
  }
  return text;
}

function partsOf(template: Template): TemplatePart[] {
  const parts = templateParts(template);
  if (Array.isArray(parts)) return parts;
  throw StepError.of(FAILURE_TYPES.expressionFailed, `Cannot read the template ${shown(template)}: a {{ has no }}`);
}

/** A template as text. */
export async function renderText(template: Template, context: JsonObject): Promise<string> {
  return textOf(await renderValue(template, context));
}

/** A JSON value with every template in it rendered. */
export async function renderJson(value: JsonTemplate, context: JsonObject): Promise<JsonValue> {
  if (typeof value === 'string') return renderValue(value, context);
  if (Array.isArray(value)) {
    const items: JsonValue[] = [];
    for (const item of value) items.push(await renderJson(item, context));
    return items;
  }
  if (typeof value !== 'object' || value === null) return value;
  const rendered: JsonObject = {};
  for (const [key, item] of Object.entries(value)) rendered[key] = await renderJson(item, context);
  return rendered;
}

/** As it stands in a text: strings as they are, nothing as nothing, the rest as JSON. */
export function textOf(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

async function compile(expression: Expression): Promise<CompiledExpression> {
  const known = compiled.get(expression);
  if (known !== undefined) return known;
  // Modules are evaluated when they are first needed: they take milliseconds, which workflows without need not pay.
  const { default: jsonata } = await import(/* webpackMode: "eager" */ 'jsonata/jsonata-es5.min.js');
  const options = { stack: MOST_DEPTH, sequence: MOST_ITEMS };
  const program = jsonata(expression, MAY_HAVE_REGEX.test(expression) ? { ...options, ...(await regexes()) } : options);
  program.assign(ON_EVALUATE, () => spend(1));
  program.assign(ON_EVALUATED, ({ type }: { type: string }, _input: unknown, _names: unknown, value: unknown) => {
    if (Array.isArray(value)) spend(Math.floor(value.length / ITEMS_PER_PART));
    else if (typeof value === 'string' && type === 'function') spend(Math.floor(value.length / CHARACTERS_PER_PART));
  });
  if (compiled.size >= MOST_COMPILED) compiled.clear();
  compiled.set(expression, program);
  return program;
}

const MAY_HAVE_REGEX = /\/|\$eval\b/;

async function regexes(): Promise<{ RegexEngine: RegExpConstructor }> {
  const { regexEngine } = await import(/* webpackMode: "eager" */ './regex-engine.js');
  return { RegexEngine: regexEngine(spend) as unknown as RegExpConstructor };
}

/** JSONata throws plain objects. */
function reasonOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message : String(error);
}

const shown = (expression: string): string =>
  `"${expression.length > 80 ? `${expression.slice(0, 79)}…` : expression}"`;
