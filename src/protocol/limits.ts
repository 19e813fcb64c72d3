import { defineSignal } from '@temporalio/workflow';
import { LIMITS } from './defaults.js';
import type { TokenReport, TokenShares } from './token-limit.js';

/** Whose batch call it is, and its weight when flows share what an agent lets in. */
export interface Flow {
  key: string;
  /** Above 0. */
  weight: number;
}

/** Hard ceilings that hold whatever was learned. Absent: none. */
export interface Ceilings {
  /** Calls at once. */
  maxConcurrency?: number;
  maxPerMinute?: number;
}

/** An agent that an operator has closed: no call to it starts. */
export interface ClosedAgent {
  since: string;
  /** When it opens by itself (ISO 8601); absent: when somebody opens it. */
  until?: string;
  /** At most 200 characters, for whoever wonders. */
  reason?: string;
}

/** What a call waits for whose agent is closed, in words: heartbeats carry it, and readers know it by these. */
export const CLOSED_AGENT_WAIT = 'the agent, which an operator has closed';

/** What operators have set for an agent; it stands in the memo of its `governorWorkflow`. */
export interface LimitSettings extends Ceilings {
  closed?: ClosedAgent;
}

/** A learned rate: see `src/governor/rate-curve.ts`. Calls per second. */
export interface LearnedRate {
  peak: number;
  cut: number;
  climbedMs: number;
}

/** What a worker has learned of an agent's limits, for its own calls. */
export interface LearnedLimit {
  /** Calls at once. */
  limit: number;
  rate?: LearnedRate;
}

/**
 * What a worker tells the others of its calls to an agent, in the heartbeat details of the activity that stands for it in the
 * agent's `governorWorkflow`. Plain JSON, a few hundred bytes; of the leader as many more for each member.
 */
export interface MemberReport extends LearnedLimit {
  identity: string;
  /** No limit was met yet: `limit` is where its ramp stands. */
  isRamping: boolean;
  /** Calls per second that it may start now, by what it has learned. */
  ratePerSecond?: number;
  /** Tokens per minute that it may use, where such a limit is known. */
  tokensPerMinute?: number;
  /** Of the tokens of its calls; absent: an older worker. */
  tokens?: TokenReport;
  inFlight: number;
  waiting: number;
  /** The most of both together, over the last moments: its share is left to it while work comes and goes. */
  wanted: number;
  /** Calls let in per second, lately. */
  perSecond: number;
  /** Calls let in, and refused, since it began; of the refusals those that the law took for the rate's. */
  letIn: number;
  refusals: number;
  rateRefusals: number;
  /** Until when the agent asked to wait (milliseconds since the epoch), if it did. */
  askedUntilMs?: number;
  /** Ceilings that this worker was started with; for the sum of all workers. */
  configured: Ceilings;
  /** The most of each ceiling that it may use, until it tells of less; absent where there is no ceiling. */
  held: Ceilings;
  /** Versions of the shares that it has taken. */
  taken: { ceilings: number; learned: number };
  /** Of the leader: how the fleet shares. */
  shares?: FleetShares;
}

/** How the workers of a fleet share an agent's limits, by member id. */
export interface FleetShares {
  ceilings: { version: number; of: Record<string, Ceilings> };
  /**
   * Set anew when the fleet changes; in between each worker learns on by itself. `of` goes to `targets` in steps, while
   * `isSettled` is false: nobody is given what another still uses.
   */
  learned: {
    version: number;
    of: Record<string, LearnedLimit>;
    targets: Record<string, LearnedLimit>;
    isSettled: boolean;
  };
  /** A limit of tokens that is known or suspected; absent: none, or the leader is an older worker. */
  tokens?: TokenShares;
}

/** What `governorWorkflow` is started with. */
export interface GovernorInput {
  agentRid: string;
  settings?: LimitSettings;
  /** Members of the run before. */
  members?: string[];
}

/** The run in which the workers of a task queue share an agent's limits. */
export const governorWorkflowId = (taskQueue: string, agentRid: string): string => `governor/${taskQueue}/${agentRid}`;

/** A worker joins; `member` is the id of the activity that stands for it from then on. */
export const joinFleetSignal = defineSignal<[{ member: string }]>('joinFleet');

/** A change of the settings: `null` takes one away, what is absent stays. */
export type LimitChange = { [Name in keyof LimitSettings]?: LimitSettings[Name] | null };
export const setLimitsSignal = defineSignal<[LimitChange]>('setLimits');

/** In place of an agent's RID: the calls to all agents. */
export const ALL_AGENTS = 'all-agents';

/** Where `LimitSettings` stand in the memo of a `governorWorkflow`. */
export const LIMITS_MEMO = 'limits';

/** Name of the activity that stands for a worker. */
export const MEMBER_ACTIVITY = 'holdShare';

/** The order in which members joined, as all see it alike: the first is the leader. */
export function byJoining(a: { id: string; scheduledMs: number }, b: { id: string; scheduledMs: number }): number {
  return a.scheduledMs - b.scheduledMs || (a.id < b.id ? -1 : 1);
}

/** A worker that is silent for so long is dead: the others share what it held (milliseconds). */
export const MEMBER_TIMEOUT_MS = 10_000;

/**
 * What of a change makes sense: signals are sent by hand, too, and have no answer. What does not is left out.
 *
 * @param now ISO 8601: since when an agent is closed whose change does not say it.
 */
export function sensibleChange(change: unknown, now: string): LimitChange {
  if (typeof change !== 'object' || change === null) return {};
  const { maxConcurrency, maxPerMinute, closed } = change as Record<string, unknown>;
  const isCeiling = (value: unknown): value is number | null =>
    value === null || (Number.isSafeInteger(value) && (value as number) >= 1);
  return {
    ...(isCeiling(maxConcurrency) && { maxConcurrency }),
    ...(isCeiling(maxPerMinute) && { maxPerMinute }),
    ...(closed === null && { closed }),
    ...(typeof closed === 'object' && closed !== null && { closed: sensibleClosing(closed, now) }),
  };
}

function sensibleClosing(closed: object, now: string): ClosedAgent {
  const { since, until, reason } = closed as Record<string, unknown>;
  const isTime = (value: unknown): value is string => typeof value === 'string' && !Number.isNaN(Date.parse(value));
  return {
    since: isTime(since) ? since : now,
    ...(isTime(until) && { until }),
    ...(typeof reason === 'string' && { reason: reason.slice(0, LIMITS.reasonCharacters) }),
  };
}

/** The settings after a change. */
export function changedSettings(settings: LimitSettings, change: LimitChange): LimitSettings {
  const names = ['maxConcurrency', 'maxPerMinute', 'closed'] as const;
  return Object.fromEntries(
    names
      .map((name) => [name, change[name] === undefined ? settings[name] : change[name]] as const)
      .filter(([, value]) => value !== undefined && value !== null),
  );
}

/** The least of each ceiling: what holds for all workers together. */
export function leastOf(all: readonly Ceilings[]): Ceilings {
  const least = (name: keyof Ceilings): number => Math.min(...all.map((one) => one[name] ?? Number.POSITIVE_INFINITY));
  const [maxConcurrency, maxPerMinute] = [least('maxConcurrency'), least('maxPerMinute')];
  return {
    ...(Number.isFinite(maxConcurrency) && { maxConcurrency }),
    ...(Number.isFinite(maxPerMinute) && { maxPerMinute }),
  };
}
