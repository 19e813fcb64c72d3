import { randomUUID } from 'node:crypto';
import { parseDirectives, textHash } from './answers.js';
import type { Call } from './call.js';
import type { ApiError } from './errors.js';
import { documentedError, invalidRequest, isDocumentedErrorName } from './errors.js';
import type { Exchange, ExchangeContexts } from './exchange.js';
import { checkParameterInputs, isRecord } from './parameters.js';
import type { ParameterInputs } from './parameters.js';
import { checkText, checkUuid, refuseUnknownFields } from './request-body.js';
import type { Session } from './sessions.js';
import type { CheckedSettings } from './settings.js';

interface ContinueRequest {
  text: string;
  messageId: string | undefined;
  sessionTraceId: string | undefined;
  contexts: ExchangeContexts | undefined;
  body: Record<string, unknown>;
}

/**
 * Both continues: checks the request in the order in which the API's errors exclude each other, then has the session take
 * up the exchange. From there the exchange runs by itself; the reply only watches it.
 */
export function continueSession(call: Call, mode: 'blocking' | 'streaming'): void {
  const { state, route, reply } = call;
  state.agents.agent(route.agentRid);
  const session = state.sessions.find(route.agentRid, route.sessionRid);
  const request = readRequest(call.body, mode, state.serverKind);
  session.refuseSeenTrace(request.sessionTraceId);
  session.refuseWhileAnswering();
  const exchange = begin(call, session, request, mode);
  exchange.run();
  if (exchange.status === 'answering') {
    reply.response.once('close', () => {
      if (exchange.status === 'answering') state.ledger.clientLeft();
    });
  }
  if (mode === 'streaming' && exchange.start.failure === undefined) {
    reply.stream(exchange, state.settings);
    return;
  }
  const answer = () => {
    if (exchange.status === 'landed') reply.json(200, exchange.toResult(state.serverKind));
    else if (exchange.status !== 'failed') state.later(naturalEnd(exchange), () => reply.emptyStream());
    else if (exchange.start.failure === undefined) reply.drop();
    else reply.error(exchange.start.failure);
  };
  if (exchange.status === 'answering') exchange.onEnd(answer);
  else answer();
}

/** Milliseconds from now: a cancel does not end a stream before that. */
function naturalEnd({ startedAt, durationMs }: Exchange): number {
  return startedAt + durationMs - Date.now();
}

/** Admits the exchange, or throws; a call that fails here may use up its trace id. */
function begin(call: Call, session: Session, request: ContinueRequest, mode: 'blocking' | 'streaming'): Exchange {
  const { state, route } = call;
  try {
    const parameterInputs = admit(call, session, request);
    const exchange = session.begin(
      {
        mode,
        text: request.text,
        parameterInputs,
        contexts: request.contexts,
        messageId: request.messageId,
        sessionTraceId: request.sessionTraceId ?? randomUUID(),
        durationMs: duration(call, request.text, mode),
        failure: call.failure?.error ?? failureByText(session, request.text),
      },
      () => state.settings.failedCallsUseUpTraceIds,
    );
    const limited = state.settings.limits.style === 'agent';
    if (limited) exchange.onEnd(() => state.limits.leave(route.agentRid, exchange.isKept ? exchange.totalTokens : 0));
    state.ledger.follow(session, exchange);
    return exchange;
  } catch (error) {
    if (request.sessionTraceId !== undefined && state.settings.failedCallsUseUpTraceIds) {
      session.useUpTrace(request.sessionTraceId);
    }
    throw error;
  }
}

function admit(call: Call, session: Session, request: ContinueRequest): ParameterInputs {
  const { state, route, failure } = call;
  const inputs = checkParameterInputs(request.body['parameterInputs'], session.agentVersion, session.ids);
  if (failure?.afterMs === 0) throw failure.error;
  const prompt = request.contexts === undefined ? request.text : request.text + JSON.stringify(request.contexts);
  const tokens = session.tokensWith(prompt);
  const limit = state.settings.contextSizeTokens;
  if (tokens > limit) {
    throw documentedError('ContextSizeExceededLimit', { ...session.ids, details: `${tokens} tokens of ${limit}` });
  }
  if (state.settings.limits.style === 'agent') {
    const exceeded = state.limits.enter(route.agentRid);
    if (exceeded !== undefined) throw documentedError('RateLimitExceeded', { ...session.ids, details: exceeded });
  }
  return inputs;
}

function failureByText(session: Session, text: string): ApiError | undefined {
  const { fail } = parseDirectives(text);
  return fail !== undefined && isDocumentedErrorName(fail) ? documentedError(fail, session.ids) : undefined;
}

/** How long an exchange takes: by fault, by its text, by pace, or by the latency that the text's hash picks. */
function duration(call: Call, text: string, mode: 'blocking' | 'streaming'): (answer: string) => number {
  const { settings } = call.state;
  if (call.failure !== undefined) return () => call.failure?.afterMs ?? 0;
  const { takesMs } = parseDirectives(text);
  if (takesMs !== undefined) return () => takesMs;
  const latencyMs = answerLatencyMs(settings, text);
  const { streamingPaceMs, streamingChunkBytes } = settings;
  if (mode === 'blocking' || streamingPaceMs === 0) return () => latencyMs;
  return (answer) => Math.max(latencyMs, streamingPaceMs * Math.ceil(Buffer.byteLength(answer) / streamingChunkBytes));
}

function answerLatencyMs({ answerLatencyMs: latency }: CheckedSettings, text: string): number {
  if (typeof latency === 'number') return latency;
  const [least, most] = latency;
  return least + ((textHash(text) % 1000) / 999) * (most - least);
}

function readRequest(body: unknown, mode: string, serverKind: 'withTraces' | 'fivePages'): ContinueRequest {
  if (!isRecord(body)) throw invalidRequest('the body must be a JSON object');
  const fields = ['userInput', 'parameterInputs', 'contextsOverride'];
  if (mode === 'streaming') fields.push('messageId');
  // The five pages do not know trace ids, and their server ignores what it does not know.
  if (serverKind === 'withTraces') refuseUnknownFields(body, [...fields, 'sessionTraceId']);
  if (!isRecord(body['userInput'])) throw invalidRequest('userInput must be an object');
  return {
    text: checkText('userInput.text', body['userInput']['text']),
    messageId: mode === 'streaming' ? checkUuid('messageId', body['messageId']) : undefined,
    sessionTraceId: serverKind === 'withTraces' ? checkUuid('sessionTraceId', body['sessionTraceId']) : undefined,
    contexts: readContexts(body['contextsOverride']),
    body,
  };
}

function readContexts(value: unknown): ExchangeContexts | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw invalidRequest('contextsOverride must be a list');
  const contexts: ExchangeContexts = { objectContexts: [], functionRetrievedContexts: [] };
  for (const [index, item] of value.entries()) {
    const at = `contextsOverride.${index}`;
    if (!isRecord(item)) throw invalidRequest(`${at} must be an object`);
    const { type, ...context } = item;
    if (type === 'objectContext') {
      if (!Array.isArray(item['objectRids'])) throw invalidRequest(`${at}.objectRids must be a list`);
      if (!Array.isArray(item['propertyTypeRids'])) throw invalidRequest(`${at}.propertyTypeRids must be a list`);
      contexts.objectContexts.push(context);
    } else if (type === 'functionRetrievedContext') {
      for (const field of ['functionRid', 'functionVersion', 'retrievedPrompt'])
        checkText(`${at}.${field}`, item[field]);
      contexts.functionRetrievedContexts.push(context);
    } else {
      throw invalidRequest(`${at}.type must be "objectContext" or "functionRetrievedContext"`);
    }
  }
  return contexts;
}
