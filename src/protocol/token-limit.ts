/** What workers tell each other of a limit of tokens. Plain JSON; times in milliseconds since the epoch. */

/** A limit of tokens as far as it is known of an agent: see `src/governor/token-rate.ts`. */
export interface TokenFinding {
  /** Mean tokens of a call. */
  mean: number;
  /** When a call landed last. */
  landedAtMs: number;
  /** When the newest call that is known to be let in was started. */
  letInStartedAtMs: number;
  /** The last refusal before which calls were let in: the bucket was empty. Null: none yet. */
  empty: EmptyBucket | null;
  /** There may be a limit of tokens; null while nothing looks like it, and when one is believed. */
  suspicion: TokenSuspicion | null;
  /** The limit as learned; null while none is believed. */
  rate: TokenRate | null;
}

export interface EmptyBucket {
  atMs: number;
  /** When the refused call was started, and the one that was refused last. */
  startedAtMs: number;
  lastStartedAtMs: number;
  /** Refusals since with none let in between them; 0 when one was. */
  refusals: number;
  /** Tokens of what landed until then, in so much time; and of what has landed since. */
  landedBefore: number;
  beforeMs: number;
  landed: number;
  /** Calls let in per second until then, and how many were in flight. */
  callsPerSecond: number;
  letInFlight: number;
}

export interface TokenSuspicion {
  /** A call may try then, whatever should be paid. */
  probeAtMs: number;
  probes: number;
  /** Of the first guess of a rate: what is left of it after refusals at times when all should have been paid. */
  share: number;
}

export interface TokenRate {
  /** In units per second of so many tokens: of a call, or of a second where that is more. */
  curve: { peak: number; cut: number; climbedMs: number; cutAtMs: number };
  unit: number;
  /** What the server's bucket should hold: without the tokens of calls in flight. */
  level: number;
  levelAtMs: number;
  /** A call may try then, whatever the level. */
  probeAtMs: number;
  /** Refusals that tokens do not explain, in succession. */
  unexplained: number;
}

/** What a worker tells of the tokens of its calls. */
export interface TokenReport {
  /** Tokens of its calls that have landed since it began: the mean, where they are not known yet. */
  used: number;
  /** Those of the last minute. */
  recent: number;
  /** Mean tokens of a call, and of how many calls they are known. */
  mean: number;
  known: number;
  /** Smoothed time of a call (milliseconds). */
  callMs: number;
  landedAtMs: number;
  letInStartedAtMs: number;
  /** When the call that was refused last was started. */
  refusedStartedAtMs: number;
  /** What it has found by itself; absent while the fleet has found it. */
  finding?: TokenFinding;
}

/** What the leader knows of a limit of tokens, for whoever leads next, and what each member may use, by member id. */
export interface TokenShares {
  finding: TokenFinding;
  /** Nothing is known to be let in since the last refusal: one member tries. */
  isShut: boolean;
  of: Record<string, TokenShare>;
}

/**
 * A member may start a call while what it has used since it began, and a mean for each of its calls in flight, are less than `credit`,
 * which grows by `perSecond` from `atMs` on. As all is counted since it began, nothing is lost however late a share is heard of.
 */
export interface TokenShare {
  credit: number;
  perSecond: number;
  atMs: number;
  /** A call may try then, whatever the credit. */
  probeAtMs?: number;
  /** What of its report the leader has counted. */
  heard: Pick<TokenReport, 'used' | 'known' | 'refusedStartedAtMs'>;
}
