import * as z from 'zod';
import { kindOf, shown, withArticle } from '../checks/shown-value.js';
import { type FaultList, listOf, nearest } from './fault-list.js';
import { isObject, type PlanPath } from './plan-path.js';
import { likeIdentifier } from './authored-values.js';
import { IDENTIFIER, OTHER_WORDS } from './plan-words.js';

type Issue = z.core.$ZodIssue;

/**
 * Checks a value by its schema, and tells what is wrong with it at its place in the file.
 *
 * @param path Where the value stands in the file.
 */
export function checkShape(schema: z.ZodType, value: unknown, path: PlanPath, list: FaultList): void {
  const parsed = schema.safeParse(value, { error: knownKeys });
  if (parsed.success) return;
  const issues = parsed.error.issues.flatMap((issue) => unfolded(issue, value));
  const unknown = issues.filter((issue) => issue.code === 'unrecognized_keys').flatMap((issue) => misspelt(issue));
  for (const { key, path: of, meant, known } of unknown) {
    const place = { atKey: true, ...(meant !== undefined && { suggestion: meant }) };
    list.fault([...path, ...of, key], unknownKey(key, meant, known), place);
  }
  for (const issue of issues) {
    if (issue.code === 'unrecognized_keys') continue;
    const isMissing = valueAt(value, issue.path) === undefined;
    const isMisspelt = unknown.some(({ path: of, meant }) => same([...of, meant ?? ''], issue.path));
    if (isMissing && isMisspelt) continue;
    shapeFault(issue, value, path, list);
  }
}

/** Lets the message of an unknown key carry the keys that are known there. */
const knownKeys: z.core.$ZodErrorMap = (issue) => {
  if (issue.code !== 'unrecognized_keys') return undefined;
  const { inst } = issue as { inst?: unknown };
  return inst instanceof z.ZodObject ? Object.keys(inst.shape).join(' ') : undefined;
};

interface UnknownKey {
  key: string;
  path: PlanPath;
  meant?: string;
  known: string[];
}

function misspelt(issue: z.core.$ZodIssueUnrecognizedKeys): UnknownKey[] {
  const known = issue.message.split(' ');
  return issue.keys.map((key) => {
    const other = OTHER_WORDS[key.toLowerCase().replaceAll(/[^a-z]/g, '')];
    const meant = other !== undefined && known.includes(other) ? other : nearest(key, known);
    return { key, path: issue.path as PlanPath, known, ...(meant !== undefined && { meant }) };
  });
}

function unknownKey(key: string, meant: string | undefined, known: readonly string[]): string {
  if (meant !== undefined) return `is no key of this object; did you mean "${meant}"?`;
  return `is no key of this object; take it out, or use one of ${known.join(', ')}`;
}

/** An issue of a union as those of the option that was meant, with paths from the root. */
function unfolded(issue: Issue, root: unknown): Issue[] {
  if (issue.code === 'invalid_key') {
    const [inner] = issue.issues;
    return [{ ...issue, message: inner === undefined ? issue.message : keyProblem(issue.path.at(-1)) }];
  }
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
  const options = issue.errors.filter(
    (issues) => !issues.some((inner) => isOtherKind(inner, valueAt(root, issue.path))),
  );
  const best = options.sort((a, b) => weight(a) - weight(b))[0];
  if (best === undefined) return [issue];
  return best.flatMap((inner) => unfolded({ ...inner, path: [...issue.path, ...inner.path] }, root));
}

/** Whether the value is of a kind that this option cannot be at all; one that has words of its own for a number is kept. */
const isOtherKind = (issue: Issue, value: unknown): boolean =>
  issue.path.length === 0 &&
  (issue.code === 'invalid_value' ||
    (issue.code === 'invalid_type' && (issue.message.startsWith('Invalid') || typeof value === 'object')));

/** What is wrong with it, counted: of several options, the one with the least was meant. */
const weight = (issues: readonly Issue[]): number =>
  issues.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1), 0);

const keyProblem = (key: PropertyKey | undefined): string =>
  IDENTIFIER.test(String(key))
    ? 'is no name that can stand here; rename it'
    : `is a name that expressions cannot say; use letters, digits and _, not a digit first, like ${likeIdentifier(String(key))}`;

function shapeFault(issue: Issue, root: unknown, path: PlanPath, list: FaultList): void {
  const value = valueAt(root, issue.path);
  const at = [...path, ...(issue.path as PlanPath)];
  if (issue.code === 'invalid_key') return list.fault(at, issue.message, { atKey: true });
  const message = messageOf(issue, value, () => list.source.written(at));
  const suggestion = /did you mean "(.+)"\?$/.exec(message)?.[1];
  list.fault(at, message, suggestion === undefined ? {} : { suggestion });
}

function messageOf(issue: Issue, value: unknown, written: () => string | undefined): string {
  // How zod begins its own.
  if (!/^(?:Invalid|Too (?:small|big)|Unrecognized)\b/.test(issue.message)) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(value, issue.expected, written);
    case 'invalid_value':
      return wrongChoice(value, issue.values);
    case 'invalid_union':
      if (issue.discriminator !== undefined && 'options' in issue) return wrongChoice(value, issue.options ?? []);
      return noneOf(value, issue.errors, written);
    case 'too_small':
      return 'is empty; fill it in, or take it out';
    default:
      return `${issue.message.replace(/^Invalid/, 'is not valid')}; mend it`;
  }
}

function wrongType(value: unknown, expected: string, written: () => string | undefined): string {
  const wanted = withArticle(expected === 'string' ? 'text' : expected === 'array' ? 'list' : expected);
  if (value === undefined) return `is missing; write ${wanted}`;
  if (value === null) return `is empty, but must be ${wanted}; write it, or take the key out`;
  if (expected === 'string' && typeof value !== 'object') {
    const text = written() ?? JSON.stringify(value);
    return `is ${kindOf(value)}, but must be a text; put it in quotes: "${text}"`;
  }
  if (expected === 'array' && isObject(value)) return `is an object, but must be a list; begin each entry with "- "`;
  return `is ${shown(value)}, but must be ${wanted}; write ${wanted} here`;
}

function wrongChoice(value: unknown, choices: readonly unknown[]): string {
  const suggestion = typeof value === 'string' ? nearest(value, choices.map(String)) : undefined;
  const names = listOf(choices.map(String), 'or');
  if (value === undefined) return `is missing; write ${names}`;
  const met = typeof value === 'string' ? shown(value) : kindOf(value);
  if (suggestion !== undefined) return `is ${met}, but must be ${names}; did you mean "${suggestion}"?`;
  return `is ${met}, but must be ${names}; write one of these`;
}

/** A value of a kind that no option is. */
function noneOf(value: unknown, options: readonly Issue[][], written: () => string | undefined): string {
  const words = options.flatMap((issues) =>
    issues.flatMap((issue) => {
      if (issue.path.length > 0) return [];
      if (issue.code === 'invalid_value') return issue.values.map(String);
      if (issue.code === 'invalid_type') return [withArticle(nameOf(issue.expected))];
      return [];
    }),
  );
  const wanted = listOf([...new Set(words)], 'or');
  if (value === undefined) return `is missing; write ${wanted}`;
  if (value === null) return `is empty, but must be ${wanted}; write it, or take the key out`;
  const takesText = options.some((issues) =>
    issues.some((issue) => issue.code === 'invalid_type' && issue.expected === 'string'),
  );
  if (takesText && typeof value !== 'object')
    return `is ${kindOf(value)}, but must be ${wanted}; put it in quotes: "${written() ?? JSON.stringify(value)}"`;
  const choice = typeof value === 'string' ? nearest(value, words) : undefined;
  return `is ${shown(value)}, but must be ${wanted}; ${choice === undefined ? 'write one of these' : `did you mean "${choice}"?`}`;
}

const nameOf = (expected: string): string =>
  expected === 'string' ? 'text' : expected === 'array' ? 'list' : expected === 'record' ? 'object' : expected;

const valueAt = (root: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | null | undefined)?.[key], root);

const same = (a: readonly PropertyKey[], b: readonly PropertyKey[]): boolean =>
  a.length === b.length && a.every((part, index) => part === b[index]);
