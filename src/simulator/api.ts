import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Call } from './call.js';
import { checkAccess } from './door.js';
import { ApiError, documentedError, invalidRequest, isDocumentedErrorName } from './errors.js';
import { applyFault } from './fault-effects.js';
import type { Fault } from './faults.js';
import { operations } from './operations.js';
import { isRecord } from './parameters.js';
import { Reply } from './reply.js';
import type { Route } from './routes.js';
import type { SimulatorState } from './state.js';

/** A request whose body has been read. */
export interface ReadRequest {
  request: IncomingMessage;
  response: ServerResponse;
  queryText: string;
  body: string;
}

const previewOnly = new URLSearchParams('preview=true');

/** Serves one call of the Agents API, faults included. */
export function serveCall(state: SimulatorState, route: Route, read: ReadRequest): void {
  const { request, response, queryText } = read;
  state.ledger.call(route.operation);
  const { body, isMalformed } = parseBody(read.body);
  const fault = state.faults.isEmpty ? undefined : strike(state, route, body);
  const reply = new Reply(response, fault, (errorName) => state.ledger.refused(errorName));
  const serve = () => {
    try {
      const query = queryText === 'preview=true' ? previewOnly : new URLSearchParams(queryText);
      checkAccess(state, route, request.headers.authorization, query.get('preview') === 'true');
      if (!enterPlatform(state, reply)) return;
      if (isMalformed) throw invalidRequest('the body is not JSON');
      perform({ state, route, query, body, reply, failure: failure(fault, route, body) });
    } catch (error) {
      reply.error(error);
    }
  };
  applyFault(state, fault, reply, serve);
}

function perform(call: Call): void {
  const { failure, route, state, reply } = call;
  const isContinue = route.operation === 'blockingContinue' || route.operation === 'streamingContinue';
  if (failure === undefined || isContinue) operations[route.operation](call);
  else state.later(failure.afterMs, () => reply.error(failure.error));
}

function failure(fault: Fault | undefined, route: Route, body: unknown): Call['failure'] {
  if (fault?.kind !== 'error') return undefined;
  const { errorName, status, errorCode, parameters, afterMs } = fault;
  if (isDocumentedErrorName(errorName)) {
    return { error: documentedError(errorName, { ...requestIds(route, body), ...parameters }), afterMs };
  }
  const code = errorCode ?? (status !== undefined && status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT');
  return { error: new ApiError(status ?? 400, code, errorName, parameters ?? {}), afterMs };
}

/** The ids that an error about this request names; a fault may ask for one which the request does not have. */
function requestIds({ operation, agentRid, sessionRid, last }: Route, body: unknown): Record<string, unknown> {
  const fields = isRecord(body) ? body : {};
  return {
    agentRid,
    ...(sessionRid === '' ? {} : { sessionRid }),
    messageId: fields['messageId'] ?? randomUUID(),
    sessionTraceId: operation === 'getSessionTrace' ? last : (fields['sessionTraceId'] ?? randomUUID()),
  };
}

function strike(state: SimulatorState, route: Route, body: unknown): Fault | undefined {
  const userInput = isRecord(body) ? body['userInput'] : undefined;
  const text = isRecord(userInput) && typeof userInput['text'] === 'string' ? userInput['text'] : undefined;
  const { operation, agentRid, sessionRid } = route;
  return state.faults.strike({ operation, agentRid, sessionRid, text });
}

/** Counts the call against the platform's limits, if those are what is limited; false when it was refused. */
function enterPlatform(state: SimulatorState, reply: Reply): boolean {
  const { style, retryAfterSeconds } = state.settings.limits;
  if (style === 'agent') return true;
  if (state.limits.enter('') === undefined) {
    reply.response.once('close', () => state.limits.leave('', 0));
    return true;
  }
  const status = style === 'platform429' ? 429 : 503;
  state.ledger.refused(`HTTP ${status}`);
  reply.proxyPage({ kind: 'status', status, body: '', contentType: 'text/plain', retryAfterSeconds, lands: false });
  return false;
}

function parseBody(text: string): { body: unknown; isMalformed: boolean } {
  if (text === '') return { body: undefined, isMalformed: false };
  try {
    return { body: JSON.parse(text) as unknown, isMalformed: false };
  } catch {
    return { body: undefined, isMalformed: true }; // Told to the client once its token has been looked at.
  }
}
