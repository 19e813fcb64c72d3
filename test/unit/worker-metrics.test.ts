import { describe, expect, test } from '@jest/globals';
import { createGovernor, type GateStatus } from '../../src/governor/index.js';
import { createWorkerMetrics } from '../../src/metrics/worker-metrics.js';

const agent = 'ri.aip-agents..agent.a';

/** Samples of the text by name and labels; comments left out. */
function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

const started = () => {
  const clock = { ms: 1_700_000_000_000 };
  const metrics = createWorkerMetrics({ ofProcess: false });
  const governor = createGovernor({ now: () => clock.ms, random: () => 1, observer: metrics.calls });
  metrics.readLimitsOf(governor);
  return { clock, metrics, governor, read: async () => samples(await metrics.text()) };
};

test('tokens per minute are told where they are known', async () => {
  const metrics = createWorkerMetrics({ ofProcess: false });
  const other = 'ri.aip-agents..agent.b';
  const status = { limit: 3, inFlight: 1, waiting: { interactive: 0, batch: 0 } };
  metrics.readLimitsOf({
    agentRids: () => [agent, other],
    status: (agentRid) => ({ ...status, ...(agentRid === agent && { tokensPerMinute: 60_000 }) }),
  });
  const found = samples(await metrics.text());
  expect(found.get(`aip_limit_tokens_per_minute{agent="${agent}"}`)).toBe(60_000);
  expect(found.has(`aip_limit_tokens_per_minute{agent="${other}"}`)).toBe(false);
});

test('ceilings over all agents are told once there are any', async () => {
  const metrics = createWorkerMetrics({ ofProcess: false });
  const gate: { status?: GateStatus } = {};
  metrics.readLimitsOf({ agentRids: () => [], status: () => undefined }, () => gate.status);
  const ofAll = async () => [...samples(await metrics.text())].filter(([name]) => name.startsWith('aip_all_agents_'));
  expect(await ofAll()).toEqual([]);
  gate.status = { limit: 9, inFlight: 4, waiting: { interactive: 1, batch: 7 } };
  expect(await ofAll()).toEqual([
    ['aip_all_agents_calls_in_flight', 4],
    ['aip_all_agents_calls_waiting{priority="interactive"}', 1],
    ['aip_all_agents_calls_waiting{priority="batch"}', 7],
  ]);
});

describe('what the governor knows', () => {
  test('is nothing before the first call', async () => {
    const { read } = started();
    expect([...(await read()).keys()].filter((name) => name.includes('agent='))).toEqual([]);
  });

  test('is read at each scrape', async () => {
    const { governor, read } = started();
    const call = { agentRid: agent, priority: 'batch' as const };
    const permit = await governor.acquire(call);
    const giveUp = new AbortController();
    const waiting = Array.from({ length: 8 }, () => governor.acquire({ ...call, signal: giveUp.signal }));
    const during = await read();
    expect(during.get(`aip_limit_concurrency{agent="${agent}"}`)).toBe(governor.status(agent)?.limit);
    expect(during.get(`aip_calls_in_flight{agent="${agent}"}`)).toBe(governor.status(agent)?.inFlight);
    const { batch } = governor.status(agent)?.waiting ?? {};
    expect(batch).toBeGreaterThan(0);
    expect(during.get(`aip_calls_waiting{agent="${agent}",priority="batch"}`)).toBe(batch);
    expect(during.get(`aip_calls_waiting{agent="${agent}",priority="interactive"}`)).toBe(0);
    giveUp.abort(new Error('enough'));
    await Promise.allSettled(waiting);
    permit.release('ok');
    expect((await read()).get(`aip_calls_waiting{agent="${agent}",priority="batch"}`)).toBe(0);
  });

  test('tells a pause by its end, and no rate where none is known', async () => {
    const { clock, governor, read } = started();
    const permit = await governor.acquire({ agentRid: agent, priority: 'interactive' });
    expect((await read()).get(`aip_limit_paused_until_seconds{agent="${agent}"}`)).toBe(0);
    expect((await read()).has(`aip_limit_rate_per_second{agent="${agent}"}`)).toBe(false);
    permit.release('refused', 60_000);
    const paused = (await read()).get(`aip_limit_paused_until_seconds{agent="${agent}"}`);
    expect(paused).toBe((governor.status(agent)?.pausedUntilMs ?? 0) / 1000);
    expect(paused).toBeGreaterThanOrEqual(clock.ms / 1000 + 60);
  });

  test('tells a rate where one is known, and that the agent is closed', async () => {
    const metrics = createWorkerMetrics({ ofProcess: false });
    const status = { limit: 3, ratePerSecond: 2.5, inFlight: 1, waiting: { interactive: 0, batch: 0 } };
    const other = 'ri.aip-agents..agent.b';
    metrics.readLimitsOf({
      agentRids: () => [agent, other],
      status: (agentRid) => ({ ...status, ...(agentRid === other && { closedUntilMs: Number.POSITIVE_INFINITY }) }),
    });
    const found = samples(await metrics.text());
    expect(found.get(`aip_limit_rate_per_second{agent="${agent}"}`)).toBe(2.5);
    expect(found.get(`aip_limit_closed{agent="${agent}"}`)).toBe(0);
    expect(found.get(`aip_limit_closed{agent="${other}"}`)).toBe(1);
  });
});

test('calls are counted by their ends, and their waits and times by buckets', async () => {
  const { clock, governor, read } = started();
  const call = { agentRid: agent, kind: 'session' as const, priority: 'interactive' as const };
  for (const outcome of ['ok', 'ok', 'refused', 'other'] as const) {
    const permit = await governor.acquire(call);
    clock.ms += 2_000;
    permit.release(outcome);
    clock.ms += 60_000;
  }
  const labels = `agent="${agent}",kind="session",priority="interactive"`;
  const found = await read();
  expect(found.get(`aip_calls_total{${labels},outcome="ok"}`)).toBe(2);
  expect(found.get(`aip_calls_total{${labels},outcome="refused"}`)).toBe(1);
  expect(found.get(`aip_calls_total{${labels},outcome="other"}`)).toBe(1);
  expect(found.get(`aip_limit_wait_seconds_count{${labels}}`)).toBe(4);
  expect(found.get(`aip_limit_wait_seconds_bucket{le="0.001",${labels}}`)).toBe(4);
  expect(found.get(`aip_call_seconds_count{${labels}}`)).toBe(2);
  expect(found.get(`aip_call_seconds_sum{${labels}}`)).toBe(4);
});

test('exchanges, tokens and cancels are counted; a class stands beside failures alone', async () => {
  const { metrics, read } = started();
  const { exchanges } = metrics;
  const exchange = { agentRid: agent, mode: 'streaming' as const };
  exchanges.tried({ ...exchange, outcome: 'answered', tookMs: 1_500, tokens: 300 });
  exchanges.tried({ ...exchange, outcome: 'retried', failureClass: 'wait', tookMs: 10 });
  exchanges.tried({ ...exchange, outcome: 'failed', failureClass: 'auth', tookMs: 10 });
  exchanges.cancelled({ ...exchange, outcome: 'interrupted', tokens: 5 });
  const found = await read();
  const labels = `agent="${agent}",mode="streaming"`;
  expect(found.get(`aip_exchanges_total{${labels},outcome="answered"}`)).toBe(1);
  expect(found.get(`aip_exchanges_total{${labels},outcome="retried",class="wait"}`)).toBe(1);
  expect(found.get(`aip_exchanges_total{${labels},outcome="failed",class="auth"}`)).toBe(1);
  expect(found.get(`aip_exchange_seconds_sum{${labels}}`)).toBe(1.5);
  expect(found.get(`aip_exchange_seconds_count{${labels}}`)).toBe(1);
  expect(found.get(`aip_tokens_total{agent="${agent}"}`)).toBe(305);
  expect(found.get(`aip_cancels_total{${labels},outcome="interrupted"}`)).toBe(1);
});

test('every metric has its help and type, and those of the process stand beside them', async () => {
  const metrics = createWorkerMetrics();
  const text = await metrics.text();
  expect(text).toMatch(/^# HELP aip_limit_wait_seconds \S.*\n# TYPE aip_limit_wait_seconds histogram$/m);
  expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
  expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4/);
});
