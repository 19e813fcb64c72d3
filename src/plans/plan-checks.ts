import { PLAN_LIMITS } from '../protocol/plan.js';
import { PLAN_SCHEMA } from './authored-plan.js';
import { STEP_SCHEMAS } from './authored-steps.js';
import { checkConversations } from './conversation-checks.js';
import { type FaultList, listOf, nearest } from './fault-list.js';
import { checkIds, checkUnreached } from './flow-checks.js';
import { inputTypeProblem } from './input-values.js';
import { NameChecks } from './name-checks.js';
import { isObject, type PlanPath } from './plan-path.js';
import { OTHER_WORDS, STEP_KINDS } from './plan-words.js';
import { checkShape } from './shape-faults.js';
import { checkStep } from './step-checks.js';
import { kindsOf, rawBlocks, stepTable } from './step-table.js';
import { kindOf } from '../checks/shown-value.js';

/** Finds everything that is wrong with a plan as it was read from its file. */
export function checkPlan(value: unknown, list: FaultList, now: number): void {
  if (!isObject(value)) {
    const what = Array.isArray(value)
      ? 'put these steps under steps:, and write name: above'
      : 'write name: and steps:';
    return list.fault([], `is ${kindOf(value)}, but a plan is an object; ${what}`);
  }
  checkShape(PLAN_SCHEMA, value, [], list);
  checkBlock(value['steps'], ['steps'], 1, list);
  checkInputDeclarations(value['inputs'], list);

  const steps = stepTable(value['steps'], PLAN_LIMITS.depth);
  const vars = steps.flatMap(({ raw }) => (isObject(raw['set']) ? Object.keys(raw['set']) : []));
  const inputs = isObject(value['inputs']) ? Object.keys(value['inputs']) : [];
  const names = new NameChecks({ inputs, vars, steps }, list);
  checkIds(steps, list);
  // They are opened when they are first asked something, which may be after any step.
  checkConversations(value['conversations'], ['conversations'], {}, names, list);
  for (const entry of steps) {
    checkStep(entry, { steps, conversations: value['conversations'], names, list, now });
  }
  names.expression(value['output'], ['output'], {});
  checkUnreached(steps, list);
}

/** Checks the shape of the steps of a block, and of the blocks in them. */
function checkBlock(steps: unknown, path: PlanPath, depth: number, list: FaultList): void {
  if (!Array.isArray(steps)) return;
  steps.forEach((raw: unknown, index) => {
    const at = [...path, index];
    if (!isObject(raw)) {
      const met = raw === null ? 'is empty' : `is ${kindOf(raw)}`;
      return list.fault(at, `${met}, but each step is an object; write it like - ask: "…"`);
    }
    checkKind(raw, at, list);
    for (const block of rawBlocks(raw, at)) {
      if (block.steps.length === 0) {
        list.fault(block.path, 'is empty; write at least one step, or take it out');
      } else if (depth >= PLAN_LIMITS.depth) {
        const message = `stands ${depth + 1} blocks deep, and steps may be nested ${PLAN_LIMITS.depth} deep; move the inner steps out`;
        list.fault(block.path, message);
      } else checkBlock(block.steps, block.path, depth + 1, list);
    }
  });
}

function checkKind(raw: Record<string, unknown>, path: PlanPath, list: FaultList): void {
  const [kind, ...others] = kindsOf(raw);
  if (kind === undefined) return noKind(raw, path, list);
  if (others.length > 0) {
    const message = `has ${listOf([kind, ...others])}, and a step does one thing; make a step of each`;
    return list.fault(path, message);
  }
  checkShape(STEP_SCHEMAS[kind], raw, path, list);
}

function noKind(raw: Record<string, unknown>, path: PlanPath, list: FaultList): void {
  for (const key of Object.keys(raw)) {
    const other = OTHER_WORDS[key.toLowerCase()];
    const meant = STEP_KINDS.find((kind) => kind === other) ?? nearest(key, STEP_KINDS);
    if (meant === undefined || ['id', 'in', 'do'].includes(key)) continue;
    const message = `is nothing that a step does; did you mean "${meant}"?`;
    return list.fault([...path, key], message, { atKey: true, suggestion: meant });
  }
  list.fault(path, `says nothing that is to be done; give it one of ${STEP_KINDS.join(', ')}`);
}

function checkInputDeclarations(inputs: unknown, list: FaultList): void {
  if (!isObject(inputs)) return;
  for (const [name, input] of Object.entries(inputs)) {
    if (!isObject(input) || input['default'] === undefined) continue;
    const path = ['inputs', name];
    const problem = inputTypeProblem(input['default'], input['type']);
    if (problem !== undefined) list.fault([...path, 'default'], `${problem}; mend it, or the type`);
    if (input['required'] === true) {
      list.fault(
        [...path, 'required'],
        'is true beside a default, with which it is never missing; take one of them out',
      );
    }
  }
}
