import { type Plan, PLAN_LIMITS } from '../protocol/plan.js';
import { FaultList, inOrder } from './fault-list.js';
import { checkPlan } from './plan-checks.js';
import { PlanError, type PlanFault, type PlanWarning } from './plan-faults.js';
import { isObject } from './plan-path.js';
import { PlanSource } from './plan-source.js';
import { normalise } from './normalise.js';
import { stepTable } from './step-table.js';
import { ALIAS_BOUND, TOO_DEEP, yamlFaults } from './yaml-faults.js';

/** Options of `readPlan`. */
export interface ReadPlanOptions {
  /** What the file is called in messages. Default: `plan`. */
  file?: string;
  /** Milliseconds since the epoch; by it a time that has passed is told. Default: the machine's clock. */
  now?: () => number;
}

/** A plan that can be run. */
export interface ReadPlan {
  plan: Plan;
  /** In the order of the file; what the plan may have, and its author hardly meant. */
  warnings: PlanWarning[];
}

/**
 * Reads a plan, YAML 1.2 or JSON, and checks all of it before anything runs.
 *
 * @param text The file, at most 256 KiB of UTF-8.
 * @throws PlanError With all faults of the plan, each with path, line, column and remedy. When it is no YAML, those of the
 *   YAML alone.
 */
export function readPlan(text: string, { file = 'plan', now = Date.now }: ReadPlanOptions = {}): ReadPlan {
  const bytes = Buffer.byteLength(text);
  if (bytes > PLAN_LIMITS.planBytes) throw new PlanError(file, [wholeFile(tooLarge(bytes))]);
  try {
    return readChecked(text, file, now());
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PlanError(file, [wholeFile(TOO_DEEP)]);
  }
}

function readChecked(text: string, file: string, now: number): ReadPlan {
  const list = new FaultList(new PlanSource(text));
  const refuse = (): never => {
    throw new PlanError(file, inOrder(list.faults));
  };
  if (!yamlFaults(list.source, list)) return refuse();
  const value = valueOf(list);
  if (list.faults.length > 0) return refuse();
  checkPlan(value, list, now);
  if (list.faults.length > 0) return refuse();
  const plan = normalise(value, stepTable(isObject(value) ? value['steps'] : [], PLAN_LIMITS.depth));
  const bytes = Buffer.byteLength(JSON.stringify(plan));
  if (bytes > PLAN_LIMITS.planBytes) list.fault([], tooLarge(bytes), { offset: 0 });
  return list.faults.length > 0 ? refuse() : { plan, warnings: inOrder(list.warnings) };
}

/** Characters of a plan whose aliases stand in full. */
const MOST_CHARACTERS = 4 * PLAN_LIMITS.planBytes;

/** The value of the file; absent when its aliases make too much of it. */
function valueOf(list: FaultList): unknown {
  try {
    const value = list.source.value();
    // Aliases stand for their values in full from here on, each a value of its own: that must be bounded.
    if (sizeOf(value, MOST_CHARACTERS) <= MOST_CHARACTERS) return JSON.parse(JSON.stringify(value ?? null)) as unknown;
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
  }
  list.fault([], ALIAS_BOUND, { offset: 0 });
  return undefined;
}

/** About how many characters of JSON a value takes; no further than to a bound. */
function sizeOf(value: unknown, most: number): number {
  if (typeof value === 'string') return value.length + 2;
  if (typeof value !== 'object' || value === null) return 5;
  let size = 2;
  for (const [key, inner] of Object.entries(value)) {
    size += key.length + 3 + sizeOf(inner, most - size);
    if (size > most) break;
  }
  return size;
}

const tooLarge = (bytes: number): string =>
  `takes ${bytes} bytes, and a plan may take ${PLAN_LIMITS.planBytes}; give long lists and texts as inputs, or as the rows of a batch`;

const wholeFile = (message: string): PlanFault => ({ path: '', line: 1, column: 1, message });
