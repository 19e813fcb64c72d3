import type { AgentGate } from '../governor/agent-gate.js';
import type { FleetLink } from '../governor/governor.js';
import { type FleetContext, Seat } from './seat.js';

/** The fleets that this worker belongs to, one for each agent that it calls. */
export interface Fleet extends FleetLink {
  /** Leaves all of them. */
  leave(): Promise<void>;
}

/** Joins the other workers of the task queue: through Temporal alone, one `governorWorkflow` for each agent. */
export function createFleet(context: FleetContext): Fleet {
  const seats = new Map<string, Seat>();
  let isLeaving = false;
  return {
    join(agentRid: string, gate: AgentGate): Promise<void> | undefined {
      let seat = seats.get(agentRid);
      if (seat === undefined || seat.hasLeft) {
        if (isLeaving) return undefined;
        seats.set(agentRid, (seat = new Seat(context, agentRid, gate)));
      }
      seat.noteCall();
      return seat.isReady ? undefined : seat.ready;
    },
    noteEnd: (agentRid) => seats.get(agentRid)?.noteCall(),
    async leave() {
      isLeaving = true;
      await Promise.all([...seats.values()].map((seat) => seat.leave()));
    },
  };
}
