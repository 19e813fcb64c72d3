import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type AgentsApi, createAgentsApi, staticToken } from '../../src/agents-api/index.js';
import { type ScriptedServer, foundryError, json, plain, startScriptedServer, stream } from './scripted-server.js';

const agentRid = 'ri.aip-agents..agent.732cd5b4-7ca7-4219-aabb-6e976faf63b1';
const sessionRid = 'ri.aip-agents..session.292db3b2-b653-4de6-971c-7e97a7b881d6';
const sessionTraceId = '00f8412a-c29d-4063-a417-8052825285a5';
const messageId = '8cf1ae1e-6c0f-4f0f-9d63-3f6f2a1d7c11';
const base = `/api/v2/aipAgents/agents/${agentRid}/sessions`;
const userInput = { text: 'What is the status of my order?' };

let server: ScriptedServer;
let api: AgentsApi;
beforeAll(async () => {
  server = await startScriptedServer();
});
beforeEach(() => {
  api = createAgentsApi({ foundryUrl: server.url, token: staticToken('secret'), userAgent: 'tests/1' });
});
afterEach(async () => {
  await api.close();
  server.seen.length = 0;
});
afterAll(() => server.close());

/** The API's own example answers, from its pages. */
const exampleSession = {
  metadata: {
    updatedTime: '2024-10-01T22:04:24.962583055Z',
    estimatedExpiresTime: '2024-10-02T22:04:24.962583055Z',
    messageCount: 6,
    createdTime: '2024-10-01T20:04:24.962583055Z',
    title: 'What is the status of my order?',
  },
  agentRid,
  agentVersion: '1.0',
  rid: sessionRid,
};
const exampleResult = {
  totalTokensUsed: 6448,
  agentMarkdownResponse: 'The status of your order is **In Transit**.',
  interruptedOutput: false,
};

test('every call carries preview=true, the bearer token and the user agent', async () => {
  server.script(json(200, exampleSession));
  await api.createSession({ agentRid });
  await api.getSession({ agentRid, sessionRid });
  await api.deleteSession({ agentRid, sessionRid });
  expect(server.seen.map(({ query, headers }) => [query, headers.authorization, headers['user-agent']])).toEqual(
    Array(3).fill(['?preview=true', 'Bearer secret', 'tests/1']),
  );
});

test('createSession() sends the version when given and reads the session', async () => {
  server.script(json(200, exampleSession));
  await expect(api.createSession({ agentRid, agentVersion: '1.0' })).resolves.toEqual(exampleSession);
  await api.createSession({ agentRid, agentVersion: undefined });
  expect(server.seen.map(({ method, path, body }) => ({ method, path, body }))).toEqual([
    { method: 'POST', path: base, body: { agentVersion: '1.0' } },
    { method: 'POST', path: base, body: {} },
  ]);
});

test('blockingContinue() sends every field and reads the example result without parameterUpdates', async () => {
  server.script(json(200, exampleResult));
  const parameterInputs = {
    tone: { type: 'string', value: 'kind' },
    orders: { type: 'objectSet', ontology: 'example', objectSet: { type: 'reference', reference: 'ri.object-set.1' } },
  } as const;
  const contextsOverride = [{ type: 'objectContext', objectRids: ['ri.o.1'], propertyTypeRids: [] }] as const;
  const result = await api.blockingContinue({
    agentRid,
    sessionRid,
    userInput,
    parameterInputs,
    contextsOverride: contextsOverride.map((context) => ({ ...context, objectRids: ['ri.o.1'], propertyTypeRids: [] })),
    sessionTraceId,
  });
  expect(result).toEqual({ ...exampleResult, parameterUpdates: {} });
  expect(server.seen[0]).toMatchObject({
    method: 'POST',
    path: `${base}/${sessionRid}/blockingContinue`,
    body: { userInput, parameterInputs, contextsOverride, sessionTraceId },
  });
});

test('blockingContinue() takes null for an absent field and lets unknown fields pass', async () => {
  server.script(
    json(200, { ...exampleResult, totalTokensUsed: null, parameterUpdates: null, sessionTraceId, novelty: { a: 1 } }),
  );
  await expect(api.blockingContinue({ agentRid, sessionRid, userInput })).resolves.toEqual({
    agentMarkdownResponse: exampleResult.agentMarkdownResponse,
    interruptedOutput: false,
    parameterUpdates: {},
    sessionTraceId,
  });
});

test('streamingContinue() hands on the text and resolves with all of it, whatever the chunk borders', async () => {
  const text = 'Grüße 👩‍🚀 und **fertig**. '.repeat(20);
  const bytes = new TextEncoder().encode(text);
  const chunks = Array.from({ length: bytes.length }, (_, index) => bytes.slice(index, index + 1));
  server.script(stream(chunks, 'end'));
  const pieces: string[] = [];
  const onText = (piece: string): void => void pieces.push(piece);
  const answer = await api.streamingContinue({ agentRid, sessionRid, userInput, messageId, sessionTraceId, onText });
  expect(answer).toEqual({ text });
  expect(pieces.join('')).toBe(text);
  expect(pieces.length).toBeGreaterThan(1);
  expect(server.seen[0]).toMatchObject({
    path: `${base}/${sessionRid}/streamingContinue`,
    headers: { accept: 'application/octet-stream', 'accept-encoding': 'identity' },
    body: { userInput, parameterInputs: {}, messageId, sessionTraceId },
  });
});

test('streamingContinue() without any text resolves with an empty one', async () => {
  server.script(stream([], 'end'));
  await expect(api.streamingContinue({ agentRid, sessionRid, userInput })).resolves.toEqual({ text: '' });
});

test('cancel() returns {} without a response and the added exchange with one', async () => {
  const added = { ...exampleResult, agentMarkdownResponse: 'so far', interruptedOutput: true };
  server.script(json(200, {}), json(200, { result: added }));
  await expect(api.cancel({ agentRid, sessionRid, messageId })).resolves.toEqual({});
  await expect(api.cancel({ agentRid, sessionRid, messageId, response: 'so far' })).resolves.toEqual({
    result: { ...added, parameterUpdates: {} },
  });
  expect(server.seen.map(({ body }) => body)).toEqual([{ messageId }, { messageId, response: 'so far' }]);
});

test('getContent() returns the exchanges that have ended, oldest first', async () => {
  const contexts = { objectContexts: [], functionRetrievedContexts: [] };
  server.script(
    json(200, { exchanges: [{ userInput, result: exampleResult, contexts }, { userInput }] }),
    json(200, {}),
  );
  await expect(api.getContent({ agentRid, sessionRid })).resolves.toEqual([
    { userInput, contexts, result: { ...exampleResult, parameterUpdates: {} } },
  ]);
  await expect(api.getContent({ agentRid, sessionRid })).resolves.toEqual([]);
  expect(server.seen[0]).toMatchObject({ method: 'GET', path: `${base}/${sessionRid}/content` });
});

test('listSessions() and listAllSessions() page on', async () => {
  server.script(json(200, { data: [exampleSession], nextPageToken: 'next' }), json(200, { data: [] }));
  const first = await api.listSessions({ agentRid, pageSize: 1 });
  expect(first).toEqual({ data: [exampleSession], nextPageToken: 'next' });
  await expect(api.listAllSessions({ pageToken: 'next' })).resolves.toEqual({ data: [] });
  expect(server.seen.map(({ path, query }) => path + query)).toEqual([
    `${base}?pageSize=1&preview=true`,
    '/api/v2/aipAgents/agents/allSessions?pageToken=next&preview=true',
  ]);
});

test('deleteSession() and updateTitle() take an empty answer, with 204 or with 200', async () => {
  server.script(plain(200, 'application/json', ''), (response) => response.writeHead(204).end());
  await expect(api.deleteSession({ agentRid, sessionRid })).resolves.toBeUndefined();
  await expect(api.updateTitle({ agentRid, sessionRid, title: 'Orders' })).resolves.toBeUndefined();
  await expect(api.deleteSession({ agentRid, sessionRid })).resolves.toBeUndefined();
  expect(server.seen.map(({ method, path, body }) => ({ method, path, body }))).toEqual([
    { method: 'DELETE', path: `${base}/${sessionRid}`, body: undefined },
    { method: 'PUT', path: `${base}/${sessionRid}/updateTitle`, body: { title: 'Orders' } },
    { method: 'DELETE', path: `${base}/${sessionRid}`, body: undefined },
  ]);
});

test('getAgent() reads parameters with type and access', async () => {
  const parameters = {
    tone: {
      parameterType: { type: 'string', defaultValue: 'kind' },
      access: 'READ_WRITE',
      description: 'How to speak',
    },
    orders: { parameterType: { type: 'objectSet', expectedObjectTypes: ['order'] }, access: 'READ_ONLY' },
  };
  const agent = {
    rid: agentRid,
    version: '1.0',
    metadata: { displayName: 'Orders', suggestedPrompts: [] },
    parameters,
  };
  server.script(json(200, agent));
  await expect(api.getAgent({ agentRid, version: '1.0' })).resolves.toEqual({
    ...agent,
    metadata: { displayName: 'Orders' },
  });
  expect(server.seen[0]?.query).toBe('?version=1.0&preview=true');
});

test('getRagContext() sends the message and reads the contexts', async () => {
  const objectContexts = [{ objectRids: ['ri.o.1'], propertyTypeRids: ['ri.p.1'] }];
  server.script(json(200, { objectContexts }));
  await expect(api.getRagContext({ agentRid, sessionRid, userInput })).resolves.toEqual({
    objectContexts,
    functionRetrievedContexts: [],
  });
  expect(server.seen[0]).toMatchObject({ method: 'PUT', path: `${base}/${sessionRid}/ragContext` });
});

describe('getSessionTrace()', () => {
  const input = { agentRid, sessionRid, sessionTraceId };

  test('reads a trace with its tool calls so far', async () => {
    const toolCall = { toolMetadata: { name: 'find', type: 'OBJECT_QUERY' }, input: { thought: 'look', inputs: {} } };
    const trace = { id: sessionTraceId, status: 'IN_PROGRESS', toolCallGroups: [{ toolCalls: [toolCall] }] };
    server.script(json(200, trace));
    await expect(api.getSessionTrace(input)).resolves.toEqual({ found: 'trace', trace });
  });

  test('takes a status it does not know for one that is not in progress', async () => {
    server.script(json(200, { id: sessionTraceId, status: 'FAILED' }));
    await expect(api.getSessionTrace(input)).resolves.toMatchObject({ trace: { status: 'COMPLETE' } });
  });

  test.each([
    ['SessionTraceNotFound', foundryError(404, 'NOT_FOUND', 'SessionTraceNotFound'), 'unknownTrace'],
    ['a namespaced SessionTraceNotFound', foundryError(404, 'NOT_FOUND', 'Aip:SessionTraceNotFound'), 'unknownTrace'],
    ['a 404 without a Foundry body', plain(404, 'text/plain', 'Not Found'), 'noTraces'],
    ['a 404 of an unknown name', foundryError(404, 'NOT_FOUND', 'Default:NotFound'), 'noTraces'],
    ['a 405', plain(405, 'text/html', '<html></html>'), 'noTraces'],
  ])('reads %s as what it is', async (_, answer, found) => {
    server.script(answer);
    await expect(api.getSessionTrace(input)).resolves.toEqual({ found });
  });

  test.each([
    ['SessionNotFound', foundryError(404, 'NOT_FOUND', 'SessionNotFound'), 404],
    ['a 503', plain(503, 'text/plain', 'busy'), 503],
    ['a 403', foundryError(403, 'PERMISSION_DENIED', 'GetSessionTracePermissionDenied'), 403],
  ])('throws on %s', async (_, answer, status) => {
    server.script(answer);
    await expect(api.getSessionTrace(input)).rejects.toMatchObject({ name: 'AgentsApiError', status });
  });
});

describe('a request of a wrong shape is refused before anything is sent', () => {
  const exchange = { agentRid, sessionRid, userInput };
  test.each<[field: string, call: () => Promise<unknown>]>([
    ['agentRid', () => api.createSession({ agentRid: '' })],
    ['userInput.text', () => api.blockingContinue({ ...exchange, userInput: { text: '' } })],
    ['sessionTraceId', () => api.blockingContinue({ ...exchange, sessionTraceId: 'x' })],
    ['messageId', () => api.cancel({ agentRid, sessionRid, messageId: 'not a uuid' })],
    ['title', () => api.updateTitle({ agentRid, sessionRid, title: '' })],
    ['pageSize', () => api.listSessions({ agentRid, pageSize: 0 })],
    [
      'parameterInputs.tone.value',
      () => api.blockingContinue({ ...exchange, parameterInputs: { tone: { type: 'string', value: 5 as never } } }),
    ],
    [
      'parameterInputs.tone.type',
      () => api.streamingContinue({ ...exchange, parameterInputs: { tone: { type: 'number', value: '5' } as never } }),
    ],
    ['request', () => api.blockingContinue({ ...exchange, mesageId: messageId } as never)],
  ])('%s', async (field, call) => {
    await expect(call()).rejects.toMatchObject({ name: 'InvalidRequestError', field });
    expect(server.seen).toEqual([]);
  });

  test('the refusal names the operation and the field, and never the value', async () => {
    const call = api.streamingContinue({ ...exchange, messageId: 'my secret text' });
    await expect(call).rejects.toThrow('Cannot call streamingContinue: messageId: must be a UUID');
  });
});
