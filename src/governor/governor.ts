import { AgentGate, type GateClock, type GateStatus, type Permit, type Priority, type Wait } from './agent-gate.js';
import type { Ceilings } from './limit-state.js';
import { type GovernorObserver, observedPermit } from './observer.js';

export type { GateStatus, Permit, Priority, Wait } from './agent-gate.js';

/** Options of `createGovernor`. */
export interface GovernorOptions extends Ceilings {
  /** Clock in milliseconds. Default `Date.now`. */
  now?: () => number;
  /** Uniform in [0, 1). Default `Math.random`. */
  random?: () => number;
  /** Is told of every call. */
  observer?: GovernorObserver;
}

/** A request for the right to make one call. */
export interface AcquireInput {
  agentRid: string;
  /**
   * What is called. The limits of an agent's model count its exchanges alone: calls that open sessions are fast and never refused by
   * them, so each kind is learned by itself. Default `exchange`.
   */
  kind?: 'exchange' | 'session';
  priority: Priority;
  /** Ends the wait; its reason is thrown as it is. */
  signal?: AbortSignal | undefined;
  /** Called when the call has to wait, and again whenever a pause begins or is prolonged. */
  onWait?: ((wait: Wait) => void) | undefined;
}

/** Keeps the calls of this process under the limits of each agent, which it learns. */
export interface Governor {
  /**
   * Waits until a call to the agent may start. Every permit must be released, whatever became of its call.
   *
   * @throws the signal's reason.
   */
  acquire(input: AcquireInput): Promise<Permit>;
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
  const { now = Date.now, random = Math.random, observer, ...ceilings } = options;
  const exchangeGates = new Map<string, AgentGate>();
  const hasCeilings = ceilings.maxConcurrency !== undefined || ceilings.maxPerMinute !== undefined;
  const gates = { exchange: exchangeGates, session: hasCeilings ? exchangeGates : new Map<string, AgentGate>() };
  const clock: GateClock = { now, random, setTimer };
  return {
    async acquire(input) {
      input.signal?.throwIfAborted();
      const { agentRid, kind = 'exchange', priority } = input;
      const gate = gates[kind].get(agentRid) ?? new AgentGate(clock, ceilings);
      gates[kind].set(agentRid, gate);
      if (observer === undefined) return await enter(gate, input);
      return await observedPermit(observer, { agentRid, kind, priority }, now, () => enter(gate, input));
    },
    status: (agentRid) => exchangeGates.get(agentRid)?.status(),
    agentRids: () => [...exchangeGates.keys()],
  };
}

function enter(gate: AgentGate, { priority, signal, onWait }: AcquireInput): Promise<Permit> {
  return new Promise((resolve, reject) => {
    const waiter = {
      priority,
      onWait,
      grant: (permit: Permit) => {
        signal?.removeEventListener('abort', giveUp);
        resolve(permit);
      },
    };
    const giveUp = (): void => {
      gate.leave(waiter);
      // The reason is the caller's own and passes through as it is.
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', giveUp, { once: true });
    gate.enter(waiter);
  });
}

function setTimer(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}
