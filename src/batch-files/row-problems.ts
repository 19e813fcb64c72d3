import type * as z from 'zod';
import { kindOf, shown, withArticle } from '../checks/shown-value.js';

/** What is wrong with one row. */
export interface RowProblem {
  /** Path of the field, such as `turns[1]`; absent when it is the row as a whole. */
  field?: string;
  /** What was met; then, after a semicolon, what to do. */
  message: string;
}

/** Values as they may be written, by the path of the field they belong to. */
export type Examples = Readonly<Record<string, string>>;

/** What a schema finds in a row, in the words of `RowProblem`. A message that a schema gives itself stays as it is. */
export function rowProblems(error: z.ZodError, row: unknown, examples: Examples): RowProblem[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      const message = 'is no field of this object; take it out';
      return issue.keys.map((key) => ({ field: fieldPath([...issue.path, key]), message }));
    }
    if (issue.code === 'invalid_key') {
      return { field: fieldPath(issue.path.slice(0, -1)), message: 'has an entry without a name; name it' };
    }
    const message = messageOf(issue, valueAt(row, issue.path), exampleOf(issue.path, examples));
    return { field: fieldPath(issue.path), message };
  });
}

function messageOf(issue: z.core.$ZodIssue, value: unknown, like: string): string {
  // How zod begins its own.
  if (!/^(?:Invalid|Too small)\b/.test(issue.message)) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(value, issue.expected, issue.path, like);
    case 'invalid_union':
      return wrongChoice(value, 'options' in issue ? issue.options : [], like);
    case 'invalid_value':
      return wrongChoice(value, issue.values, like);
    case 'too_small':
      return `is empty; fill it in${like}`;
    default:
      return issue.message;
  }
}

function wrongType(value: unknown, expected: string, path: readonly PropertyKey[], like: string): string {
  const isId = path.length === 1 && path[0] === 'id';
  if (value === undefined) return isId ? 'is missing; give every row an id of its own' : `is missing; write it${like}`;
  const mismatch = `is ${kindOf(value)}, but must be ${withArticle(expected)}`;
  if (value === null && isId) return `${mismatch}; give every row an id of its own`;
  if (value === null)
    return `${mismatch}; ${typeof path.at(-1) === 'number' ? 'take it' : 'leave the field'} out, or write it${like}`;
  if (expected !== 'string' || typeof value === 'object') return `${mismatch}; write it${like}`;
  return `${mismatch}; put it in quotes, like "${JSON.stringify(value)}"`;
}

function wrongChoice(value: unknown, choices: readonly unknown[], like: string): string {
  const names = choices.map((choice) => JSON.stringify(choice)).join(' or ');
  // An example of this very field would be one of the choices.
  const around = like.startsWith(',') ? like : '';
  if (value === undefined) return `is missing; write ${names}${around}`;
  return `is ${shown(value)}, but must be ${names}; write one of these${around}`;
}

/** The path of a field as messages have it: `turns[1]`, `parameterInputs.team.value`. */
export function fieldPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, depth) => (typeof part === 'number' ? `[${part}]` : `${depth > 0 ? '.' : ''}${String(part)}`))
    .join('');
}

/** The example of the field, or of the innermost one around it that has one. */
function exampleOf(path: readonly PropertyKey[], examples: Examples): string {
  for (let depth = path.length; depth > 0; depth--) {
    const example = examples[fieldPath(path.slice(0, depth))];
    if (example === undefined) continue;
    return depth === path.length ? ` like ${example}` : `, like "${String(path[depth - 1])}": ${example}`;
  }
  return '';
}

const valueAt = (row: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | null | undefined)?.[key], row);

/** Whether a JSON value is an object. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
