import {
  type CalendarSpecDescription,
  DAYS_OF_WEEK,
  MONTHS,
  type Range,
  type ScheduleSpec,
  type ScheduleSpecDescription,
} from '@temporalio/client';
import { shown } from '../checks/shown-value.js';
import { cronProblem, zoneProblem } from './automation-schedule-check.js';
import { InvalidCallError } from './errors.js';

/** When a schedule starts its plan: by cron expressions, or every so often; at least one of both. */
export interface AutomationTimes {
  /** Five fields (minute, hour, day of month, month, day of week), or `@daily` and the like. */
  cron?: readonly string[];
  /** From one start to the next (milliseconds), counted from midnight of 1 January 1970 UTC. At least a second. */
  everyMs?: number;
  /** IANA name, for cron alone: `Europe/Berlin`. Default: UTC. */
  timeZone?: string;
  /** Each start is put off by up to so much, at random (milliseconds). Default: none. */
  jitterMs?: number;
}

/** As Temporal wants it. @throws InvalidCallError */
export function scheduleSpec({ cron = [], everyMs, timeZone, jitterMs }: AutomationTimes): ScheduleSpec {
  if (cron.length === 0 && everyMs === undefined) {
    throw new InvalidCallError('Cannot schedule a plan for no time: give a cron expression, or an interval');
  }
  if (everyMs !== undefined && !(everyMs >= 1_000)) {
    throw new InvalidCallError(`Cannot schedule a plan every ${everyMs} ms: give at least 1000`);
  }
  if (timeZone !== undefined && cron.length === 0) {
    throw new InvalidCallError(
      `Cannot schedule a plan in time zone ${timeZone}: intervals have none, they are counted from midnight UTC; give a cron expression, or leave it out`,
    );
  }
  for (const expression of cron) {
    const problem = cronProblem(expression);
    if (problem === undefined) continue;
    throw new InvalidCallError(`Cannot schedule a plan by cron expression ${shown(expression)}: ${problem}`);
  }
  const zoneIsNone = timeZone === undefined ? undefined : zoneProblem(timeZone);
  if (zoneIsNone !== undefined) {
    throw new InvalidCallError(`Cannot schedule a plan in time zone ${shown(timeZone)}: ${zoneIsNone}`);
  }
  return {
    ...(cron.length > 0 && { cronExpressions: [...cron] }),
    ...(everyMs !== undefined && { intervals: [{ every: everyMs }] }),
    ...(timeZone !== undefined && { timezone: timeZone }),
    ...(jitterMs !== undefined && { jitter: jitterMs }),
  };
}

/** When it starts, in words, as Temporal has it now: `0 6 * * 1-5 (Europe/Berlin)`, `every 1h30m`. */
export function scheduleWords({ calendars = [], intervals = [], timezone }: ScheduleSpecDescription): string {
  const zone = timezone ? ` (${timezone})` : ' (UTC)';
  const every = intervals.map(({ every: ms, offset }) =>
    offset > 0 ? `every ${intervalWords(ms)}, ${intervalWords(offset)} later` : `every ${intervalWords(ms)}`,
  );
  return [...calendars.map((calendar) => `${cronOf(calendar)}${zone}`), ...every].join('; ') || 'never';
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** `1h30m`, as options take it. */
export function intervalWords(ms: number): string {
  let left = ms;
  const parts = UNITS.map(([unit, unitMs]) => {
    const count = Math.floor(left / unitMs);
    left -= count * unitMs;
    return count > 0 ? `${count}${unit}` : '';
  });
  return parts.join('') || `${ms}ms`;
}

/** Temporal keeps cron expressions as ranges of each field: this is the way back. Seconds and years show where they are meant. */
function cronOf({ second, minute, hour, dayOfMonth, month, year, dayOfWeek }: CalendarSpecDescription): string {
  const fields = [
    field(minute, 0, 59),
    field(hour, 0, 23),
    field(dayOfMonth, 1, 31),
    field(inNumbers(month, MONTHS, 1), 1, 12),
    field(inNumbers(dayOfWeek, DAYS_OF_WEEK, 0), 0, 6),
  ];
  const seconds = field(second, 0, 59);
  const years = year.length === 0 ? '*' : field(year, Number.NaN, Number.NaN);
  return [...(seconds === '0' ? [] : [seconds]), ...fields, ...(years === '*' ? [] : [years])].join(' ');
}

const inNumbers = <Name>(ranges: Range<Name>[], names: readonly Name[], first: number): Range<number>[] =>
  ranges.map(({ start, end, step }) => ({
    start: names.indexOf(start) + first,
    end: names.indexOf(end) + first,
    step,
  }));

function field(ranges: readonly Range<number>[], least: number, most: number): string {
  return ranges
    .map(({ start, end, step }) => {
      const isAll = start === least && end >= most;
      const span = isAll ? '*' : start === end ? String(start) : `${start}-${end}`;
      return step > 1 ? `${span}/${step}` : span;
    })
    .join(',');
}
