import { type JsonObject, type JsonValue, type Plan, type PlanInput, PLAN_LIMITS } from '../protocol/plan.js';
import { didYouMean, listOf } from './fault-list.js';
import { inputTypeProblem } from './input-values.js';
import { PlanInputError, type PlanInputFault } from './plan-faults.js';

/**
 * Checks the inputs of a run against its plan, and fills in the defaults. An input that may be left out, and is
 * (or is null), is absent.
 *
 * @throws PlanInputError With everything that is wrong: inputs that are unknown, missing, of a wrong type, or too large.
 */
export function checkInputs(plan: Plan, given: Readonly<Record<string, unknown>>): JsonObject {
  const faults = unknownInputs(plan, Object.keys(given));
  const inputs: JsonObject = {};
  for (const [name, declared] of Object.entries(plan.inputs)) {
    const isGiven = given[name] !== undefined && !(given[name] === null && !declared.required);
    const value = isGiven ? given[name] : declared.default;
    const fault = inputFault(name, value, declared, isGiven);
    if (fault === undefined) {
      if (value !== undefined) inputs[name] = value as JsonValue;
    } else if (!faults.some(({ suggestion }) => suggestion === name)) faults.push(fault);
  }
  const bytes = faults.length > 0 ? 0 : Buffer.byteLength(JSON.stringify(inputs));
  if (bytes > PLAN_LIMITS.inputBytes) {
    const message = `the inputs take ${bytes} bytes, and a run may have ${PLAN_LIMITS.inputBytes}; put long lists through a batch`;
    faults.push({ message });
  }
  if (faults.length > 0) throw new PlanInputError(plan.name, faults);
  return inputs;
}

/**
 * Reads inputs as a command line has them: `name=value`, each by the type that the plan declares: a string as it stands, numbers
 * and booleans as JSON has them, objects and arrays as JSON, `any` as JSON where it is some, else as a string.
 *
 * @returns The values; `checkInputs` fills in the defaults.
 * @throws PlanInputError With everything that is wrong: no `=`, an unknown or repeated name, a value of another type.
 */
export function parseInputAssignments(assignments: readonly string[], plan: Plan): JsonObject {
  const faults: PlanInputFault[] = [];
  const inputs: JsonObject = {};
  for (const assignment of assignments) {
    const end = assignment.indexOf('=');
    const name = end === -1 ? assignment : assignment.slice(0, end);
    const declared = Object.hasOwn(plan.inputs, name) ? plan.inputs[name] : undefined;
    if (end <= 0)
      faults.push({
        message: `input ${JSON.stringify(assignment.slice(0, 40))} has no name and value; write it like region=north`,
      });
    else if (declared === undefined) faults.push(...unknownInputs(plan, [name]));
    else if (Object.hasOwn(inputs, name)) faults.push({ input: name, message: 'is given twice; give it once' });
    else {
      const parsed = parseValue(assignment.slice(end + 1), declared.type);
      if ('problem' in parsed) faults.push({ input: name, message: parsed.problem });
      else inputs[name] = parsed.value;
    }
  }
  if (faults.length > 0) throw new PlanInputError(plan.name, faults);
  return inputs;
}

const EXAMPLES: Readonly<Record<PlanInput['type'], string>> = {
  string: 'text',
  number: '12.5',
  boolean: 'true',
  object: '{"team": "north"}',
  array: '["a", "b"]',
  any: '"text"',
};

function parseValue(text: string, type: PlanInput['type']): { value: JsonValue } | { problem: string } {
  if (type === 'string') return { value: text };
  try {
    const value = JSON.parse(text) as JsonValue;
    if (inputTypeProblem(value, type) === undefined) return { value };
  } catch {
    // No JSON: of type `any` it is a string, of any other it is refused below.
    if (type === 'any') return { value: text };
  }
  const met = JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
  return {
    problem: `is ${met}, but must be ${type === 'array' || type === 'object' ? `an ${type} as JSON` : `a ${type}`}; write it like ${EXAMPLES[type]}`,
  };
}

function unknownInputs(plan: Plan, names: readonly string[]): PlanInputFault[] {
  const known = Object.keys(plan.inputs);
  return names
    .filter((name) => !known.includes(name))
    .map((name) => {
      const has = known.length === 0 ? `plan ${plan.name} has none` : `plan ${plan.name} has ${listOf(known)}`;
      const { text, suggestion } = didYouMean(name, known, has);
      return {
        input: name,
        message: `is no input of the plan; ${text}`,
        ...(suggestion !== undefined && { suggestion }),
      };
    });
}

function inputFault(name: string, value: unknown, declared: PlanInput, isGiven: boolean): PlanInputFault | undefined {
  const like = `write it like ${name}=${EXAMPLES[declared.type]}`;
  if (!isGiven) {
    const about = declared.description === undefined ? '' : ` (${declared.description})`;
    return declared.required ? { input: name, message: `is missing${about}; ${like}` } : undefined;
  }
  const problem = inputTypeProblem(value, declared.type) ?? jsonProblemOf(value);
  return problem === undefined ? undefined : { input: name, message: `${problem}; ${like}` };
}

/** What JSON cannot say would be gone, or another value, when the run reads it. */
function jsonProblemOf(value: unknown): string | undefined {
  if (typeof value === 'number' && !Number.isFinite(value)) return `is ${value}, no number that JSON has`;
  return ['function', 'symbol', 'bigint'].includes(typeof value)
    ? `is a ${typeof value}, which JSON does not have`
    : undefined;
}
