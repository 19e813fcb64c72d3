import type { StepKind } from '../protocol/plan.js';
import { isObject, type PlanPath } from './plan-path.js';
import { STEP_KINDS } from './plan-words.js';

/** A step as it stands in the file, right or wrong. */
export interface StepEntry {
  path: PlanPath;
  raw: Record<string, unknown>;
  /** Absent when it has no kind, or several. */
  kind?: StepKind;
  id?: string;
  /** In the order of the file. */
  order: number;
  /** `order` of the last step in it; its own when it holds none. */
  lastOrder: number;
  /** The step whose block it stands in, and which block that is. */
  parent?: StepEntry;
  branch: string;
  /** Blocks around it, its own included. */
  depth: number;
}

/** A block of steps of a step as it was written. */
export interface RawBlock {
  path: PlanPath;
  branch: string;
  steps: readonly unknown[];
}

/** The kinds that a step has the keys of: exactly one, if it is right. */
export const kindsOf = (raw: Record<string, unknown>): StepKind[] => STEP_KINDS.filter((kind) => kind in raw);

/** The blocks in a step as they were written, whatever else is wrong with it. */
export function rawBlocks(raw: Record<string, unknown>, path: PlanPath): RawBlock[] {
  const blocks: RawBlock[] = [];
  const add = (keys: PlanPath, branch: string, steps: unknown): void => {
    if (Array.isArray(steps)) blocks.push({ path: [...path, ...keys], branch, steps });
  };
  for (const key of ['do', 'then', 'else']) add([key], key, raw[key]);
  const branches = raw['parallel'];
  if (Array.isArray(branches)) {
    branches.forEach((steps, index) => add(['parallel', index], `parallel.${index + 1}`, steps));
  } else if (isObject(branches)) {
    for (const [name, steps] of Object.entries(branches)) add(['parallel', name], `parallel.${name}`, steps);
  }
  return blocks;
}

/** All steps of a plan as it was written, in the order of the file, down to a depth. */
export function stepTable(steps: unknown, deepest: number): StepEntry[] {
  const table: StepEntry[] = [];
  const add = (block: readonly unknown[], path: PlanPath, branch: string, depth: number, parent?: StepEntry): void => {
    block.forEach((raw, index) => {
      if (!isObject(raw)) return;
      const kinds = kindsOf(raw);
      const entry: StepEntry = {
        path: [...path, index],
        raw,
        order: table.length,
        lastOrder: table.length,
        branch,
        depth,
        ...(kinds.length === 1 && kinds[0] !== undefined && { kind: kinds[0] }),
        ...(typeof raw['id'] === 'string' && { id: raw['id'] }),
        ...(parent !== undefined && { parent }),
      };
      table.push(entry);
      if (depth < deepest) {
        for (const inner of rawBlocks(raw, entry.path)) add(inner.steps, inner.path, inner.branch, depth + 1, entry);
      }
      entry.lastOrder = table.length - 1;
    });
  };
  if (Array.isArray(steps)) add(steps, ['steps'], 'steps', 1);
  return table;
}

/** The steps around one, from the inside out. */
export function ancestorsOf(entry: StepEntry): StepEntry[] {
  const ancestors: StepEntry[] = [];
  for (let at = entry.parent; at !== undefined; at = at.parent) ancestors.push(at);
  return ancestors;
}
