import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { documentedErrorNames, simulatedAnswer, startSimulator } from '../../src/simulator/index.js';
import type { FaultRule, Simulator } from '../../src/simulator/index.js';
import { ask, callApi, openSession, readContent, sendCall, stream, until } from './support.js';

describe('faults', () => {
  let simulator: Simulator;
  let sessionRid: string;

  beforeAll(async () => {
    simulator = await startSimulator();
  });
  afterAll(() => simulator.close());
  beforeEach(async () => {
    simulator.reset();
    sessionRid = await openSession(simulator);
  });

  const landed = () => simulator.ledger().totals.landed;

  test.each(['blocking', 'streaming'] as const)('dropBefore breaks a %s call, and nothing happened', async (mode) => {
    simulator.setFaults([{ fault: { kind: 'dropBefore' } }]);
    const call = mode === 'blocking' ? ask(simulator, sessionRid, 'Hello') : stream(simulator, sessionRid, 'Hello');
    await expect(call).rejects.toThrow();
    expect(simulator.ledger().totals).toMatchObject({ landed: 0, inFlight: 0, faults: { dropBefore: 1 } });
  });

  test.each(['', ' [takes 200ms]'])('dropAfterLanding loses the answer of an exchange that landed%s', async (takes) => {
    simulator.setFaults([{ fault: { kind: 'dropAfterLanding' }, times: 2 }]);
    await expect(ask(simulator, sessionRid, `Hello${takes}`)).rejects.toThrow();
    expect(landed()).toBe(1);
    await expect(stream(simulator, sessionRid, `Hello${takes}`)).rejects.toThrow();
    expect(landed()).toBe(2);
  });

  test('dropAfterLanding leaves a session that nobody heard of', async () => {
    simulator.setFaults([{ operation: 'createSession', fault: { kind: 'dropAfterLanding' } }]);
    await expect(openSession(simulator)).rejects.toThrow();
    expect(simulator.ledger().totals.sessionsCreated).toBe(2);
  });

  test.each([false, true])('hang never answers, and the exchange lands: %s', async (lands) => {
    simulator.setFaults([{ operation: 'blockingContinue', fault: { kind: 'hang', lands } }]);
    const leaving = new AbortController();
    const body = { userInput: { text: 'Hello' } };
    const options = { signal: leaving.signal };
    const call = sendCall(simulator, 'POST', `sessions/${sessionRid}/blockingContinue`, body, options);
    await until('the fault struck', () => simulator.ledger().totals.faults['hang'] === 1);
    // Another whole call fits in while this one hangs.
    expect(await readContent(simulator, sessionRid)).toHaveLength(lands ? 1 : 0);
    leaving.abort();
    await expect(call).rejects.toThrow();
  });

  test('hang can fall silent in the middle of a stream', async () => {
    simulator.setFaults([{ fault: { kind: 'hang', lands: true, afterBytes: 10 }, times: 1 }]);
    const leaving = new AbortController();
    const response = await stream(simulator, sessionRid, 'Hello', {}, leaving.signal);
    const reader = response.body!.getReader();
    const first = await reader.read();
    expect(first.value?.length).toBe(10);
    const next = reader.read();
    expect(await readContent(simulator, sessionRid)).toHaveLength(1);
    leaving.abort();
    await expect(next).rejects.toThrow();
  });

  test.each(['', ' [takes 300ms]'])('cutStream breaks a stream after so many bytes, and it lands%s', async (takes) => {
    simulator.setFaults([{ operation: 'streamingContinue', fault: { kind: 'cutStream', afterBytes: 25 } }]);
    const response = await stream(simulator, sessionRid, `Hello${takes}`);
    const received: Uint8Array[] = [];
    const reading = (async () => {
      for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) received.push(piece);
    })();
    await expect(reading).rejects.toThrow();
    expect(Buffer.concat(received)).toHaveLength(25);
    await until('the exchange landed', () => landed() === 1);
  });

  test('cutStream can look like an ordinary end', async () => {
    simulator.setFaults([{ fault: { kind: 'cutStream', afterBytes: 25, clean: true }, times: 1 }]);
    const bytes = await (await stream(simulator, sessionRid, 'Hello')).arrayBuffer();
    expect(bytes.byteLength).toBe(25);
    const [exchange] = await readContent(simulator, sessionRid);
    expect(exchange?.result.agentMarkdownResponse).toBe(
      simulatedAnswer({ text: 'Hello', agentVersion: '2.0', turn: 1 }),
    );
  });

  test('status answers with a page of HTML in the place of the server', async () => {
    simulator.setFaults([{ fault: { kind: 'status', status: 502, retryAfterSeconds: 3 }, times: 1 }]);
    const response = await stream(simulator, sessionRid, 'Hello');
    expect(response.status).toBe(502);
    expect(response.headers.get('content-type')).toBe('text/html');
    expect(response.headers.get('retry-after')).toBe('3');
    expect(await response.text()).toContain('<h1>Error 502</h1>');
    expect(landed()).toBe(0);
  });

  test('status with lands answers at once while the exchange goes on behind it', async () => {
    simulator.setFaults([{ fault: { kind: 'status', status: 504, lands: true }, times: 1 }]);
    const response = await stream(simulator, sessionRid, 'Hello [takes 1s]');
    expect([response.status, simulator.ledger().totals.inFlight]).toEqual([504, 1]);
    await until('the exchange landed', () => landed() === 1);
  });

  test('error ends a stream that had work behind it as a JSON error, and the exchange fails', async () => {
    const fault = { kind: 'error', errorName: 'SessionExecutionFailed', afterMs: 100 } as const;
    simulator.setFaults([{ fault }]);
    const response = await stream(simulator, sessionRid, 'Hello');
    expect(response.status).toBe(500);
    expect(simulator.ledger().exchanges).toMatchObject([{ status: 'failed', errorName: 'SessionExecutionFailed' }]);
  });

  test('error may have a name that no page knows', async () => {
    simulator.setFaults([{ fault: { kind: 'error', errorName: 'Odd', status: 409, errorCode: 'CONFLICT' } }]);
    const answer = await ask(simulator, sessionRid, 'Hello');
    expect(answer).toMatchObject({ status: 409, body: { errorName: 'Odd', errorCode: 'CONFLICT', parameters: {} } });
  });

  test.each(documentedErrorNames)('error %s names the ids of its request', async (errorName) => {
    simulator.setFaults([{ operation: 'blockingContinue', fault: { kind: 'error', errorName } }]);
    const { status, body } = await ask(simulator, sessionRid, 'Hello');
    expect(body.errorName).toBe(errorName);
    const expected: Record<string, number> = {
      INVALID_ARGUMENT: 400,
      CUSTOM_CLIENT: 400,
      PERMISSION_DENIED: 403,
      NOT_FOUND: 404,
      INTERNAL: 500,
    };
    expect(status).toBe(expected[body.errorCode]);
    if ('agentRid' in body.parameters) expect(body.parameters['agentRid']).toBe(simulator.agentRid);
    if ('sessionRid' in body.parameters) expect(body.parameters['sessionRid']).toBe(sessionRid);
    expect(Object.values(body.parameters)).not.toContain(undefined);
  });

  test('delay keeps a call from the server for a while', async () => {
    simulator.setFaults([{ operation: 'getAgent', fault: { kind: 'delay', ms: 200 } }]);
    const started = Date.now();
    expect((await callApi(simulator, 'GET', '')).status).toBe(200);
    expect(Date.now() - started).toBeGreaterThanOrEqual(190);
  });

  describe('match', () => {
    /** Which of ten questions, by their number from 1, are hit. */
    async function hits(rule: Omit<FaultRule, 'fault'>): Promise<number[]> {
      simulator.setFaults([{ ...rule, fault: { kind: 'status', status: 500 } }]);
      const hit: number[] = [];
      for (let number = 1; number <= 10; number++) {
        if ((await ask(simulator, sessionRid, `Question ${number}`).catch(() => undefined)) === undefined)
          hit.push(number);
      }
      return hit;
    }

    test('picks the nth call', async () => {
      expect(await hits({ match: { nth: 3 } })).toEqual([3]);
    });

    test('picks every nth call, as often as told', async () => {
      expect(await hits({ match: { everyNth: 3 } })).toEqual([3, 6, 9]);
      expect(await hits({ match: { everyNth: 3 }, times: 2 })).toEqual([3, 6]);
    });

    test('picks by the text', async () => {
      expect(await hits({ match: { textIncludes: 'Question 1' } })).toEqual([1, 10]);
    });

    test('picks by chance, the same calls for the same seed', async () => {
      const first = await hits({ match: { probability: 0.5, seed: 7 } });
      expect(first.length).toBeGreaterThan(0);
      expect(first.length).toBeLessThan(10);
      expect(await hits({ match: { probability: 0.5, seed: 7 } })).toEqual(first);
      expect(await hits({ match: { probability: 0 } })).toEqual([]);
    });

    test('picks by session, agent and operation', async () => {
      expect(await hits({ match: { sessionRid: 'another' } })).toEqual([]);
      expect(await hits({ match: { agentRid: 'another' } })).toEqual([]);
      expect(await hits({ operation: ['cancel', 'getContent'] })).toEqual([]);
      // An operation's name may begin with another's.
      simulator.setFaults([{ operation: 'getAgentVersion', fault: { kind: 'dropBefore' } }]);
      expect((await callApi(simulator, 'GET', '')).status).toBe(200);
      expect(await hits({ operation: ['cancel', 'blockingContinue'], times: 1 })).toEqual([1]);
    });

    test('lets the first rule that strikes decide', async () => {
      simulator.setFaults([
        { match: { nth: 2 }, fault: { kind: 'status', status: 502 } },
        { fault: { kind: 'status', status: 503 } },
      ]);
      const statuses = [];
      for (let call = 0; call < 3; call++) statuses.push((await sendCall(simulator, 'GET', '')).status);
      expect(statuses).toEqual([503, 502, 503]);
    });
  });
});
