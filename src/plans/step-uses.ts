import type { StepKind } from '../protocol/plan.js';
import { didYouMean, listOf } from './fault-list.js';
import { pathText } from './plan-path.js';
import { ancestorsOf, type StepEntry } from './step-table.js';

/** Where an expression is worked out. */
export interface Reader {
  /** Absent: at the end of the plan. */
  entry?: StepEntry;
  /** `within`: of a `forEach`, when the steps of an item have been done (`collect`). Default: before the step is. */
  within?: boolean;
}

/** What is wrong with reading a step's result where it is read. */
export interface StepUseProblem {
  message: string;
  /** It can never have one there; false: it may, when the plan jumps, or as things go. */
  isCertain: boolean;
}

/**
 * Whether a step can have a result where an expression reads it.
 *
 * @param hasJumps Whether any step jumps (`goto`): then a later step may have been done before.
 */
export function stepUseProblem(target: StepEntry, reader: Reader, hasJumps: boolean): StepUseProblem | undefined {
  const name = `steps.${target.id ?? ''}`;
  const loop = ancestorsOf(target).find((step) => step.kind === 'forEach' && !isWithin(reader, step));
  if (loop !== undefined) {
    const results = `steps.${loop.id ?? '<id>'}.results`;
    const remedy = `keep it by collect: of ${pathText(loop.path)}, and read ${results}`;
    return { message: `reads ${name}, which each item of a forEach has of its own; ${remedy}`, isCertain: true };
  }
  const { entry } = reader;
  if (entry === undefined) return undefined;
  if (target === entry || ancestorsOf(entry).includes(target)) {
    const message = `reads ${name}, the result of the step that it stands in, which is not there yet; read an earlier one`;
    return { message, isCertain: !hasJumps };
  }
  const reached = reader.within === true ? entry.lastOrder : entry.order;
  if (target.order > reached) {
    const message = `reads ${name}, which is done only later; move one of the two steps, or read an earlier one`;
    return { message, isCertain: !hasJumps };
  }
  return otherBranch(target, entry, name);
}

/** Whether an expression stands in the block of a step. */
const isWithin = ({ entry, within }: Reader, step: StepEntry): boolean =>
  entry !== undefined && (ancestorsOf(entry).includes(step) || (within === true && entry === step));

function otherBranch(target: StepEntry, entry: StepEntry, name: string): StepUseProblem | undefined {
  const chain = [target, ...ancestorsOf(target)];
  for (const step of [entry, ...ancestorsOf(entry)]) {
    const beside = chain.find(({ parent, branch }) => parent === step.parent && branch !== step.branch);
    if (beside === undefined || step.parent === undefined) continue;
    return step.parent.kind === 'if'
      ? {
          message: `reads ${name}, of the other branch of its if, which is not done then; check the id`,
          isCertain: false,
        }
      : {
          message: `reads ${name}, of another branch of its parallel, which may be done or not; read it behind the parallel`,
          isCertain: false,
        };
  }
  return undefined;
}

/** What steps result in (`src/protocol/plan.ts`). */
const RESULT_FIELDS: Readonly<Record<StepKind, readonly string[]>> = {
  ask: ['answer', 'parameters', 'tokens', 'sessionRid'],
  askJson: ['json', 'answer', 'attempts', 'parameters', 'tokens', 'sessionRid'],
  approve: ['approved', 'decision', 'by', 'byDefault', 'comment', 'at', 'approvalId'],
  forEach: ['results', 'count', 'failed'],
  batch: ['batchId', 'rowCount', 'counts', 'results', 'truncated'],
  if: [],
  parallel: [],
  wait: [],
  set: [],
  fail: [],
};

/** What every step has that failed and was skipped; `status` also what was asked. */
const SKIPPED_FIELDS = ['status', 'error'];

/** A field that no result of the step has. */
export function resultFieldProblem(
  target: StepEntry,
  field: string | undefined,
): { message: string; suggestion?: string } | undefined {
  const { kind, id = '' } = target;
  if (field === undefined || kind === undefined) return undefined;
  const fields = RESULT_FIELDS[kind];
  if (fields.includes(field) || SKIPPED_FIELDS.includes(field)) return undefined;
  if (fields.length === 0) {
    const article = /^[aeiou]/.test(kind) ? 'an' : 'a';
    return {
      message: `reads steps.${id}.${field}, and ${article} ${kind} results in nothing; read a step in it, or before it`,
    };
  }
  const { text, suggestion } = didYouMean(field, fields, `it has ${listOf(fields)}`);
  const message = `reads steps.${id}.${field}, and there is none; ${text}`;
  return { message, ...(suggestion !== undefined && { suggestion }) };
}
