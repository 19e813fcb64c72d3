import * as z from 'zod';
import { DEADLINE_EXAMPLE, deadlineProblem } from '../checks/deadline.js';
import { inputContextSchema, parameterValueSchema } from '../checks/exchange-schemas.js';
import { kindOf } from '../checks/shown-value.js';
import type { BatchRow } from '../protocol/batch.js';
import { LIMITS } from '../protocol/defaults.js';
import { isLikelyMeant, suggestKey } from '../checks/misspelt-keys.js';
import { isOpenAiLine, OPENAI_FIELDS, readOpenAiLine } from './openai-line.js';
import { type Examples, type RowProblem, rowProblems } from './row-problems.js';

/** A row, with the name that its id has in the file, or what is wrong with it. */
export type ParsedRow = { row: BatchRow; idField: string } | { problems: RowProblem[] };

const text = z
  .string()
  .refine((value) => value.trim() !== '', 'is empty; give it a text, or take the row out')
  .refine((value) => !hasHalfCharacter(value), 'holds half a character, as a text cut in its middle does; mend it')
  .refine((value) => Buffer.byteLength(value) <= LIMITS.textBytes, {
    error: ({ input }) =>
      `takes ${Buffer.byteLength(String(input))} bytes, and at most ${LIMITS.textBytes} are sent in one message; shorten or split it`,
  });

/** The fields of a row that mean something; what else is there is kept as it is. */
const inputFields = {
  id: z
    .string()
    .refine((value) => value.trim() !== '', 'is empty; give every row an id of its own')
    .refine((value) => !/[\p{Cc}\uFEFF]/u.test(value), 'holds a control character; write it on one line, without tabs')
    .refine((value) => !hasHalfCharacter(value), 'holds half a character, as a text cut in its middle does; mend it')
    .max(LIMITS.messageIdCharacters, `is longer than ${LIMITS.messageIdCharacters} characters; shorten it`),
  question: text.optional(),
  turns: z.array(text).min(1, 'is empty; give at least one text').optional(),
  agentRid: z.string().min(1, 'is empty; name an agent, or leave the field out').optional(),
  agentVersion: z.string().min(1, 'is empty; name a version, or leave the field out').optional(),
  parameterInputs: z.record(z.string().min(1), parameterValueSchema).optional(),
  contextsOverride: z.array(inputContextSchema).optional(),
  mode: z.enum(['streaming', 'blocking']).optional(),
  deadline: z
    .string({ error: ({ input }) => deadlineProblem(input) })
    .refine((value) => deadlineProblem(value) === undefined, { error: ({ input }) => deadlineProblem(input) })
    .optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
};
const rowSchema = z.looseObject(inputFields);

const EXAMPLES: Examples = {
  id: '"q1"',
  question: '"Where is order 4711?"',
  turns: '["Which are late?", "Draft a mail about the first."]',
  agentRid: '"ri.aip-agents..agent.…"',
  agentVersion: '"2.0"',
  parameterInputs: '{"team": {"type": "string", "value": "north"}}',
  contextsOverride: '[{"type": "objectContext", "objectRids": ["ri.…"], "propertyTypeRids": ["ri.…"]}]',
  mode: '"streaming"',
  deadline: `"${DEADLINE_EXAMPLE}"`,
  metadata: '{"team": 7}',
};

/** How a field's value may be written, as JSON; absent for fields that mean nothing here. */
export const exampleFor = (field: string): string | undefined => EXAMPLES[field];

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

/** Checks one decoded value as a row: one of ours, or a line of an input file of OpenAI's Batch API. */
export function parseRow(value: unknown): ParsedRow {
  if (typeof value !== 'object' || value === null) {
    const message = `is ${kindOf(value)}, but each row must be a JSON object; write it like {"id": "q1", "question": "…"}`;
    return { problems: [{ message }] };
  }
  if (Array.isArray(value)) {
    const message = `is an array, but each row must be a JSON object; write one object a line (jq -c '.[]' makes such lines)`;
    return { problems: [{ message }] };
  }
  const fields = value as Record<string, unknown>;
  if (!isOpenAiLine(fields)) return checkRow(fields, [...misspelt(fields, INPUT_FIELDS), ...textProblems(fields)]);
  const read = readOpenAiLine(fields);
  const problems = misspelt(fields, OPENAI_FIELDS);
  if ('problems' in read) return { problems: together(read.problems, problems, fields) };
  return checkRow(read.fields, problems, read.placeOf);
}

/** @param placeOf The path, in what was read, of a field of the row. */
function checkRow(
  fields: Record<string, unknown>,
  spelling: SpellingProblem[],
  placeOf: (field: string) => string = (field) => field,
): ParsedRow {
  const parsed = rowSchema.safeParse(fields);
  const ofFields = parsed.success ? [] : rowProblems(parsed.error, fields, EXAMPLES);
  const placed = ofFields.map(({ field = '', message }) => ({ field: placeOf(field), message }));
  const problems = together(placed, spelling, fields);
  if (!parsed.success || problems.length > 0) return { problems };
  const row = rowOf(parsed.data);
  const bytes = Buffer.byteLength(JSON.stringify(row));
  if (bytes <= LIMITS.shardBytes) return { row, idField: placeOf('id') };
  const message = `takes ${bytes} bytes, and a row may take ${LIMITS.shardBytes}; shorten its texts, or split it into several rows`;
  return { problems: [{ message }] };
}

/** A field that is missing under its name and there under another is one problem: the misspelt one. */
function together(problems: RowProblem[], spelling: SpellingProblem[], fields: Record<string, unknown>): RowProblem[] {
  const isMisspelt = (field: string | undefined) =>
    field !== undefined && fields[field] === undefined && spelling.some(({ meant }) => meant === field);
  return [
    ...problems.filter(({ field }) => !isMisspelt(field)),
    ...spelling.map(({ field, message }) => ({ ...(field !== undefined && { field }), message })),
  ];
}

interface SpellingProblem extends RowProblem {
  /** The field that is probably meant. */
  meant?: string;
}

/** Fields that are nearly one of ours: they would be passed over unseen. */
function misspelt(fields: Record<string, unknown>, known: readonly string[]): SpellingProblem[] {
  const hasText = fields['question'] !== undefined || fields['turns'] !== undefined;
  const isMissing = (name: string) =>
    fields[name] === undefined && !(hasText && (name === 'question' || name === 'turns'));
  return Object.keys(fields)
    .filter((key) => !known.includes(key) && !isOutputField(key, fields))
    .map((key) => ({ key, meant: suggestKey(key, known) }))
    .filter(({ key, meant }) => meant !== undefined && isMissing(meant) && isLikelyMeant(key, meant))
    .map(({ key, meant = '' }) => ({
      field: key,
      message: `is no field of a row; did you mean "${meant}"? Rename it`,
      meant,
    }));
}

/** Exactly one of `question` and `turns`. */
function textProblems(fields: Record<string, unknown>): RowProblem[] {
  const hasQuestion = fields['question'] !== undefined;
  const hasTurns = fields['turns'] !== undefined;
  if (hasQuestion && hasTurns)
    return [{ field: 'turns', message: 'stands beside "question"; a row has one of the two, keep that one' }];
  const isNearlyThere = misspelt(fields, ['question', 'turns']).length > 0;
  if (hasQuestion || hasTurns || isNearlyThere) return [];
  if (Array.isArray(fields['messages'])) {
    const message = 'is no field of a row; write the texts of its user messages as "turns"';
    return [{ field: 'messages', message }];
  }
  return [{ message: 'has neither "question" nor "turns"; give it one of them' }];
}

function rowOf(data: z.infer<typeof rowSchema>): BatchRow {
  const { id, question, turns, agentRid, agentVersion, parameterInputs, contextsOverride, ...rest } = data;
  const { mode, deadline, metadata, ...others } = rest;
  const extra = Object.entries(others).filter(([key]) => !isOutputField(key, data));
  return {
    id,
    turns: turns ?? [question ?? ''],
    ...(agentRid !== undefined && { agentRid }),
    ...(agentVersion !== undefined && { agentVersion }),
    ...(parameterInputs !== undefined && { parameterInputs }),
    ...(contextsOverride !== undefined && { contextsOverride }),
    ...(mode !== undefined && { mode }),
    ...(deadline !== undefined && { deadline }),
    ...(metadata !== undefined && { metadata }),
    ...(extra.length > 0 && { extra: Object.fromEntries(extra) }),
  };
}

/** Fields such as `answer` or `tokens` may be the user's own, so they count as output only in a row that is one. */
function isOutputField(key: string, fields: Record<string, unknown>): boolean {
  return OUTPUT_FIELDS.has(key) && typeof fields['status'] === 'string' && Array.isArray(fields['exchanges']);
}

/** Half of a surrogate pair has no UTF-8: no two servers make the same text of it. */
const hasHalfCharacter = (value: string): boolean => /\p{Surrogate}/u.test(value);
