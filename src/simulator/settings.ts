import { z } from 'zod';
import { faultRuleSchema } from './faults.js';

const milliseconds = z.number().min(0);

const limitsSchema = z.strictObject({
  /** Continues per second and agent (all calls, in a platform style). */
  requestsPerSecond: z.number().positive().optional(),
  /** Calls that may come at once before the rate counts. Default: one second's worth, at least 1. */
  burst: z.number().min(1).optional(),
  /** Exchanges in flight per agent (calls in flight in all, in a platform style). */
  concurrent: z.int().min(1).optional(),
  /** Tokens per minute and agent, refilled steadily. An exchange is let in while any are left. */
  tokensPerMinute: z.number().positive().optional(),
  /**
   * How the refusal looks: `agent` is the API's own `RateLimitExceeded` (400) on continues; `platform429` and `platform503`
   * are the gateway's, on every call.
   */
  style: z.enum(['agent', 'platform429', 'platform503']).default('agent'),
  /** Value of a `Retry-After` header on platform refusals. Default: no such header, as the API documents none. */
  retryAfterSeconds: z.number().min(0).optional(),
});

/** What can be changed while the simulator runs (`PUT /simulator/settings`, `simulator.changeSettings()`). */
export const settingsSchema = z.strictObject({
  /** Time that creating a session takes. Default 0. */
  createLatencyMs: milliseconds.default(0),
  /** Time that an exchange takes in all: a number, or [least, most] from which the text chooses. Default 0. */
  answerLatencyMs: z.union([milliseconds, z.tuple([milliseconds, milliseconds])]).default(0),
  /** Pause between the pieces of a streamed answer. With it, long answers take longer than `answerLatencyMs`. Default 0. */
  streamingPaceMs: milliseconds.default(0),
  /** Size of a piece of a streamed answer. Default 48. */
  streamingChunkBytes: z.int().min(1).default(48),
  /** What a cancelled exchange's stream does until its natural end: fall silent (default), or go on. Neither ends early. */
  streamAfterCancel: z.enum(['silent', 'goesOn']).default('silent'),
  /** An idle session expires after this. Default one day. */
  sessionLifetimeMs: milliseconds.default(86_400_000),
  /** Tokens that a session may hold (four characters each). Default 128,000. */
  contextSizeTokens: z.number().positive().default(128_000),
  /** An exchange shows in the content this long after it landed. Default 0. */
  contentLagMs: milliseconds.default(0),
  /** A trace can be read this long after its exchange began. Its id is refused at once. Default 0. */
  traceLagMs: milliseconds.default(0),
  /** An exchange "has not started yet" for this long: a cancel misses it, and it goes on. Default 0. */
  cancelTooEarlyMs: milliseconds.default(0),
  /** Whether a call that failed has used up its `sessionTraceId`. Undocumented. Default true. */
  failedCallsUseUpTraceIds: z.boolean().default(true),
  limits: limitsSchema.default({ style: 'agent' }),
});

const parameterSchema = z.strictObject({
  parameterType: z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('string'), defaultValue: z.string().optional() }),
    z.strictObject({ type: z.literal('objectSet'), expectedObjectTypes: z.array(z.string()) }),
  ]),
  access: z.enum(['READ_ONLY', 'READ_WRITE']),
  description: z.string().optional(),
});

const agentSchema = z.strictObject({
  agentRid: z.string().regex(/^ri\.aip-agents\.[^.]*\.agent\.[\w.-]+$/, 'an RID like ri.aip-agents..agent.…'),
  displayName: z.string(),
  description: z.string().optional(),
  versions: z.array(
    z.strictObject({
      version: z.string().regex(/^\d+\.\d+$/),
      isPublished: z.boolean(),
      parameters: z.record(z.string(), parameterSchema),
    }),
  ),
});

const tokenSchema = z.strictObject({
  token: z.string().min(1),
  /** Default: both scopes of the API. */
  scopes: z.array(z.string()).optional(),
  /** Counted from the start of the simulator; 0 is a token that has expired. Default: it lives on. */
  lifetimeMs: milliseconds.optional(),
});

export const optionsSchema = z.strictObject({
  ...settingsSchema.shape,
  /** 0 (default): any free port. */
  port: z.int().min(0).max(65_535).default(0),
  host: z.string().default('127.0.0.1'),
  /** `fivePages`: only create, content, both continues and cancel, and no traces. Default `withTraces`. */
  serverKind: z.enum(['withTraces', 'fivePages']).default('withTraces'),
  /** The bearer token with both scopes. Default `simulator-token`. */
  token: z.string().min(1).default('simulator-token'),
  /** Further tokens, e.g. with fewer scopes, or expired. */
  tokens: z.array(tokenSchema).default([]),
  clientId: z.string().min(1).default('simulator-client'),
  clientSecret: z.string().min(1).default('simulator-secret'),
  /** Lifetime of tokens from `/multipass/api/oauth2/token`. Default 3600. */
  oauthTokenLifetimeSeconds: z.number().positive().default(3600),
  /** Agents beside the built-in ones. */
  agents: z.array(agentSchema).default([]),
  faults: z.array(faultRuleSchema).default([]),
});

/** Options of `startSimulator()`: plain data, everything optional. Times in milliseconds unless the name says otherwise. */
export type SimulatorOptions = z.input<typeof optionsSchema>;
/** Options with every default filled in. */
export type CheckedOptions = z.output<typeof optionsSchema>;
/** The part of the options that can be changed while the simulator runs; each field replaces the one before. */
export type SimulatorSettings = z.input<typeof settingsSchema>;
export type CheckedSettings = z.output<typeof settingsSchema>;
export type Limits = z.output<typeof limitsSchema>;

/** Data that a caller handed in does not fit its schema. */
export class InvalidSettingsError extends Error {
  constructor(what: string, error: z.ZodError) {
    const issues = error.issues.map((issue) => `${[what, ...issue.path].join('.')}: ${issue.message}`);
    super(`Cannot use these ${what}: ${issues.join('; ')}`);
    this.name = 'InvalidSettingsError';
  }
}

/** @throws InvalidSettingsError naming the field and what was expected. */
export function parseSettings<Schema extends z.ZodType>(
  what: string,
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (!result.success) throw new InvalidSettingsError(what, result.error);
  return result.data;
}

/** Applies a partial change; fields that are not named keep their values. */
export function changedSettings(current: CheckedSettings, change: unknown): CheckedSettings {
  const named = parseSettings('settings', settingsSchema.partial(), change);
  const given = Object.keys(change as object);
  const changes = Object.fromEntries(Object.entries(named).filter(([key]) => given.includes(key)));
  return { ...current, ...changes };
}
