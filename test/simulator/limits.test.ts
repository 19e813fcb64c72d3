import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { plainAgent, startSimulator } from '../../src/simulator/index.js';
import type { Simulator } from '../../src/simulator/index.js';
import { ask, callApi, openSession, sendCall, stream, until } from './support.js';

describe('limits', () => {
  let simulator: Simulator;
  let sessions: string[];

  beforeAll(async () => {
    simulator = await startSimulator();
  });
  afterAll(() => simulator.close());
  beforeEach(async () => {
    simulator.changeSettings({ limits: {} });
    simulator.reset();
    sessions = await Promise.all(Array.from({ length: 6 }, () => openSession(simulator)));
  });

  test('refuse continues beyond the rate with RateLimitExceeded, 400 CUSTOM_CLIENT', async () => {
    simulator.changeSettings({ limits: { requestsPerSecond: 0.001, burst: 2 } });
    const answers = [];
    for (const sessionRid of sessions.slice(0, 3)) answers.push(await ask(simulator, sessionRid, 'Hello'));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 400]);
    expect(answers[2]?.body).toMatchObject({ errorCode: 'CUSTOM_CLIENT', errorName: 'RateLimitExceeded' });
    expect(answers[2]?.body.parameters).toEqual({
      agentRid: simulator.agentRid,
      sessionRid: sessions[2],
      details: 'requests per second',
    });
    expect(simulator.summary().totals.refused).toEqual({ RateLimitExceeded: 1 });
  });

  test('let calls in again as time goes by', async () => {
    simulator.changeSettings({ limits: { requestsPerSecond: 20, burst: 1 } });
    expect((await ask(simulator, sessions[0]!, 'Hello')).status).toBe(200);
    await until('a call is let in', async () => (await ask(simulator, sessions[0]!, 'Again')).status === 200);
  });

  test('count exchanges in flight, also those whose client has left', async () => {
    simulator.changeSettings({ limits: { concurrent: 2 } });
    const leaving = new AbortController();
    const messageId = randomUUID();
    await stream(simulator, sessions[0]!, 'Long [takes 30s]', { messageId }, leaving.signal);
    await stream(simulator, sessions[1]!, 'Long [takes 30s]');
    leaving.abort();
    await until('the client is gone', () => simulator.ledger().totals.clientsLeft === 1);
    expect((await ask(simulator, sessions[2]!, 'Hello')).body.errorName).toBe('RateLimitExceeded');
    await callApi(simulator, 'POST', `sessions/${sessions[0]}/cancel`, { messageId });
    expect((await ask(simulator, sessions[2]!, 'Hello')).status).toBe(200);
    expect(simulator.ledger().totals.peakInFlight).toBe(2);
  });

  test('hold for each agent by itself', async () => {
    simulator.changeSettings({ limits: { concurrent: 1 } });
    await stream(simulator, sessions[0]!, 'Long [takes 30s]');
    const other = await openSession(simulator, {}, plainAgent.agentRid);
    const answer = await callApi(
      simulator,
      'POST',
      `sessions/${other}/blockingContinue`,
      { userInput: { text: 'Hello' } },
      { agentRid: plainAgent.agentRid },
    );
    expect(answer.status).toBe(200);
  });

  test('count tokens', async () => {
    simulator.changeSettings({ limits: { tokensPerMinute: 300 } });
    expect((await ask(simulator, sessions[0]!, 'Hello [long 2000]')).status).toBe(200);
    const refused = await ask(simulator, sessions[1]!, 'Hello');
    expect(refused.body).toMatchObject({
      errorName: 'RateLimitExceeded',
      parameters: { details: 'tokens per minute' },
    });
  });

  test('keep counting what is in flight when they are changed', async () => {
    simulator.changeSettings({ limits: { concurrent: 5 } });
    for (const sessionRid of sessions.slice(0, 3)) await stream(simulator, sessionRid, 'Long [takes 30s]');
    simulator.changeSettings({ limits: { concurrent: 3 } });
    expect((await ask(simulator, sessions[3]!, 'Hello')).body.errorName).toBe('RateLimitExceeded');
    simulator.changeSettings({ limits: { concurrent: 4 } });
    expect((await ask(simulator, sessions[3]!, 'Hello')).status).toBe(200);
  });

  test.each([
    ['platform429', 429],
    ['platform503', 503],
  ] as const)('in the style %s refuse any call with %d and no API error', async (style, status) => {
    simulator.changeSettings({ limits: { requestsPerSecond: 0.001, burst: 1, style, retryAfterSeconds: 7 } });
    expect((await callApi(simulator, 'GET', '')).status).toBe(200);
    const refused = await sendCall(simulator, 'GET', '');
    expect([refused.status, refused.headers.get('retry-after'), await refused.text()]).toEqual([status, '7', '']);
  });

  test('leave creating and reading alone in the style of the agent', async () => {
    simulator.changeSettings({ limits: { requestsPerSecond: 0.001, burst: 1 } });
    await ask(simulator, sessions[0]!, 'Hello');
    expect((await callApi(simulator, 'POST', 'sessions', {})).status).toBe(200);
    expect((await callApi(simulator, 'GET', `sessions/${sessions[0]}/content`)).status).toBe(200);
  });
});
