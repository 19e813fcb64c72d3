import { type AcquireInput, entered, type FleetLink, joined, setTimer } from './acquire.js';
import { AgentGate, type GateClock, type GateStatus, type Permit } from './agent-gate.js';
import type { Ceilings } from '../protocol/limits.js';
import type { FoundryGate } from './foundry-gate.js';
import { type GovernorObserver, observedPermit } from './observer.js';

export type { AcquireInput, FleetLink } from './acquire.js';
export type { GateStatus, Permit, Priority, Wait } from './agent-gate.js';

/** Options of `createGovernor`. */
export interface GovernorOptions extends Ceilings {
  /** Default: this process is alone. */
  fleet?: FleetLink;
  /** Ceilings over all agents. Default: none. */
  foundry?: FoundryGate;
  /** Clock in milliseconds. Default `Date.now`. */
  now?: () => number;
  /** Uniform in [0, 1). Default `Math.random`. */
  random?: () => number;
  /** Is told of every call. */
  observer?: GovernorObserver;
}

/** Keeps the calls of this process under the limits of each agent, which it learns. */
export interface Governor {
  /**
   * Waits until a call to the agent may start. Every permit must be released, whatever became of its call.
   *
   * @throws the signal's reason.
   */
  acquire(input: AcquireInput): Promise<Permit>;
  /**
   * Takes a place for an exchange that goes on at the agent without a call of ours, whether there is room or not.
   *
   * @returns Gives the place back.
   */
  occupy(agentRid: string): () => void;
  /** What is known of the limits of the agent's exchanges; undefined when it was never called. */
  status(agentRid: string): GateStatus | undefined;
  /** The agents that were called so far. */
  agentRids(): string[];
}

/**
 * Makes a governor. Its ceilings hold for each agent of this process, over both kinds of calls: where there are any, the kinds share
 * what is learned, too.
 */
export function createGovernor(options: GovernorOptions = {}): Governor {
  const { now = Date.now, random = Math.random, fleet, foundry, observer, ...ceilings } = options;
  const hasCeilings = ceilings.maxConcurrency !== undefined || ceilings.maxPerMinute !== undefined;
  const agents = new Map<string, GatesOfAgent>();
  const clock: GateClock = { now, random, setTimer };
  const gatesOf = (agentRid: string): GatesOfAgent => {
    let gates = agents.get(agentRid);
    if (gates === undefined) {
      const session = hasCeilings ? undefined : new AgentGate(clock, ceilings);
      const exchange = new AgentGate(clock, ceilings, session);
      agents.set(agentRid, (gates = { exchange, session: session ?? exchange }));
    }
    return gates;
  };
  const admitByFoundry = async (input: AcquireInput): Promise<Permit> => {
    const permit = await admitByAgent(input);
    if (foundry === undefined) return permit;
    try {
      const leave = await foundry.enter(input);
      return {
        ...permit,
        release(outcome, retryAfterMs) {
          leave();
          permit.release(outcome, retryAfterMs);
        },
      };
    } catch (error) {
      permit.release('other');
      throw error;
    }
  };
  const admitByAgent = async (input: AcquireInput): Promise<Permit> => {
    const { agentRid, kind = 'exchange' } = input;
    const gates = gatesOf(agentRid);
    if (fleet === undefined) return await entered(gates[kind], input);
    await joined(fleet, agentRid, gates.exchange, input);
    const permit = await entered(gates[kind], input);
    return {
      ...permit,
      release(outcome, retryAfterMs) {
        permit.release(outcome, retryAfterMs);
        fleet.noteEnd(agentRid);
      },
    };
  };
  return {
    async acquire(input) {
      input.signal?.throwIfAborted();
      const { agentRid, kind = 'exchange', priority } = input;
      if (observer === undefined) return await admitByFoundry(input);
      return await observedPermit(observer, { agentRid, kind, priority }, now, () => admitByFoundry(input));
    },
    occupy: (agentRid) => gatesOf(agentRid).exchange.occupy({ isCall: false }),
    status: (agentRid) => agents.get(agentRid)?.exchange.status(),
    agentRids: () => [...agents.keys()],
  };
}

/** Limits of a model count exchanges alone; an operator closes both. */
interface GatesOfAgent {
  exchange: AgentGate;
  session: AgentGate;
}
