import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startSimulator } from '../../src/simulator/index.js';
import type { Ledger, LedgerSummary, Simulator } from '../../src/simulator/index.js';
import { ask, openSession, sendCall, stream } from './support.js';

describe('the ledger and the control paths', () => {
  let simulator: Simulator;

  beforeAll(async () => {
    simulator = await startSimulator();
  });
  afterAll(() => simulator.close());
  beforeEach(() => simulator.reset());

  async function control(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${simulator.url}/simulator/${path}`, {
      method,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  test('tells what ended and what runs, without a token', async () => {
    const [one, other] = [await openSession(simulator), await openSession(simulator)];
    const [messageId, sessionTraceId] = [randomUUID(), randomUUID()];
    await ask(simulator, one, 'Done');
    await stream(simulator, other, 'Going on [takes 30s]', { messageId, sessionTraceId });
    const ledger = (await control('GET', 'ledger')).body as Ledger;
    expect(ledger.totals).toMatchObject({
      sessionsCreated: 2,
      continuesReceived: 2,
      landed: 1,
      inFlight: 1,
      calls: { createSession: 2, blockingContinue: 1, streamingContinue: 1 },
    });
    expect(ledger.exchanges).toEqual([
      expect.objectContaining({ sessionRid: one, text: 'Done', mode: 'blocking', status: 'landed', turn: 1 }),
    ]);
    expect(ledger.running).toEqual([
      expect.objectContaining({ sessionRid: other, messageId, sessionTraceId, mode: 'streaming', status: 'answering' }),
    ]);
    expect(ledger.running[0]).not.toHaveProperty('endedAt');
    expect(simulator.ledger()).toEqual(ledger);
  });

  test('finds a message that landed twice, in whatever session, and a text said twice in one', async () => {
    const [one, other] = [await openSession(simulator), await openSession(simulator)];
    const messageId = randomUUID();
    await (await stream(simulator, one, 'Twice', { messageId })).text();
    await (await stream(simulator, other, 'Twice', { messageId })).text();
    await ask(simulator, one, 'Once');
    await ask(simulator, other, 'Once');
    expect(simulator.ledger().duplicates).toEqual([
      { sameBy: 'messageId', key: messageId, exchanges: [expect.anything(), expect.anything()] },
    ]);
    await ask(simulator, one, 'Once');
    expect(simulator.summary().duplicateCounts).toEqual({ messageId: 1, text: 1 });
  });

  test('does not take a cancelled and a landed exchange of one message for two', async () => {
    const sessionRid = await openSession(simulator);
    const messageId = randomUUID();
    await stream(simulator, sessionRid, 'Long [takes 30s]', { messageId });
    await sendCall(simulator, 'POST', `sessions/${sessionRid}/cancel`, { messageId });
    await (await stream(simulator, sessionRid, 'Long', { messageId })).text();
    expect(simulator.ledger().duplicates).toEqual([]);
  });

  test('sums up without its lists', async () => {
    await ask(simulator, await openSession(simulator), 'Hello');
    const { body } = await control('GET', 'ledger?summary=true');
    expect(Object.keys(body as LedgerSummary).sort()).toEqual(['duplicateCounts', 'totals']);
    expect((body as LedgerSummary).totals.landed).toBe(1);
  });

  test('faults are set over HTTP, and tell how often they struck', async () => {
    const rules = [{ operation: 'getAgent', fault: { kind: 'status', status: 502 }, times: 1 }];
    expect((await control('PUT', 'faults', rules)).status).toBe(200);
    expect((await sendCall(simulator, 'GET', '')).status).toBe(502);
    expect((await sendCall(simulator, 'GET', '')).status).toBe(200);
    expect((await control('GET', 'faults')).body).toMatchObject([{ rule: { operation: 'getAgent' }, struck: 1 }]);
  });

  test('settings are changed over HTTP, and those not named stay', async () => {
    await control('PUT', 'settings', { contextSizeTokens: 777 });
    const { body } = await control('PUT', 'settings', { limits: { concurrent: 3 } });
    expect(body).toMatchObject({ contextSizeTokens: 777, limits: { concurrent: 3 }, answerLatencyMs: 0 });
    expect((await control('GET', 'settings')).body).toEqual(body);
    simulator.changeSettings({ contextSizeTokens: 128_000, limits: {} });
  });

  test.each([
    ['faults', [{ fault: { kind: 'explode' } }], /faults\.0\.fault\.kind/],
    ['faults', [{ operation: 'continue', fault: { kind: 'dropBefore' } }], /faults\.0\.operation/],
    ['faults', { fault: {} }, /faults: .*array/],
    ['settings', { answerLatencyMs: 'slow' }, /settings\.answerLatencyMs/],
    ['settings', { port: 1 }, /port/],
    ['settings', '{', /Cannot read the body as JSON/],
  ])('refuses %s %j with the place and the reason', async (path, body, reason) => {
    const answer = await control('PUT', path, body);
    expect(answer.status).toBe(400);
    expect((answer.body as { error: string }).error).toMatch(reason);
  });

  test('answers 404 with what there is to a control path that there is not', async () => {
    const answer = await control('GET', 'nothing');
    expect(answer).toMatchObject({ status: 404, body: { error: expect.stringContaining('GET ledger') } });
  });

  test('reset forgets sessions, exchanges, faults and counts, and drops the clients of what ran', async () => {
    const sessionRid = await openSession(simulator);
    const asked = ask(simulator, sessionRid, 'Long [takes 30s]');
    const streamed = await stream(simulator, await openSession(simulator), 'Long [takes 30s]');
    simulator.setFaults([{ fault: { kind: 'dropBefore' } }]);
    expect((await control('POST', 'reset')).status).toBe(200);
    await expect(asked).rejects.toThrow();
    await expect(streamed.text()).rejects.toThrow();
    expect(simulator.ledger()).toMatchObject({
      totals: { sessionsCreated: 0, inFlight: 0, failed: 0 },
      running: [],
      exchanges: [],
    });
    expect((await sendCall(simulator, 'GET', `sessions/${sessionRid}`)).status).toBe(404);
  });

  test('sessions and tokens are made to expire over HTTP', async () => {
    const sessionRid = await openSession(simulator);
    expect((await control('POST', 'expireSession', { sessionRid })).body).toEqual({ expired: 1 });
    expect((await sendCall(simulator, 'GET', `sessions/${sessionRid}`)).status).toBe(404);
    expect((await control('POST', 'expireTokens')).body).toEqual({ expired: 0 });
  });

  test('close() frees the port and breaks what is open', async () => {
    const closing = await startSimulator();
    const asked = ask(closing, await openSession(closing), 'Long [takes 30s]');
    asked.catch(() => undefined);
    await closing.close();
    await expect(asked).rejects.toThrow();
    const again = await startSimulator({ port: closing.port });
    await again.close();
  });
});
