import type { Permit, Priority } from './agent-gate.js';

/** A call that asked for a permit. */
export interface ObservedCall {
  agentRid: string;
  kind: 'exchange' | 'session';
  priority: Priority;
}

/** Is told of the calls that a governor lets in, to count them. Its methods must be quick and must not throw. */
export interface GovernorObserver {
  /** The call may start. `waitedMs`: since it asked. Calls that give up waiting are not told of. */
  granted(call: ObservedCall & { waitedMs: number }): void;
  /** The call has ended. `tookMs`: since it was granted. */
  ended(call: ObservedCall & { outcome: Parameters<Permit['release']>[0]; tookMs: number }): void;
}

/** Waits for a permit by `enter`, and tells the observer of the grant and of the release. */
export async function observedPermit(
  observer: GovernorObserver,
  call: ObservedCall,
  now: () => number,
  enter: () => Promise<Permit>,
): Promise<Permit> {
  const askedMs = now();
  const permit = await enter();
  const grantedMs = now();
  observer.granted({ ...call, waitedMs: Math.max(0, grantedMs - askedMs) });
  let isEnded = false;
  return {
    ...permit,
    release(outcome, retryAfterMs) {
      permit.release(outcome, retryAfterMs);
      if (isEnded) return;
      isEnded = true;
      observer.ended({ ...call, outcome, tookMs: Math.max(0, now() - grantedMs) });
    },
  };
}
