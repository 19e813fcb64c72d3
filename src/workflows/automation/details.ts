import type { AutomationStatus, StepState, StepStatus } from '../../protocol/automation.js';
import { detailsText } from '../details-text.js';

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

/** Where an automation stands, as markdown for the Temporal UI. No text of a plan's answers: it travels in a URL there. */
export function detailsOf(status: AutomationStatus, end?: 'closed' | 'cancelled' | 'failed'): string {
  const { plan, state, waitingFor, waitingUntil, totals, approvals, runs } = status;
  const wait = waitingFor === undefined ? '' : ` for ${waitingFor}${untilText(waitingUntil)}`;
  const lines = stepLines(status.steps, 0);
  // What is done goes first where there is not room for all.
  const shown =
    lines.length <= MOST_LINES ? lines : lines.filter(({ step }) => step.state !== 'done' && step.state !== 'pending');
  const left = lines.length - Math.min(shown.length, MOST_LINES);
  return detailsText([
    `**${end ?? state}**${wait}`,
    '',
    ...approvals.flatMap(({ approvalId, deadline, default: byDefault }) => [
      `- **approval \`${approvalId}\`** waits${untilText(deadline)}${byDefault === undefined ? '' : ` (then: ${byDefault})`}: run the query ` +
        `\`approvals\` to read what is asked, and send the signal \`approve\` or \`reject\` with \`{"approvalId": "${approvalId}", "by": "your name", "comment": "why"}\``,
    ]),
    `- plan ${plan}: ${totals.steps} steps begun, ${totals.answered} answers, ${totals.failed} failed; ${totals.tokens} tokens; run ${runs}`,
    '',
    ...shown.slice(0, MOST_LINES).map(({ text }) => text),
    ...(left > 0 ? [`- … and ${left} more, done or yet to come`] : []),
  ]);
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
    items,
    itemsEnded = 0,
    itemsFailed = 0,
    waitingUntil,
    error,
  } = step;
  const counts =
    items !== undefined
      ? `, ${itemsEnded} of ${items} items${itemsFailed > 0 ? `, ${itemsFailed} failed` : ''}`
      : begun > 1
        ? `, ${done} of ${begun} done`
        : '';
  const failures = failed > 0 && begun > 1 ? `, ${failed} failed` : '';
  const why = error === undefined ? '' : ` (${error.errorName})`;
  return `${SIGNS[state]} ${title === undefined ? '' : `${title}: `}${id ?? `\`${path}\``} (${kind}${counts}${failures})${untilText(waitingUntil)}${why}`;
}

const untilText = (until: string | undefined): string =>
  until === undefined ? '' : ` until ${until.replace('T', ' ').replace(/\.\d+/, '')}`;
