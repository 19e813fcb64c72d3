import { ScheduleAlreadyRunning, type ScheduleDescription, type ScheduleOptions } from '@temporalio/client';
import { automationWorkflowId } from '../protocol/automation.js';
import { checkAutomation, checkAutomationId } from './automation-check.js';
import { automationIdOf } from './automation-memo.js';
import { AutomationScheduleExistsError } from './automation-schedule-errors.js';
import {
  descriptionOf,
  OVERLAP,
  SCHEDULE_MEMO,
  type ScheduleMemo,
  type ScheduleOverlap,
  withSchedule,
} from './automation-schedule.js';
import { UNKNOWN_ZONE } from './automation-schedule-check.js';
import { type AutomationTimes, scheduleSpec } from './automation-schedule-spec.js';
import { automationAction, type AutomationStart } from './automation-start.js';
import type { ClientContext } from './connection.js';
import { InvalidCallError } from './errors.js';
import { pause } from './outage.js';
import { translateError } from './translate-error.js';

export { AutomationScheduleExistsError, AutomationScheduleNotFoundError } from './automation-schedule-errors.js';
export {
  type AutomationScheduleDescription,
  type AutomationScheduleSummary,
  describeAutomationSchedule,
  listAutomationSchedules,
  type ScheduledRun,
  type ScheduleOverlap,
} from './automation-schedule.js';
export { type AutomationTimes, intervalWords } from './automation-schedule-spec.js';

/** How long a run that was triggered is looked for (milliseconds). */
const TRIGGERED_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 100;

/** A plan that is started again and again. */
export interface AutomationSchedule extends Omit<AutomationStart, 'automationId'>, AutomationTimes {
  /** 1–200 characters. What it starts is called `<name>-<time>`. */
  name: string;
  /** What becomes of a start while the run before it goes on. Default `skip`. */
  overlap?: ScheduleOverlap;
  /** Starts that were missed while Temporal was down are made up for, so far back (milliseconds). Default: a year. */
  catchupWindowMs?: number;
  /** Default false. */
  paused?: boolean;
  /** For people. */
  note?: string;
}

/**
 * Creates a schedule: Temporal starts the plan by itself from then on, as `startAutomation` would.
 *
 * @throws AutomationScheduleExistsError; InvalidCallError when a time cannot be meant, or a step has no agent to ask.
 */
export async function createAutomationSchedule(context: ClientContext, schedule: AutomationSchedule): Promise<void> {
  const { name, plan, inputs = {}, source, overlap = 'skip', catchupWindowMs, paused = false, note } = schedule;
  checkAutomationId(name, 'schedule');
  checkAutomation({ ...schedule, inputs });
  const scheduleId = automationWorkflowId(name);
  const memo: ScheduleMemo = { plan: plan.name, ...(source !== undefined && { source }) };
  const options: ScheduleOptions = {
    scheduleId,
    spec: scheduleSpec(schedule),
    action: { type: 'startWorkflow', ...automationAction(context, schedule), workflowId: scheduleId },
    policies: {
      overlap: OVERLAP[overlap],
      ...(catchupWindowMs !== undefined && { catchupWindow: catchupWindowMs }),
    },
    state: { paused, ...(note !== undefined && { note }) },
    memo: { [SCHEDULE_MEMO]: memo },
  };
  try {
    await context.client.schedule.create(options);
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) throw new AutomationScheduleExistsError(name);
    // So the SDK tells what the server finds wrong with the times.
    if (error instanceof TypeError) {
      throw new InvalidCallError(`Cannot create schedule ${name}: ${timesRefused(error.message)}`);
    }
    throw translateError(error, context, scheduleId);
  }
}

/** The server's words, of what could only be known there. */
const timesRefused = (reason: string): string =>
  reason.replace(/^unknown time zone (.*)$/, (_, zone: string) => `time zone "${zone}": ${UNKNOWN_ZONE}`);

/**
 * Has a schedule start a plan as it is now, with these inputs, from its next start on; what runs goes on as it was started. All else
 * stays: times, policies, pause and note, the task queue, and the agent where none is given.
 *
 * @param start.plan Of the name that the schedule's plan has: another plan is a schedule of its own.
 * @param start.inputs All of them; those of before are gone. Default: none.
 * @throws AutomationScheduleNotFoundError; InvalidCallError when the plan has another name, or a step has no agent to ask.
 */
export async function updateAutomationSchedule(
  context: ClientContext,
  name: string,
  start: Omit<AutomationStart, 'automationId'>,
): Promise<void> {
  await withSchedule(context, name, (handle) =>
    handle.update((schedule) => {
      const { plan, agentRid } = descriptionOf(schedule);
      if (plan !== start.plan.name) {
        throw new InvalidCallError(
          `Cannot update schedule ${name}: it starts plan ${plan}, and this one is called ${start.plan.name}; create a schedule for it, or mend its name`,
        );
      }
      const next = { inputs: {}, ...(agentRid !== undefined && { agentRid }), ...start };
      checkAutomation(next);
      const { spec, policies, state, action } = schedule;
      const { taskQueue, workflowId, type } = action;
      return { spec, policies, state, action: { ...automationAction({ taskQueue }, next), type, workflowId } };
    }),
  );
}

/**
 * Starts nothing any more until `resumeAutomationSchedule`; runs go on.
 *
 * @param options.note Why. Absent: that of a schedule that is paused already stays.
 * @returns Whether it was paused before, and the note that it had then.
 * @throws AutomationScheduleNotFoundError
 */
export async function pauseAutomationSchedule(
  context: ClientContext,
  name: string,
  { note }: { note?: string } = {},
): Promise<{ wasPaused: boolean; noteBefore?: string }> {
  return withSchedule(context, name, async (handle, { state }) => {
    if (!state.paused || note !== undefined) await handle.pause(note ?? 'paused by aip-temporal');
    return { wasPaused: state.paused, ...(state.note && { noteBefore: state.note }) };
  });
}

/**
 * Starts again at its times; what it missed meanwhile is not made up for.
 *
 * @param options.note Absent: that of a schedule that is not paused stays.
 * @returns Whether it was paused before.
 * @throws AutomationScheduleNotFoundError
 */
export async function resumeAutomationSchedule(
  context: ClientContext,
  name: string,
  { note }: { note?: string } = {},
): Promise<{ wasPaused: boolean }> {
  return withSchedule(context, name, async (handle, { state }) => {
    if (state.paused || note !== undefined) await handle.unpause(note ?? 'resumed by aip-temporal');
    return { wasPaused: state.paused };
  });
}

/** What came of a start by hand. */
export type TriggeredSchedule =
  | { automationId: string }
  | {
      automationId?: undefined;
      /**
       * `skipped`: it starts no run, by the policy for overlaps; `waits`: it starts one when `running` has ended; `unknown`: none has
       * started within some seconds, and Temporal does not say why. It names runs by the second: of two within one, only the first
       * starts.
       */
      notStarted: NotStarted;
      overlap: ScheduleOverlap;
      /** Ids of the automations of the schedule that run. */
      running: string[];
    };

/**
 * Starts the plan now, also while the schedule is paused.
 *
 * @param options.overlap While a run goes on. Default: the schedule's own policy. What is started with `allowAll`, Temporal does not
 *   count as a run of the schedule that the next start could overlap with.
 * @throws AutomationScheduleNotFoundError
 */
export async function triggerAutomationSchedule(
  context: ClientContext,
  name: string,
  options: { overlap?: ScheduleOverlap } = {},
): Promise<TriggeredSchedule> {
  return withSchedule(context, name, async (handle, before) => {
    const { overlap = descriptionOf(before).overlap } = options;
    await handle.trigger(OVERLAP[overlap]);
    const untilMs = Date.now() + TRIGGERED_WITHIN_MS;
    for (;;) {
      const now = await handle.describe();
      const last = now.info.recentActions.at(-1);
      if (now.info.numActionsTaken > before.info.numActionsTaken && last !== undefined) {
        return { automationId: automationIdOf(last.action.workflow.workflowId) };
      }
      const notStarted = whyNotStarted(before, now, overlap);
      const isOver = Date.now() >= untilMs;
      if (isOver || isCertain(notStarted, overlap)) return { notStarted, overlap, running: descriptionOf(now).running };
      await pause(LOOK_EVERY_MS, undefined);
    }
  });
}

type NotStarted = 'skipped' | 'waits' | 'unknown';

/** Whether it will not start soon: what `cancelOther` and `terminateOther` end is gone within seconds, mostly. */
const isCertain = (notStarted: NotStarted, overlap: ScheduleOverlap): boolean =>
  notStarted === 'skipped' || (notStarted === 'waits' && (overlap === 'bufferOne' || overlap === 'bufferAll'));

/** `bufferAll` as well, where a thousand wait. */
const MAY_SKIP: readonly ScheduleOverlap[] = ['skip', 'bufferOne', 'bufferAll'];

/** Its counters tell. */
function whyNotStarted(before: ScheduleDescription, now: ScheduleDescription, overlap: ScheduleOverlap): NotStarted {
  const skipped = ({ info, raw }: ScheduleDescription) =>
    info.numActionsSkippedOverlap + Number(raw.info?.bufferDropped ?? 0);
  // Starts at its times are counted alike, of a policy that skips none.
  if (MAY_SKIP.includes(overlap) && skipped(now) > skipped(before)) return 'skipped';
  const buffered = ({ raw }: ScheduleDescription) => Number(raw.info?.bufferSize ?? 0);
  return buffered(now) > buffered(before) && now.info.runningActions.length > 0 ? 'waits' : 'unknown';
}

/** Deletes a schedule; what it has started goes on. @throws AutomationScheduleNotFoundError */
export async function deleteAutomationSchedule(context: ClientContext, name: string): Promise<void> {
  await withSchedule(context, name, (handle) => handle.delete());
}

/**
 * Starts the plan for each of the schedule's times in a span, as if it had been there then.
 *
 * @param span.overlap Default `bufferAll`: one after the other.
 * @throws AutomationScheduleNotFoundError, InvalidCallError
 */
export async function backfillAutomationSchedule(
  context: ClientContext,
  name: string,
  span: { from: Date; to: Date; overlap?: ScheduleOverlap },
): Promise<void> {
  const { from, to, overlap = 'bufferAll' } = span;
  if (!(from.getTime() < to.getTime())) {
    throw new InvalidCallError(
      `Cannot backfill from ${from.toISOString()} to ${to.toISOString()}: give a beginning before the end`,
    );
  }
  await withSchedule(context, name, (handle) => handle.backfill({ start: from, end: to, overlap: OVERLAP[overlap] }));
}
