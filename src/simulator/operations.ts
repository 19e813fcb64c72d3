import { agentToWire, agentVersionToWire } from './agents.js';
import type { Call } from './call.js';
import { continueSession } from './continue.js';
import { ApiError, documentedError, invalidRequest } from './errors.js';
import { checkParameterInputs, isRecord } from './parameters.js';
import { checkText, checkUuid, refuseUnknownFields } from './request-body.js';
import type { Route } from './routes.js';
import { Session } from './sessions.js';

type Operation = (call: Call) => void;

/** What each operation does; each answers through `call.reply` or throws an ApiError. */
export const operations: Record<Route['operation'], Operation> = {
  createSession,
  getContent,
  blockingContinue: (call) => continueSession(call, 'blocking'),
  streamingContinue: (call) => continueSession(call, 'streaming'),
  cancel,
  getAgent({ state, route, query, reply }) {
    const version = state.agents.version(route.agentRid, query.get('version') ?? undefined);
    reply.json(200, agentToWire(state.agents.agent(route.agentRid), version));
  },
  listAgentVersions({ state, route, query, reply }) {
    const versions = state.agents.agent(route.agentRid).versions.toReversed();
    reply.json(200, page(query, versions, agentVersionToWire));
  },
  getAgentVersion({ state, route, reply }) {
    reply.json(200, agentVersionToWire(state.agents.version(route.agentRid, route.last)));
  },
  listSessions({ state, route, query, reply }) {
    state.agents.agent(route.agentRid);
    reply.json(200, sessionPage(state, query, state.sessions.list(route.agentRid)));
  },
  allSessions({ state, query, reply }) {
    reply.json(200, sessionPage(state, query, state.sessions.list()));
  },
  getSession(call) {
    call.reply.json(200, sessionOf(call).toWire(call.state.settings.contentLagMs));
  },
  deleteSession(call) {
    call.state.sessions.delete(sessionOf(call));
    call.state.ledger.sessionDeleted();
    call.reply.empty();
  },
  ragContext,
  updateTitle(call) {
    const session = sessionOf(call);
    const body = bodyOf(call, ['title']);
    session.title = checkText('title', body['title']);
    call.reply.empty();
  },
  getSessionTrace,
};

function sessionOf({ state, route }: Call): Session {
  state.agents.agent(route.agentRid);
  return state.sessions.find(route.agentRid, route.sessionRid);
}

function bodyOf(call: Call, fields: readonly string[]): Record<string, unknown> {
  if (!isRecord(call.body)) throw invalidRequest('the body must be a JSON object');
  refuseUnknownFields(call.body, fields);
  return call.body;
}

function createSession(call: Call): void {
  const { state, route, reply } = call;
  const body = call.body === undefined ? {} : bodyOf(call, ['agentVersion']);
  const asked = body['agentVersion'] === undefined ? undefined : checkText('agentVersion', body['agentVersion']);
  const version = state.agents.version(route.agentRid, asked);
  state.later(state.settings.createLatencyMs, () => {
    const session = new Session(route.agentRid, version, () => state.settings.sessionLifetimeMs);
    state.sessions.add(session);
    state.ledger.sessionCreated();
    reply.json(200, session.toWire(0));
  });
}

function getContent(call: Call): void {
  const { state, route, reply } = call;
  state.agents.agent(route.agentRid);
  if (state.sessions.isExpired(route.agentRid, route.sessionRid)) {
    // Both names are documented for this operation; an expired session is the case for the second.
    throw documentedError('ContentNotFound', { agentRid: route.agentRid, sessionRid: route.sessionRid });
  }
  const session = state.sessions.find(route.agentRid, route.sessionRid);
  const exchanges = session.content(state.settings.contentLagMs).map((exchange) => ({
    userInput: { text: exchange.start.text },
    ...(exchange.start.contexts === undefined ? {} : { contexts: exchange.start.contexts }),
    result: exchange.toResult(state.serverKind),
  }));
  reply.json(200, { exchanges });
}

function cancel(call: Call): void {
  const { state, reply } = call;
  const session = sessionOf(call);
  const body = bodyOf(call, ['messageId', 'response']);
  const messageId = checkUuid('messageId', body['messageId']);
  if (messageId === undefined) throw invalidRequest('messageId is missing');
  const response = body['response'] === undefined ? undefined : checkText('response', body['response']);
  const exchange = session.cancellable(messageId, state.settings.cancelTooEarlyMs);
  if (exchange === undefined) {
    state.ledger.cancel(session.rid, messageId, response !== undefined, 'missed');
    throw documentedError('CancelSessionFailedMessageNotInProgress', { ...session.ids, messageId });
  }
  exchange.cancel(response);
  state.ledger.cancel(
    session.rid,
    messageId,
    response !== undefined,
    response === undefined ? 'cancelled' : 'interrupted',
  );
  reply.json(200, response === undefined ? {} : { result: exchange.toResult(state.serverKind) });
}

function ragContext(call: Call): void {
  const session = sessionOf(call);
  const body = bodyOf(call, ['userInput', 'parameterInputs']);
  if (!isRecord(body['userInput'])) throw invalidRequest('userInput must be an object');
  const text = checkText('userInput.text', body['userInput']['text']);
  checkParameterInputs(body['parameterInputs'], session.agentVersion, session.ids);
  call.reply.json(200, {
    objectContexts: [],
    functionRetrievedContexts: [
      {
        functionRid: 'ri.function-registry.main.function.5f0c1c52-9a41-4d5e-8f5c-2a3b6f1d0009',
        functionVersion: '1.0.0',
        retrievedPrompt: `Retrieved for: ${text.slice(0, 200)}`,
      },
    ],
  });
}

function getSessionTrace(call: Call): void {
  const { state, route, reply } = call;
  const session = sessionOf(call);
  const trace = session.trace(route.last, state.settings.traceLagMs);
  if (trace === undefined) {
    throw documentedError('SessionTraceNotFound', { ...session.ids, sessionTraceId: route.last });
  }
  const { exchange } = trace;
  const isComplete = exchange?.status !== 'answering';
  const contexts = isComplete ? exchange?.start.contexts : undefined;
  reply.json(200, {
    id: trace.id,
    status: isComplete ? 'COMPLETE' : 'IN_PROGRESS',
    ...(contexts === undefined ? {} : { contexts }),
    toolCallGroups: exchange === undefined ? [] : [{ toolCalls: [toolCall(exchange.start.text, isComplete)] }],
  });
}

function toolCall(text: string, isComplete: boolean): unknown {
  return {
    toolMetadata: { name: 'Order search', type: 'OBJECT_QUERY' },
    input: {
      thought: 'The orders may answer this.',
      inputs: { query: { type: 'string', value: text.slice(0, 100) } },
    },
    ...(isComplete ? { output: { type: 'success', output: { type: 'string', value: '3 orders' } } } : {}),
  };
}

function sessionPage(state: Call['state'], query: URLSearchParams, sessions: Session[]): unknown {
  return page(query, sessions, (session) => session.toWire(state.settings.contentLagMs));
}

/** One page of a list; the token is the place where the next one starts. */
function page<Item>(query: URLSearchParams, items: readonly Item[], toWire: (item: Item) => unknown): unknown {
  const pageSize = Number(query.get('pageSize') ?? 100);
  if (!Number.isInteger(pageSize) || pageSize < 1) {
    throw new ApiError(400, 'INVALID_ARGUMENT', 'InvalidPageSize', { pageSize });
  }
  const pageToken = query.get('pageToken') ?? 'from-0';
  const from = Number(/^from-(\d+)$/.exec(pageToken)?.[1] ?? NaN);
  if (Number.isNaN(from)) throw new ApiError(400, 'INVALID_ARGUMENT', 'InvalidPageToken', { pageToken });
  const data = items.slice(from, from + pageSize).map(toWire);
  const next = from + pageSize;
  return next < items.length ? { data, nextPageToken: `from-${next}` } : { data };
}
