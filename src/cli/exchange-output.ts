import type { ExchangeEvent } from '../client/index.js';
import type { ExchangeOutcome } from '../protocol/exchange.js';
import { EXIT } from './command.js';
import type { Output } from './output.js';
import { timeOfDay } from './output.js';

/** How an exchange is shown. */
export interface ShowOptions {
  /** Live text as it comes; else the answer in the end. */
  stream: boolean;
  /** True once the person has had enough of the text: no more of it is shown. */
  isMuted?: () => boolean;
  /** Outcomes are told without the message's id: there is but one message in front of the person. */
  isConversing?: boolean;
}

/**
 * Shows an exchange as it goes: text or JSON on stdout, reasons for waiting on stderr.
 *
 * @returns The outcome; absent when the events ended without one.
 */
export async function showExchange(
  events: AsyncIterable<ExchangeEvent>,
  output: Output,
  { stream, isMuted = () => false, isConversing = false }: ShowOptions,
): Promise<ExchangeOutcome | undefined> {
  let lineIsOpen = false;
  const endLine = () => {
    if (lineIsOpen) output.piece('\n');
    lineIsOpen = false;
  };
  for await (const event of events) {
    if (output.isJson && (stream || event.type === 'outcome')) {
      output.json(event.type === 'outcome' && !stream ? event.outcome : event);
    }
    switch (event.type) {
      case 'text':
        if (!stream || output.isJson || isMuted()) break;
        output.piece(event.text);
        lineIsOpen = !event.text.endsWith('\n');
        break;
      case 'restart':
        if (!stream || output.isJson) break;
        endLine();
        output.note('(the answer begins anew)');
        break;
      case 'waiting':
        if (!output.isJson) endLine();
        output.note(waitingText(event));
        break;
      case 'outcome':
        if (!output.isJson) {
          endLine();
          showOutcome(event.outcome, output, { isTextShown: stream, isConversing });
        }
        return event.outcome;
    }
  }
  return undefined;
}

/** `rate limited; next try at 09:30:12` */
export function waitingText({ reason, until }: { reason: string; until?: Date }): string {
  return until === undefined ? `… ${reason}` : `… ${reason}; until ${timeOfDay(until)}`;
}

function showOutcome(
  outcome: ExchangeOutcome,
  output: Output,
  { isTextShown, isConversing }: { isTextShown: boolean; isConversing: boolean },
): void {
  const { result, status } = outcome;
  if (result !== undefined && !isTextShown) output.result(result.agentMarkdownResponse);
  if (outcome.textDropped === true) output.note('(the text is no longer kept here; the session still holds it)');
  if (status === 'answered') return;
  const problem = outcomeProblem(outcome);
  if (isConversing && status !== 'failed') output.note(`(${problem.replace(/^Message \S+ was /, '')})`);
  else output.error(problem);
}

/** Why an outcome is no answer, in a line that Palantir's support can work with. */
export function outcomeProblem({ status, error, messageId }: ExchangeOutcome): string {
  switch (status) {
    case 'answered':
      return '';
    case 'interrupted':
      return `Message ${messageId} was interrupted: the text above is what the session keeps`;
    case 'cancelled':
      return `Message ${messageId} was cancelled: the session does not keep it`;
    case 'failed': {
      const message = error?.message ?? 'no reason was given';
      const facts = [
        error?.status === undefined ? '' : `HTTP ${error.status}`,
        error?.errorInstanceId === undefined ? '' : `errorInstanceId ${error.errorInstanceId}`,
      ].filter((fact) => fact !== '' && !message.includes(fact));
      const named =
        error === undefined || message.includes(error.errorName) ? message : `${error.errorName}: ${message}`;
      return `Message ${messageId} failed: ${named}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`;
    }
  }
}

/** Exit code of an exchange's end. */
export const exitCodeOf = (outcome: ExchangeOutcome | undefined): number =>
  outcome?.status === 'answered' ? EXIT.ok : EXIT.failed;
