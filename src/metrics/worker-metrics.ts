import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ExchangeObserver } from '../activities/exchange-observer.js';
import type { GateStatus, Governor, GovernorObserver } from '../governor/index.js';

/** The metrics of one worker: what it is told is counted, what the governor knows is read at each scrape. */
export interface WorkerMetrics {
  readonly calls: GovernorObserver;
  readonly exchanges: ExchangeObserver;
  /** From now on, the limits of this governor are shown, and those over all agents where there are any. */
  readonly readLimitsOf: (
    governor: Pick<Governor, 'agentRids' | 'status'>,
    allAgents?: () => GateStatus | undefined,
  ) => void;
  /** Prometheus' text format. */
  readonly text: () => Promise<string>;
  /** Of the text. */
  readonly contentType: string;
}

/** Upper bounds of buckets, in seconds: waits from 1 ms to 1 h, calls and exchanges from 50 ms to 1 h. */
const WAIT_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600];
const DURATION_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900, 3600];

/**
 * Makes the metrics of a worker. Labels hold the agent's RID and words of a fixed list, never texts, ids of messages or sessions.
 *
 * @param options.ofProcess Memory, processor time and event loop of the process as well. Default true.
 */
export function createWorkerMetrics({ ofProcess = true }: { ofProcess?: boolean } = {}): WorkerMetrics {
  const registry = new Registry();
  if (ofProcess) collectDefaultMetrics({ register: registry });
  const readLimitsOf = limitGauges(registry);
  return {
    calls: callObserver(registry),
    exchanges: exchangeObserver(registry),
    readLimitsOf,
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

function limitGauges(registry: Registry): WorkerMetrics['readLimitsOf'] {
  let governor: Pick<Governor, 'agentRids' | 'status'> | undefined;
  let allAgents: (() => GateStatus | undefined) | undefined;
  /** A gauge with one value for each agent that was called, or none. */
  const gauge = (name: string, help: string, read: (status: GateStatus) => number | undefined) =>
    new Gauge({
      name,
      help,
      labelNames: ['agent'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [agent, status] of statuses()) {
          const value = read(status);
          if (value !== undefined) this.set({ agent }, value);
        }
      },
    });
  const statuses = () =>
    (governor?.agentRids() ?? []).flatMap((agent): [string, GateStatus][] => {
      const status = governor?.status(agent);
      return status === undefined ? [] : [[agent, status]];
    });

  gauge(
    'aip_limit_concurrency',
    'Calls that this worker may have at once, as learned and shared out.',
    ({ limit }) => limit,
  );
  gauge(
    'aip_limit_rate_per_second',
    'Calls that this worker may start per second, as learned and shared out; absent while no rate is known.',
    ({ ratePerSecond }) => ratePerSecond,
  );
  gauge(
    'aip_limit_tokens_per_minute',
    'Tokens per minute that this worker may use, as learned; absent while no limit of tokens is known.',
    ({ tokensPerMinute }) => tokensPerMinute,
  );
  gauge(
    'aip_limit_paused_until_seconds',
    'Unix time until which no call starts, since the agent asked to slow down; 0 when there is no pause.',
    ({ pausedUntilMs }) => (pausedUntilMs ?? 0) / 1000,
  );
  gauge('aip_limit_closed', '1 while an operator has closed the agent, so that no call starts; else 0.', (status) =>
    status.closedUntilMs === undefined ? 0 : 1,
  );
  gauge('aip_calls_in_flight', 'Exchanges that run at the agent now.', ({ inFlight }) => inFlight);
  new Gauge({
    name: 'aip_calls_waiting',
    help: 'Calls that wait for the limits of the agent.',
    labelNames: ['agent', 'priority'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [agent, { waiting }] of statuses())
        for (const [priority, count] of Object.entries(waiting)) this.set({ agent, priority }, count);
    },
  });
  // Under names of their own: among those of agents they would be counted twice in a sum.
  new Gauge({
    name: 'aip_all_agents_calls_in_flight',
    help: 'Calls to all agents, short ones too, that run now; absent without ceilings over all agents.',
    registers: [registry],
    collect() {
      this.remove();
      const status = allAgents?.();
      if (status !== undefined) this.set(status.inFlight);
    },
  });
  new Gauge({
    name: 'aip_all_agents_calls_waiting',
    help: 'Calls that wait for the ceilings over all agents.',
    labelNames: ['priority'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [priority, count] of Object.entries(allAgents?.()?.waiting ?? {})) this.set({ priority }, count);
    },
  });
  return (read, readAllAgents) => {
    governor = read;
    allAgents = readAllAgents;
  };
}

function callObserver(registry: Registry): GovernorObserver {
  const registers = [registry];
  const ofCall = ['agent', 'kind', 'priority'] as const;
  const calls = new Counter({
    name: 'aip_calls_total',
    help: 'Calls that have ended: let in (ok), refused by a limit, or neither (other).',
    labelNames: [...ofCall, 'outcome'],
    registers,
  });
  const waitSeconds = new Histogram({
    name: 'aip_limit_wait_seconds',
    help: 'Time that calls have waited for the limits of the agent before they started.',
    labelNames: ofCall,
    buckets: WAIT_BUCKETS,
    registers,
  });
  const callSeconds = new Histogram({
    name: 'aip_call_seconds',
    help: 'Time that the agent took for calls that were let in, from their start.',
    labelNames: ofCall,
    buckets: DURATION_BUCKETS,
    registers,
  });
  return {
    granted({ agentRid: agent, kind, priority, waitedMs }) {
      waitSeconds.observe({ agent, kind, priority }, waitedMs / 1000);
    },
    ended({ agentRid: agent, kind, priority, outcome, tookMs }) {
      calls.inc({ agent, kind, priority, outcome });
      if (outcome === 'ok') callSeconds.observe({ agent, kind, priority }, tookMs / 1000);
    },
  };
}

function exchangeObserver(registry: Registry): ExchangeObserver {
  const registers = [registry];
  const exchanges = new Counter({
    name: 'aip_exchanges_total',
    help: 'Tries of exchanges that have ended, by how; those that failed or are retried by the class of the failure as well.',
    labelNames: ['agent', 'mode', 'outcome', 'class'],
    registers,
  });
  const exchangeSeconds = new Histogram({
    name: 'aip_exchange_seconds',
    help: 'Time of tries of exchanges that were answered, with their waits for the limits.',
    labelNames: ['agent', 'mode'],
    buckets: DURATION_BUCKETS,
    registers,
  });
  const tokens = new Counter({
    name: 'aip_tokens_total',
    help: 'Tokens of exchanges, as the agent tells them.',
    labelNames: ['agent'],
    registers,
  });
  const cancels = new Counter({
    name: 'aip_cancels_total',
    help: 'Exchanges that were to be ended at the agent, by how they ended.',
    labelNames: ['agent', 'mode', 'outcome'],
    registers,
  });
  return {
    tried({ agentRid: agent, mode, outcome, failureClass, tookMs, tokens: used }) {
      exchanges.inc({ agent, mode, outcome, ...(failureClass !== undefined && { class: failureClass }) });
      if (outcome === 'answered') exchangeSeconds.observe({ agent, mode }, tookMs / 1000);
      if (used !== undefined) tokens.inc({ agent }, used);
    },
    cancelled({ agentRid: agent, mode, outcome, tokens: used }) {
      cancels.inc({ agent, mode, outcome });
      if (used !== undefined) tokens.inc({ agent }, used);
    },
  };
}
