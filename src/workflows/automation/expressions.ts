/** Expressions (JSONata) and templates of plans, over what a plan knows. */
import { CancellationScope, sleep, workflowInfo } from '@temporalio/workflow';
import type { Expression as CompiledExpression } from 'jsonata';
import { FAILURE_TYPES } from '../../protocol/failures.js';
import { jsonBytes } from '../../protocol/json-size.js';
import type { Expression, JsonObject, JsonTemplate, JsonValue, Template } from '../../protocol/plan.js';
import { PLAN_LIMITS } from '../../protocol/plan.js';
import { isWholeExpression, type TemplatePart, templateParts } from '../../protocol/template-parts.js';
import { atOnce } from './at-once.js';
import { StepError } from './step-error.js';

/** Bounds of one evaluation, so that an expression that never ends fails instead of holding up its worker. */
const MOST_EVALUATIONS = 20_000;
const MOST_DEPTH = 500;
const TOO_LONG = `it goes on for too long (more than ${MOST_EVALUATIONS} parts evaluated); let it go over fewer items`;
const MOST_ITEMS = 100_000;
/** Expressions that are kept compiled. */
const MOST_COMPILED = 500;

/** Told at each evaluation of a part of an expression (JSONata's own hook). */
const ON_EVALUATE = Symbol.for('jsonata.__evaluate_entry') as unknown as string;

/** Of all together in one go of the workflow, which may take 5 s; then it takes a breath. A thousand take 20 to 200 ms. */
const MOST_AT_A_STRETCH = 3_000;

const compiled = new Map<string, CompiledExpression>();

/** What an expression comes to, as JSON; undefined where there is nothing. @throws StepError `ExpressionFailed` */
export async function evaluate(
  expression: Expression,
  context: JsonObject,
  asWritten = expression,
): Promise<JsonValue | undefined> {
  while (isOutOfBreath()) await breath();
  try {
    const program = await compile(expression);
    const value = atOnce(() => program.evaluate(context) as Promise<unknown>);
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
  // Evaluated when it is first needed: it takes a millisecond, which workflows that have no plan need not pay.
  const { default: jsonata } = await import(/* webpackMode: "eager" */ 'jsonata/jsonata-es5.js');
  const program = jsonata(expression, { stack: MOST_DEPTH, sequence: MOST_ITEMS });
  // Counted for each evaluation by itself: those of items that are done at once take turns.
  program.assign(ON_EVALUATE, (_part: unknown, _input: unknown, { base }: { base: { evaluations?: number } }) => {
    base.evaluations = (base.evaluations ?? 0) + 1;
    spent++;
    if (base.evaluations > MOST_EVALUATIONS) throw new Error(TOO_LONG);
  });
  if (compiled.size >= MOST_COMPILED) compiled.clear();
  compiled.set(expression, program);
  return program;
}

/** JSONata throws plain objects. */
function reasonOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message : String(error);
}

const shown = (expression: string): string =>
  `"${expression.length > 80 ? `${expression.slice(0, 79)}…` : expression}"`;
