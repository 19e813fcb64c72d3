import { deadlineProblem } from '../checks/deadline.js';
import { PLAN_LIMITS } from '../protocol/plan.js';
import { checkAgent, checkConversationOf, checkConversations } from './conversation-checks.js';
import { durationMs, LONGEST_MS } from '../protocol/duration.js';
import { durationProblem } from './duration.js';
import type { FaultList } from './fault-list.js';
import { checkOnError } from './flow-checks.js';
import { itemName, type NameChecks } from './name-checks.js';
import { isObject, type PlanPath } from './plan-path.js';
import { RESERVED } from './plan-words.js';
import { checkJsonSchema } from './schema-checks.js';
import { ancestorsOf, rawBlocks, type StepEntry } from './step-table.js';

/** What the checks of a step see beside it. */
export interface StepContext {
  steps: readonly StepEntry[];
  /** The plan's own, as written. */
  conversations: unknown;
  names: NameChecks;
  list: FaultList;
  /** Milliseconds since the epoch. */
  now: number;
}

/** Checks what the shape of a step does not tell, as far as the step is right. */
export function checkStep(entry: StepEntry, context: StepContext): void {
  const { raw, path, kind } = entry;
  const { list, names } = context;
  checkOnError(entry, context.steps, list);
  if (typeof raw['title'] === 'string' && raw['title'].includes('{{')) {
    list.warn([...path, 'title'], 'holds a template, and is shown as it stands; leave the {{ }} out');
  }
  if (kind === undefined) return;
  const value = raw[kind];
  const at = [...path, kind];
  switch (kind) {
    case 'ask':
    case 'askJson':
      checkConversationOf(entry, context.conversations, list);
      if (typeof value === 'string') names.templates(value, at, { entry });
      if (!isObject(value)) return;
      for (const key of ['text', 'parameters']) names.templates(value[key], [...at, key], { entry });
      if (kind === 'askJson') checkJsonSchema(value['schema'], [...at, 'schema'], list);
      return;
    case 'approve':
      return checkApproval(value, at, entry, context);
    case 'wait':
      return checkWait(value, at, entry, context);
    case 'forEach':
      return checkForEach(entry, context);
    case 'if':
      return names.expression(value, at, { entry });
    case 'parallel':
      return checkParallel(entry, list);
    case 'batch':
      return checkBatch(value, at, entry, context);
    case 'set':
      if (isObject(value) && Object.keys(value).length === 0)
        list.fault(at, 'sets nothing; name at least one variable, like { total: 0 }');
      return names.templates(value, at, { entry });
    case 'fail':
      return names.templates(value, at, { entry });
  }
}

function checkApproval(value: unknown, path: PlanPath, entry: StepEntry, { names, list }: StepContext): void {
  if (!isObject(value)) return names.templates(value, path, { entry });
  names.templates(value['message'], [...path, 'message'], { entry });
  if (value['default'] !== undefined && value['wait'] === undefined) {
    list.fault([...path, 'default'], 'decides when wait has passed, and there is no wait; add one, like wait: 3d');
  }
  const waitMs = ms(value['wait']);
  const remindMs = ms(value['remindEvery']);
  if (waitMs !== undefined && remindMs !== undefined && remindMs >= waitMs) {
    list.warn(
      [...path, 'remindEvery'],
      'is as long as wait or longer, so that nobody is reminded; write a shorter one',
    );
  }
}

const ms = (value: unknown): number | undefined => (typeof value === 'string' ? durationMs(value) : undefined);

function checkWait(value: unknown, path: PlanPath, entry: StepEntry, { names, list, now }: StepContext): void {
  if (!isObject(value)) return;
  const { until, for: duration } = value;
  names.templates(until, [...path, 'until'], { entry });
  names.templates(duration, [...path, 'for'], { entry });
  if (typeof duration === 'string' && !duration.includes('{{') && duration.trim() !== '') {
    const problem = durationProblem(duration);
    if (problem !== undefined) list.fault([...path, 'for'], problem);
  }
  if (typeof until !== 'string' || until.includes('{{') || until.trim() === '') return;
  const problem =
    durationMs(until) === undefined
      ? (deadlineProblem(until) ?? timeProblem(until, now))
      : `is a duration; write wait: ${until}`;
  if (problem !== undefined) list.fault([...path, 'until'], problem);
}

function timeProblem(until: string, now: number): string | undefined {
  const at = Date.parse(until);
  if (at <= now) return `is "${until}", which has passed; write a time to come, or a template of one`;
  return at - now > LONGEST_MS ? `is "${until}", more than ten years from now; write an earlier time` : undefined;
}

function checkForEach(entry: StepEntry, { names, list }: StepContext): void {
  const { raw, path } = entry;
  const items = raw['forEach'];
  if (Array.isArray(items)) {
    if (items.length === 0) list.fault([...path, 'forEach'], 'holds no items; write some, or an expression of a list');
    names.templates(items, [...path, 'forEach'], { entry });
  } else names.expression(items, [...path, 'forEach'], { entry });
  const inside = { entry, within: true };
  names.expression(raw['collect'], [...path, 'collect'], inside);
  checkConversations(raw['conversations'], [...path, 'conversations'], inside, names, list);
  const name = itemName(raw);
  if ((RESERVED as readonly string[]).includes(name)) {
    list.fault(
      [...path, 'as'],
      `is "${name}", which every expression knows as something else; write another name, like item`,
    );
  }
  const outer = ancestorsOf(entry).find((step) => step.kind === 'forEach' && itemName(step.raw) === name);
  if (outer !== undefined) {
    const message = `calls its item ${name}, as the forEach around it does, which hides that one; write as: with another name`;
    list.warn('as' in raw ? [...path, 'as'] : path, message);
  }
}

function checkParallel({ raw, path }: StepEntry, list: FaultList): void {
  const branches = rawBlocks(raw, path).length;
  if (
    branches === 0 &&
    typeof raw['parallel'] === 'object' &&
    raw['parallel'] !== null &&
    Object.keys(raw['parallel']).length === 0
  ) {
    list.fault([...path, 'parallel'], 'holds no branches; write at least two, like { north: [steps], south: [steps] }');
  }
  if (branches > PLAN_LIMITS.concurrency) {
    const message = `holds ${branches} branches, and ${PLAN_LIMITS.concurrency} may run at once; use a forEach with concurrency:`;
    list.fault([...path, 'parallel'], message);
  }
}

function checkBatch(value: unknown, path: PlanPath, entry: StepEntry, { names, list }: StepContext): void {
  if (!isObject(value)) return;
  checkAgent(value, path, { entry }, names, list);
  const { rows } = value;
  const at = [...path, 'rows'];
  if (!Array.isArray(rows)) return names.expression(rows, at, { entry });
  if (rows.length === 0) list.fault(at, 'holds no rows; write some, or an expression of a list');
  names.templates(rows, at, { entry });
  const seen = new Set<unknown>();
  rows.forEach((row: unknown, index) => {
    if (!isObject(row)) return;
    const { id, text, turns } = row;
    if (text !== undefined && turns !== undefined)
      list.fault([...at, index, 'turns'], 'stands beside text; a row has one of the two, keep that one');
    if (text === undefined && turns === undefined)
      list.fault([...at, index], 'has neither text nor turns; give it one of them');
    if (id !== undefined && seen.has(id))
      list.fault([...at, index, 'id'], 'is the id of a row before it; give each row one of its own');
    seen.add(id);
  });
}
