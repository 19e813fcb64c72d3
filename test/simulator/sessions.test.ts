import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { plainAgent, simulatedAnswer, startSimulator, unpublishedAgent } from '../../src/simulator/index.js';
import type { Simulator } from '../../src/simulator/index.js';
import { ask, callApi, openSession, readContent, sendCall, stream, until } from './support.js';

describe('sessions', () => {
  let simulator: Simulator;

  beforeAll(async () => {
    simulator = await startSimulator();
  });
  afterAll(() => simulator.close());
  beforeEach(() => {
    simulator.reset();
    simulator.changeSettings({ sessionLifetimeMs: 86_400_000, contextSizeTokens: 128_000, createLatencyMs: 0 });
  });

  const notFound = { status: 404, body: { errorCode: 'NOT_FOUND', errorName: 'SessionNotFound' } };

  test('start empty, on the latest published version, with their expiry', async () => {
    const { body } = await callApi(simulator, 'POST', 'sessions', {});
    expect(body).toEqual({
      rid: expect.stringMatching(/^ri\.aip-agents\.\.session\./),
      agentRid: simulator.agentRid,
      agentVersion: '2.0',
      metadata: expect.objectContaining({ messageCount: 0, title: 'New session' }),
    });
    const { createdTime, estimatedExpiresTime } = body['metadata'] as Record<string, string>;
    expect(Date.parse(estimatedExpiresTime!) - Date.parse(createdTime!)).toBe(86_400_000);
  });

  test('of an earlier version answer as that version', async () => {
    const sessionRid = await openSession(simulator, { agentVersion: '1.0' });
    const { body } = await ask(simulator, sessionRid, 'Hello');
    expect(body['agentMarkdownResponse']).toBe(simulatedAnswer({ text: 'Hello', agentVersion: '1.0', turn: 1 }));
  });

  test.each([
    [{ agentVersion: '9.0' }, 404, 'AgentVersionNotFound', { agentVersionString: '9.0' }],
    [{ agentVersion: 'newest' }, 400, 'InvalidAgentVersion', { version: 'newest' }],
  ])('are refused for %j', async (body, status, errorName, parameters) => {
    const answer = await callApi(simulator, 'POST', 'sessions', body);
    expect(answer).toMatchObject({ status, body: { errorName } });
    expect(answer.body.parameters).toEqual({ agentRid: simulator.agentRid, ...parameters });
  });

  test('are refused for an agent that was never published, unless they name a version', async () => {
    const { agentRid } = unpublishedAgent;
    const answer = await callApi(simulator, 'POST', 'sessions', {}, { agentRid });
    expect(answer).toMatchObject({
      status: 400,
      body: { errorName: 'NoPublishedAgentVersion', parameters: { agentRid } },
    });
    expect(await openSession(simulator, { agentVersion: '0.1' }, agentRid)).toMatch(/^ri\./);
  });

  test('are refused for an unknown agent', async () => {
    const agentRid = 'ri.aip-agents..agent.none';
    const answer = await callApi(simulator, 'POST', 'sessions', {}, { agentRid });
    expect(answer).toMatchObject({ status: 404, body: { errorName: 'AgentNotFound', parameters: { agentRid } } });
  });

  test('refuse fields that the request does not have', async () => {
    const sessionRid = await openSession(simulator);
    expect((await ask(simulator, sessionRid, 'Hello', { sessiontraceid: 'x' })).body.errorName).toBe(
      'Default:InvalidArgument',
    );
    expect((await callApi(simulator, 'POST', 'sessions', { version: '1.0' })).status).toBe(400);
  });

  test('number their turns, count messages and tokens, and take their title from the first text', async () => {
    const sessionRid = await openSession(simulator);
    const first = await ask(simulator, sessionRid, 'First');
    const second = await ask(simulator, sessionRid, 'Second');
    expect(second.body['agentMarkdownResponse']).toBe(
      simulatedAnswer({ text: 'Second', agentVersion: '2.0', turn: 2 }),
    );
    expect(Number(second.body['totalTokensUsed'])).toBeGreaterThan(Number(first.body['totalTokensUsed']));
    const { body } = await callApi(simulator, 'GET', `sessions/${sessionRid}`);
    expect(body['metadata']).toMatchObject({ messageCount: 4, title: 'First' });
    expect((await readContent(simulator, sessionRid)).map(({ userInput }) => userInput.text)).toEqual([
      'First',
      'Second',
    ]);
  });

  test('refuse a second exchange while they answer, by a name on no list, and count it', async () => {
    const sessionRid = await openSession(simulator);
    await stream(simulator, sessionRid, 'Long [takes 30s]');
    const answer = await ask(simulator, sessionRid, 'Hello');
    expect(answer).toMatchObject({ status: 400, body: { errorCode: 'INVALID_ARGUMENT', errorName: 'SessionBusy' } });
    expect(simulator.ledger().totals).toMatchObject({ overlapsRefused: 1, refused: { SessionBusy: 1 }, inFlight: 1 });
  });

  test('expire: then nothing finds them but the name of the error for their content', async () => {
    const sessionRid = await openSession(simulator);
    expect(simulator.expireSession(sessionRid)).toBe(true);
    expect(await ask(simulator, sessionRid, 'Hello')).toMatchObject(notFound);
    expect(await callApi(simulator, 'GET', `sessions/${sessionRid}`)).toMatchObject(notFound);
    const content = await callApi(simulator, 'GET', `sessions/${sessionRid}/content`);
    expect(content).toMatchObject({ status: 404, body: { errorName: 'ContentNotFound' } });
    expect(content.body.parameters).toEqual({ agentRid: simulator.agentRid, sessionRid });
  });

  test('expire by themselves when idle, later after each exchange', async () => {
    simulator.changeSettings({ sessionLifetimeMs: 1500 });
    const [used, idle] = [await openSession(simulator), await openSession(simulator)];
    const expiry = async () => {
      const { body } = await callApi(simulator, 'GET', `sessions/${used}`);
      return Date.parse((body['metadata'] as { estimatedExpiresTime: string }).estimatedExpiresTime);
    };
    const before = await expiry();
    await ask(simulator, used, 'Hello [takes 50ms]');
    expect(await expiry()).toBeGreaterThan(before);
    await until(
      'the idle session expired',
      async () => (await callApi(simulator, 'GET', `sessions/${idle}`)).status === 404,
    );
  });

  test('refuse what does not fit into their context any more', async () => {
    simulator.changeSettings({ contextSizeTokens: 500 });
    const sessionRid = await openSession(simulator);
    const answer = await ask(simulator, sessionRid, 'x'.repeat(2000));
    expect(answer).toMatchObject({ status: 400, body: { errorName: 'ContextSizeExceededLimit' } });
    expect(answer.body.parameters).toEqual({
      agentRid: simulator.agentRid,
      sessionRid,
      details: '700 tokens of 500',
    });
    expect((await ask(simulator, sessionRid, 'Hello')).status).toBe(200);
  });

  test('overflow by what was said before', async () => {
    simulator.changeSettings({ contextSizeTokens: 500 });
    const sessionRid = await openSession(simulator);
    expect((await ask(simulator, sessionRid, 'Tell [long 1000]')).status).toBe(200);
    expect((await ask(simulator, sessionRid, 'And?')).status).toBe(200);
    expect((await ask(simulator, sessionRid, 'And?')).body.errorName).toBe('ContextSizeExceededLimit');
  });

  test('can be deleted', async () => {
    const sessionRid = await openSession(simulator);
    expect((await sendCall(simulator, 'DELETE', `sessions/${sessionRid}`)).status).toBe(204);
    expect(await callApi(simulator, 'GET', `sessions/${sessionRid}/content`)).toMatchObject(notFound);
    expect(simulator.ledger().totals.sessionsDeleted).toBe(1);
  });

  test('take a title, cut to 200 characters', async () => {
    const sessionRid = await openSession(simulator);
    const title = 't'.repeat(300);
    expect((await sendCall(simulator, 'PUT', `sessions/${sessionRid}/updateTitle`, { title })).status).toBe(204);
    const { body } = await callApi(simulator, 'GET', `sessions/${sessionRid}`);
    expect(body['metadata']).toMatchObject({ title: 't'.repeat(200) });
  });

  test('are not found by way of another agent', async () => {
    const sessionRid = await openSession(simulator);
    const { agentRid } = plainAgent;
    expect(await callApi(simulator, 'GET', `sessions/${sessionRid}`, undefined, { agentRid })).toMatchObject(notFound);
  });

  test('are listed page by page, the last updated first, by agent or all', async () => {
    const rids = [];
    for (let number = 0; number < 5; number++) rids.push(await openSession(simulator));
    const other = await openSession(simulator, {}, plainAgent.agentRid);
    const list = async (query: string, path = 'sessions') => {
      const { body } = await callApi(simulator, 'GET', path, undefined, { query: `?preview=true${query}` });
      return body as unknown as { data: { rid: string }[]; nextPageToken?: string };
    };
    const seen = [];
    let token: string | undefined = '';
    do {
      const page = await list(`&pageSize=2${token === '' ? '' : `&pageToken=${token}`}`);
      seen.push(...page.data.map(({ rid }) => rid));
      token = page.nextPageToken;
    } while (token !== undefined);
    expect(seen).toEqual(rids.toReversed());
    const all = await callApi(simulator, 'GET', '', undefined, { agentRid: 'allSessions' });
    expect((all.body['data'] as { rid: string }[]).map(({ rid }) => rid)).toEqual([other, ...rids.toReversed()]);
  });

  test.each([
    ['&pageSize=0', 'InvalidPageSize'],
    ['&pageToken=x', 'InvalidPageToken'],
  ])('are not listed for %s', async (query, errorName) => {
    const answer = await callApi(simulator, 'GET', 'sessions', undefined, { query: `?preview=true${query}` });
    expect(answer).toMatchObject({ status: 400, body: { errorName } });
  });

  test('keep the contexts that a request put in the place of the retrieved ones', async () => {
    const sessionRid = await openSession(simulator);
    const objectContext = { objectRids: ['ri.a.b.c.d'], propertyTypeRids: [] };
    const retrieved = { functionRid: 'ri.f.m.function.a', functionVersion: '1.0.0', retrievedPrompt: 'ctx' };
    const contextsOverride = [
      { type: 'objectContext', ...objectContext },
      { type: 'functionRetrievedContext', ...retrieved },
    ];
    await ask(simulator, sessionRid, 'Hello', { contextsOverride });
    expect((await readContent(simulator, sessionRid))[0]?.contexts).toEqual({
      objectContexts: [objectContext],
      functionRetrievedContexts: [retrieved],
    });
    const wrong = await ask(simulator, sessionRid, 'Hello', { contextsOverride: [{ type: 'other' }] });
    expect(wrong.body.errorName).toBe('Default:InvalidArgument');
  });

  test('fail an exchange by its text, and answer word for word by it', async () => {
    const sessionRid = await openSession(simulator);
    const failed = await ask(simulator, sessionRid, 'Loop [fail AgentIterationsExceededLimit]');
    expect(failed).toMatchObject({ status: 400, body: { errorName: 'AgentIterationsExceededLimit' } });
    const echoed = await ask(simulator, sessionRid, 'Say [answer] {"total": 3} [as is]');
    expect(echoed.body['agentMarkdownResponse']).toBe('{"total": 3} [as is]');
  });
});
