import type { ApprovalStatus, AutomationStatus, StepState, StepStatus } from '../../protocol/automation.js';
import { detailsText, quotedText } from '../details-text.js';

/** Lines of steps that are shown; the rest is told in numbers. */
const MOST_LINES = 40;

const SIGNS: Readonly<Record<StepState, string>> = {
  pending: '·',
  running: '▶',
  waiting: '‖',
  done: '✓',
  failed: '✗',
  skipped: '–',
  cancelled: '⊘',
};

/** Approvals that are shown with their message. */
const MOST_APPROVALS = 3;

/** Where an automation stands, as markdown for the Temporal UI. Of texts, only the beginnings of what is to be decided. */
export function detailsOf(status: AutomationStatus, end?: 'closed' | 'cancelled' | 'failed'): string {
  const { plan, state, waitingFor, waitingUntil, waitingThen, totals, approvals, runs } = status;
  const wait = waitingFor === undefined ? '' : ` for ${waitingFor}${untilText(waitingUntil, waitingThen)}`;
  const lines = stepLines(status.steps, 0);
  // What is done goes first where there is not room for all.
  const shown =
    lines.length <= MOST_LINES ? lines : lines.filter(({ step }) => step.state !== 'done' && step.state !== 'pending');
  const left = lines.length - Math.min(shown.length, MOST_LINES);
  return detailsText([
    `**${end ?? state}**${wait}`,
    '',
    ...approvals.slice(0, MOST_APPROVALS).flatMap(approvalLines),
    ...(approvals.length > MOST_APPROVALS
      ? [`- … and ${approvals.length - MOST_APPROVALS} more approvals: the query \`approvals\` has them all`]
      : []),
    `- plan ${plan}: ${totals.steps} steps begun, ${totals.answered} answers, ${totals.failed} failed; ${totals.tokens} tokens; run ${runs}`,
    '',
    ...shown.slice(0, MOST_LINES).map(({ text }) => text),
    ...(left > 0 ? [`- … and ${left} more, done or yet to come`] : []),
  ]);
}

/** What is to be decided, and how. */
function approvalLines({ approvalId, message, deadline, then }: ApprovalStatus): string[] {
  const { quoted, isCut } = quotedText(message);
  return [
    `- **approval \`${approvalId}\`** waits${untilText(deadline, then)}:`,
    '',
    `  > ${quoted}`,
    '',
    `  To answer${isCut ? ' (the query `approvals` has all of the text)' : ''}, send the signal \`approve\` or \`reject\` with \`{"approvalId": "${approvalId}", "by": "your name", "comment": "why"}\``,
    '',
  ];
}

function stepLines(steps: readonly StepStatus[], depth: number): { step: StepStatus; text: string }[] {
  return steps.flatMap((step) => [
    { step, text: `${'  '.repeat(depth)}- ${lineOf(step)}` },
    ...(step.children ?? []).flatMap(({ steps: inner }) => stepLines(inner, depth + 1)),
  ]);
}

function lineOf(step: StepStatus): string {
  const {
    state,
    id,
    title,
    kind,
    path,
    begun,
    done,
    failed,
    tries,
    items,
    itemsEnded = 0,
    itemsFailed = 0,
    waitingUntil,
    waitingThen,
    error,
  } = step;
  const counts =
    items !== undefined
      ? `, ${itemsEnded} of ${items} items${itemsFailed > 0 ? `, ${itemsFailed} failed` : ''}`
      : begun > 1
        ? `, ${done} of ${begun} done`
        : '';
  const retried = tries === undefined ? '' : `, ${tries} tries`;
  const failures = failed > 0 && begun > 1 ? `, ${failed} failed` : '';
  const why = error === undefined ? '' : ` (${error.errorName})`;
  return `${SIGNS[state]} ${title === undefined ? '' : `${title}: `}${id ?? `\`${path}\``} (${kind}${counts}${failures}${retried})${untilText(waitingUntil, waitingThen)}${why}`;
}

const untilText = (until: string | undefined, then: string | undefined): string =>
  until === undefined
    ? ''
    : ` until ${until.replace('T', ' ').replace(/\.\d+/, '')}${then === undefined ? '' : `, then ${then}`}`;
