import type { LimitedAgent, LimitsDescription } from '../client/index.js';
import type { Ceilings, ClosedAgent, LimitSettings } from '../protocol/limits.js';
import { localTime, table } from './output.js';

type Fields = [name: string, value: string][];

/** What is set for an agent, and what of it holds: a line a field. */
export const settingsText = (description: LimitsDescription): string => fieldLines(settingsFields(description));

/** What `limits show` tells: a line a field, and a table of the workers. */
export function limitsText(description: LimitsDescription): string {
  const { totals, workers } = description;
  const { inFlight, waiting, concurrency, ratePerSecond, tokensPerMinute, isRamping, letIn, refused, perSecond } =
    totals;
  const fields: Fields = [
    ...settingsFields(description),
    ...(workers.length === 0
      ? ([['learned', 'nothing: no worker calls the agent now']] as Fields)
      : ([
          [
            'learned',
            isRamping
              ? `no limit met yet; up to ${concurrency} at once tried`
              : learnedText(concurrency, ratePerSecond, tokensPerMinute),
          ],
          ['now', `${inFlight} in flight, ${waiting} waiting, ${perSecond.toFixed(1)} let in per second`],
          ['so far', `${letIn} let in, ${refused} refused`],
        ] as Fields)),
  ];
  return workers.length === 0 ? fieldLines(fields) : [fieldLines(fields), '', workersTable(workers)].join('\n');
}

function settingsFields({ agentRid, settings, ceilings }: LimitsDescription): Fields {
  const isSetHere = JSON.stringify(settingsCeilings(settings)) === JSON.stringify(ceilings);
  return [
    ['agent', agentRid],
    ['state', settings.closed === undefined ? 'open' : closedText(settings.closed)],
    ['ceilings', `${ceilingsText(ceilings)}${isSetHere ? '' : ' (workers were started with them)'}`],
  ];
}

const fieldLines = (fields: Fields): string => fields.map(([name, value]) => `${name.padEnd(10)}${value}`).join('\n');

/** What `limits list` tells. */
export function listText(agents: readonly LimitedAgent[]): string {
  const rows = agents.map(({ agentRid, settings }) => [
    agentRid,
    settings.closed === undefined ? 'open' : 'closed',
    ceilingsText(settingsCeilings(settings)),
  ]);
  return table(['AGENT', 'STATE', 'CEILINGS'], rows);
}

function workersTable(workers: LimitsDescription['workers']): string {
  const rows = workers.map(({ identity, isLeader, inFlight, waiting, concurrency, ratePerSecond, share, ...of }) => [
    isLeader ? `${identity} (leads)` : identity,
    String(inFlight),
    String(waiting),
    share.maxConcurrency === undefined ? String(concurrency) : `${Math.min(concurrency, share.maxConcurrency)}`,
    ratePerSecond === undefined ? '-' : ratePerSecond.toFixed(1),
    share.maxPerMinute === undefined ? '-' : share.maxPerMinute.toFixed(0),
    String(of.refused),
  ]);
  return table(['WORKER', 'IN FLIGHT', 'WAITING', 'AT ONCE', 'PER S', 'PER MIN', 'REFUSED'], rows);
}

function learnedText(
  concurrency: number,
  ratePerSecond: number | undefined,
  tokensPerMinute: number | undefined,
): string {
  const rate = ratePerSecond === undefined ? '' : `, ${ratePerSecond.toFixed(1)} per second`;
  const tokens = tokensPerMinute === undefined ? '' : `, about ${tokensPerMinute.toFixed(0)} tokens per minute`;
  return `${concurrency} at once${rate}${tokens}`;
}

const settingsCeilings = ({ maxConcurrency, maxPerMinute }: LimitSettings): Ceilings => ({
  ...(maxConcurrency !== undefined && { maxConcurrency }),
  ...(maxPerMinute !== undefined && { maxPerMinute }),
});

function ceilingsText({ maxConcurrency, maxPerMinute }: Ceilings): string {
  const parts = [
    ...(maxConcurrency === undefined ? [] : [`${maxConcurrency} at once`]),
    ...(maxPerMinute === undefined ? [] : [`${maxPerMinute} per minute`]),
  ];
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function closedText({ since, until, reason }: ClosedAgent): string {
  const end = until === undefined ? 'until `limits open`' : `until ${localTime(until)}`;
  return `closed since ${localTime(since)} ${end}${reason === undefined ? '' : `: ${reason}`}`;
}
