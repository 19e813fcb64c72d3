import * as z from 'zod';
import { parameterValueSchema } from '../checks/exchange-schemas.js';
import { PLAN_LIMITS } from '../protocol/plan.js';
import { DURATION_PATTERN } from '../protocol/duration.js';
import { DURATION_EXAMPLE, durationProblem } from './duration.js';
import { IDENTIFIER } from './plan-words.js';

/** A value as a message may show it. */
const met = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value);

/** A name: of an input, a conversation, a step, a variable. */
export const identifier = z.string().regex(IDENTIFIER, {
  error: ({ input }) =>
    `is ${met(input)}, which expressions cannot name; use letters, digits and _, not a digit first, like ${likeIdentifier(String(input))}`,
});

/** Makes a name of a text. */
export function likeIdentifier(text: string): string {
  const name = text.trim().replaceAll(/[^A-Za-z0-9_]+/g, '_');
  return name === '' ? 'first_step' : /^\d/.test(name) ? `_${name}` : name;
}

/** A text that may not be empty. */
export const template = z
  .string()
  .refine((text) => text.trim() !== '', { error: 'is empty; write a text, or take it out' })
  .meta({ minLength: 1 });

/** A duration of at least so many milliseconds; checked by `durationProblem`. */
const durationFrom = (least: number) =>
  z
    .string({ error: ({ input }) => (input === undefined ? undefined : durationProblem(input, { least })) })
    .regex(DURATION_PATTERN, { error: ({ input }) => durationProblem(input, { least }), abort: true })
    .refine((text) => durationProblem(text, { least }) === undefined, {
      error: ({ input }) => durationProblem(input, { least }),
    });

/** A duration such as `10m`. */
export const duration = durationFrom(1).meta({ id: 'duration', description: `A duration: ${DURATION_EXAMPLE}.` });
/** One that may be nothing. */
const delay = durationFrom(0).meta({ id: 'delay', description: `A duration: ${DURATION_EXAMPLE}, or 0s.` });
/** One that is long enough to be repeated. */
export const interval = durationFrom(1_000).meta({
  id: 'interval',
  description: 'A duration of a second or more: 1d.',
});

/** A whole number within bounds. */
export function count(least: number, most: number) {
  const error = ({ input }: { input?: unknown }) =>
    input === undefined
      ? undefined
      : `is ${typeof input === 'number' ? input : met(input)}, but must be a whole number from ${least} to ${most}; write one without quotes`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

export const mode = z
  .enum(['streaming', 'blocking'])
  .describe('How it is sent. Only a streamed exchange can be cancelled at the agent. Default: streaming.');

/** Values for the agent's application variables. */
export const parameters = z.record(z.string().min(1), z.union([z.string(), parameterValueSchema])).meta({
  id: 'parameters',
  description:
    "Values of the agent's application variables, by id. A text is a parameter of type string; it may be a template.",
});

/** What a plan calls a conversation. */
export const conversation = z
  .strictObject({
    agent: template
      .describe(
        "The agent's RID (ri.aip-agents..agent.…), or a template of it. Default: the one that the plan is started with.",
      )
      .optional(),
    agentVersion: template
      .describe('Version of the agent, in quotes: "1.0". Default: the latest published one.')
      .optional(),
    title: template.describe('Title of its sessions in AIP.').optional(),
    mode: mode.optional(),
    parameters: parameters.optional(),
    carryParameters: z
      .boolean()
      .describe('Whether what the agent did to parameters in one exchange is handed to the next one. Default: true.')
      .optional(),
    onExpired: z.enum(['newSession', 'fail']).describe('When its session has expired. Default: newSession.').optional(),
    onContextOverflow: z
      .enum(['newSession', 'shorten', 'fail'])
      .describe("When the context of the agent's model is full. Default: newSession.")
      .optional(),
    carryOver: z
      .enum(['transcript', 'none'])
      .describe('What a new session is told of the old one. Default: transcript.')
      .optional(),
    exchangeTimeout: duration.describe('Limit of one exchange, waits and retries included. Default: 10m.').optional(),
    callTimeout: duration.describe('Limit of one call of the agent. Default: 10m.').optional(),
  })
  .meta({
    id: 'conversation',
    description: 'A conversation with an agent; its session is opened when it is first asked something.',
  });

export const conversations = z.record(identifier, conversation);

const goto = z.strictObject({ goto: z.string().describe('Id of a step in the same block, or in one around it.') });

const retry = z.strictObject({
  retry: count(0, PLAN_LIMITS.retries).describe('How often the step is tried again.'),
  delay: delay.describe('Wait before the first retry. Default: 10s.').optional(),
  backoff: z
    .number()
    .min(1, {
      error: ({ input }) =>
        `is ${String(input)}, but may not be below 1; write 1 for equal delays, or 2 to double them`,
    })
    .max(100, { error: ({ input }) => `is ${String(input)}, but may be 100 at most; write 2 to double the delays` })
    .describe('Each delay is so many times the one before. Default: 2.')
    .optional(),
  then: z
    .union([z.enum(['stop', 'skip']), goto])
    .describe('What becomes of the step when the retries are used up. Default: stop.')
    .optional(),
});

export const onError = z.union([z.enum(['stop', 'skip']), retry, goto]).meta({
  id: 'onError',
  description:
    'What becomes of a step that fails. stop: the plan fails (default). skip: it goes on without. { goto: id }: it goes on there. { retry: 3, delay: 10s, backoff: 2, then: skip }: it is tried again first.',
});

/** An expression of a list, or the list itself. */
export const expression = z
  .string()
  .refine((text) => text.trim() !== '', { error: 'is empty; write an expression, like inputs.items' })
  .meta({ minLength: 1 });
