import { AgentGate, type GateClock, type GateStatus, type Permit, type Priority, type Wait } from './agent-gate.js';
import type { Ceilings, Flow } from '../protocol/limits.js';
import { type GovernorObserver, observedPermit } from './observer.js';

export type { GateStatus, Permit, Priority, Wait } from './agent-gate.js';

/** The other workers that call the same agents. */
export interface FleetLink {
  /** Called before each call. Resolves when the gate knows this worker's share; undefined when it does already. */
  join(agentRid: string, gate: AgentGate): Promise<void> | undefined;
  /** A call has ended. */
  noteEnd(agentRid: string): void;
}

/** Options of `createGovernor`. */
export interface GovernorOptions extends Ceilings {
  /** Default: this process is alone. */
  fleet?: FleetLink;
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
  /** Whose call it is: flows of priority `batch` share what is left to them by weight. Default: one flow of weight 1 for all others. */
  flow?: Flow | undefined;
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
  const { now = Date.now, random = Math.random, fleet, observer, ...ceilings } = options;
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
  const admit = async (input: AcquireInput): Promise<Permit> => {
    const { agentRid, kind = 'exchange', signal } = input;
    const gates = gatesOf(agentRid);
    if (fleet === undefined) return await enter(gates[kind], input);
    const joining = fleet.join(agentRid, gates.exchange);
    if (joining !== undefined) await orAborted(joining, signal);
    const permit = await enter(gates[kind], input);
    return {
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
      if (observer === undefined) return await admit(input);
      return await observedPermit(observer, { agentRid, kind, priority }, now, () => admit(input));
    },
    occupy: (agentRid) => gatesOf(agentRid).exchange.occupy(),
    status: (agentRid) => agents.get(agentRid)?.exchange.status(),
    agentRids: () => [...agents.keys()],
  };
}

/** Limits of a model count exchanges alone; an operator closes both. */
interface GatesOfAgent {
  exchange: AgentGate;
  session: AgentGate;
}

/** The work's end, or the signal's reason, thrown, if that comes first. */
async function orAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return await work;
  const aborted = new Promise<never>((_, reject) => {
    // The reason is the caller's own and passes through as it is.
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    const giveUp = (): void => reject(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    void work.finally(() => signal.removeEventListener('abort', giveUp));
  });
  await Promise.race([work, aborted]);
}

function enter(gate: AgentGate, { priority, flow, signal, onWait }: AcquireInput): Promise<Permit> {
  return new Promise((resolve, reject) => {
    const waiter = {
      priority,
      flow,
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
