import { describe, expect, test } from '@jest/globals';
import { type GovernorObserver, type Wait, createGovernor } from '../../src/governor/index.js';

const agentRid = 'ri.aip-agents..agent.a';
const batch = { agentRid, priority: 'batch' as const };

describe('acquire()', () => {
  test('grants as many at once as the ceiling, and the next when one is released', async () => {
    const governor = createGovernor({ maxConcurrency: 2 });
    const [first] = await Promise.all([governor.acquire(batch), governor.acquire(batch)]);
    const third = governor.acquire(batch);
    expect(governor.status(agentRid)).toMatchObject({ limit: 2, inFlight: 2, waiting: { interactive: 0, batch: 1 } });
    first?.release('ok');
    (await third).release('ok');
    expect(governor.status(agentRid)).toMatchObject({ inFlight: 1, waiting: { interactive: 0, batch: 0 } });
  });

  test('leaves the queue with the reason of its signal', async () => {
    const governor = createGovernor({ maxConcurrency: 1 });
    const running = await governor.acquire(batch);
    const controller = new AbortController();
    const reason = new Error('the row was cancelled');
    const waits: Wait[] = [];
    const waiting = governor.acquire({ ...batch, signal: controller.signal, onWait: (wait) => waits.push(wait) });
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(waits).toEqual([{ reason: 'ceiling' }]);
    expect(governor.status(agentRid)?.waiting.batch).toBe(0);
    running.release('ok');
    expect(governor.status(agentRid)?.inFlight).toBe(0);
  });

  test('rejects at once when its signal is aborted already', async () => {
    const governor = createGovernor();
    const reason = new Error('too late');
    await expect(governor.acquire({ ...batch, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(governor.status(agentRid)).toBeUndefined();
  });

  test('an abort after the grant takes nothing back', async () => {
    const governor = createGovernor({ maxConcurrency: 1 });
    const controller = new AbortController();
    const permit = await governor.acquire({ ...batch, signal: controller.signal });
    controller.abort();
    expect(governor.status(agentRid)?.inFlight).toBe(1);
    permit.release('other');
    expect(governor.status(agentRid)?.inFlight).toBe(0);
  });

  test('waits in real time when the ramp lets more in later', async () => {
    const governor = createGovernor();
    const permits = await Promise.all(Array.from({ length: 20 }, () => governor.acquire(batch)));
    expect(governor.status(agentRid)).toMatchObject({ inFlight: 20, limit: 32 });
    permits.forEach((permit) => permit.release('other'));
  });
});

test('agents do not share limits', async () => {
  const governor = createGovernor({ maxConcurrency: 1 });
  const other = { ...batch, agentRid: 'ri.aip-agents..agent.b' };
  const [permit] = await Promise.all([governor.acquire(batch), governor.acquire(other)]);
  permit?.release('refused', 60_000);
  expect(governor.status(agentRid)?.pausedUntilMs).toBeGreaterThan(Date.now());
  expect(governor.status(other.agentRid)?.pausedUntilMs).toBeUndefined();
  expect(governor.agentRids()).toEqual([agentRid, other.agentRid]);
});

test('opening sessions says nothing of the limits of exchanges', async () => {
  const governor = createGovernor();
  const session = await governor.acquire({ ...batch, kind: 'session' });
  const exchange = await governor.acquire(batch);
  session.release('refused', 60_000);
  expect(governor.status(agentRid)).toMatchObject({ limit: 4, inFlight: 1 });
  expect(governor.status(agentRid)?.pausedUntilMs).toBeUndefined();
  exchange.release('ok');
});

test('a ceiling holds for exchanges and sessions being opened together', async () => {
  const governor = createGovernor({ maxConcurrency: 1 });
  const session = await governor.acquire({ ...batch, kind: 'session' });
  let isGranted = false;
  const granted = governor.acquire(batch).then((permit) => {
    isGranted = true;
    return permit;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(isGranted).toBe(false);
  session.release('ok');
  (await granted).release('ok');
});

describe('an observer', () => {
  type Told = Parameters<GovernorObserver['granted']>[0] | Parameters<GovernorObserver['ended']>[0];
  const observed = () => {
    const told: Told[] = [];
    const clock = { ms: 1_000 };
    const observer: GovernorObserver = { granted: (call) => told.push(call), ended: (call) => told.push(call) };
    return { told, clock, governor: createGovernor({ maxConcurrency: 1, now: () => clock.ms, observer }) };
  };
  const call = { agentRid, kind: 'exchange', priority: 'batch' };

  test('is told of the wait of each call, how long it took and how it ended, once', async () => {
    const { told, clock, governor } = observed();
    const first = await governor.acquire(batch);
    const second = governor.acquire({ agentRid, kind: 'session', priority: 'interactive' });
    clock.ms += 250;
    first.release('ok');
    first.release('refused');
    (await second).release('other');
    expect(told).toEqual([
      { ...call, waitedMs: 0 },
      { ...call, outcome: 'ok', tookMs: 250 },
      { agentRid, kind: 'session', priority: 'interactive', waitedMs: 250 },
      { agentRid, kind: 'session', priority: 'interactive', outcome: 'other', tookMs: 0 },
    ]);
    expect(governor.status(agentRid)?.inFlight).toBe(0);
  });

  test('is not told of a call that gave up waiting, which leaves the queue as ever', async () => {
    const { told, governor } = observed();
    const running = await governor.acquire(batch);
    const giveUp = new AbortController();
    const waiting = governor.acquire({ ...batch, signal: giveUp.signal });
    giveUp.abort(new Error('the row was cancelled'));
    await expect(waiting).rejects.toBe(giveUp.signal.reason);
    running.release('ok');
    expect(told).toHaveLength(2);
  });
});
