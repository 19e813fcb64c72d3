import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startSimulator } from '../../src/simulator/index.js';
import type { Simulator } from '../../src/simulator/index.js';
import { ask, callApi, openSession, readContent, stream, until } from './support.js';

describe('session traces', () => {
  let simulator: Simulator;
  let sessionRid: string;
  let sessionTraceId: string;

  beforeAll(async () => {
    simulator = await startSimulator();
  });
  afterAll(() => simulator.close());
  beforeEach(async () => {
    simulator.reset();
    simulator.changeSettings({ failedCallsUseUpTraceIds: true, traceLagMs: 0 });
    sessionRid = await openSession(simulator);
    sessionTraceId = randomUUID();
  });

  function trace(id = sessionTraceId) {
    return callApi(simulator, 'GET', `sessions/${sessionRid}/sessionTraces/${id}`);
  }

  const usedUp = { status: 400, body: { errorName: 'SessionTraceIdAlreadyExists' } };

  test('come back in the result and the content', async () => {
    const { body } = await ask(simulator, sessionRid, 'Hello', { sessionTraceId });
    expect(body).toMatchObject({ sessionTraceId, parameterUpdates: {} });
    expect((await readContent(simulator, sessionRid))[0]?.result.sessionTraceId).toBe(sessionTraceId);
  });

  test('get an id of the server where the client gave none', async () => {
    const { body } = await ask(simulator, sessionRid, 'Hello');
    expect((await trace(body['sessionTraceId'] as string)).body).toMatchObject({ status: 'COMPLETE' });
  });

  test('are refused the second time, with the ids in the error', async () => {
    await ask(simulator, sessionRid, 'Hello', { sessionTraceId });
    const again = await ask(simulator, sessionRid, 'Hello', { sessionTraceId });
    expect(again).toMatchObject(usedUp);
    expect(again.body.parameters).toEqual({ agentRid: simulator.agentRid, sessionRid, sessionTraceId });
    expect(simulator.ledger().totals.landed).toBe(1);
  });

  test('are refused while their exchange goes on, before the session is found busy', async () => {
    await stream(simulator, sessionRid, 'Hello [takes 30s]', { sessionTraceId });
    expect(await ask(simulator, sessionRid, 'Hello', { sessionTraceId })).toMatchObject(usedUp);
    expect((await ask(simulator, sessionRid, 'Hello', { sessionTraceId: randomUUID() })).body.errorName).toBe(
      'SessionBusy',
    );
    expect(simulator.ledger().totals).toMatchObject({ overlapsRefused: 1, inFlight: 1 });
  });

  test('are not used up by a call that found the session busy', async () => {
    await stream(simulator, sessionRid, 'Hello [takes 1s]', {});
    await ask(simulator, sessionRid, 'Next', { sessionTraceId });
    await until('the first exchange landed', () => simulator.ledger().totals.landed === 1);
    expect((await ask(simulator, sessionRid, 'Next', { sessionTraceId })).status).toBe(200);
  });

  test('are free in another session', async () => {
    await ask(simulator, sessionRid, 'Hello', { sessionTraceId });
    expect((await ask(simulator, await openSession(simulator), 'Hello', { sessionTraceId })).status).toBe(200);
  });

  test('tell IN_PROGRESS, then COMPLETE, with their tool calls', async () => {
    const streamed = await stream(simulator, sessionRid, 'Hello [takes 1s]', { sessionTraceId });
    const during = await trace();
    expect(during.body).toMatchObject({ id: sessionTraceId, status: 'IN_PROGRESS', toolCallGroups: [{}] });
    expect(JSON.stringify(during.body)).not.toContain('"output"');
    await streamed.text();
    const after = await trace();
    expect(after.body).toMatchObject({
      status: 'COMPLETE',
      toolCallGroups: [{ toolCalls: [{ toolMetadata: { type: 'OBJECT_QUERY' }, output: { type: 'success' } }] }],
    });
  });

  test('are COMPLETE after a cancel, and nothing is in the content', async () => {
    const messageId = randomUUID();
    await stream(simulator, sessionRid, 'Hello [takes 30s]', { sessionTraceId, messageId });
    await callApi(simulator, 'POST', `sessions/${sessionRid}/cancel`, { messageId });
    expect((await trace()).body['status']).toBe('COMPLETE');
    expect(await ask(simulator, sessionRid, 'Hello', { sessionTraceId })).toMatchObject(usedUp);
  });

  test('are not found when the session has never seen them', async () => {
    const answer = await trace();
    expect(answer).toMatchObject({ status: 404, body: { errorName: 'SessionTraceNotFound' } });
    expect(answer.body.parameters).toEqual({ sessionTraceId, agentRid: simulator.agentRid, sessionRid });
  });

  test('can lag behind: refused as used while nothing shows yet', async () => {
    simulator.changeSettings({ traceLagMs: 1000 });
    await stream(simulator, sessionRid, 'Hello [takes 30s]', { sessionTraceId });
    expect((await trace()).status).toBe(404);
    expect(await ask(simulator, sessionRid, 'Hello', { sessionTraceId })).toMatchObject(usedUp);
    await until('the trace shows', async () => (await trace()).status === 200);
  });

  test.each([
    ['before its exchange began', 0],
    ['after some work', 50],
  ])('are used up by a call that fails %s', async (_when, afterMs) => {
    simulator.setFaults([
      {
        operation: 'blockingContinue',
        fault: { kind: 'error', errorName: 'SessionExecutionFailed', afterMs },
        times: 1,
      },
    ]);
    expect((await ask(simulator, sessionRid, 'Hello', { sessionTraceId })).status).toBe(500);
    expect((await trace()).body['status']).toBe('COMPLETE');
    expect(await ask(simulator, sessionRid, 'Hello', { sessionTraceId })).toMatchObject(usedUp);
    expect(await readContent(simulator, sessionRid)).toEqual([]);
  });

  test.each([0, 50])('stay free after a failure (%d ms into it) when so told', async (afterMs) => {
    simulator.changeSettings({ failedCallsUseUpTraceIds: false });
    simulator.setFaults([{ fault: { kind: 'error', errorName: 'RateLimitExceeded', afterMs }, times: 1 }]);
    expect((await ask(simulator, sessionRid, 'Hello', { sessionTraceId })).body.errorName).toBe('RateLimitExceeded');
    expect((await ask(simulator, sessionRid, 'Hello', { sessionTraceId })).status).toBe(200);
  });

  test('must be UUIDs', async () => {
    const answer = await ask(simulator, sessionRid, 'Hello', { sessionTraceId: 'one' });
    expect(answer).toMatchObject({ status: 400, body: { errorName: 'Default:InvalidArgument' } });
  });
});
