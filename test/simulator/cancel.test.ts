import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { simulatedAnswer, startSimulator } from '../../src/simulator/index.js';
import type { Simulator } from '../../src/simulator/index.js';
import { ask, callApi, openSession, readContent, stream, until } from './support.js';

describe('cancel', () => {
  let simulator: Simulator;
  let sessionRid: string;
  const messageId = randomUUID();

  beforeAll(async () => {
    simulator = await startSimulator();
  });
  afterAll(() => simulator.close());
  beforeEach(async () => {
    simulator.reset();
    simulator.changeSettings({ cancelTooEarlyMs: 0, streamAfterCancel: 'silent' });
    sessionRid = await openSession(simulator);
  });

  function cancel(body: object = { messageId }) {
    return callApi(simulator, 'POST', `sessions/${sessionRid}/cancel`, body);
  }

  const missed = {
    status: 400,
    body: { errorCode: 'INVALID_ARGUMENT', errorName: 'CancelSessionFailedMessageNotInProgress' },
  };

  test('without a response: answers {}, and the exchange is not in the content', async () => {
    await stream(simulator, sessionRid, 'Long [takes 30s]', { messageId });
    expect(await cancel()).toEqual({ status: 200, body: {} });
    expect(await readContent(simulator, sessionRid)).toEqual([]);
    expect(simulator.ledger().totals).toMatchObject({ cancelled: 1, inFlight: 0, cancelsSucceeded: 1 });
  });

  test('with a response: returns the exchange with that text, interrupted, and keeps it in the content', async () => {
    const sessionTraceId = randomUUID();
    await stream(simulator, sessionRid, 'Long [takes 30s] [set status=shipped]', { messageId, sessionTraceId });
    const { status, body } = await cancel({ messageId, response: 'So far.' });
    const result = {
      agentMarkdownResponse: 'So far.',
      parameterUpdates: {},
      totalTokensUsed: expect.any(Number),
      interruptedOutput: true,
      sessionTraceId,
    };
    expect({ status, body }).toEqual({ status: 200, body: { result } });
    expect(await readContent(simulator, sessionRid)).toEqual([
      { userInput: { text: 'Long [takes 30s] [set status=shipped]' }, result },
    ]);
  });

  test('with an empty response keeps the exchange all the same', async () => {
    await stream(simulator, sessionRid, 'Long [takes 30s]', { messageId });
    expect((await cancel({ messageId, response: '' })).body).toHaveProperty('result.agentMarkdownResponse', '');
    expect(await readContent(simulator, sessionRid)).toHaveLength(1);
  });

  test('misses with the ids in the error when no exchange has that message id', async () => {
    const answer = await cancel();
    expect(answer).toMatchObject(missed);
    expect(answer.body.parameters).toEqual({ messageId, agentRid: simulator.agentRid, sessionRid });
  });

  test('misses when another exchange of the session is in progress, which goes on', async () => {
    await stream(simulator, sessionRid, 'Other [takes 30s]', { messageId: randomUUID() });
    expect(await cancel()).toMatchObject(missed);
    expect(simulator.ledger().running).toHaveLength(1);
  });

  test('misses when it comes too late, and the exchange stays', async () => {
    await (await stream(simulator, sessionRid, 'Short', { messageId })).text();
    expect(await cancel({ messageId, response: 'x' })).toMatchObject(missed);
    expect((await readContent(simulator, sessionRid))[0]?.result.interruptedOutput).toBe(false);
  });

  test('misses when it comes too early; the exchange goes on, and can be cancelled later', async () => {
    simulator.changeSettings({ cancelTooEarlyMs: 1000 });
    await stream(simulator, sessionRid, 'Long [takes 30s]', { messageId });
    expect(await cancel()).toMatchObject(missed);
    expect(simulator.ledger().running).toHaveLength(1);
    await until('a cancel reaches it', async () => (await cancel()).status === 200);
    expect(simulator.ledger().running).toEqual([]);
  });

  test('misses the second time', async () => {
    await stream(simulator, sessionRid, 'Long [takes 30s]', { messageId });
    expect((await cancel()).status).toBe(200);
    expect(await cancel()).toMatchObject(missed);
    expect(simulator.ledger().cancels.map(({ outcome }) => outcome)).toEqual(['cancelled', 'missed']);
  });

  test('cannot reach a blocking exchange, whose request takes no message id', async () => {
    const refused = await ask(simulator, sessionRid, 'Long', { messageId });
    expect(refused).toMatchObject({ status: 400, body: { errorName: 'Default:InvalidArgument' } });
    const asked = ask(simulator, sessionRid, 'Long [takes 1s]');
    await until('the exchange runs', () => simulator.ledger().running.length === 1);
    expect(await cancel()).toMatchObject(missed);
    expect((await asked).status).toBe(200);
  });

  test('demands a message id that is a UUID', async () => {
    expect(await cancel({})).toMatchObject({ status: 400, body: { errorName: 'Default:InvalidArgument' } });
    expect(await cancel({ messageId: 'm1' })).toMatchObject({ status: 400 });
  });

  test('frees the session at once for the next exchange, which takes the same place', async () => {
    await stream(simulator, sessionRid, 'Long [takes 30s]', { messageId });
    await cancel();
    const next = await ask(simulator, sessionRid, 'Next');
    expect(next.body['agentMarkdownResponse']).toBe(simulatedAnswer({ text: 'Next', agentVersion: '2.0', turn: 1 }));
  });

  test('does not end the stream, which stays silent until its natural end', async () => {
    const response = await stream(simulator, sessionRid, 'Long [takes 2s] [long 4000]', { messageId });
    expect((await cancel()).status).toBe(200);
    const text = await response.text();
    const startedAt = Date.parse(simulator.ledger().exchanges[0]?.startedAt ?? '');
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(1990);
    expect(text.length).toBeLessThan(4000);
  });

  test('lets the stream go on to its natural end when so told', async () => {
    simulator.changeSettings({ streamAfterCancel: 'goesOn' });
    const text = 'Long [takes 1s] [long 4000]';
    const response = await stream(simulator, sessionRid, text, { messageId });
    await cancel();
    expect(await response.text()).toBe(simulatedAnswer({ text, agentVersion: '2.0', turn: 1 }));
    expect(await readContent(simulator, sessionRid)).toEqual([]);
  });
});
