import { parse } from 'yaml';
import {
  checkInputs,
  faultText,
  parseInputAssignments,
  PlanError,
  type PlanFault,
  PlanInputError,
  type PlanWarning,
  readPlan,
} from '../../../plans/index.js';
import type { JsonObject, Plan } from '../../../protocol/plan.js';
import { type CliIo, UsageError } from '../../command.js';
import { readInput, textOf } from '../../message-options.js';
import type { Output } from '../../output.js';
import type { InputOptions } from './automation-options.js';

/** What is known of a file that should hold a plan. */
export interface CheckedPlan {
  file: string;
  /** Absent when it is broken. */
  plan?: Plan;
  faults: readonly PlanFault[];
  warnings: readonly PlanWarning[];
}

/** What people call a file. */
const nameOf = (path: string): string => (path === '-' ? 'stdin' : path);

/** Reads and checks a plan. @throws UsageError when there is no such file */
export async function checkPlanFile(path: string, io: CliIo): Promise<CheckedPlan> {
  const file = nameOf(path);
  const text = path === '-' ? await textOf('-', io) : readInput(path);
  try {
    return { file, ...readPlan(text, { file }), faults: [] };
  } catch (error) {
    if (error instanceof PlanError) return { file, faults: error.faults, warnings: [] };
    throw error;
  }
}

/** A fault or a warning in a line, as compilers have it: `nightly.yaml:4:11 steps[0].ask: …`. */
export const faultLine = (file: string, fault: PlanFault): string => faultText(file, fault);

/**
 * Reads a plan that is to be run, and what it is given; warnings go to stderr.
 *
 * @throws UsageError with every fault of the plan, or of the inputs.
 */
export async function planToRun(
  path: string,
  options: InputOptions,
  { io, output }: { io: CliIo; output: Output },
): Promise<{ plan: Plan; inputs: JsonObject; source: string }> {
  const { file, plan, faults, warnings } = await checkPlanFile(path, io);
  if (plan === undefined) {
    const lines = faults.map((fault) => faultLine(file, fault));
    throw new UsageError(`Cannot run ${file}: it has ${countText(faults.length)}\n${lines.join('\n')}`);
  }
  for (const warning of warnings) output.note(`Warning: ${faultLine(file, warning)}`);
  return { plan, inputs: inputsOf(plan, options), source: file };
}

export const countText = (faults: number): string => (faults === 1 ? '1 fault' : `${faults} faults`);

/** Those of the file, and over them those of the command line. @throws UsageError */
export function inputsOf(plan: Plan, { input = [], inputFile }: InputOptions): JsonObject {
  try {
    const ofFile = inputFile === undefined ? {} : readInputFile(inputFile);
    return checkInputs(plan, { ...ofFile, ...parseInputAssignments(input, plan) });
  } catch (error) {
    if (!(error instanceof PlanInputError)) throw error;
    throw new UsageError(`Mend the inputs of plan ${plan.name}:\n${error.message}`);
  }
}

function readInputFile(path: string): Record<string, unknown> {
  const text = readInput(path);
  let inputs: unknown;
  try {
    inputs = parse(text) ?? {};
  } catch (error) {
    throw new UsageError(`Mend --input-file: ${path} is neither YAML nor JSON: ${(error as Error).message}`);
  }
  if (typeof inputs === 'object' && inputs !== null && !Array.isArray(inputs)) return inputs as Record<string, unknown>;
  throw new UsageError(`Mend --input-file: ${path} holds no inputs by name; write them like {"region": "north"}`);
}
