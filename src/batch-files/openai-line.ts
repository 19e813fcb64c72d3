import * as z from 'zod';
import { shown } from '../checks/shown-value.js';
import { bodyProblems, itemProblem, partProblem, roleProblem, urlProblem } from './openai-refusals.js';
import { type Examples, fieldPath, isObject, type RowProblem, rowProblems } from './row-problems.js';

/** A line of OpenAI's Batch API as the fields of a row of ours. */
export interface OpenAiRow {
  fields: Record<string, unknown>;
  /** The path, in the line, of a field of the row: of `turns[0]` perhaps `body.messages[1].content`. */
  placeOf: (field: string) => string;
}

/** The fields of a line that mean something: those of the Batch API, and ours that may stand beside them. */
export const OPENAI_FIELDS: readonly string[] = [
  'custom_id',
  'method',
  'url',
  'body',
  'agentRid',
  'agentVersion',
  'parameterInputs',
  'contextsOverride',
  'mode',
  'deadline',
  'metadata',
];

const EXAMPLES: Examples = {
  custom_id: '"q1"',
  'body.messages': '[{"role": "user", "content": "…"}]',
  'body.input': '"Where is order 4711?"',
  'body.instructions': '"Answer in one sentence."',
  body: '{"messages": [{"role": "user", "content": "…"}]}',
};

/** OpenAI's URLs, and Azure's, which go without the version. */
const ANSWERING_URL = /^(?:\/v1)?\/(?:chat\/completions|responses)$/;

const part = z.looseObject({
  type: z.enum(['text', 'input_text'], { error: ({ input }) => partProblem(input) }),
  text: z.string(),
});
/** A text stands for its only part. */
const content = z.preprocess(
  (value) => (typeof value === 'string' ? [{ type: 'text', text: value }] : value),
  z.array(part, {
    error: ({ input }) =>
      `${input === undefined ? 'is missing' : `is ${shown(input)}, but must be a text or an array of its parts`}; write a text`,
  }),
);
const message = z.looseObject({
  type: z.literal('message', { error: ({ input }) => itemProblem(input) }).optional(),
  role: z.enum(['user', 'system', 'developer'], { error: ({ input }) => roleProblem(input) }),
  content,
});
/** A text stands for its only message. */
const input = z.preprocess(
  (value) => (typeof value === 'string' ? [{ role: 'user', content: value }] : value),
  z
    .array(message, {
      error: (issue) => `is ${shown(issue.input)}, but must be a text or an array of messages; write a text`,
    })
    .optional(),
);
const lineSchema = z.looseObject({
  custom_id: z.string(),
  method: z.literal('POST', { error: (issue) => `is ${shown(issue.input)}, but must be "POST"; mend it` }).optional(),
  url: z
    .string()
    .regex(ANSWERING_URL, { error: (issue) => urlProblem(issue.input) })
    .optional(),
  body: z.looseObject({ messages: z.array(message).optional(), input, instructions: z.string().nullish() }),
});
type Line = z.infer<typeof lineSchema>;

/** Whether a row is a line of OpenAI's Batch API, rather than one of ours or an error row made of one. */
export function isOpenAiLine(fields: Record<string, unknown>): boolean {
  if (fields['question'] !== undefined || fields['turns'] !== undefined) return false;
  const { id, custom_id: customId, body, response } = fields;
  if (isObject(body) && (body['messages'] !== undefined || body['input'] !== undefined)) return true;
  return customId !== undefined && (id === undefined || isObject(body) || response !== undefined);
}

/**
 * Reads a line of an input file of OpenAI's Batch API (`/v1/chat/completions` or `/v1/responses`) as a row: `custom_id` is its
 * id, each `user` message a turn, `body.metadata` its metadata. An agent takes no instructions but its own, so those of `system`
 * and `developer` messages and of `body.instructions` stand in front of the user's next text, an empty line between. What else
 * is there, such as `body.model`, is kept as it is; fields of ours beside `body` (`agentRid`, `deadline`, …) count.
 *
 * @returns What is wrong with it; also where it asks for what no agent does: take over an assistant's messages, look at
 *   images, call the caller's tools, answer in a given form.
 */
export function readOpenAiLine(fields: Record<string, unknown>): OpenAiRow | { problems: RowProblem[] } {
  if (fields['response'] !== undefined && fields['body'] === undefined) {
    return { problems: [{ field: 'response', message: 'is the output of a batch; give the file of its input' }] };
  }
  const parsed = lineSchema.safeParse(fields);
  const problems = [
    ...(parsed.success ? [] : rowProblems(withoutConsequences(parsed.error), fields, EXAMPLES)),
    ...(isObject(fields['body']) ? bodyProblems(fields['body']) : []),
    ...twofoldProblems(fields),
  ].filter(({ field }) => field !== 'custom_id' || fields['custom_id'] !== undefined || fields['id'] === undefined);
  if (!parsed.success || problems.length > 0) return { problems };
  return rowOf(parsed.data, fields);
}

function twofoldProblems(fields: Record<string, unknown>): RowProblem[] {
  const problems: RowProblem[] = [];
  if (fields['id'] !== undefined) {
    const isOnly = fields['custom_id'] === undefined;
    const message = isOnly
      ? 'is called "custom_id" beside "body"; rename it'
      : 'stands beside "custom_id"; keep that one';
    problems.push({ field: 'id', message });
  }
  if (fields['metadata'] !== undefined && isObject(fields['body']) && fields['body']['metadata'] != null)
    problems.push({ field: 'metadata', message: 'stands in "body" as well; keep one of the two' });
  return problems;
}

function rowOf({ custom_id: id, body }: Line, fields: Record<string, unknown>): OpenAiRow | { problems: RowProblem[] } {
  const list = body.messages === undefined ? 'input' : 'messages';
  const { turns, places } = turnsOf(body[list] ?? [], body.instructions ?? '');
  if (turns.length === 0) {
    return { problems: [{ field: `body.${list}`, message: 'holds no message of a user; add one with the question' }] };
  }
  const { custom_id: _id, body: given, ...beside } = fields;
  const { messages: _messages, input: _input, instructions: _instructions, metadata, ...kept } = body;
  const isText = isObject(given) && typeof given[list] === 'string';
  return {
    fields: {
      id,
      turns,
      ...(metadata != null && { metadata }),
      ...beside,
      ...(Object.keys(kept).length > 0 && { body: kept }),
    },
    placeOf: (field) => {
      const turn = /^turns\[(\d+)\]/.exec(field)?.[1];
      if (turn !== undefined) return isText ? 'body.input' : `body.${list}[${places[Number(turn)] ?? 0}].content`;
      if (field === 'id') return 'custom_id';
      return metadata == null ? field : field.replace(/^metadata/, 'body.metadata');
    },
  };
}

/** The user's texts and their places in the list; each with the instructions before it, the last also with those after it. */
function turnsOf(list: z.infer<typeof message>[], instructions: string): { turns: string[]; places: number[] } {
  const turns: string[][] = [];
  const places: number[] = [];
  let before = [instructions];
  for (const [place, { role, content: parts }] of list.entries()) {
    const text = parts.map((piece) => piece.text).join('\n');
    if (role !== 'user') {
      before.push(text);
      continue;
    }
    // An empty question stays empty, so that it is refused.
    turns.push(isBlank(text) ? [] : [...before, text]);
    places.push(place);
    before = [];
  }
  const last = turns.at(-1);
  if (last !== undefined && last.length > 0) last.push(...before);
  return { turns: turns.map((texts) => texts.filter((text) => !isBlank(text)).join('\n\n')), places };
}

const isBlank = (text: string): boolean => text.trim() === '';

/** A message of another role, or a part of another type, has other fields too: only its role or type is worth telling. */
function withoutConsequences(error: z.ZodError): z.ZodError {
  const told = new Set<string>();
  return new z.ZodError(
    error.issues.filter(({ path }) => {
      const above = path.map((_, depth) => fieldPath(path.slice(0, depth)));
      if (above.some((place) => told.has(place))) return false;
      if (path.at(-1) === 'type' || path.at(-1) === 'role') told.add(fieldPath(path.slice(0, -1)));
      return true;
    }),
  );
}
