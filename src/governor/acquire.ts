import type { Flow } from '../protocol/limits.js';
import type { AgentGate, Permit, Priority, Wait } from './agent-gate.js';

/** The other workers that call the same agents. */
export interface FleetLink {
  /** Called before each call. Resolves when the gate knows this worker's share; undefined when it does already. */
  join(agentRid: string, gate: AgentGate): Promise<void> | undefined;
  /** A call has ended. */
  noteEnd(agentRid: string): void;
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

/** The work's end, or the signal's reason, thrown, if that comes first. */
async function orAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return await work;
  await new Promise<void>((resolve) => {
    const end = (): void => resolve();
    signal.addEventListener('abort', end, { once: true });
    void work.finally(() => {
      signal.removeEventListener('abort', end);
      resolve();
    });
  });
  signal.throwIfAborted();
  await work;
}

/** Waits until the gate knows this worker's share. @throws the signal's reason. */
export async function joined(
  fleet: FleetLink,
  name: string,
  gate: AgentGate,
  { signal }: Pick<AcquireInput, 'signal'>,
): Promise<void> {
  const joining = fleet.join(name, gate);
  if (joining !== undefined) await orAborted(joining, signal);
}

/** Waits until the gate lets the call in. @throws the signal's reason. */
export function entered(
  gate: AgentGate,
  { priority, flow, signal, onWait }: Pick<AcquireInput, 'priority' | 'flow' | 'signal' | 'onWait'>,
): Promise<Permit> {
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

/** A timer of the process. */
export function setTimer(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}
