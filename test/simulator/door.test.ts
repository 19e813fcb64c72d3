import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { simulatorReadyLine, startSimulator } from '../../src/simulator/index.js';
import type { Simulator } from '../../src/simulator/index.js';
import { callApi } from './support.js';

describe('the door of the API', () => {
  let simulator: Simulator;
  const readToken = 'reads-only';
  const noScopes = 'no-scopes';
  const expired = 'expired';

  beforeAll(async () => {
    simulator = await startSimulator({
      tokens: [
        { token: readToken, scopes: ['api:aip-agents-read'] },
        { token: noScopes, scopes: [] },
        { token: expired, lifetimeMs: 0 },
      ],
    });
  });
  afterAll(() => simulator.close());

  test('refuses a call without a token with 401', async () => {
    const answer = await callApi(simulator, 'POST', 'sessions', {}, { token: null });
    expect(answer).toMatchObject({ status: 401, body: { errorCode: 'UNAUTHORIZED', errorName: 'MissingCredentials' } });
  });

  test.each(['unknown', expired])('refuses the token "%s" with 401', async (token) => {
    const answer = await callApi(simulator, 'POST', 'sessions', {}, { token });
    expect(answer).toMatchObject({
      status: 401,
      body: { errorCode: 'UNAUTHORIZED', errorName: 'Default:Unauthorized' },
    });
  });

  test('demands preview=true', async () => {
    const answer = await callApi(simulator, 'POST', 'sessions', {}, { query: '' });
    expect(answer).toMatchObject({
      status: 400,
      body: { errorCode: 'INVALID_ARGUMENT', errorName: 'ApiFeaturePreviewUsageOnly', parameters: {} },
    });
  });

  test.each([
    ['POST', 'sessions', 'CreateSessionPermissionDenied', false],
    ['POST', 'sessions/S/blockingContinue', 'BlockingContinueSessionPermissionDenied', true],
    ['POST', 'sessions/S/streamingContinue', 'StreamingContinueSessionPermissionDenied', true],
    ['POST', 'sessions/S/cancel', 'CancelSessionPermissionDenied', true],
    ['DELETE', 'sessions/S', 'DeleteSessionPermissionDenied', true],
    ['PUT', 'sessions/S/updateTitle', 'UpdateSessionTitlePermissionDenied', true],
    ['PUT', 'sessions/S/ragContext', 'GetRagContextForSessionPermissionDenied', true],
  ])('refuses %s %s without the write scope as %s', async (method, path, errorName, namesSession) => {
    const answer = await callApi(simulator, method, path, method === 'DELETE' ? undefined : {}, { token: readToken });
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({ errorCode: 'PERMISSION_DENIED', errorName });
    expect(answer.body.parameters).toEqual({
      agentRid: simulator.agentRid,
      ...(namesSession ? { sessionRid: 'S' } : {}),
    });
  });

  test('refuses reading without the read scope', async () => {
    const answer = await callApi(simulator, 'GET', '', undefined, { token: noScopes });
    expect(answer).toMatchObject({
      status: 403,
      body: { errorName: 'ApiUsageDenied', parameters: { missingScope: 'api:aip-agents-read' } },
    });
  });

  test('gives every error an instance id of its own', async () => {
    const one = await callApi(simulator, 'POST', 'sessions', {}, { token: null });
    const other = await callApi(simulator, 'POST', 'sessions', {}, { token: null });
    expect(one.body.errorInstanceId).toMatch(/^[0-9a-f-]{36}$/);
    expect(one.body.errorInstanceId).not.toBe(other.body.errorInstanceId);
  });

  test('answers 404 where there is no such operation', async () => {
    const answer = await callApi(simulator, 'POST', 'sessions/S/frobnicate', {});
    expect(answer).toMatchObject({ status: 404, body: { errorCode: 'NOT_FOUND' } });
  });

  test('answers 400 to a body that is not JSON', async () => {
    const answer = await callApi(simulator, 'POST', 'sessions', '{', {});
    expect(answer).toMatchObject({ status: 400, body: { errorName: 'Default:InvalidArgument' } });
  });

  test('refuses options that are not data of the right kind, naming the field', async () => {
    await expect(startSimulator({ answerLatencyMs: -1 })).rejects.toThrow(/answerLatencyMs/);
  });

  test('announces itself in one line of JSON', () => {
    const line = simulatorReadyLine(simulator);
    expect(line).not.toContain('\n');
    expect(JSON.parse(line)).toMatchObject({
      url: simulator.url,
      token: 'simulator-token',
      agentRid: simulator.agentRid,
      slowText: expect.stringContaining('[takes 5s]'),
    });
  });
});
