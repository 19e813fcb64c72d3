import type { Fault } from './faults.js';
import type { Reply } from './reply.js';
import type { SimulatorState } from './state.js';

/** Serves a call under a fault: those that come before it or instead of it act here, the reply sees to the others. */
export function applyFault(state: SimulatorState, fault: Fault | undefined, reply: Reply, serve: () => void): void {
  if (fault === undefined) {
    serve();
    return;
  }
  state.ledger.fault(fault.kind);
  switch (fault.kind) {
    case 'dropBefore':
      reply.response.destroy();
      return;
    case 'hang':
      if (fault.lands) serve();
      return;
    case 'status':
      reply.proxyPage(fault);
      if (fault.lands) serve();
      return;
    case 'delay':
      state.later(fault.ms, serve);
      return;
    case 'dropAfterLanding':
    case 'cutStream':
    case 'error':
      serve();
      return;
    default:
      fault satisfies never;
  }
}
