import type { AutomationDescription, AutomationSummary } from '../client/index.js';
import { type ApprovalAnswer, type ApprovalStatus, type AutomationStatus, endOfWait } from '../protocol/automation.js';
import { fit, momentText, type Room, stepTree, untilText } from './automation-tree.js';
import { duration } from './batch-display.js';
import { localTime, table } from './output.js';
import { columnsOf, oneLine } from './terminal.js';

/** Of approvals, and of reasons for waiting, so many are shown below the tree; `show` has them all. */
const MOST_BELOW = 3;
/** Lines that the tree has in any case. */
const LEAST_TREE = 3;
/** Of the newest decisions, so many are shown. */
const MOST_DECISIONS = 5;

/** Where an automation is shown, and how this program is called from there. */
export interface Place extends Room {
  program: string;
}

/** A live picture: where it stands, its steps, and what it waits for; fits the room. */
export function automationPicture(description: AutomationDescription, place: Place): string[] {
  const { live } = description;
  const head = fit(headLine(description, place.nowMs), place.width);
  const below = belowTree(description, place).map((line) => fit(line, place.width));
  const height = place.height === undefined ? undefined : Math.max(LEAST_TREE, place.height - 1 - below.length);
  const { height: _all, ...width } = place;
  const tree = stepTree(live?.steps ?? [], { ...width, ...(height !== undefined && { height }) });
  // More than the terminal has could not be drawn over.
  return [head, ...tree.map((line) => fit(line, place.width)), ...below].slice(0, place.height);
}

/** `nightly/20260301T0600-1a2b3c4d  waiting  3m 20s  12 answered  34120 tokens` */
export function headLine(description: AutomationDescription, nowMs: number): string {
  const { automationId, live, startedAt, closedAt } = description;
  const sinceMs = live === undefined ? startedAt.getTime() : Date.parse(live.startedAt);
  const { answered = 0, failed = 0, cancelled = 0, tokens = 0 } = live?.totals ?? description.result?.totals ?? {};
  return [
    automationId,
    stateWord(description),
    duration(((closedAt?.getTime() ?? nowMs) - sinceMs) / 1_000),
    ...(answered > 0 ? [`${answered} answered`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
    ...(tokens > 0 ? [`${tokens} tokens`] : []),
  ].join('  ');
}

const stateWord = ({ status, live }: AutomationDescription): string =>
  status === 'running' && live !== undefined && live.state !== 'finished' ? live.state : status;

/** What it waits for, and what can be done about it. */
function belowTree(description: AutomationDescription, { width, nowMs, program }: Place): string[] {
  const { live, noWorker, outage, waits, exchanges, batches, status, failure } = description;
  const isRunning = status === 'running';
  const approvals = isRunning ? (live?.approvals ?? []) : [];
  return [
    ...some(approvals, (approval) =>
      approvalLines(approval, description, { nowMs, program, isWhole: width === undefined }),
    ),
    ...some(waits, ({ reason, until }) => [
      `… ${oneLine(reason)}${until === undefined ? '' : `; until ${momentText(until, nowMs)}`}`,
    ]),
    ...some(batches, (batchId) => [`▶ batch ${batchId}: ${program} batch watch ${batchId}`]),
    ...liveText(exchanges, width),
    ...(failure === undefined ? [] : [`✗ ${oneLine(failureWords(failure))}`]),
    ...(noWorker === undefined || (!isRunning && live !== undefined) ? [] : [`… ${noWorker}`]),
    ...(outage === undefined ? [] : [`… ${outage}`]),
  ];
}

function some<T>(all: readonly T[], lines: (item: T) => string[]): string[] {
  const left = all.length - MOST_BELOW;
  return [...all.slice(0, MOST_BELOW).flatMap(lines), ...(left > 0 ? [`… and ${left} more of these`] : [])];
}

const failureWords = ({ type, message }: { type: string; message: string }): string =>
  message.includes(type) ? message : `${type}: ${message}`;

/**
 * What is to be decided, and how.
 *
 * @param place.isWhole The message with its lines, for whoever decides by reading it; else all in one.
 */
export function approvalLines(
  { approvalId, message, deadline, default: byDefault, then = endOfWait(byDefault), reminders }: ApprovalStatus,
  { automationId, live }: Pick<AutomationDescription, 'automationId' | 'live'>,
  { nowMs, program, isWhole = false }: Pick<Place, 'nowMs' | 'program'> & { isWhole?: boolean },
): string[] {
  const until = deadline === undefined ? '' : `; until ${momentText(deadline, nowMs)}, then ${then}`;
  const reminded = reminders > 0 ? `; reminded ${reminders === 1 ? 'once' : `${reminders} times`}` : '';
  const isOnly = live?.approvals.length === 1;
  const target = isOnly ? automationId : `${automationId} ${approvalId}`;
  const lines = isWhole ? message.trim().split('\n').map(oneLine) : [];
  return [
    ...(lines.length > 1
      ? [`⏸ ${approvalId}${until}${reminded}`, ...lines.map((line) => `  │ ${line}`.trimEnd())]
      : [`⏸ ${approvalId}: ${oneLine(message)}${until}${reminded}`]),
    `  ${program} automation approve ${target}  (or reject)`,
  ];
}

/** The end of what is being written, when it is one answer alone. */
function liveText(exchanges: AutomationDescription['exchanges'], width: number | undefined): string[] {
  const texts = exchanges.flatMap(({ text }) => (text === undefined ? [] : [oneLine(text)]));
  const [text] = texts;
  if (texts.length !== 1 || text === undefined || text === '' || width === undefined) return [];
  const characters = [...text];
  while (columnsOf(characters.join('')) > width - 6) characters.shift();
  return [`  » ${characters.join('')}`];
}

/** What `automation show` tells: a line a field, then the steps. */
export function automationLines(description: AutomationDescription, place: Place): string[] {
  const { live, status, result, failure, taskQueue, historyLength } = description;
  const fields: [string, string | undefined][] = [
    ['automation', description.automationId],
    ['state', stateWord(description)],
    ['failure', failure && failureWords(failure)],
    ['plan', planText(description)],
    ['schedule', scheduleText(description)],
    ['agent', description.agentRid],
    ['started', localTime(live?.startedAt ?? description.startedAt)],
    ['ended', description.closedAt && localTime(description.closedAt)],
    ['deadline', live?.deadline && localTime(live.deadline)],
    ['totals', totalsText(live?.totals ?? result?.totals)],
    ['waiting', live?.state === 'waiting' && status === 'running' ? waitingText(live, place.nowMs) : undefined],
    ['runs', live && live.runs > 1 ? `${live.runs}, this one included` : undefined],
    ['history', `${historyLength} events in this run`],
    ['task queue', taskQueue],
  ];
  const decisions = (live?.decisions ?? []).slice(-MOST_DECISIONS);
  return [
    ...fields.filter(([, value]) => Boolean(value)).map(([name, value]) => `${name.padEnd(12)}${value}`),
    ...(live === undefined ? [] : ['', ...stepTree(live.steps, place)]),
    ...belowAll(description, place),
    ...(decisions.length === 0 ? [] : ['', ...decisions.map(decisionText)]),
    ...(result?.output === undefined ? [] : ['', outputText(result.output)]),
  ];
}

function belowAll(description: AutomationDescription, place: Place): string[] {
  // Its failure stands among the fields.
  const { failure: _told, ...rest } = description;
  const { width: _any, ...anyWidth } = place;
  const lines = belowTree(rest, anyWidth);
  return lines.length === 0 ? [] : ['', ...lines];
}

function planText({ plan, source, live }: AutomationDescription): string | undefined {
  const name = plan ?? live?.plan;
  const from = source === undefined ? '' : ` from ${source}`;
  return name && `${name}${from}${live?.description === undefined ? '' : `: ${oneLine(live.description)}`}`;
}

const scheduleText = ({ schedule, scheduledAt }: AutomationDescription): string | undefined =>
  scheduledAt === undefined ? schedule : `${schedule}, for ${localTime(scheduledAt)}`;

function totalsText(totals: AutomationStatus['totals'] | undefined): string | undefined {
  if (totals === undefined) return undefined;
  const { steps, answered, failed, cancelled, tokens } = totals;
  const others = Object.entries({ failed, cancelled }).filter(([, count]) => count > 0);
  return [
    `${steps} ${steps === 1 ? 'step' : 'steps'}`,
    `${answered} answered`,
    ...others.map(([name, count]) => `${count} ${name}`),
  ]
    .concat(`${tokens} tokens`)
    .join(', ');
}

function waitingText({ waitingFor, ...end }: AutomationStatus, nowMs: number): string | undefined {
  return waitingFor === undefined ? undefined : `${oneLine(waitingFor)}${untilText(end, nowMs)}`;
}

/** `release was approved by ann at 2026-03-01 09:30:12: looks good` */
export function decisionText({ approvalId, decision, by, comment, at, byDefault }: ApprovalAnswer): string {
  const who = byDefault === true ? 'by default, as nobody had in time' : `by ${by ?? 'somebody'}`;
  const why = comment === undefined ? '' : `: ${oneLine(comment)}`;
  return `${approvalId} was ${decision === 'approve' ? 'approved' : 'rejected'} ${who} at ${localTime(at)}${why}`;
}

/** A result as people read it: a text as it is, anything else as JSON. */
export const outputText = (output: unknown): string =>
  typeof output === 'string' ? output : JSON.stringify(output, undefined, 2);

/**
 * A list of automations: a table, or where that is wider than the terminal two lines for each.
 *
 * @param width Columns of the terminal; absent: none, any width will do.
 */
export function automationTable(rows: readonly AutomationSummary[], width?: number): string {
  const facts = rows.map(({ status, needsAttention, plan, startedAt }) => [
    `${status}${status === 'running' && needsAttention ? ' (needs attention)' : ''}`,
    plan ?? '',
    localTime(startedAt),
  ]);
  const headings = ['STATUS', 'PLAN', 'STARTED'];
  const whole = table(
    ['AUTOMATION', ...headings],
    rows.map(({ automationId }, index) => [automationId, ...(facts[index] ?? [])]),
  );
  if (width === undefined || whole.split('\n').every((line) => line.length <= width)) return whole;
  const lines = table(headings, facts).split('\n').slice(1);
  return rows.map(({ automationId }, index) => `${automationId}\n  ${lines[index] ?? ''}`).join('\n');
}
