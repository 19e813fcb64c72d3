import { type AutomationScheduleDescription, type AutomationScheduleSummary, intervalWords } from '../client/index.js';
import { table } from './output.js';
import { oneLine } from './terminal.js';

/** Of runs before and after, so many are shown. */
const MOST_RUNS = 3;

/** A time in a schedule's own time zone, with its offset: `2026-03-01 06:00:00 +01:00`, `… UTC`. */
export function zonedTime(time: Date | string, timeZone: string): string {
  const zone = knownZone(timeZone);
  const two = '2-digit';
  const format = new Intl.DateTimeFormat('en', {
    ...{ timeZone: zone, timeZoneName: 'longOffset', hourCycle: 'h23' },
    ...{ year: 'numeric', month: two, day: two, hour: two, minute: two, second: two },
  });
  const part = Object.fromEntries(format.formatToParts(new Date(time)).map(({ type, value }) => [type, value]));
  const offset = zone === 'UTC' ? zone : part['timeZoneName']?.replace('GMT', '') || '+00:00';
  return `${part['year']}-${part['month']}-${part['day']} ${part['hour']}:${part['minute']}:${part['second']} ${offset}`;
}

/** What the server knows and this Node.js does not is shown in UTC. */
function knownZone(timeZone: string): string {
  try {
    new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions();
    return timeZone;
  } catch {
    return 'UTC';
  }
}

/** The same in short: of today the time of day alone. */
function zonedMoment(time: Date | string, timeZone: string, nowMs: number): string {
  const text = zonedTime(time, timeZone);
  if (text.slice(0, 10) === zonedTime(new Date(nowMs), timeZone).slice(0, 10)) return text.slice(11);
  return `${text.slice(0, 16)}${text.slice(19)}`;
}

/**
 * A list of schedules: a table, or where that is wider than the terminal three lines for each.
 *
 * @param room.width Columns of the terminal; absent: none, any width will do.
 */
export function scheduleTable(
  schedules: readonly AutomationScheduleSummary[],
  { width, nowMs }: { width?: number; nowMs: number },
): string {
  const facts = schedules.map(({ plan, when, timeZone, paused, nextRuns: [next], lastRuns }) => {
    const last = lastRuns.at(-1);
    return [
      plan,
      paused ? 'paused' : next === undefined ? 'never' : zonedMoment(next, timeZone, nowMs),
      last === undefined ? '-' : zonedMoment(last.startedAt, timeZone, nowMs),
      when,
    ];
  });
  const headings = ['PLAN', 'NEXT', 'LAST', 'WHEN'];
  const whole = table(
    ['SCHEDULE', ...headings],
    schedules.map(({ name }, index) => [name, ...(facts[index] ?? [])]),
  );
  if (width === undefined || whole.split('\n').every((line) => line.length <= width)) return whole;
  const short = table(
    headings.slice(0, 3),
    facts.map((row) => row.slice(0, 3)),
  );
  const lines = short.split('\n').slice(1);
  return schedules.map(({ name, when }, index) => `${name}\n  ${lines[index] ?? ''}\n  ${when}`).join('\n');
}

/** What a schedule does from now on, in a line. */
export function scheduleLine({
  name,
  plan,
  when,
  timeZone,
  paused,
  nextRuns: [next],
}: AutomationScheduleSummary): string {
  const first = paused
    ? 'it is paused'
    : next === undefined
      ? 'it never starts'
      : `next at ${zonedTime(next, timeZone)}`;
  return `Schedule ${name} starts plan ${plan}: ${when}; ${first}`;
}

/** What `schedule show` tells, a line a field. */
export function scheduleLines(schedule: AutomationScheduleDescription): string[] {
  const { counts, nextRuns, lastRuns, running, inputs, jitterMs, catchupWindowMs } = schedule;
  const at = (time: Date) => zonedTime(time, schedule.timeZone);
  const fields: [string, string | undefined][] = [
    ['schedule', schedule.name],
    ['state', schedule.paused ? 'paused' : 'active'],
    ['note', schedule.note && oneLine(schedule.note)],
    ['plan', `${schedule.plan}${schedule.source === undefined ? '' : ` from ${schedule.source}`}`],
    ['when', schedule.when],
    ['jitter', jitterMs === undefined ? undefined : intervalWords(jitterMs)],
    ['overlap', schedule.overlap],
    ['catch up', `what was missed within ${intervalWords(catchupWindowMs)}`],
    ['agent', schedule.agentRid],
    ['inputs', Object.keys(inputs).length === 0 ? undefined : JSON.stringify(inputs)],
    ['created', at(schedule.createdAt)],
    ['so far', `${counts.started} started, ${counts.skipped} skipped, ${counts.missed} missed`],
    ...(schedule.paused
      ? [['next', 'none while it is paused'] satisfies [string, string]]
      : nextRuns.slice(0, MOST_RUNS).map((next): [string, string] => ['next', at(next)])),
    ...running.map((id): [string, string] => ['running', id]),
    ...lastRuns
      .slice(-MOST_RUNS)
      .map(({ automationId, startedAt }): [string, string] => ['last', `${at(startedAt)}  ${automationId}`]),
  ];
  return fields.filter(([, value]) => Boolean(value)).map(([name, value]) => `${name.padEnd(10)}${value}`);
}
