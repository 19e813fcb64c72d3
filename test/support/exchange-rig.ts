import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import {
  ExchangeFailure,
  newExchangeMemory,
  retryDecision,
  type ExchangeMemory,
} from '../../src/activities/exchange-failure.js';
import {
  createExchangeProtocol,
  type ExchangeHooks,
  type ExchangeProtocol,
  type ExchangeRequest,
  type FoundExchange,
} from '../../src/activities/exchange-protocol.js';
import { createAgentsApi, staticToken, type AgentsApi } from '../../src/agents-api/index.js';
import { createGovernor } from '../../src/governor/governor.js';
import { startSimulator, type Simulator, type SimulatorOptions } from '../../src/simulator/index.js';

/** The exchange protocol over real HTTP: a simulator, the API's client, and sessions opened as needed. */
export interface ExchangeRig {
  readonly simulator: Simulator;
  readonly api: AgentsApi;
  readonly protocol: ExchangeProtocol;
  /** What the governor was told of calls: that one was released, and what it had used. */
  readonly toldGovernor: (string | number)[];
  /** A request in a session of its own; two seconds a call, looks after 200 ms of silence. */
  request: (more?: Partial<ExchangeRequest>) => Promise<ExchangeRequest>;
  /** Tries until the exchange is found or has failed for good, as Temporal would, but without its pauses. */
  toItsEnd: (request: ExchangeRequest, memory?: ExchangeMemory) => Promise<FoundExchange & { tries: number }>;
  /** Runs one try and kills it, as the death of a worker would, when the condition holds. */
  dieWhen: (request: ExchangeRequest, condition: () => boolean) => Promise<void>;
  /** The statuses of a session's exchanges in the ledger, in the order of their ends; those still running last. */
  statuses: (sessionRid: string) => string[];
  close(): Promise<void>;
}

/** @param timeFactor The protocol's own bounds (30 s and more) pass this much faster; pauses do not. */
export async function startExchangeRig(options: SimulatorOptions = {}, timeFactor = 1): Promise<ExchangeRig> {
  const simulator = await startSimulator(options);
  const api = createAgentsApi({ foundryUrl: simulator.url, token: staticToken(simulator.token) });
  const toldGovernor: (string | number)[] = [];
  const protocol = createExchangeProtocol({
    api,
    governor: noLimits(toldGovernor),
    now: () => Date.now() * timeFactor,
  });
  const inert = () => new AbortController().signal;

  return {
    simulator,
    api,
    protocol,
    toldGovernor,
    async request(more = {}) {
      const { agentRid } = simulator;
      const { rid: sessionRid } = await api.createSession({ agentRid });
      return {
        agentRid,
        sessionRid,
        ids: { messageId: randomUUID(), traceIdBase: randomUUID() },
        text: 'Where is my order 4711?',
        mode: 'streaming',
        exchangesBefore: 0,
        callTimeoutMs: 2_000 * timeFactor,
        silenceTimeoutMs: 200,
        priority: 'interactive',
        ...more,
      };
    },
    async toItsEnd(request, memory = newExchangeMemory()) {
      for (let tries = 1; ; tries++) {
        try {
          const found = await protocol.run(request, memory, { signal: inert() });
          return { ...found, tries };
        } catch (error) {
          if (!(error instanceof ExchangeFailure) || retryDecision(error) === 'final') throw error;
          ({ memory } = error);
        }
      }
    },
    async dieWhen(request, condition) {
      const death = new AbortController();
      const watch = setInterval(() => condition() && death.abort(new Error('killed')), 5);
      const hooks: ExchangeHooks = { signal: death.signal };
      try {
        await expect(protocol.run(request, newExchangeMemory(), hooks)).rejects.toThrow('killed');
      } finally {
        clearInterval(watch);
      }
    },
    statuses(sessionRid) {
      const { exchanges, running } = simulator.ledger();
      return [...exchanges, ...running]
        .filter((exchange) => exchange.sessionRid === sessionRid)
        .map(({ status }) => status);
    },
    async close() {
      await api.close();
      await simulator.close();
    },
  };
}

/** Limits are not the matter of these tests, and a learnt one would slow them. */
function noLimits(told: (string | number)[]): ReturnType<typeof createGovernor> {
  const permit = {
    release: (outcome: string) => void told.push(outcome),
    used: (tokens: number) => void told.push(tokens),
  };
  return {
    ...createGovernor(),
    acquire: () => Promise.resolve(permit),
  };
}
