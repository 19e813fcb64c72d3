/** The least time to keep looking for an exchange that the server says it has but does not show (milliseconds). */
const LEAST_LOOK_MS = 30_000;

/** How long to keep looking, learnt per agent: three times the longest answer seen, at least 30 s. */
export interface FollowBounds {
  noteAnswer(agentRid: string, tookMs: number): void;
  lookForMs(agentRid: string): number;
}

/** Bounds that know nothing yet. */
export function createFollowBounds(): FollowBounds {
  const longestMs = new Map<string, number>();
  return {
    noteAnswer(agentRid, tookMs) {
      if (tookMs > (longestMs.get(agentRid) ?? 0)) longestMs.set(agentRid, tookMs);
    },
    lookForMs: (agentRid) => Math.max(LEAST_LOOK_MS, 3 * (longestMs.get(agentRid) ?? 0)),
  };
}
