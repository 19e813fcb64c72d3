import type { ConversationDescription, ConversationSummary } from '../client/index.js';
import { exchangeProgress } from '../client/index.js';
import type { ConversationStatus } from '../protocol/conversation.js';
import { waitingText } from './exchange-output.js';
import { localTime, table } from './output.js';

/**
 * A list of conversations: a table, or where that is wider than the terminal two lines for each.
 *
 * @param width Columns of the terminal; absent: none, any width will do.
 */
export function listText(rows: readonly ConversationSummary[], width?: number): string {
  const whole = table(['CONVERSATION', 'STATUS', 'STATE', 'STARTED', 'AGENT'], rows.map(listRow));
  if (width === undefined || whole.split('\n').every((line) => line.length <= width)) return whole;
  const facts = table(
    ['', '', ''],
    rows.map((row) => listRow(row).slice(1, 4)),
  )
    .split('\n')
    .slice(1);
  return rows.map((row, index) => `${row.conversationId}\n  ${facts[index] ?? ''}`).join('\n');
}

const listRow = (row: ConversationSummary): string[] => [
  row.conversationId,
  row.status,
  `${row.state ?? ''}${row.needsAttention ? ' (needs attention)' : ''}`,
  localTime(row.startedAt),
  row.agentRid ?? '',
];

/**
 * What `conversation show` tells, a line a field.
 *
 * @param status Absent when no worker answers.
 */
export function descriptionLines(
  description: ConversationDescription,
  status: ConversationStatus | undefined,
): string[] {
  // Temporal keeps what a terminated run was about to do; nothing of it goes on.
  const isRunning = description.status === 'running';
  const activities = isRunning ? description.pendingActivities : [];
  const queue = isRunning ? (status?.queue ?? []) : [];
  const fields: [string, string | undefined][] = [
    ['conversation', description.conversationId],
    ['status', isRunning && status !== undefined ? `running, ${status.phase}` : description.status],
    ['title', status?.title],
    ['agent', description.agentRid],
    ['session', status?.session?.sessionRid ?? description.sessionRid],
    ['session expires', status?.session && localTime(status.session.estimatedExpiresTime)],
    ['started', localTime(description.startedAt)],
    ['ended', description.closedAt && localTime(description.closedAt)],
    ['exchanges', status && exchangesText(status)],
    ['last failure', status?.lastFailure && `${status.lastFailure.index}: ${status.lastFailure.error.message}`],
    ['waiting', isRunning ? description.wait && waitingText(description.wait) : undefined],
    [
      isRunning ? 'in flight' : 'was in flight',
      status?.inFlight && `${status.inFlight.index}: ${status.inFlight.textPreview}`,
    ],
    ...queue.map((message): [string, string] => ['queued', `${message.index}: ${message.textPreview}`]),
    ...activities.map((activity): [string, string] => ['activity', activityText(activity)]),
    ['history', `${description.historyLength} events in this run`],
  ];
  return fields
    .filter((field): field is [string, string] => Boolean(field[1]))
    .map(([name, value]) => `${name.padEnd(16)}${value}`);
}

function exchangesText({ totals }: ConversationStatus): string {
  const { answered, interrupted, cancelled, failed, tokens } = totals;
  const parts = [
    `${answered} answered`,
    ...(interrupted > 0 ? [`${interrupted} interrupted`] : []),
    ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ];
  return `${parts.join(', ')}; ${tokens} tokens`;
}

function activityText(activity: ConversationDescription['pendingActivities'][number]): string {
  const progress = exchangeProgress(activity);
  const parts = [
    `${activity.activityType} (${activity.state}), attempt ${activity.attempt}`,
    ...(progress === undefined ? [] : [`${progress.phase}, ${progress.textOffset + progress.text.length} characters`]),
    ...(activity.lastFailure === undefined ? [] : [`last failure ${activity.lastFailure.type}`]),
  ];
  return parts.join('; ');
}
