import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { newExchangeMemory } from '../../src/activities/exchange-failure.js';
import type { ExchangeRequest } from '../../src/activities/exchange-protocol.js';
import { startExchangeRig, type ExchangeRig } from '../support/exchange-rig.js';

type ServerKind = 'withTraces' | 'fivePages';
const SERVER_KINDS: ServerKind[] = ['withTraces', 'fivePages'];
const SENT = { ...newExchangeMemory(), sends: 1, mayBeSent: true };

const rigs = {} as Record<ServerKind, ExchangeRig>;
beforeAll(async () => {
  for (const serverKind of SERVER_KINDS) rigs[serverKind] = await startExchangeRig({ serverKind });
});
afterAll(() => Promise.all(SERVER_KINDS.map((kind) => rigs[kind].close())));
afterEach(() => {
  for (const kind of SERVER_KINDS) {
    rigs[kind].simulator.setFaults([]);
    rigs[kind].simulator.changeSettings({ cancelTooEarlyMs: 0, contentLagMs: 0, traceLagMs: 0 });
  }
});

/** An exchange that runs at the agent, and nobody listens. */
async function running(rig: ExchangeRig, more: Partial<ExchangeRequest> = {}): Promise<ExchangeRequest> {
  const asked = await rig.request({ text: '[takes 60s] Slowly.', ...more });
  await rig.dieWhen(asked, () => rig.statuses(asked.sessionRid).includes('answering'));
  return asked;
}

describe.each(SERVER_KINDS)('on a server %s, a cancel', (serverKind) => {
  test('of an exchange that was never sent calls nobody', async () => {
    const { simulator, protocol, request } = rigs[serverKind];
    const asked = await request();
    expect(await protocol.cancel(asked, newExchangeMemory())).toEqual({ status: 'cancelled' });
    expect(simulator.summary().totals.cancelsReceived).toBe(0);
  });

  test('takes the exchange away, and does so once when it is told twice', async () => {
    const rig = rigs[serverKind];
    const asked = await running(rig);
    expect(await rig.protocol.cancel(asked, SENT)).toEqual({ status: 'cancelled' });
    expect(await rig.protocol.cancel(asked, SENT, undefined, 200)).toEqual({ status: 'cancelled' });
    expect(rig.statuses(asked.sessionRid)).toEqual(['cancelled']);
  });

  test('with a response keeps the exchange with it, also when it is told twice', async () => {
    const rig = rigs[serverKind];
    const asked = await running(rig);
    const kept = { status: 'interrupted', result: { agentMarkdownResponse: 'Enough.', interruptedOutput: true } };
    expect(await rig.protocol.cancel(asked, SENT, 'Enough.')).toMatchObject(kept);
    expect(await rig.protocol.cancel(asked, SENT, 'Another.')).toMatchObject(kept);
    expect(rig.statuses(asked.sessionRid)).toEqual(['interrupted']);
  });

  test('that comes too early is tried again until the exchange has begun', async () => {
    const rig = rigs[serverKind];
    rig.simulator.changeSettings({ cancelTooEarlyMs: 400 });
    const asked = await running(rig);
    expect(await rig.protocol.cancel(asked, SENT)).toEqual({ status: 'cancelled' });
    expect(rig.statuses(asked.sessionRid)).toEqual(['cancelled']);
    expect(rig.simulator.ledger().cancels.filter(({ outcome }) => outcome === 'missed').length).toBeGreaterThan(0);
  });

  test('that comes too late finds the answer', async () => {
    const rig = rigs[serverKind];
    const asked = await rig.request();
    const { result } = await rig.toItsEnd(asked);
    expect(await rig.protocol.cancel(asked, SENT)).toEqual({ status: 'answered', result });
  });

  test('that comes too late finds an answer that shows late', async () => {
    const rig = rigs[serverKind];
    const asked = await running(rig, { text: '[takes 1s] Quickly.' });
    rig.simulator.changeSettings({ contentLagMs: 700 });
    while (rig.statuses(asked.sessionRid).includes('answering')) await new Promise(setImmediate);
    expect(await rig.protocol.cancel(asked, SENT, undefined, 200)).toMatchObject({ status: 'answered' });
  });

  test('that does not get through is tried again', async () => {
    const rig = rigs[serverKind];
    const asked = await running(rig);
    rig.simulator.setFaults([
      { operation: 'cancel', times: 1, fault: { kind: 'status', status: 503 } },
      { operation: 'cancel', times: 1, fault: { kind: 'dropBefore' } },
      { operation: 'cancel', times: 1, fault: { kind: 'dropAfterLanding' } },
    ]);
    expect(await rig.protocol.cancel(asked, SENT, undefined, 200)).toEqual({ status: 'cancelled' });
    expect(rig.statuses(asked.sessionRid)).toEqual(['cancelled']);
  });

  test('of a blocking exchange cannot stop it, and says so', async () => {
    const rig = rigs[serverKind];
    const asked = await running(rig, { mode: 'blocking', text: '[takes 60s] All at once.' });
    expect(await rig.protocol.cancel(asked, SENT)).toEqual({ status: 'cancelled', mayStillRun: true });
    expect(rig.statuses(asked.sessionRid)).toEqual(['answering']);
  });

  test('in a session that is gone has nothing to end', async () => {
    const rig = rigs[serverKind];
    const asked = await running(rig);
    rig.simulator.expireSession(asked.sessionRid);
    expect(await rig.protocol.cancel(asked, SENT)).toEqual({ status: 'cancelled' });
  });

  test('that is refused for good says so', async () => {
    const rig = rigs[serverKind];
    const asked = await running(rig);
    rig.simulator.setFaults([
      {
        operation: 'cancel',
        times: 1,
        fault: { kind: 'error', errorName: 'CancelSessionPermissionDenied', status: 403 },
      },
    ]);
    await expect(rig.protocol.cancel(asked, SENT)).rejects.toThrow('CancelSessionPermissionDenied');
  });
});

test('a cancel that knows of an old trace id only finds the newest one that runs', async () => {
  const rig = rigs.withTraces;
  const asked = await rig.request({ mode: 'blocking', text: '[takes 4s] At the third.', callTimeoutMs: 600_000 });
  rig.simulator.setFaults([
    { operation: 'blockingContinue', times: 2, fault: { kind: 'error', errorName: 'SessionExecutionFailed' } },
  ]);
  const answered = rig.toItsEnd(asked);
  while (!rig.statuses(asked.sessionRid).includes('answering')) await new Promise(setImmediate);
  expect(await rig.protocol.cancel(asked, SENT)).toEqual({ status: 'cancelled', mayStillRun: true });
  await answered;
});
