import * as z from 'zod';
import { PLAN_LIMITS } from '../protocol/plan.js';
import {
  conversations,
  count,
  duration,
  expression,
  identifier,
  interval,
  mode,
  onError,
  parameters,
  template,
} from './authored-values.js';
import { DURATION_PATTERN } from '../protocol/duration.js';
import { durationProblem } from './duration.js';
import { AGENT_RID } from './plan-words.js';

const common = {
  id: identifier.describe('Name of the step: what it results in is steps.<id>, and goto finds it.').optional(),
  title: z.string().describe('Shown to people instead of what the step does.').optional(),
  onError: onError.optional(),
  deadline: duration
    .describe('How long the step may take, retries included; past it, it fails as DeadlinePassed.')
    .optional(),
};

const conversationName = z
  .string()
  .describe('Name of the conversation that it is asked in; may be left out when there is only one.');

const asking = {
  text: template.describe('What is asked: a template.'),
  parameters: parameters.optional(),
  mode: mode.optional(),
};

const approval = z.strictObject({
  message: template.describe('What is to be decided: a template.'),
  wait: duration
    .describe('How long it waits; past it, default decides, or the step fails as DeadlinePassed.')
    .optional(),
  default: z.enum(['approve', 'reject']).describe('What is decided when nobody has within wait.').optional(),
  remindEvery: interval.describe('How often it reminds until somebody has decided.').optional(),
  onReject: z
    .enum(['fail', 'continue'])
    .describe('fail: a rejection fails the step as Rejected (default). continue: it is a result, approved: false.')
    .optional(),
});

/** Of `wait`: also a duration that no file can know; a point in time has a key of its own. */
const waited = z
  .string({ error: ({ input }) => (input === undefined ? undefined : waitProblem(input)) })
  .regex(DURATION_PATTERN, { error: ({ input }) => waitProblem(input), abort: true })
  .refine((text) => durationProblem(text) === undefined, { error: ({ input }) => durationProblem(input) });

function waitProblem(value: unknown): string | undefined {
  const isText = typeof value === 'string';
  if (isText && value.includes('{{')) {
    return 'is a template; write { for: "{{ … }}" } when it is a duration, or { until: "{{ … }}" } when it is a time';
  }
  if (isText && /^\d{4}-\d\d/.test(value)) return `is a point in time; write { until: "${value.slice(0, 40)}" }`;
  return durationProblem(value);
}

const list = z.union([expression, z.array(z.unknown())]);

const batchRow = z.strictObject({
  id: z
    .string()
    .min(1, 'is empty; give every row an id of its own')
    .describe('Unique in the batch. Default: its number.')
    .optional(),
  text: template.describe('The question.').optional(),
  turns: z
    .array(template)
    .min(1, 'is empty; give at least one text')
    .describe('The questions of one conversation, instead of text.')
    .optional(),
  parameters: parameters.optional(),
});

const block = (steps: z.ZodType<unknown[]>, about: string) => steps.describe(about);

/**
 * The kinds of steps as they are written, by the key that tells them. Blocks of steps in them are of the given schema: the
 * reader checks each step by itself, the schema for editors holds all in one.
 */
export function stepSchemas<T extends z.ZodType<unknown[]>>(steps: T) {
  return {
    ask: z.strictObject({
      ...common,
      ask: z
        .union([template, z.strictObject(asking)])
        .describe('Asks the agent. Results in answer, parameters, tokens, sessionRid.'),
      in: conversationName.optional(),
    }),
    askJson: z.strictObject({
      ...common,
      askJson: z
        .strictObject({
          ...asking,
          schema: z
            .record(z.string(), z.unknown())
            .describe(
              'JSON Schema (2020-12) that the answer must fit; it is asked again with the reasons where it does not.',
            ),
          maxAttempts: count(1, PLAN_LIMITS.jsonAttempts)
            .describe('Answers that are looked at before it fails. Default: 3.')
            .optional(),
        })
        .describe('Asks the agent for JSON. Results in json, answer, parameters, tokens, sessionRid.'),
      in: conversationName.optional(),
    }),
    approve: z.strictObject({
      ...common,
      approve: z
        .union([template, approval])
        .describe('Waits for a person. Results in approved, decision, by, comment, at.'),
    }),
    wait: z.strictObject({
      ...common,
      wait: z
        .union([
          waited,
          z.strictObject({
            until: template.describe('ISO 8601 with its zone, 2026-12-01T08:00:00Z, or a template of it.'),
          }),
          z.strictObject({ for: template.describe('A duration, or a template of it.') }),
        ])
        .describe('Waits a while (30d), until a time ({ until: … }), or as long as an expression says ({ for: … }).'),
    }),
    forEach: z.strictObject({
      ...common,
      forEach: list.describe('Does the steps of do for each item. An expression of a list, or the list.'),
      as: identifier.describe('By what name expressions in do know the item. Default: item.').optional(),
      concurrency: count(1, PLAN_LIMITS.concurrency).describe('Items at once. Default: 1.').optional(),
      conversations: conversations.describe('Conversations that each item has of its own.').optional(),
      do: block(steps, 'What is done for each item.') as T,
      collect: expression
        .describe('What is kept of each item: an expression. steps.<id>.results has them in the order of the items.')
        .optional(),
      onItemError: z
        .enum(['stop', 'continue'])
        .describe('stop: the first item that fails ends the step (default). continue: its result is null.')
        .optional(),
    }),
    if: z.strictObject({
      ...common,
      if: expression.describe('An expression: then is done when it is true, else otherwise.'),
      then: block(steps, 'Done when it is true.') as T,
      else: (block(steps, 'Done when it is not.') as T).optional(),
    }),
    parallel: z.strictObject({
      ...common,
      parallel: z
        .union([z.record(identifier, steps), z.array(steps)])
        .describe('Does several blocks of steps at once, and waits for all: { north: [steps], south: [steps] }.'),
    }),
    batch: z.strictObject({
      ...common,
      batch: z
        .strictObject({
          rows: z
            .union([expression, z.array(z.union([template, batchRow]))])
            .describe('An expression of a list, or the list: texts, or rows with id, text or turns, parameters.'),
          agent: template.describe("The agent's RID. Default: the one that the plan is started with.").optional(),
          agentVersion: template.describe('Version of the agent, in quotes: "1.0".').optional(),
          concurrency: count(1, PLAN_LIMITS.concurrency).describe('Rows at once. Default: 20.').optional(),
          mode: mode.optional(),
          isolation: z
            .enum(['lane', 'workflow'])
            .describe('lane: rows share workflows (default). workflow: each row has one of its own.')
            .optional(),
          maxFailures: count(0, 1_000_000)
            .describe('Failed rows that the step puts up with. Default: any number.')
            .optional(),
        })
        .describe('Puts rows through an agent as a batch. Results in batchId, counts, results.'),
    }),
    set: z.strictObject({
      ...common,
      set: z
        .record(identifier, z.unknown())
        .describe('Gives variables values: vars.<name>. Texts in them are templates.'),
    }),
    fail: z.strictObject({
      ...common,
      fail: template.describe('Ends the plan as failed, with this message: a template.'),
    }),
  };
}

/** As the reader has them: each block by itself. */
export const STEP_SCHEMAS = stepSchemas(z.array(z.unknown()));

export type AuthoredStep = { [K in keyof typeof STEP_SCHEMAS]: z.infer<(typeof STEP_SCHEMAS)[K]> };

/** What is wrong with an RID of an agent that is no template. */
export function agentProblem(text: string): string | undefined {
  if (text.includes('{{') || AGENT_RID.test(text)) return undefined;
  return `is ${JSON.stringify(text.slice(0, 60))}, which is no RID of an agent; copy it from AIP, it looks like ri.aip-agents..agent.…`;
}
