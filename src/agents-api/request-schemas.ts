import * as z from 'zod';
import { InvalidRequestError, type Operation } from './errors.js';

/** Requests are checked strictly before a call is spent: an unknown or misspelt field is refused, not sent along. */

const rid = z.string().min(1, 'must not be empty');
// Any UUID version: the server takes whatever Java's parser takes.
const uuid = z.guid('must be a UUID');

/** A value for one of the agent's parameters (application variables). */
export const parameterValueSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('string'), value: z.string() }),
  z.strictObject({
    type: z.literal('objectSet'),
    /** The object set's definition, such as `{ type: 'reference', reference: RID }` (Ontologies API). */
    objectSet: z.looseObject({ type: z.string() }),
    ontology: z.string().min(1),
  }),
]);
export type ParameterValue = z.infer<typeof parameterValueSchema>;

/** Context handed to the agent in place of what it would retrieve by itself. */
export const inputContextSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('objectContext'),
    objectRids: z.array(z.string()),
    propertyTypeRids: z.array(z.string()),
  }),
  z.strictObject({
    type: z.literal('functionRetrievedContext'),
    functionRid: z.string(),
    functionVersion: z.string(),
    retrievedPrompt: z.string(),
  }),
]);
export type InputContext = z.infer<typeof inputContextSchema>;

const userInput = z.strictObject({ text: z.string().min(1, 'must not be empty') });
const parameterInputs = z.record(z.string().min(1), parameterValueSchema);
const sessionTarget = { agentRid: rid, sessionRid: rid };
const exchangeFields = {
  ...sessionTarget,
  userInput,
  parameterInputs: parameterInputs.optional(),
  contextsOverride: z.array(inputContextSchema).optional(),
  sessionTraceId: uuid.optional(),
};
const page = { pageSize: z.int().positive().optional(), pageToken: z.string().optional() };

/** The strict shape of each operation's request, without `signal`, time limits and callbacks. */
export const requestSchemas = {
  createSession: z.strictObject({ agentRid: rid, agentVersion: z.string().min(1).optional() }),
  blockingContinue: z.strictObject(exchangeFields),
  streamingContinue: z.strictObject({ ...exchangeFields, messageId: uuid.optional() }),
  cancel: z.strictObject({ ...sessionTarget, messageId: uuid, response: z.string().optional() }),
  getContent: z.strictObject(sessionTarget),
  getSession: z.strictObject(sessionTarget),
  listSessions: z.strictObject({ agentRid: rid, ...page }),
  listAllSessions: z.strictObject(page),
  deleteSession: z.strictObject(sessionTarget),
  updateTitle: z.strictObject({ ...sessionTarget, title: z.string().min(1, 'must not be empty') }),
  getSessionTrace: z.strictObject({ ...sessionTarget, sessionTraceId: uuid }),
  getRagContext: z.strictObject({ ...sessionTarget, userInput, parameterInputs: parameterInputs.optional() }),
  getAgent: z.strictObject({ agentRid: rid, version: z.string().min(1).optional() }),
} satisfies Record<Operation, z.ZodType>;

/** A checked request of an operation. */
export type RequestOf<O extends Operation> = z.infer<(typeof requestSchemas)[O]>;

/**
 * Checks a request; what comes back is safe to send.
 *
 * @throws InvalidRequestError naming the first field that is wrong; never its value.
 */
export function checkRequest<O extends Operation>(operation: O, request: unknown): RequestOf<O> {
  const parsed = requestSchemas[operation].safeParse(request);
  if (parsed.success) return parsed.data as RequestOf<O>;
  const issue = parsed.error.issues[0];
  const path = issue === undefined || issue.path.length === 0 ? 'request' : issue.path.map(String).join('.');
  throw new InvalidRequestError(operation, path, issue?.message ?? 'has a wrong shape');
}
