import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { newExchangeMemory } from '../../src/activities/exchange-failure.js';
import type { ExchangeRequest } from '../../src/activities/exchange-protocol.js';
import type { FaultRule } from '../../src/simulator/index.js';
import { startExchangeRig, type ExchangeRig } from '../support/exchange-rig.js';

type ServerKind = 'withTraces' | 'fivePages';
const SERVER_KINDS: ServerKind[] = ['withTraces', 'fivePages'];
const MODES: ExchangeRequest['mode'][] = ['streaming', 'blocking'];
const CALLS: FaultRule['operation'] = ['streamingContinue', 'blockingContinue'];

const rigs = {} as Record<ServerKind, ExchangeRig>;
beforeAll(async () => {
  // Bounds of 30 s pass in one; a five-page server is looked at until they have passed.
  for (const serverKind of SERVER_KINDS) rigs[serverKind] = await startExchangeRig({ serverKind }, 30);
});
afterAll(() => Promise.all(SERVER_KINDS.map((kind) => rigs[kind].close())));
afterEach(() => {
  for (const kind of SERVER_KINDS) {
    rigs[kind].simulator.setFaults([]);
    rigs[kind].simulator.changeSettings({ contentLagMs: 0, traceLagMs: 0, answerLatencyMs: 0, limits: {} });
  }
});

const times = (count: number, fault: FaultRule['fault']): FaultRule[] => [{ operation: CALLS, times: count, fault }];
const error = (errorName: string, count: number) => times(count, { kind: 'error', errorName });

/** Name, what goes wrong, and how often the message is sent in the end. */
const FAULTS: [name: string, faults: FaultRule[], sends: number][] = [
  ['the connection breaks before anything happens', times(1, { kind: 'dropBefore' }), 2],
  ['the connection breaks twice before anything happens', times(2, { kind: 'dropBefore' }), 3],
  ['the connection breaks after the answer landed', times(1, { kind: 'dropAfterLanding' }), 1],
  ['the server hangs and does nothing', times(1, { kind: 'hang' }), 2],
  ['the server hangs after the answer landed', times(1, { kind: 'hang', lands: true }), 1],
  ['a proxy answers 502', times(1, { kind: 'status', status: 502 }), 2],
  ['a proxy answers 502 and the call goes on', times(1, { kind: 'status', status: 502, lands: true }), 1],
  ['a proxy answers 503', times(1, { kind: 'status', status: 503 }), 2],
  ['a proxy answers 504 and the call goes on', times(1, { kind: 'status', status: 504, lands: true }), 1],
  ['the limit is met twice', error('RateLimitExceeded', 2), 3],
  ['the gateway answers 429', times(1, { kind: 'status', status: 429 }), 2],
  ['the agent fails five times', error('SessionExecutionFailed', 5), 6],
];

describe.each(SERVER_KINDS)('on a server %s', (serverKind) => {
  describe.each(MODES)('a %s exchange lands once and is answered when', (mode) => {
    test.each(FAULTS)('%s', async (_name, faults, sends) => {
      const { simulator, request, toItsEnd, statuses } = rigs[serverKind];
      // Where no trace can be looked at, only the call's own limit ends one that hangs.
      const asked = await request({ mode, ...(serverKind === 'fivePages' && { callTimeoutMs: 500 }) });
      simulator.setFaults(faults);
      const { result, memory } = await toItsEnd(asked);
      expect(result).toMatchObject({ interruptedOutput: false, agentMarkdownResponse: expect.stringMatching(/./) });
      expect(statuses(asked.sessionRid).filter((status) => status !== 'failed')).toEqual(['landed']);
      expect(memory.sends).toBe(sends);
    });
  });

  test.each(MODES)('what a %s exchange used is told when it is known, after its place is free', async (mode) => {
    const { request, toItsEnd, toldGovernor } = rigs[serverKind];
    const asked = await request({ mode });
    toldGovernor.length = 0;
    const { result } = await toItsEnd(asked);
    expect(toldGovernor).toEqual(['ok', result.totalTokensUsed]);
  });

  test.each(MODES)('what a %s exchange used is not told by a try that finds it landed', async (mode) => {
    const { simulator, request, toItsEnd, toldGovernor } = rigs[serverKind];
    const asked = await request({ mode });
    simulator.setFaults(times(1, { kind: 'dropAfterLanding' }));
    toldGovernor.length = 0;
    const { result, memory } = await toItsEnd(asked);
    expect(result.totalTokensUsed).toBeGreaterThan(0);
    expect({ toldGovernor, sends: memory.sends }).toEqual({ toldGovernor: ['other'], sends: 1 });
  });

  test.each(MODES)('nor by a %s call that is refused', async (mode) => {
    const { simulator, request, toItsEnd, toldGovernor } = rigs[serverKind];
    const asked = await request({ mode });
    simulator.setFaults(error('RateLimitExceeded', 1));
    toldGovernor.length = 0;
    const { result } = await toItsEnd(asked);
    expect(toldGovernor).toEqual(['refused', 'ok', result.totalTokensUsed]);
  });

  test.each<[string, FaultRule['fault']]>([
    ['503', { kind: 'status', status: 503 }],
    ['429', { kind: 'status', status: 429 }],
    ['nothing', { kind: 'dropBefore' }],
  ])('an exchange whose content is answered with %s at first is not sent again', async (_name, fault) => {
    const { simulator, request, toItsEnd, statuses } = rigs[serverKind];
    const asked = await request();
    simulator.setFaults([{ operation: 'getContent', times: 6, fault }]);
    const { memory } = await toItsEnd(asked);
    expect(statuses(asked.sessionRid)).toEqual(['landed']);
    expect(memory).toMatchObject({ sends: 1, traceNumber: 0 });
  });

  test.each([
    ['like an ordinary end', true],
    ['like a lost connection', false],
  ])('a stream cut %s is answered with the whole text', async (_name, clean) => {
    const { simulator, request, toItsEnd, statuses } = rigs[serverKind];
    // Without traces, an exchange that was cut off and goes on cannot be seen: it is cancelled, and asked anew.
    const isCancelled = serverKind === 'fivePages' && !clean;
    const asked = await request({ text: `[takes ${isCancelled ? 3_000 : 300}ms] And then?` });
    simulator.setFaults(times(1, { kind: 'cutStream', afterBytes: 7, clean }));
    const { result } = await toItsEnd(asked);
    const { agentRid, sessionRid } = asked;
    const content = await rigs[serverKind].api.getContent({ agentRid, sessionRid });
    expect(content.map((exchange) => exchange.result)).toEqual([result]);
    expect(statuses(asked.sessionRid)).toEqual([...(isCancelled ? ['cancelled'] : []), 'landed']);
  });

  test.each(MODES)('content that lags is waited for (%s)', async (mode) => {
    const { simulator, request, toItsEnd } = rigs[serverKind];
    simulator.changeSettings({ contentLagMs: 400 });
    const asked = await request({ mode });
    expect((await toItsEnd(asked)).memory).toMatchObject({ sends: 1, traceNumber: 0 });
  });

  test.each(MODES)('six failures of the agent are final, and nothing landed (%s)', async (mode) => {
    const { simulator, request, toItsEnd, statuses } = rigs[serverKind];
    const asked = await request({ mode });
    simulator.setFaults(error('SessionExecutionFailed', 6));
    await expect(toItsEnd(asked)).rejects.toMatchObject({
      failureClass: 'transient',
      error: { errorName: 'SessionExecutionFailed', errorInstanceId: expect.any(String), status: 500 },
      memory: { sends: 6, transientFailures: 6, mayBeSent: false },
    });
    expect(statuses(asked.sessionRid)).not.toContain('landed');
  });
});

test('a server that loses every answer is not asked for ever', async () => {
  const { simulator, request, toItsEnd } = rigs.withTraces;
  const asked = await request();
  simulator.setFaults([{ operation: CALLS, fault: { kind: 'dropBefore' } }]);
  await expect(toItsEnd(asked)).rejects.toMatchObject({
    failureClass: 'ambiguous',
    error: { errorName: 'NoAnswer' },
    memory: { mayBeSent: true },
  });
});

describe('an earlier try that died', () => {
  test.each(MODES)('leaves an exchange that runs, which is adopted (%s)', async (mode) => {
    const { simulator, request, toItsEnd, statuses, dieWhen } = rigs.withTraces;
    const asked = await request({ mode, text: '[takes 3s] Slowly.', callTimeoutMs: 600_000 });
    await dieWhen(asked, () => simulator.summary().totals.inFlight === 1);
    const memory = { traceNumber: 0, sends: 0, mayBeSent: true, transientFailures: 0, waits: 0 };
    expect((await toItsEnd(asked, memory)).memory.sends).toBe(0);
    expect(statuses(asked.sessionRid)).toEqual(['landed']);
  });

  test('is found although its trace shows late: the server refuses the second send, as used', async () => {
    const { simulator, request, toItsEnd, statuses, dieWhen } = rigs.withTraces;
    simulator.changeSettings({ traceLagMs: 2_000 });
    const asked = await request({ text: '[takes 4s] Slowly.', callTimeoutMs: 600_000 });
    await dieWhen(asked, () => simulator.summary().totals.inFlight === 1);
    const memory = { traceNumber: 0, sends: 1, mayBeSent: true, transientFailures: 0, waits: 0 };
    const found = await toItsEnd(asked, memory);
    expect(found.memory).toMatchObject({ traceNumber: 0, transientFailures: 0 });
    expect(simulator.summary().totals.refused['SessionTraceIdAlreadyExists']).toBeGreaterThan(0);
    expect(statuses(asked.sessionRid)).toEqual(['landed']);
  });

  test('is not taken for over because a limit was met meanwhile: its id stays', async () => {
    const { simulator, request, toItsEnd, statuses } = rigs.withTraces;
    simulator.changeSettings({ traceLagMs: 2_000 });
    const asked = await request({ text: '[takes 4s] Slowly.', callTimeoutMs: 600_000 });
    // The first send lands behind a proxy's 502; the second meets the limit; the trace shows later.
    simulator.setFaults([
      ...times(1, { kind: 'status', status: 502, lands: true }),
      ...times(1, { kind: 'status', status: 429 }),
    ]);
    expect((await toItsEnd(asked)).memory).toMatchObject({ traceNumber: 0, waits: 1 });
    expect(statuses(asked.sessionRid)).toEqual(['landed']);
  });

  test('of the same session and another message is waited for, whatever name the refusal has', async () => {
    const { simulator, request, toItsEnd, statuses, dieWhen } = rigs.withTraces;
    const first = await request({ mode: 'blocking', text: '[takes 3s] First.', callTimeoutMs: 600_000 });
    await dieWhen(first, () => simulator.summary().totals.inFlight === 1);
    const { sessionRid } = first;
    const second = await request({ sessionRid, text: 'Second.', sessionMayBeBusy: true });
    await toItsEnd(second);
    expect(statuses(sessionRid)).toEqual(['landed', 'landed']);
  });
});

describe('a message that an attempt may have sent, which began long ago', () => {
  test('is sent at once where only time can tell that it was not (five pages, blocking)', async () => {
    const { simulator, request, toItsEnd, statuses } = rigs.fivePages;
    const asked = await request({ mode: 'blocking' });
    const looks = () => simulator.summary().totals.calls.getContent ?? 0;
    const before = looks();
    // This rig's clock goes 30 times as fast.
    const lastSendMs = Date.now() * 30 - 1_000_000;
    const { memory } = await toItsEnd(asked, { ...newExchangeMemory(), mayBeSent: true, lastSendMs });
    expect(statuses(asked.sessionRid)).toEqual(['landed']);
    expect([memory.sends, looks() - before]).toEqual([1, 1]);
  });

  test('keeps its trace id when a limit is met: the send of then may arrive yet', async () => {
    const { simulator, request, toItsEnd, statuses } = rigs.withTraces;
    simulator.changeSettings({ failedCallsUseUpTraceIds: false });
    const asked = await request();
    simulator.setFaults(error('RateLimitExceeded', 3));
    const { memory } = await toItsEnd(asked, { ...newExchangeMemory(), mayBeSent: true });
    expect(statuses(asked.sessionRid)).toEqual(['landed']);
    expect(memory).toMatchObject({ sends: 4, traceNumber: 0, waits: 3 });
    simulator.changeSettings({ failedCallsUseUpTraceIds: true });
  });
});

test.each(SERVER_KINDS)(
  'looks that fail now and then are no failures of the exchange (on a server %s)',
  async (kind) => {
    const { simulator, request, toItsEnd, statuses, dieWhen } = rigs[kind];
    const asked = await request({ mode: 'blocking', text: '[takes 3s] Slowly.', callTimeoutMs: 600_000 });
    await dieWhen(asked, () => simulator.summary().totals.inFlight === 1);
    simulator.setFaults([
      { operation: ['getContent', 'getSessionTrace'], match: { everyNth: 2 }, fault: { kind: 'status', status: 503 } },
    ]);
    const { memory } = await toItsEnd(asked, { ...newExchangeMemory(), mayBeSent: true });
    expect(statuses(asked.sessionRid)).toEqual(['landed']);
    expect(memory).toMatchObject({ sends: 0, transientFailures: 0 });
  },
);

describe('an id that is refused as used although nothing shows', () => {
  test('is given up after the bound, for the next one', async () => {
    const { simulator, request, toItsEnd, statuses } = rigs.withTraces;
    const asked = await request();
    simulator.setFaults([
      { operation: CALLS, times: 5, fault: { kind: 'error', errorName: 'SessionTraceIdAlreadyExists' } },
      { operation: 'getSessionTrace', times: 5, fault: { kind: 'error', errorName: 'SessionTraceNotFound' } },
    ]);
    const { memory } = await toItsEnd(asked);
    expect(memory.traceNumber).toBeGreaterThan(0);
    expect(statuses(asked.sessionRid)).toEqual(['landed']);
  });
});

test('an exchange that cannot be stopped and goes on too long is followed, never sent again', async () => {
  const { simulator, request, toItsEnd, statuses, dieWhen } = rigs.withTraces;
  const asked = await request({ mode: 'blocking', text: '[takes 4000ms] Long.', callTimeoutMs: 30_000 });
  await dieWhen(asked, () => simulator.summary().totals.inFlight === 1);
  const memory = { traceNumber: 0, sends: 1, mayBeSent: true, transientFailures: 0, waits: 0 };
  expect(await toItsEnd(asked, memory)).toMatchObject({ tries: expect.any(Number), memory: { traceNumber: 0 } });
  expect(statuses(asked.sessionRid)).toEqual(['landed']);
});

test('an undocumented refusal of a first send is final at once, with the name that the server gave', async () => {
  const { simulator, request, toItsEnd } = rigs.withTraces;
  const asked = await request();
  simulator.setFaults(times(1, { kind: 'error', errorName: 'SomethingNew', status: 400 }));
  await expect(toItsEnd(asked)).rejects.toMatchObject({ failureClass: 'giveUp', error: { errorName: 'SomethingNew' } });
});

test('a refusal without a reason to look is final after earlier definite failures, too', async () => {
  const { simulator, request, toItsEnd } = rigs.withTraces;
  const asked = await request();
  simulator.setFaults([
    ...error('RateLimitExceeded', 1),
    ...times(1, { kind: 'error', errorName: 'SomethingNew', status: 400 }),
  ]);
  await expect(toItsEnd(asked)).rejects.toMatchObject({ failureClass: 'giveUp', memory: { sends: 2 } });
});
