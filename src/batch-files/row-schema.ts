import * as z from 'zod';
import { inputContextSchema, parameterValueSchema } from '../checks/exchange-schemas.js';
import type { BatchRow } from '../protocol/batch.js';
import { LIMITS } from '../protocol/defaults.js';
import { isLikelyMeant, suggestKey } from './misspelt-keys.js';

/** What is wrong with one row. */
export interface RowProblem {
  field?: string;
  message: string;
}

/** A row, or what is wrong with it. */
export type ParsedRow = { row: BatchRow } | { problems: RowProblem[] };

const text = z
  .string()
  .refine((value) => value.trim() !== '', 'is empty; give it a text, or take the row out')
  .refine((value) => Buffer.byteLength(value) <= LIMITS.textBytes, {
    error: ({ input }) =>
      `takes ${Buffer.byteLength(String(input))} bytes, and at most ${LIMITS.textBytes} are sent in one message; shorten or split it`,
  });

/** The fields of a row that mean something; what else is there is kept as it is. */
const inputFields = {
  id: z
    .string()
    .min(1, 'is empty; give every row an id of its own')
    .max(LIMITS.messageIdCharacters, `is longer than ${LIMITS.messageIdCharacters} characters; shorten it`),
  question: text.optional(),
  turns: z.array(text).min(1, 'is empty; give at least one text').optional(),
  agentRid: z.string().min(1, 'is empty; name an agent, or leave the field out').optional(),
  agentVersion: z.string().min(1, 'is empty; name a version, or leave the field out').optional(),
  parameterInputs: z.record(z.string().min(1), parameterValueSchema).optional(),
  contextsOverride: z.array(inputContextSchema).optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
};
const rowSchema = z.looseObject(inputFields);

/** The names of the fields that mean something in an input row. */
export const INPUT_FIELDS: readonly string[] = Object.keys(inputFields);

/** What an output or error row has beside the fields of its input row; not read when such a row is input again. */
const OUTPUT_FIELDS: ReadonlySet<string> = new Set([
  'index',
  'status',
  'answer',
  'error',
  'exchanges',
  'sessionRid',
  'tokens',
  'attempts',
  'startedAt',
  'finishedAt',
]);

/** Checks one decoded value as a row. */
export function parseRow(value: unknown): ParsedRow {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return {
      problems: [{ message: `is ${kindOf(value)}, but each row must be a JSON object like {"id": …, "question": …}` }],
    };
  }
  const fields = value as Record<string, unknown>;
  const parsed = rowSchema.safeParse(fields);
  const problems = [
    ...(parsed.success ? [] : parsed.error.issues.map((issue) => problemOf(issue, fields))),
    ...textProblems(fields),
  ];
  if (!parsed.success || problems.length > 0) return { problems };
  const row = rowOf(parsed.data);
  const bytes = Buffer.byteLength(JSON.stringify(row));
  if (bytes <= LIMITS.shardBytes) return { row };
  const message = `takes ${bytes} bytes, and a row may take ${LIMITS.shardBytes}; shorten its texts, or split it into several rows`;
  return { problems: [{ message }] };
}

/** Exactly one of `question` and `turns`; and no field that is nearly one of ours, since it would be passed over unseen. */
function textProblems(fields: Record<string, unknown>): RowProblem[] {
  const unknownKeys = Object.keys(fields).filter((key) => !INPUT_FIELDS.includes(key) && !isOutputField(key, fields));
  const misspelt = unknownKeys
    .map((key) => ({ key, meant: suggestKey(key, INPUT_FIELDS) }))
    .filter(({ key, meant }) => meant !== undefined && fields[meant] === undefined && isLikelyMeant(key, meant))
    .map(({ key, meant }) => ({ field: key, message: `is no field of a row; did you mean "${meant}"? Rename it` }));
  const hasQuestion = fields['question'] !== undefined;
  const hasTurns = fields['turns'] !== undefined;
  if (hasQuestion && hasTurns) {
    return [
      ...misspelt,
      { field: 'turns', message: 'stands beside "question"; a row has one of the two, keep that one' },
    ];
  }
  if (hasQuestion || hasTurns || misspelt.length > 0) return misspelt;
  return [{ message: 'has neither "question" nor "turns"; give it one of them' }];
}

function rowOf(data: z.infer<typeof rowSchema>): BatchRow {
  const { id, question, turns, agentRid, agentVersion, parameterInputs, contextsOverride, metadata, ...others } = data;
  const extra = Object.entries(others).filter(([key]) => !isOutputField(key, data));
  return {
    id,
    turns: turns ?? [question ?? ''],
    ...(agentRid !== undefined && { agentRid }),
    ...(agentVersion !== undefined && { agentVersion }),
    ...(parameterInputs !== undefined && {
      parameterInputs,
    }),
    ...(contextsOverride !== undefined && { contextsOverride }),
    ...(metadata !== undefined && { metadata }),
    ...(extra.length > 0 && { extra: Object.fromEntries(extra) }),
  };
}

/** Fields such as `answer` or `tokens` may be the user's own, so they count as output only in a row that is one. */
function isOutputField(key: string, fields: Record<string, unknown>): boolean {
  return OUTPUT_FIELDS.has(key) && typeof fields['status'] === 'string' && Array.isArray(fields['exchanges']);
}

function problemOf(issue: z.core.$ZodIssue, fields: Record<string, unknown>): RowProblem {
  const field = fieldPath(issue.path);
  if (issue.code !== 'invalid_type') return { field, message: lowerFirst(issue.message) };
  const value = issue.path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown> | null)?.[key],
    fields,
  );
  if (value === undefined) {
    const remedy = field === 'id' ? '; give every row an id of its own' : `; give it ${withArticle(issue.expected)}`;
    return { field, message: `is missing${remedy}` };
  }
  const remedy = typeof value === 'number' && issue.expected === 'string' ? '; put it in quotes, like "7"' : '';
  const orLeaveOut = value === null && field !== 'id' ? ', or leave the field out' : '';
  return { field, message: `is ${kindOf(value)}, but must be ${withArticle(issue.expected)}${orLeaveOut}${remedy}` };
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, depth) => (typeof part === 'number' ? `[${part}]` : `${depth > 0 ? '.' : ''}${String(part)}`))
    .join('');
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return withArticle(typeof value);
}

const withArticle = (noun: string): string => {
  const name = noun === 'record' ? 'object' : noun;
  return `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
};

const lowerFirst = (message: string): string => message.charAt(0).toLowerCase() + message.slice(1);
