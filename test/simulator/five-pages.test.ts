import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startSimulator } from '../../src/simulator/index.js';
import type { Simulator } from '../../src/simulator/index.js';
import { ask, callApi, openSession, readContent, stream } from './support.js';

describe('the server of the five pages', () => {
  let simulator: Simulator;

  beforeAll(async () => {
    simulator = await startSimulator({ serverKind: 'fivePages' });
  });
  afterAll(() => simulator.close());

  test('ignores a trace id, also one that was sent before, and returns none', async () => {
    const sessionRid = await openSession(simulator);
    const sessionTraceId = randomUUID();
    const first = await ask(simulator, sessionRid, 'Hello', { sessionTraceId });
    expect(Object.keys(first.body).sort()).toEqual(['agentMarkdownResponse', 'interruptedOutput', 'totalTokensUsed']);
    expect((await ask(simulator, sessionRid, 'Hello', { sessionTraceId })).status).toBe(200);
    const [exchange] = await readContent(simulator, sessionRid);
    expect(exchange?.result).toEqual(first.body);
  });

  test('tells parameter updates where there are some', async () => {
    const { body } = await ask(simulator, await openSession(simulator), 'Ship [set status=shipped]');
    expect(body['parameterUpdates']).toEqual({ status: { type: 'string', value: 'shipped' } });
  });

  test('streams and cancels', async () => {
    const sessionRid = await openSession(simulator);
    const messageId = randomUUID();
    await stream(simulator, sessionRid, 'Long [takes 30s]', { messageId });
    const { body } = await callApi(simulator, 'POST', `sessions/${sessionRid}/cancel`, { messageId, response: 'x' });
    expect(body['result']).toMatchObject({ agentMarkdownResponse: 'x', interruptedOutput: true });
  });

  test.each([
    ['GET', ''],
    ['GET', 'sessions'],
    ['GET', 'sessions/S'],
    ['DELETE', 'sessions/S'],
    ['PUT', 'sessions/S/updateTitle'],
    ['GET', `sessions/S/sessionTraces/${randomUUID()}`],
    ['GET', 'agentVersions'],
  ])('does not know %s %s', async (method, path) => {
    const answer = await callApi(simulator, method, path);
    expect(answer).toMatchObject({ status: 404, body: { errorName: 'Default:NotFound' } });
  });
});
