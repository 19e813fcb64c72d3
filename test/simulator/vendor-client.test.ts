import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createPlatformClient } from '@osdk/client';
import { Agents, AgentVersions, Contents, Sessions, SessionTraces } from '@osdk/foundry.aipagents';
import { createConfidentialOauthClient } from '@osdk/oauth';
import { simulatedAnswer, startSimulator } from '../../src/simulator/index.js';
import type { Simulator } from '../../src/simulator/index.js';

/** Palantir's own TypeScript client, unmodified, against the simulator. */
describe("the vendor's client", () => {
  let simulator: Simulator;
  let client: ReturnType<typeof createPlatformClient>;
  let agentRid: string;
  let sessionRid: string;
  const preview = { preview: true } as const;

  beforeAll(async () => {
    simulator = await startSimulator();
    agentRid = simulator.agentRid;
    client = createPlatformClient(simulator.url, () => Promise.resolve(simulator.token));
  });
  afterAll(() => simulator.close());
  beforeEach(async () => {
    simulator.reset();
    sessionRid = (await Sessions.create(client, agentRid, {}, preview)).rid;
  });

  test('gets an agent and its versions', async () => {
    const agent = await Agents.get(client, agentRid, { version: '1.1', ...preview });
    expect(agent).toMatchObject({ rid: agentRid, version: '1.1', metadata: { displayName: 'Order desk' } });
    expect(agent.parameters['selectedOrders']).toMatchObject({
      access: 'READ_WRITE',
      parameterType: { type: 'objectSet', expectedObjectTypes: ['customerOrder'] },
    });
    const versions = await AgentVersions.list(client, agentRid, preview);
    expect(versions.data.map(({ string }) => string)).toEqual(['2.0', '1.1', '1.0']);
    expect((await AgentVersions.get(client, agentRid, '1.1', preview)).version).toEqual({ major: 1, minor: 1 });
  });

  test('asks with blockingContinue, and reads the content and the trace', async () => {
    const sessionTraceId = randomUUID();
    const request = { userInput: { text: 'Hello [set status=shipped]' }, parameterInputs: {}, sessionTraceId };
    const result = await Sessions.blockingContinue(client, agentRid, sessionRid, request, preview);
    expect(result).toMatchObject({
      sessionTraceId,
      interruptedOutput: false,
      parameterUpdates: { status: { type: 'string', value: 'shipped' } },
    });
    const { exchanges } = await Contents.get(client, agentRid, sessionRid, preview);
    expect(exchanges).toEqual([{ userInput: { text: 'Hello [set status=shipped]' }, result }]);
    const trace = await SessionTraces.get(client, agentRid, sessionRid, sessionTraceId, preview);
    expect(trace).toMatchObject({ id: sessionTraceId, status: 'COMPLETE' });
  });

  test('streams', async () => {
    const request = { userInput: { text: 'Where? [takes 300ms]' }, parameterInputs: {}, messageId: randomUUID() };
    const response = await Sessions.streamingContinue(client, agentRid, sessionRid, request, preview);
    expect(await response.text()).toBe(simulatedAnswer({ text: 'Where? [takes 300ms]', agentVersion: '2.0', turn: 1 }));
  });

  test.each([undefined, 'So far'])('cancels, with the response %s', async (response) => {
    const messageId = randomUUID();
    const request = { userInput: { text: simulator.slowText }, parameterInputs: {}, messageId };
    await Sessions.streamingContinue(client, agentRid, sessionRid, request, preview);
    const cancel = { messageId, ...(response === undefined ? {} : { response }) };
    const cancelled = await Sessions.cancel(client, agentRid, sessionRid, cancel, preview);
    expect(cancelled.result?.agentMarkdownResponse).toBe(response);
    expect(simulator.ledger().running).toEqual([]);
  });

  test('lists, gets, retitles sessions and retrieves context', async () => {
    await Sessions.updateTitle(client, agentRid, sessionRid, { title: 'Mine' }, preview);
    expect((await Sessions.get(client, agentRid, sessionRid, preview)).metadata.title).toBe('Mine');
    const list = await Sessions.list(client, agentRid, { pageSize: 1, ...preview });
    expect(list.data.map(({ rid }) => rid)).toEqual([sessionRid]);
    expect((await Agents.allSessions(client, preview)).data).toHaveLength(1);
    const request = { userInput: { text: 'x' }, parameterInputs: {} };
    const context = await Sessions.ragContext(client, agentRid, sessionRid, request, preview);
    expect(context.functionRetrievedContexts).toHaveLength(1);
  });

  test('reads errors with their names, codes, statuses and parameters', async () => {
    const messageId = randomUUID();
    await expect(Sessions.cancel(client, agentRid, sessionRid, { messageId }, preview)).rejects.toMatchObject({
      errorName: 'CancelSessionFailedMessageNotInProgress',
      errorCode: 'INVALID_ARGUMENT',
      statusCode: 400,
      errorInstanceId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      errorDescription: expect.stringContaining('no in-progress exchange'),
      parameters: { messageId, agentRid, sessionRid },
    });
    await expect(Agents.get(client, agentRid)).rejects.toMatchObject({ errorName: 'ApiFeaturePreviewUsageOnly' });
    await expect(Sessions.get(client, agentRid, 'ri.aip-agents..session.none', preview)).rejects.toMatchObject({
      errorName: 'SessionNotFound',
      statusCode: 404,
    });
  });

  describe('with a token from client credentials', () => {
    const readScope = 'api:aip-agents-read';
    const writeScope = 'api:aip-agents-write';

    function oauthClient(scopes: string[] | undefined, secret = simulator.clientSecret) {
      const getToken = createConfidentialOauthClient(simulator.clientId, secret, simulator.url, scopes);
      return { getToken, client: createPlatformClient(simulator.url, getToken) };
    }

    test('is let in with both scopes', async () => {
      const { client: mine } = oauthClient([readScope, writeScope]);
      expect((await Sessions.create(mine, agentRid, {}, preview)).agentVersion).toBe('2.0');
    });

    test('is held to the scopes it asked for', async () => {
      const { client: mine } = oauthClient([readScope]);
      expect((await Agents.get(mine, agentRid, preview)).version).toBe('2.0');
      await expect(Sessions.create(mine, agentRid, {}, preview)).rejects.toMatchObject({
        errorName: 'CreateSessionPermissionDenied',
        statusCode: 403,
      });
    });

    test("gets nowhere with the library's default scopes", async () => {
      const { client: mine } = oauthClient(undefined);
      await expect(Agents.get(mine, agentRid, preview)).rejects.toMatchObject({ errorName: 'ApiUsageDenied' });
    });

    test('gets no token with a wrong secret', async () => {
      await expect(oauthClient([readScope], 'wrong').getToken()).rejects.toThrow('invalid_client');
    });

    test('is refused once the token has expired or been revoked', async () => {
      const { getToken, client: mine } = oauthClient([readScope]);
      await Agents.get(mine, agentRid, preview);
      expect(simulator.expireTokens()).toBeGreaterThan(0);
      await expect(Agents.get(mine, agentRid, preview)).rejects.toMatchObject({ statusCode: 401 });
      await getToken.signOut();
      expect((await Agents.get(mine, agentRid, preview)).version).toBe('2.0');
    });

    test('may be told of a token lifetime that runs out', async () => {
      const brief = await startSimulator({ oauthTokenLifetimeSeconds: 0.05 });
      const getToken = createConfidentialOauthClient(brief.clientId, brief.clientSecret, brief.url, [readScope]);
      const first = await getToken();
      const deadline = Date.now() + 5000;
      while ((await getToken()) === first && Date.now() < deadline) await new Promise((next) => setTimeout(next, 10));
      expect(await getToken()).not.toBe(first);
      await brief.close();
    });
  });
});
