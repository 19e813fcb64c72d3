import { Agents, Contents, Sessions, SessionTraces } from '@osdk/foundry.aipagents';
import * as z from 'zod';
import type { ApiCaller, Call, VendorContext } from './api-caller.js';
import type { AgentsApi, CallOptions, TraceLookup } from './client.js';
import { AgentsApiError, type Operation } from './errors.js';
import { type RequestOf, checkRequest } from './request-schemas.js';
import {
  type Exchange,
  agentSchema,
  cancelAnswerSchema,
  contentSchema,
  exchangeResultSchema,
  ragContextSchema,
  sessionPageSchema,
  sessionSchema,
  sessionTraceSchema,
} from './schemas.js';

/** Time limits that hold where a call does not say otherwise, in milliseconds. */
export interface DefaultLimits {
  /** For every call but continues. */
  callTimeoutMs: number;
  /** For a whole `blockingContinue`. */
  blockingTimeoutMs: number;
  firstTextTimeoutMs: number;
  silenceTimeoutMs: number;
}

const PREVIEW = { preview: true };
const nothing = z.unknown().transform(() => undefined);

/** The operations on sessions as such. */
export function sessionOperations(
  caller: ApiCaller,
  limits: DefaultLimits,
): Pick<
  AgentsApi,
  'createSession' | 'getSession' | 'listSessions' | 'listAllSessions' | 'deleteSession' | 'updateTitle'
> {
  return {
    async createSession(input) {
      const { request, call } = prepare('createSession', input, limits);
      const body = withoutUndefined({ agentVersion: request.agentVersion });
      return await caller.json(call, sessionSchema, (context) =>
        Sessions.create(context, request.agentRid, body, PREVIEW),
      );
    },
    async getSession(input) {
      const { request, call } = prepare('getSession', input, limits);
      return await caller.json(call, sessionSchema, (context) =>
        Sessions.get(context, request.agentRid, request.sessionRid, PREVIEW),
      );
    },
    async listSessions(input) {
      const { request, call } = prepare('listSessions', input, limits);
      const { agentRid, ...page } = request;
      return await caller.json(call, sessionPageSchema, (context) =>
        Sessions.list(context, agentRid, { ...page, ...PREVIEW }),
      );
    },
    async listAllSessions(input = {}) {
      const { request, call } = prepare('listAllSessions', input, limits);
      return await caller.json(call, sessionPageSchema, (context) =>
        Agents.allSessions(context, { ...request, ...PREVIEW }),
      );
    },
    async deleteSession(input) {
      const { request, call } = prepare('deleteSession', input, limits);
      await caller.json(call, nothing, (context) => deleteSession(context, request));
    },
    async updateTitle(input) {
      const { request, call } = prepare('updateTitle', input, limits);
      await caller.json(call, nothing, (context) =>
        Sessions.updateTitle(context, request.agentRid, request.sessionRid, { title: request.title }, PREVIEW),
      );
    },
  };
}

/** The operations that make, end and read exchanges. */
export function exchangeOperations(
  caller: ApiCaller,
  limits: DefaultLimits,
): Pick<AgentsApi, 'blockingContinue' | 'streamingContinue' | 'cancel' | 'getContent' | 'getSessionTrace'> {
  return {
    async blockingContinue(input) {
      const { request, call } = prepare('blockingContinue', input, { callTimeoutMs: limits.blockingTimeoutMs });
      const body = exchangeBody(request);
      return await caller.json(call, exchangeResultSchema, (context) =>
        Sessions.blockingContinue(context, request.agentRid, request.sessionRid, body, PREVIEW),
      );
    },
    async streamingContinue({ onText, firstTextTimeoutMs, silenceTimeoutMs, ...input }) {
      const { request, call } = prepare('streamingContinue', input, { callTimeoutMs: undefined });
      const body = { ...exchangeBody(request), ...withoutUndefined({ messageId: request.messageId }) };
      const textLimits = {
        firstTextTimeoutMs: firstTextTimeoutMs ?? limits.firstTextTimeoutMs,
        silenceTimeoutMs: silenceTimeoutMs ?? limits.silenceTimeoutMs,
      };
      const text = await caller.text(call, textLimits, onText, (context) =>
        Sessions.streamingContinue(context, request.agentRid, request.sessionRid, body, PREVIEW),
      );
      return { text };
    },
    async cancel(input) {
      const { request, call } = prepare('cancel', input, limits);
      const body = { messageId: request.messageId, ...withoutUndefined({ response: request.response }) };
      return await caller.json(call, cancelAnswerSchema, (context) =>
        Sessions.cancel(context, request.agentRid, request.sessionRid, body, PREVIEW),
      );
    },
    async getContent(input) {
      const { request, call } = prepare('getContent', input, limits);
      const content = await caller.json(call, contentSchema, (context) =>
        Contents.get(context, request.agentRid, request.sessionRid, PREVIEW),
      );
      return content.exchanges.filter((exchange): exchange is Exchange => exchange.result !== undefined);
    },
    async getSessionTrace(input) {
      const { request, call } = prepare('getSessionTrace', input, limits);
      try {
        const trace = await caller.json(call, sessionTraceSchema, (context) =>
          SessionTraces.get(context, request.agentRid, request.sessionRid, request.sessionTraceId, PREVIEW),
        );
        return { found: 'trace', trace };
      } catch (error) {
        return readTraceRefusal(error);
      }
    },
  };
}

/** The operations on what the agent is and would do. */
export function agentOperations(
  caller: ApiCaller,
  limits: DefaultLimits,
): Pick<AgentsApi, 'getAgent' | 'getRagContext'> {
  return {
    async getAgent(input) {
      const { request, call } = prepare('getAgent', input, limits);
      const query = { ...withoutUndefined({ version: request.version }), ...PREVIEW };
      return await caller.json(call, agentSchema, (context) => Agents.get(context, request.agentRid, query));
    },
    async getRagContext(input) {
      const { request, call } = prepare('getRagContext', input, limits);
      const body = { userInput: request.userInput, parameterInputs: vendorInputs(request.parameterInputs) };
      return await caller.json(call, ragContextSchema, (context) =>
        Sessions.ragContext(context, request.agentRid, request.sessionRid, body, PREVIEW),
      );
    },
  };
}

function prepare<O extends Operation>(
  operation: O,
  input: RequestOf<O> & CallOptions,
  limits: { callTimeoutMs: number | undefined },
): { request: RequestOf<O>; call: Call } {
  const { signal, timeoutMs = limits.callTimeoutMs, ...fields } = input as CallOptions & Record<string, unknown>;
  const request = checkRequest(operation, fields);
  const { sessionRid, agentRid } = fields as { sessionRid?: string; agentRid?: string };
  return { request, call: { operation, target: sessionRid ?? agentRid ?? 'all agents', signal, timeoutMs } };
}

type VendorExchange = Parameters<typeof Sessions.blockingContinue>[3];

function exchangeBody(request: RequestOf<'blockingContinue' | 'streamingContinue'>): VendorExchange {
  const { userInput, contextsOverride, sessionTraceId } = request;
  const parameterInputs = vendorInputs(request.parameterInputs);
  return { userInput, parameterInputs, ...withoutUndefined({ contextsOverride, sessionTraceId }) };
}

/** The vendor's type spells out every kind of object set; ours lets the server judge them. */
function vendorInputs(inputs: RequestOf<'blockingContinue'>['parameterInputs']): VendorExchange['parameterInputs'] {
  return (inputs ?? {}) as VendorExchange['parameterInputs'];
}

function withoutUndefined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** The vendor's client has no function for this operation (2.38), the API has: Delete Session. */
async function deleteSession(context: VendorContext, request: RequestOf<'deleteSession'>): Promise<unknown> {
  const [agent, session] = [request.agentRid, request.sessionRid].map(encodeURIComponent);
  const url = `${context.baseUrl}api/v2/aipAgents/agents/${agent}/sessions/${session}?preview=true`;
  const answer = await context.fetch(url, { method: 'DELETE', headers: { accept: 'application/json' } });
  return answer.status === 204 ? undefined : ((await answer.json()) as unknown);
}

/** 404s of these names say something else than "no such trace here". */
const OTHER_NOT_FOUND = /(^|:)(SessionNotFound|ContentNotFound|AgentNotFound|AgentVersionNotFound)$/;

/** A server of the five-page API has no such route: it answers 404 (or 405, 501) in whatever form it answers the unknown. */
function readTraceRefusal(error: unknown): TraceLookup {
  if (!(error instanceof AgentsApiError) || error.status === undefined) throw error;
  const errorName = error.errorName ?? '';
  if (/(^|:)SessionTraceNotFound$/.test(errorName)) return { found: 'unknownTrace' };
  if ([404, 405, 501].includes(error.status) && !OTHER_NOT_FOUND.test(errorName)) return { found: 'noTraces' };
  throw error;
}
