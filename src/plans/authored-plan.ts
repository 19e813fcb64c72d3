import * as z from 'zod';
import { PLAN_LIMITS } from '../protocol/plan.js';
import { stepSchemas } from './authored-steps.js';
import { conversations, count, duration, expression, identifier } from './authored-values.js';

/** Steps that a plan may allow itself. */
export const MOST_STEPS = 10_000_000;

const inputType = z.enum(['string', 'number', 'boolean', 'object', 'array', 'any']);

const input = z
  .union([
    inputType,
    z.strictObject({
      type: inputType.describe('What it must be.'),
      description: z.string().describe('Shown to whoever starts the plan.').optional(),
      default: z.unknown().describe('What it is when it is not given.').optional(),
      required: z.boolean().describe('false: it may be left out. Default: true, unless it has a default.').optional(),
    }),
  ])
  .meta({ id: 'input', description: 'Its type, or { type, description, default, required }.' });

const planFields = {
  name: z
    .string()
    .regex(/^[A-Za-z0-9._-]+$/, {
      error: ({ input }) =>
        `is ${JSON.stringify(String(input).slice(0, 40))}; use letters, digits, ".", "_" and "-" only, like nightly-report`,
      abort: true,
    })
    .max(PLAN_LIMITS.nameCharacters, `is longer than ${PLAN_LIMITS.nameCharacters} characters; shorten it`)
    .describe('Name of the plan: letters, digits, ".", "_" and "-".'),
  description: z.string().describe('What the plan is for.').optional(),
  inputs: z
    .record(identifier, input)
    .describe('What whoever starts the plan gives it, by name: inputs.<name>.')
    .optional(),
  conversations: conversations
    .describe('Conversations with agents, by name. Default: one, main, with the agent that the plan is started with.')
    .optional(),
  deadline: duration.describe('How long the whole plan may take.').optional(),
  maxSteps: count(1, MOST_STEPS)
    .describe(`Steps that may be begun in all, so that a plan that jumps back ends. Default: ${PLAN_LIMITS.maxSteps}.`)
    .optional(),
  output: expression.describe('What the plan results in: an expression.').optional(),
};

const ONE_STEP = 'One step: exactly one of ask, askJson, approve, wait, forEach, if, parallel, batch, set, fail.';
const STEPS = 'What is done, one step after the other.';

/** A plan as it is written, its steps unread. */
export const PLAN_SCHEMA = z.strictObject({
  ...planFields,
  steps: z.array(z.unknown()).min(1, 'is empty; write at least one step').describe(STEPS),
});

export type AuthoredPlan = z.infer<typeof PLAN_SCHEMA>;
export type AuthoredInput = z.infer<typeof input>;

/** The JSON Schema (draft-07, which editors know best) of plans as they are written. */
export function planJsonSchema(): object {
  const steps: z.ZodType<unknown[]> = z.lazy(() => z.array(step).min(1)).meta({ id: 'steps' });
  const kinds = Object.entries(stepSchemas(steps)).map(([kind, schema]) =>
    schema.meta({ id: `${kind}Step`, title: kind }),
  );
  const step: z.ZodType = z.union(kinds).meta({ id: 'step', description: ONE_STEP });
  const whole = z.strictObject({ ...planFields, steps: steps.describe(STEPS) });
  const { $schema, ...rest } = z.toJSONSchema(whole, { target: 'draft-7', io: 'input' });
  return {
    $schema,
    title: 'Plan of aip-temporal',
    description: 'An automation with Palantir AIP Agents: docs/plans.md.',
    ...rest,
  };
}
