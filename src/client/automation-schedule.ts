import {
  type ScheduleDescription,
  type ScheduleExecutionResult,
  type ScheduleHandle,
  ScheduleNotFoundError,
  type ScheduleSummary,
} from '@temporalio/client';
import { type AutomationInput, type AutomationMemo, automationWorkflowId } from '../protocol/automation.js';
import type { JsonObject } from '../protocol/plan.js';
import { automationIdOf } from './automation-memo.js';
import { AutomationScheduleNotFoundError } from './automation-schedule-errors.js';
import { scheduleWords } from './automation-schedule-spec.js';
import type { ClientContext } from './connection.js';
import { translateError } from './translate-error.js';

/** Under this name a schedule's memo holds a `ScheduleMemo`: so it is known as one of ours. */
export const SCHEDULE_MEMO = 'automationSchedule';

export interface ScheduleMemo {
  plan: string;
  source?: string;
}

/** Temporal's overlap policies by our names for them. */
export const OVERLAP = {
  skip: 'SKIP',
  bufferOne: 'BUFFER_ONE',
  bufferAll: 'BUFFER_ALL',
  cancelOther: 'CANCEL_OTHER',
  terminateOther: 'TERMINATE_OTHER',
  allowAll: 'ALLOW_ALL',
} as const;

/**
 * What becomes of a start while the run before it goes on: `skip` it; let one (`bufferOne`) or all (`bufferAll`) wait for its end;
 * cancel (`cancelOther`) or terminate (`terminateOther`) that run, which leaves its exchanges at the agents; or run beside it
 * (`allowAll`).
 */
export type ScheduleOverlap = keyof typeof OVERLAP;

/** A run that a schedule has started. */
export interface ScheduledRun {
  automationId: string;
  /** The time that it was for. */
  scheduledAt: Date;
  startedAt: Date;
}

/** A schedule as lists show it. */
export interface AutomationScheduleSummary {
  name: string;
  scheduleId: string;
  /** Name of the plan. */
  plan: string;
  /** Name of the file that the plan was read from; in a list, when the schedule was created. */
  source?: string;
  /** When it starts the plan, in words: `0 6 * * 1-5 (Europe/Berlin)`. */
  when: string;
  /** IANA name of the zone that its cron expressions are in; UTC where it has none. */
  timeZone: string;
  paused: boolean;
  note?: string;
  /** Some, the next first; also while it is paused. */
  nextRuns: Date[];
  /** Some, the newest last. */
  lastRuns: ScheduledRun[];
}

/** A schedule with all that it starts a plan with. */
export interface AutomationScheduleDescription extends AutomationScheduleSummary {
  inputs: JsonObject;
  agentRid?: string;
  overlap: ScheduleOverlap;
  catchupWindowMs: number;
  jitterMs?: number;
  createdAt: Date;
  /** Ids of the automations of it that run now. */
  running: string[];
  /** Starts so far; those skipped because a run went on; those missed for good while Temporal was down. */
  counts: { started: number; skipped: number; missed: number };
}

/** Lists the schedules that start plans. Needs no worker. A list is a second or so behind. @throws TemporalUnreachableError */
export async function* listAutomationSchedules(
  context: ClientContext,
): AsyncGenerator<AutomationScheduleSummary, void, void> {
  try {
    for await (const schedule of context.client.schedule.list({ pageSize: 100 })) {
      const summary = summaryOf(schedule);
      if (summary !== undefined) yield summary;
    }
  } catch (error) {
    throw translateError(error, context, 'the list of schedules');
  }
}

/** A schedule as it is now. @throws AutomationScheduleNotFoundError */
export async function describeAutomationSchedule(
  context: ClientContext,
  name: string,
): Promise<AutomationScheduleDescription> {
  return withSchedule(context, name, (_handle, description) => Promise.resolve(descriptionOf(description)));
}

/** Runs something with a schedule that is there, and one of ours. @throws AutomationScheduleNotFoundError */
export async function withSchedule<T>(
  context: ClientContext,
  name: string,
  run: (handle: ScheduleHandle, description: ScheduleDescription) => Promise<T>,
): Promise<T> {
  const scheduleId = automationWorkflowId(automationIdOf(name));
  try {
    const handle = context.client.schedule.getHandle(scheduleId);
    const description = await handle.describe();
    if (memoOf(description) === undefined) throw new ScheduleNotFoundError('It starts no plan', scheduleId);
    return await run(handle, description);
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) {
      throw new AutomationScheduleNotFoundError(name, context.client.options.namespace);
    }
    throw translateError(error, context, scheduleId);
  }
}

const memoOf = ({ memo }: { memo?: Record<string, unknown> | undefined }): ScheduleMemo | undefined =>
  memo?.[SCHEDULE_MEMO] as ScheduleMemo | undefined;

/** @param memo Absent for a schedule that starts something else. */
function summaryOf(
  schedule: ScheduleSummary | ScheduleDescription,
  memo = memoOf(schedule),
): AutomationScheduleSummary | undefined {
  if (memo === undefined) return undefined;
  const { scheduleId, spec = {}, state, info } = schedule;
  return {
    name: automationIdOf(scheduleId),
    scheduleId,
    plan: memo.plan,
    ...(memo.source !== undefined && { source: memo.source }),
    when: scheduleWords(spec),
    timeZone: spec.timezone || 'UTC',
    paused: state.paused,
    ...(state.note && { note: state.note }),
    nextRuns: info.nextActionTimes,
    lastRuns: info.recentActions.map(runOf),
  };
}

const runOf = ({ scheduledAt, takenAt, action }: ScheduleExecutionResult): ScheduledRun => ({
  automationId: automationIdOf(action.workflow.workflowId),
  scheduledAt,
  startedAt: takenAt,
});

/** What a schedule starts, as it was told last: its own memo stays as it was created. */
export function descriptionOf(description: ScheduleDescription): AutomationScheduleDescription {
  const { action, policies, spec, info } = description;
  const started = action.memo?.['automation'] as AutomationMemo | undefined;
  const [input] = (action.args ?? []) as [AutomationInput?];
  const overlap = Object.entries(OVERLAP).find(([, policy]) => policy === policies.overlap)?.[0] ?? 'skip';
  return {
    ...(summaryOf(description, started) as AutomationScheduleSummary),
    inputs: input?.inputs ?? {},
    ...(input?.agentRid !== undefined && { agentRid: input.agentRid }),
    overlap: overlap as ScheduleOverlap,
    catchupWindowMs: policies.catchupWindow,
    ...(spec.jitter ? { jitterMs: spec.jitter } : {}),
    createdAt: info.createdAt,
    running: info.runningActions.map(({ workflow }) => automationIdOf(workflow.workflowId)),
    counts: {
      started: info.numActionsTaken,
      skipped: info.numActionsSkippedOverlap,
      missed: info.numActionsMissedCatchupWindow,
    },
  };
}
