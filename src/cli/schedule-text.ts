import { type AutomationScheduleDescription, type AutomationScheduleSummary, intervalWords } from '../client/index.js';
import { momentText } from './automation-tree.js';
import { localTime, table } from './output.js';
import { oneLine } from './terminal.js';

/** Of runs before and after, so many are shown. */
const MOST_RUNS = 3;

/**
 * A list of schedules: a table, or where that is wider than the terminal three lines for each.
 *
 * @param room.width Columns of the terminal; absent: none, any width will do.
 */
export function scheduleTable(
  schedules: readonly AutomationScheduleSummary[],
  { width, nowMs }: { width?: number; nowMs: number },
): string {
  const facts = schedules.map(({ plan, when, paused, nextRuns: [next], lastRuns }) => [
    plan,
    paused ? 'paused' : next === undefined ? 'never' : momentText(next, nowMs),
    lastRuns.length === 0 ? '-' : momentText(lastRuns.at(-1)?.startedAt ?? '', nowMs),
    when,
  ]);
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
export function scheduleLine({ name, plan, when, paused, nextRuns: [next] }: AutomationScheduleSummary): string {
  const first = paused ? 'it is paused' : next === undefined ? 'it never starts' : `next at ${localTime(next)}`;
  return `Schedule ${name} starts plan ${plan}: ${when}; ${first}`;
}

/** What `schedule show` tells, a line a field. */
export function scheduleLines(schedule: AutomationScheduleDescription): string[] {
  const { counts, nextRuns, lastRuns, running, inputs, jitterMs, catchupWindowMs } = schedule;
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
    ['created', localTime(schedule.createdAt)],
    ['so far', `${counts.started} started, ${counts.skipped} skipped, ${counts.missed} missed`],
    ...(schedule.paused
      ? [['next', 'none while it is paused'] satisfies [string, string]]
      : nextRuns.slice(0, MOST_RUNS).map((next): [string, string] => ['next', localTime(next)])),
    ...running.map((id): [string, string] => ['running', id]),
    ...lastRuns
      .slice(-MOST_RUNS)
      .map(({ automationId, startedAt }): [string, string] => ['last', `${localTime(startedAt)}  ${automationId}`]),
  ];
  return fields.filter(([, value]) => Boolean(value)).map(([name, value]) => `${name.padEnd(10)}${value}`);
}
