import { ApplicationFailure } from '@temporalio/workflow';
import { Validator } from '@cfworker/json-schema';
import { FAILURE_TYPES } from '../protocol/failures.js';
import type { ExchangeOutcome } from '../protocol/exchange.js';
import { answerOf, type Conversation, type Message } from './conversation-in-code.js';

/** JSON Schema, draft 2020-12. */
export type JsonSchema = Record<string, unknown>;

/** A schema of zod, valibot, arktype and others (https://standardschema.dev), as far as it is needed here. */
export interface StandardSchema<T> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    validate(value: unknown): StandardResult<T> | Promise<StandardResult<T>>;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
  };
}

type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] };

/** What `askJson` is to ask, and what the answer must be. */
export interface AskJsonOptions<T> {
  message: Message;
  /** What the answer must fit: a JSON Schema, which the agent is told, or a schema of zod and the like. */
  schema: JsonSchema | StandardSchema<T>;
  /** Told to the agent where `schema` is no JSON Schema, for example `z.toJSONSchema(schema)`. */
  jsonSchema?: JsonSchema;
  /** Answers that are looked at before it fails. Default 3. */
  maxAttempts?: number;
}

/** An answer that fits. */
export interface JsonAnswer<T> {
  json: T;
  /** Of the exchange whose answer it is. */
  outcome: ExchangeOutcome;
  /** Exchanges that it took. */
  attempts: number;
  /** Tokens of all of them. */
  tokens: number;
}

/** Reasons that the agent is told at most, and characters of each. */
const MOST_REASONS = 10;
const REASON_CHARACTERS = 200;

/**
 * Asks for an answer in JSON that fits a schema. Where it does not, the agent is told why, in the same session, and asked again.
 *
 * @throws ApplicationFailure `AnswerDoesNotFit` after `maxAttempts` answers, with the reasons in its details; `InvalidInput` when
 *   the JSON Schema cannot be used; and, as `answer`, when an exchange is not answered at all.
 */
export async function askJson<T = unknown>(
  conversation: Pick<Conversation, 'ask' | 'isBusy'>,
  { message, schema, jsonSchema, maxAttempts = 3 }: AskJsonOptions<T>,
): Promise<JsonAnswer<T>> {
  const check = checkOf(schema);
  const told = jsonSchema ?? (isStandard(schema) ? undefined : schema);
  const given = typeof message === 'string' ? { text: message } : message;
  let next: Message = { ...given, text: `${given.text}\n\n${instruction(told)}` };
  let tokens = 0;
  let reasons: string[] = [];
  for (let attempts = 1; attempts <= maxAttempts; attempts++) {
    const outcome = await conversation.ask(next);
    tokens += outcome.result?.totalTokensUsed ?? 0;
    const fitted = await check(answerOf(outcome));
    if ('json' in fitted) return { json: fitted.json, outcome, attempts, tokens };
    reasons = fitted.reasons.slice(0, MOST_REASONS).map((reason) => reason.slice(0, REASON_CHARACTERS));
    const { messageId: _, ...rest } = given;
    // Others are asked first where somebody else asks in this conversation: which answer is meant must be told.
    const question = conversation.isBusy ? `This was asked:\n${given.text}\n\n` : '';
    next = { ...rest, text: `${question}Your answer cannot be used:\n${list(reasons)}\n\n${instruction(told)}` };
  }
  throw ApplicationFailure.nonRetryable(
    `No answer fitted the schema within ${maxAttempts === 1 ? '1 attempt' : `${maxAttempts} attempts`}: ${withoutStop(reasons[0])}; tell the agent more plainly what is wanted, or raise maxAttempts`,
    FAILURE_TYPES.answerDoesNotFit,
    { attempts: maxAttempts, tokens, reasons },
  );
}

/** As something follows it: the validator ends its sentences. */
const withoutStop = (reason = ''): string => reason.replace(/[.\s]+$/, '');

function instruction(schema: JsonSchema | undefined): string {
  const fits = schema === undefined ? '' : ` It must fit this JSON Schema:\n${JSON.stringify(schema)}`;
  return `Answer with JSON alone, without any text around it.${fits}`;
}

const list = (reasons: readonly string[]): string => reasons.map((reason) => `- ${reason}`).join('\n');

type Check<T> = (answer: string) => Promise<{ json: T } | { reasons: string[] }>;

function checkOf<T>(schema: JsonSchema | StandardSchema<T>): Check<T> {
  const validate = isStandard(schema) ? standardCheck(schema) : jsonSchemaCheck<T>(schema);
  return async (answer) => {
    const parsed = parseJson(answer);
    return 'reasons' in parsed ? parsed : validate(parsed.json);
  };
}

const isStandard = <T>(schema: JsonSchema | StandardSchema<T>): schema is StandardSchema<T> =>
  typeof (schema as Partial<StandardSchema<T>>)['~standard']?.validate === 'function';

function standardCheck<T>(schema: StandardSchema<T>) {
  return async (value: unknown): Promise<{ json: T } | { reasons: string[] }> => {
    const result = await schema['~standard'].validate(value);
    if (result.issues === undefined) return { json: result.value };
    return { reasons: result.issues.map(({ path, message }) => `${placeOf(path)}: ${message}`) };
  };
}

function placeOf(path: readonly unknown[] = []): string {
  const keys = path.map((part) => (typeof part === 'object' && part !== null && 'key' in part ? part.key : part));
  return keys.length === 0 ? 'the whole answer' : `/${keys.map(String).join('/')}`;
}

function jsonSchemaCheck<T>(schema: JsonSchema) {
  const validator = usable(() => new Validator(schema, '2020-12', false));
  const hasPatterns = JSON.stringify(schema).includes('"pattern');
  return async (value: unknown): Promise<{ json: T } | { reasons: string[] }> => {
    // Evaluated when it is first needed: it takes milliseconds, which workflows without patterns need not pay.
    const patterns = hasPatterns ? await import(/* webpackMode: "eager" */ './linear-patterns.js') : undefined;
    const validate = () => validator.validate(value);
    const { valid, errors } = usable(() => patterns?.withLinearPatterns(validate) ?? validate());
    if (valid) return { json: value as T };
    // Those that only say that something below them is wrong come first.
    const innermost = errors.filter(({ keyword }) => !OUTER_KEYWORDS.has(keyword));
    const told = innermost.length > 0 ? innermost : errors;
    return {
      reasons: told.map(({ instanceLocation, error }) => {
        const place = instanceLocation.replace(/^#/, '');
        return `${place === '' ? 'the whole answer' : place}: ${error}`;
      }),
    };
  };
}

/** The validator throws for what it cannot make sense of, some of it only when it meets it: `$ref` to nowhere, a bad `pattern`. */
function usable<T>(validate: () => T): T {
  try {
    return validate();
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw ApplicationFailure.nonRetryable(`Cannot use the JSON Schema: ${reason}; mend it`, FAILURE_TYPES.invalidInput);
  }
}

const OUTER_KEYWORDS: ReadonlySet<string> = new Set(['properties', 'items', 'prefixItems', '$ref', 'allOf']);

/** The JSON of an answer: whole, in a fence of markdown, or the first object or array in it. */
export function parseJson(answer: string): { json: unknown } | { reasons: string[] } {
  let problem = 'it is empty';
  for (const candidate of [answer, fenced(answer), embedded(answer)]) {
    if (candidate === undefined || candidate.trim() === '') continue;
    try {
      return { json: JSON.parse(candidate) as unknown };
    } catch (error) {
      problem = error instanceof Error ? error.message.replace(/,? ?"[\s\S]*$/, '') : 'it cannot be read';
    }
  }
  return { reasons: [`the whole answer: is no JSON (${problem})`] };
}

/** What stands in the first fence of markdown. By lines: an answer may be nothing but line breaks, and very many. */
function fenced(answer: string): string | undefined {
  const lines = answer.split('\n').map((line) => line.trim());
  const open = lines.findIndex((line) => /```(?:json)?$/i.test(line));
  const close = lines.findIndex((line, index) => index > open && line.startsWith('```'));
  return open < 0 || close < 0 ? undefined : lines.slice(open + 1, close).join('\n');
}

/** From the first brace or bracket to the last one of its kind. */
function embedded(answer: string): string | undefined {
  const start = answer.search(/[{[]/);
  if (start < 0) return undefined;
  const end = answer.lastIndexOf(answer[start] === '{' ? '}' : ']');
  return end > start ? answer.slice(start, end + 1) : undefined;
}
