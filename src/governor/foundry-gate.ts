import { ALL_AGENTS } from '../protocol/limits.js';
import { type AcquireInput, entered, type FleetLink, joined, setTimer } from './acquire.js';
import { AgentGate, type GateStatus } from './agent-gate.js';

/** The gate before Foundry as a whole: ceilings over the calls to all agents, of all workers together. Nothing is learned. */
export interface FoundryGate {
  /** Waits for a place; calls that refuse to wait use `pass`. @returns Gives it back. @throws the signal's reason. */
  enter(input: Pick<AcquireInput, 'agentRid' | 'priority' | 'signal' | 'onWait'>): Promise<() => void>;
  /** Counts a short call, such as a look at the content or a cancel, which waits for nothing. @returns To be called at its end. */
  pass(): () => void;
  /** How it stands; undefined before its first call. */
  status(): GateStatus | undefined;
}

/** Makes it; the ceilings come from the fleet. */
export function createFoundryGate(fleet: FleetLink): FoundryGate {
  const gate = new AgentGate({ now: Date.now, random: Math.random, setTimer }, {});
  let isUsed = false;
  return {
    async enter({ agentRid, onWait, priority, signal }) {
      isUsed = true;
      await joined(fleet, ALL_AGENTS, gate, { signal });
      // Agents share evenly what there is.
      const flow = { key: agentRid, weight: 1 };
      const permit = await entered(gate, { priority, flow, signal, onWait: () => onWait?.({ reason: 'foundry' }) });
      return () => {
        permit.release('other');
        fleet.noteEnd(ALL_AGENTS);
      };
    },
    pass: () => gate.occupy({ isCall: true }),
    status: () => (isUsed ? gate.status() : undefined),
  };
}
