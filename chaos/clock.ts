import { setTimeout as delay } from 'node:timers/promises';

/** Tells everybody when the chaos is over: new work and disturbances end then. */
export interface ChaosClock {
  /** Aborted when it is over. */
  readonly over: AbortSignal;
  /** Waits; false when it is over, then or before. */
  wait(milliseconds: number): Promise<boolean>;
}

export function chaosClock(over: AbortSignal): ChaosClock {
  return {
    over,
    async wait(milliseconds) {
      if (over.aborted) return false;
      try {
        await delay(milliseconds, undefined, { signal: over });
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** Does it until it succeeds: what a caller does who must get through to a Temporal that is away for a while. */
export async function insist<T>(what: string, run: () => Promise<T>, giveUp: (error: unknown) => boolean): Promise<T> {
  const until = Date.now() + 5 * 60_000;
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (giveUp(error)) throw error;
      if (Date.now() > until) throw new Error(`Tried for 5 minutes in vain: ${what}`, { cause: error });
      await delay(250);
    }
  }
}
