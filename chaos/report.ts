import type { FindingKind } from './audit.js';
import type { ChaosResult } from './chaos.js';

const FINDINGS: readonly [FindingKind, string][] = [
  ['duplicate', 'duplicates'],
  ['lost', 'losses'],
  ['order', 'orders broken'],
  ['wrong', 'wrong outcomes'],
  ['running', 'left running'],
  ['error', 'unexpected errors'],
];
const MOST_SHOWN = 20;

/** True when nothing was found. */
export const isClean = ({ findings }: ChaosResult): boolean => findings.length === 0;

/** The result as a table for people, with what was found in detail. */
export function reportText(result: ChaosResult): string {
  const { options, done, totals, findings, outcomes } = result;
  const struck = Object.values(totals.faults).reduce((sum, count) => sum + count, 0);
  const calls = Object.values(totals.calls).reduce((sum, count) => sum + (count ?? 0), 0);
  const rows: [string, number | string][] = [
    ['exchanges ended', totals.landed + totals.interrupted + totals.cancelled],
    ['  landed, interrupted, cancelled', `${totals.landed}, ${totals.interrupted}, ${totals.cancelled}`],
    ['conversations (runs)', `${result.conversations} (${result.runs})`],
    ['batches, automations', `${result.batches}, ${result.automations}`],
    ['worker kills, deploys', `${done.workerKills}, ${done.deploys}`],
    ['server kills', done.serverKills],
    ['faults (of calls)', `${struck} (${((100 * struck) / Math.max(1, calls)).toFixed(1)} %)`],
    [
      'cancels: exchanges, conversations, batches, automations',
      `${done.exchangeCancels}, ${done.conversationCancels}, ${done.batchCancels}, ${done.automationCancels}`,
    ],
    ['batches paused, resized, robbed of rows', done.batchSteers],
    ['terminates, closes', `${done.terminates}, ${done.closes}`],
    ['pauses, resets, expired sessions', `${done.pauses}, ${done.resets}, ${done.expiries}`],
    ['results compared with their session', result.compared],
    ...FINDINGS.map(([kind, name]): [string, number] => [name, findings.filter((one) => one.kind === kind).length]),
    ['seconds', result.seconds],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const { serverKind, mode, seed, minutes } = options;
  return [
    `server ${serverKind}, ${mode}, seed ${seed}, ${minutes} minutes at most`,
    ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
    `  outcomes: ${Object.entries(outcomes)
      .sort(([one], [other]) => one.localeCompare(other))
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
    ...findings.slice(0, MOST_SHOWN).map(({ kind, subject, detail }) => `  ${kind}: ${subject}: ${detail}`),
    ...(findings.length > MOST_SHOWN ? [`  and ${findings.length - MOST_SHOWN} more (see them all with --json)`] : []),
  ].join('\n');
}
