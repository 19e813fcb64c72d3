import { setTimeout as delay } from 'node:timers/promises';
import { type WorkflowExecutionDescription, WorkflowNotFoundError } from '@temporalio/client';
import {
  byJoining,
  type Ceilings,
  changedSettings,
  governorWorkflowId,
  leastOf,
  type LimitChange,
  LIMITS_MEMO,
  type LimitSettings,
  MEMBER_ACTIVITY,
  type MemberReport,
  setLimitsSignal,
} from '../protocol/limits.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import type { ClientContext } from './connection.js';
import { runStatus } from './describe-conversation.js';
import { InvalidCallError } from './errors.js';
import { checkReason } from './reason-check.js';
import { pendingActivities } from './pending-activities.js';
import { translateError } from './translate-error.js';

/** What one worker does with an agent's limits. */
export interface WorkerLimitsDescription {
  identity: string;
  /** It shares out what all may use. */
  isLeader: boolean;
  inFlight: number;
  waiting: number;
  /** Calls at once, and per second, that it has learned to be let in; the rate is absent while none is known. */
  concurrency: number;
  ratePerSecond?: number;
  /** Tokens per minute that it may use, where such a limit is known; roughly. All workers' sum is the agent's. */
  tokensPerMinute?: number;
  /** True while it has met no limit: its concurrency is where its ramp stands. */
  isRamping: boolean;
  /** Its share of the ceilings. */
  share: Ceilings;
  /** Calls let in, and refused, since it began; calls let in per second, lately. */
  letIn: number;
  refused: number;
  perSecond: number;
  /** Until when the agent asked to wait (ISO 8601), if it did. */
  askedUntil?: string;
  /** When it was heard of last (ISO 8601). */
  heardAt?: string;
}

/** An agent's limits: what was set, what was learned, who uses it. */
export interface LimitsDescription {
  agentRid: string;
  workflowId: string;
  settings: LimitSettings;
  /** Ceilings in force, of all workers together: the least of what was set here and what the workers were started with. */
  ceilings: Ceilings;
  /** Sums over the workers. */
  totals: Pick<
    WorkerLimitsDescription,
    | 'inFlight'
    | 'waiting'
    | 'concurrency'
    | 'ratePerSecond'
    | 'tokensPerMinute'
    | 'isRamping'
    | 'letIn'
    | 'refused'
    | 'perSecond'
  >;
  workers: WorkerLimitsDescription[];
}

/** An agent in a list. */
export interface LimitedAgent {
  agentRid: string;
  workflowId: string;
  settings: LimitSettings;
}

/** How long a change is waited for: a worker writes it down (milliseconds). */
const HEARD_WITHIN_MS = 3_000;
const LOOK_EVERY_MS = 50;

/**
 * What is known of an agent's limits by the workers of the client's task queue. Needs no worker, and leaves no events.
 *
 * @throws TemporalUnreachableError
 */
export async function describeLimits(context: ClientContext, agentRid: string): Promise<LimitsDescription> {
  const workflowId = governorWorkflowId(context.taskQueue, agentRid);
  const description = await described(context, workflowId);
  const settings = description === undefined ? {} : settingsOf(description);
  const members = description === undefined ? [] : await membersOf(context, description);
  const reports = members.flatMap(({ report }) => report ?? []);
  const workers = members.flatMap(({ report, heardAt }, index) =>
    report === undefined ? [] : [workerOf(report, index === 0, heardAt)],
  );
  return {
    agentRid,
    workflowId,
    settings,
    ceilings: leastOf([settings, ...reports.map(({ configured }) => configured)]),
    totals: totalsOf(workers),
    workers,
  };
}

/** Agents that workers of the client's task queue call now, or that something is set for. @throws TemporalUnreachableError */
export async function listLimits(context: ClientContext): Promise<LimitedAgent[]> {
  const query = `WorkflowType = '${WORKFLOW_TYPES.governor}' AND ExecutionStatus = 'Running'`;
  const prefix = governorWorkflowId(context.taskQueue, '');
  const agents: LimitedAgent[] = [];
  try {
    for await (const { workflowId, memo } of context.client.workflow.list({ query })) {
      if (!workflowId.startsWith(prefix)) continue;
      agents.push({ agentRid: workflowId.slice(prefix.length), workflowId, settings: settingsOf({ memo }) });
    }
  } catch (error) {
    throw translateError(error, context, 'the list of limits');
  }
  return agents.toSorted((a, b) => (a.agentRid < b.agentRid ? -1 : 1));
}

/**
 * Sets ceilings for all workers of the task queue together, or takes them away (`null`). They hold within two seconds or so, over
 * restarts, until they are changed; calls in flight go on to their end.
 *
 * @param ceilings Whole numbers from 1; what is absent stays as it is.
 * @returns False when no worker has heard of it yet: it holds as soon as one runs.
 * @throws InvalidCallError, TemporalUnreachableError
 */
export async function setLimits(
  context: ClientContext,
  agentRid: string,
  ceilings: { maxConcurrency?: number | null; maxPerMinute?: number | null },
): Promise<boolean> {
  for (const [name, value] of Object.entries(ceilings)) {
    if (value === null || (Number.isSafeInteger(value) && value >= 1)) continue;
    throw new InvalidCallError(`Cannot set ${name} to ${value}: give a whole number from 1, or null for none`);
  }
  return change(context, agentRid, ceilings);
}

/**
 * Closes an agent: no worker of the task queue calls it any more, but what is in flight goes on to its end. Messages and batches
 * wait, and say so.
 *
 * @param options.until ISO 8601; absent: until `openAgent`.
 * @param options.reason At most 200 characters, for whoever wonders.
 * @returns False when no worker has heard of it yet: it holds as soon as one runs.
 * @throws InvalidCallError, TemporalUnreachableError
 */
export async function closeAgent(
  context: ClientContext,
  agentRid: string,
  options: { until?: string; reason?: string } = {},
): Promise<boolean> {
  const { until, reason } = options;
  if (until !== undefined && !(Date.parse(until) > Date.now())) {
    throw new InvalidCallError(
      `Cannot close the agent until ${until}: give a time to come, such as 2030-01-31T18:00:00Z`,
    );
  }
  checkReason('close', reason);
  return change(context, agentRid, {
    closed: {
      since: new Date().toISOString(),
      ...(until !== undefined && { until: new Date(until).toISOString() }),
      ...(reason !== undefined && { reason }),
    },
  });
}

/** Opens an agent that was closed; an open one stays as it is. @returns As `closeAgent`. @throws TemporalUnreachableError */
export async function openAgent(context: ClientContext, agentRid: string): Promise<boolean> {
  return change(context, agentRid, { closed: null });
}

async function change(context: ClientContext, agentRid: string, settings: LimitChange): Promise<boolean> {
  const workflowId = governorWorkflowId(context.taskQueue, agentRid);
  const before = await described(context, workflowId);
  const wanted = changedSettings(before === undefined ? {} : settingsOf(before), settings);
  // Nothing to take away where nothing is set.
  if (before === undefined && Object.keys(wanted).length === 0) return true;
  try {
    await context.client.workflow.signalWithStart(WORKFLOW_TYPES.governor, {
      workflowId,
      taskQueue: context.taskQueue,
      args: [{ agentRid }],
      signal: setLimitsSignal,
      signalArgs: [settings],
      staticSummary: `limits of ${agentRid}`,
      // To be seen, and to hold, before a worker has run.
      memo: { [LIMITS_MEMO]: wanted },
    });
  } catch (error) {
    throw translateError(error, context, workflowId);
  }
  return isHeard(context, workflowId, settings);
}

/** Waits a moment for a worker to write the change down. */
async function isHeard(context: ClientContext, workflowId: string, settings: LimitChange): Promise<boolean> {
  const untilMs = Date.now() + HEARD_WITHIN_MS;
  while (Date.now() < untilMs) {
    const description = await described(context, workflowId);
    const now = description === undefined ? {} : settingsOf(description);
    const isTaken = JSON.stringify(changedSettings(now, settings)) === JSON.stringify(changedSettings(now, {}));
    // The memo of the start says it, too.
    if (isTaken && (description?.historyLength ?? 0) > 3) return true;
    await delay(LOOK_EVERY_MS);
  }
  return false;
}

async function described(
  context: ClientContext,
  workflowId: string,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    const description = await context.client.workflow.getHandle(workflowId).describe();
    return runStatus(description) === 'running' ? description : undefined;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw translateError(error, context, workflowId);
  }
}

const settingsOf = ({ memo }: { memo?: Record<string, unknown> | undefined }): LimitSettings =>
  (memo?.[LIMITS_MEMO] as LimitSettings | undefined) ?? {};

/** In the order of their joining: the first is the leader. */
async function membersOf(
  context: ClientContext,
  description: WorkflowExecutionDescription,
): Promise<{ report: MemberReport | undefined; heardAt: Date | undefined }[]> {
  const activities = await pendingActivities(context, description);
  return activities
    .filter(({ activityType }) => activityType === MEMBER_ACTIVITY)
    .map(({ activityId, scheduledAt, heartbeat, heartbeatAt }) => ({
      id: activityId,
      scheduledMs: scheduledAt?.getTime() ?? 0,
      report: heartbeat as MemberReport | undefined,
      heardAt: heartbeatAt,
    }))
    .toSorted(byJoining);
}

function workerOf(report: MemberReport, isLeader: boolean, heardAt: Date | undefined): WorkerLimitsDescription {
  const { identity, inFlight, waiting, limit, ratePerSecond, isRamping, held, letIn, refusals, perSecond } = report;
  return {
    ...{ identity, isLeader, inFlight, waiting, concurrency: Math.max(1, Math.floor(limit)), isRamping },
    ...(ratePerSecond !== undefined && { ratePerSecond }),
    ...(report.tokensPerMinute !== undefined && { tokensPerMinute: report.tokensPerMinute }),
    ...{ share: held, letIn, refused: refusals, perSecond },
    ...(report.askedUntilMs !== undefined && { askedUntil: new Date(report.askedUntilMs).toISOString() }),
    ...(heardAt !== undefined && { heardAt: heardAt.toISOString() }),
  };
}

function totalsOf(workers: readonly WorkerLimitsDescription[]): LimitsDescription['totals'] {
  const sum = (of: (worker: WorkerLimitsDescription) => number): number =>
    workers.reduce((total, worker) => total + of(worker), 0);
  const tokens = workers.flatMap(({ tokensPerMinute }) => tokensPerMinute ?? []);
  const knowsRate = workers.length > 0 && workers.every(({ ratePerSecond }) => ratePerSecond !== undefined);
  return {
    inFlight: sum(({ inFlight }) => inFlight),
    waiting: sum(({ waiting }) => waiting),
    concurrency: sum(({ concurrency }) => concurrency),
    ...(knowsRate && { ratePerSecond: sum(({ ratePerSecond }) => ratePerSecond ?? 0) }),
    ...(tokens.length > 0 && { tokensPerMinute: tokens.reduce((total, of) => total + of, 0) }),
    isRamping: workers.every(({ isRamping }) => isRamping),
    letIn: sum(({ letIn }) => letIn),
    refused: sum(({ refused }) => refused),
    perSecond: sum(({ perSecond }) => perSecond),
  };
}
