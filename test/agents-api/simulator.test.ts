import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { type AgentsApi, type Session, createAgentsApi, oauthToken, staticToken } from '../../src/agents-api/index.js';
import { type FaultRule, type Simulator, startSimulator } from '../../src/simulator/index.js';

const userInput = { text: 'Where is my order 4711?' };
let simulator: Simulator;
let api: AgentsApi;
let agentRid: string;

beforeAll(async () => {
  simulator = await startSimulator();
  ({ agentRid } = simulator);
  api = createAgentsApi({ foundryUrl: simulator.url, token: staticToken(simulator.token) });
});
afterEach(() => simulator.reset());
afterAll(async () => {
  await api.close();
  await simulator.close();
});

async function openSession(): Promise<{ agentRid: string; sessionRid: string }> {
  const { rid } = await api.createSession({ agentRid });
  return { agentRid, sessionRid: rid };
}

test('a session is created at a version, read, listed, titled and deleted', async () => {
  const session = await api.createSession({ agentRid, agentVersion: '1.0' });
  expect(session).toMatchObject({ agentRid, agentVersion: '1.0' });
  expect(Date.parse(session.metadata.estimatedExpiresTime ?? '')).toBeGreaterThan(Date.now());
  const target = { agentRid, sessionRid: session.rid };
  await api.updateTitle({ ...target, title: 'Order 4711' });
  await expect(api.getSession(target)).resolves.toMatchObject({ rid: session.rid, metadata: { title: 'Order 4711' } });
  const rids = (sessions: Session[]): string[] => sessions.map(({ rid }) => rid);
  expect(rids((await api.listSessions({ agentRid })).data)).toContain(session.rid);
  expect(rids((await api.listAllSessions()).data)).toContain(session.rid);
  await api.deleteSession(target);
  await expect(api.getSession(target)).rejects.toMatchObject({ status: 404, errorName: 'SessionNotFound' });
});

test('a page of sessions leads to the next', async () => {
  const opened = await Promise.all([openSession(), openSession(), openSession()]);
  const first = await api.listSessions({ agentRid, pageSize: 2 });
  const second = await api.listSessions({ agentRid, pageSize: 2, pageToken: first.nextPageToken });
  const rids = [...first.data, ...second.data].map(({ rid }) => rid);
  expect(rids.sort()).toEqual(opened.map(({ sessionRid }) => sessionRid).sort());
  expect(second.nextPageToken).toBeUndefined();
});

test('the agent tells its parameters, at its latest and at an older version', async () => {
  const { parameters } = await api.getAgent({ agentRid });
  expect(parameters['selectedOrders']).toMatchObject({ parameterType: { type: 'objectSet' }, access: 'READ_WRITE' });
  expect(Object.keys((await api.getAgent({ agentRid, version: '1.0' })).parameters)).not.toContain('selectedOrders');
});

test('a streamed and a blocking exchange give what the content and the trace hold', async () => {
  const target = await openSession();
  const [streamed, blocking] = [randomUUID(), randomUUID()];
  const { text } = await api.streamingContinue({
    ...target,
    userInput,
    messageId: randomUUID(),
    sessionTraceId: streamed,
  });
  const result = await api.blockingContinue({ ...target, userInput, sessionTraceId: blocking });
  const content = await api.getContent(target);
  expect(content.map(({ result: { sessionTraceId } }) => sessionTraceId)).toEqual([streamed, blocking]);
  expect(content[0]?.result.agentMarkdownResponse).toBe(text);
  expect(content[1]?.result).toEqual(result);
  await expect(api.getSessionTrace({ ...target, sessionTraceId: streamed })).resolves.toMatchObject({
    found: 'trace',
    trace: { status: 'COMPLETE' },
  });
  await expect(api.blockingContinue({ ...target, userInput, sessionTraceId: blocking })).rejects.toMatchObject({
    errorName: 'SessionTraceIdAlreadyExists',
  });
});

test('parameters of both types and a context override are taken', async () => {
  const target = await openSession();
  const context = await api.getRagContext({ ...target, userInput });
  const result = await api.blockingContinue({
    ...target,
    userInput,
    parameterInputs: {
      status: { type: 'string', value: 'open' },
      selectedOrders: {
        type: 'objectSet',
        ontology: 'example-ontology',
        objectSet: { type: 'base', objectType: 'customerOrder' },
      },
    },
    contextsOverride: [{ type: 'objectContext', objectRids: ['ri.o.1'], propertyTypeRids: [] }],
  });
  expect(context).toHaveProperty('objectContexts');
  expect(result.interruptedOutput).toBe(false);
});

test('a running exchange is cancelled, with the text so far as its response', async () => {
  const target = await openSession();
  const messageId = randomUUID();
  const controller = new AbortController();
  let text = '';
  let sawText = (): void => undefined;
  const firstText = new Promise<void>((resolve) => (sawText = resolve));
  const onText = (piece: string): void => {
    text += piece;
    sawText();
  };
  const slow = { ...target, messageId, signal: controller.signal, onText };
  const streaming = api.streamingContinue({ ...slow, userInput: { text: simulator.slowText } });
  const stopped = expect(streaming).rejects.toMatchObject({ name: 'AbortError' });
  await firstText;
  const { result } = await api.cancel({ ...target, messageId, response: text });
  controller.abort();
  await stopped;
  expect(result).toMatchObject({ agentMarkdownResponse: text, interruptedOutput: true });
  await expect(api.cancel({ ...target, messageId })).rejects.toMatchObject({
    errorName: 'CancelSessionFailedMessageNotInProgress',
    operationKind: 'cancel',
  });
});

describe('a fault of the server', () => {
  const cases: [name: string, fault: FaultRule['fault'], expected: object][] = [
    ['drop before', { kind: 'dropBefore' }, { noAnswer: true, neverSent: false }],
    ['drop after landing', { kind: 'dropAfterLanding' }, { noAnswer: true, neverSent: false }],
    ['503 of a proxy', { kind: 'status', status: 503, retryAfterSeconds: 2 }, { status: 503, retryAfterMs: 2_000 }],
    ['rate limit', { kind: 'error', errorName: 'RateLimitExceeded' }, { status: 400, errorName: 'RateLimitExceeded' }],
    ['failed execution', { kind: 'error', errorName: 'SessionExecutionFailed' }, { status: 500 }],
  ];
  test.each(cases)('%s: the call is sent once and fails as what it is', async (_, fault, expected) => {
    const target = await openSession();
    simulator.setFaults([{ operation: 'streamingContinue', fault }]);
    await expect(api.streamingContinue({ ...target, userInput })).rejects.toMatchObject(expected);
    expect(simulator.summary().totals.calls['streamingContinue']).toBe(1);
  });

  test('cut stream: the text so far was handed on, and the exchange is in the content all the same', async () => {
    const target = await openSession();
    simulator.setFaults([{ operation: 'streamingContinue', fault: { kind: 'cutStream', afterBytes: 20 } }]);
    let text = '';
    const onText = (piece: string): void => void (text += piece);
    await expect(api.streamingContinue({ ...target, userInput, onText })).rejects.toMatchObject({ noAnswer: true });
    expect(text).not.toBe('');
    const [exchange] = await api.getContent(target);
    expect(exchange?.result.agentMarkdownResponse.startsWith(text)).toBe(true);
  });
});

test('a token from client credentials is taken, and replaced when the server lets it expire', async () => {
  const { clientId, clientSecret, url } = simulator;
  const withOauth = createAgentsApi({
    foundryUrl: url,
    token: oauthToken({ foundryUrl: url, clientId, clientSecret }),
  });
  const { rid } = await withOauth.createSession({ agentRid });
  simulator.expireTokens();
  await expect(withOauth.getSession({ agentRid, sessionRid: rid })).resolves.toMatchObject({ rid });
  expect(simulator.summary().totals.calls['oauthToken']).toBe(2);
  await withOauth.close();
});

test('a five-page server serves the five operations and is seen to have no traces', async () => {
  const fivePages = await startSimulator({ serverKind: 'fivePages' });
  const old = createAgentsApi({ foundryUrl: fivePages.url, token: staticToken(fivePages.token) });
  const target = { agentRid: fivePages.agentRid, sessionRid: (await old.createSession({ agentRid })).rid };
  const { text } = await old.streamingContinue({ ...target, userInput, messageId: randomUUID() });
  const { agentMarkdownResponse, sessionTraceId } = await old.blockingContinue({ ...target, userInput });
  expect(sessionTraceId === undefined || typeof sessionTraceId === 'string').toBe(true);
  expect((await old.getContent(target)).map(({ result }) => result.agentMarkdownResponse)).toEqual([
    text,
    agentMarkdownResponse,
  ]);
  await expect(old.getSessionTrace({ ...target, sessionTraceId: randomUUID() })).resolves.toEqual({
    found: 'noTraces',
  });
  await old.close();
  await fivePages.close();
});
