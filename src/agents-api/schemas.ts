import * as z from 'zod';

/**
 * Answers are read leniently: only what we use is named, unknown fields are dropped, an absent map or list is empty, and
 * `null` counts as absent (`withoutNulls`, before parsing). The API's own example result leaves `parameterUpdates` out, and
 * servers of the five-page API know no `sessionTraceId`.
 */

const parameterValueUpdate = z.looseObject({ type: z.string(), value: z.unknown() });

/** Ids, versions and times of a session stand in a conversation's state, which is bounded. */
const shortText = z.string().max(500);

/** The result of one exchange. `parameterUpdates` is by parameter id; `sessionTraceId` is absent on five-page servers. */
export const exchangeResultSchema = z.object({
  agentMarkdownResponse: z.string().default(''),
  parameterUpdates: z.record(z.string(), parameterValueUpdate).default({}),
  totalTokensUsed: z.number().exactOptional(),
  interruptedOutput: z.boolean().default(false),
  sessionTraceId: z.string().exactOptional(),
});
export type ExchangeResult = z.infer<typeof exchangeResultSchema>;

const sessionMetadataSchema = z.object({
  title: z.string().exactOptional(),
  createdTime: z.string().exactOptional(),
  updatedTime: z.string().exactOptional(),
  messageCount: z.number().exactOptional(),
  /** ISO 8601; the session cannot be reached after it. Each exchange moves it. */
  estimatedExpiresTime: shortText.exactOptional(),
});

/** A session as the server describes it. */
export const sessionSchema = z.object({
  rid: shortText,
  agentRid: z.string().exactOptional(),
  agentVersion: shortText.exactOptional(),
  metadata: sessionMetadataSchema.default({}),
});
export type Session = z.infer<typeof sessionSchema>;

/** A page of sessions, most recently updated first. */
export const sessionPageSchema = z.object({
  data: z.array(sessionSchema).default([]),
  nextPageToken: z.string().exactOptional(),
});
export type SessionPage = z.infer<typeof sessionPageSchema>;

/** One exchange of a session's content; without `result` it has not ended. */
export const exchangeSchema = z.object({
  userInput: z.object({ text: z.string().default('') }).default({ text: '' }),
  contexts: z.unknown().exactOptional(),
  result: exchangeResultSchema.exactOptional(),
});

export const contentSchema = z.object({ exchanges: z.array(exchangeSchema).default([]) });

/** One exchange that has ended, as stored by the server. */
export type Exchange = Omit<z.infer<typeof exchangeSchema>, 'result'> & { result: ExchangeResult };

export const cancelAnswerSchema = z.object({ result: exchangeResultSchema.exactOptional() });
/** `result` is there when the cancel carried a response: the exchange as added to the session. */
export type CancelAnswer = z.infer<typeof cancelAnswerSchema>;

const toolCallSchema = z.object({
  toolMetadata: z
    .object({ name: z.string().default(''), type: z.string().default('') })
    .default({ name: '', type: '' }),
  input: z
    .object({ thought: z.string().exactOptional(), inputs: z.record(z.string(), z.unknown()).default({}) })
    .default({ inputs: {} }),
  /** Absent while the tool runs. */
  output: z.looseObject({ type: z.string() }).exactOptional(),
});

/** What the agent did, or is doing, for one exchange. An unknown status counts as `COMPLETE`: it is not in progress. */
export const sessionTraceSchema = z.object({
  id: z.string().exactOptional(),
  status: z
    .string()
    .transform((status) => (status === 'IN_PROGRESS' ? ('IN_PROGRESS' as const) : ('COMPLETE' as const))),
  toolCallGroups: z.array(z.object({ toolCalls: z.array(toolCallSchema).default([]) })).default([]),
});
export type SessionTrace = z.infer<typeof sessionTraceSchema>;

const agentParameterSchema = z.object({
  parameterType: z.looseObject({ type: z.string() }),
  access: z.string().default('READ_ONLY'),
  description: z.string().exactOptional(),
});

/** An agent; `parameters` (application variables) is by parameter id, with type and access (`READ_ONLY`, `READ_WRITE`). */
export const agentSchema = z.object({
  rid: z.string().exactOptional(),
  version: z.string().exactOptional(),
  metadata: z.object({ displayName: z.string().exactOptional(), description: z.string().exactOptional() }).default({}),
  parameters: z.record(z.string(), agentParameterSchema).default({}),
});
export type Agent = z.infer<typeof agentSchema>;

/** Context for a message, in the shape that `contextsOverride` takes apart from the `type` of each entry. */
export const ragContextSchema = z.object({
  objectContexts: z.array(z.looseObject({})).default([]),
  functionRetrievedContexts: z.array(z.looseObject({})).default([]),
});
export type RagContext = z.infer<typeof ragContextSchema>;

/**
 * Takes `null` properties out of a parsed JSON value, in place, at any depth: some servers write an absent optional field
 * as null.
 */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) value.forEach(withoutNulls);
  else if (typeof value === 'object' && value !== null) {
    const fields = value as Record<string, unknown>;
    for (const key in fields) {
      if (fields[key] === null) delete fields[key];
      else if (typeof fields[key] === 'object') withoutNulls(fields[key]);
    }
  }
  return value;
}
