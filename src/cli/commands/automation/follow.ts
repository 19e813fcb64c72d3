import { type AipClient, type AutomationDescription, watchAutomation } from '../../../client/index.js';
import { AutomationDisplay } from '../../automation-display.js';
import { outputText } from '../../automation-text.js';
import { type CliIo, EXIT } from '../../command.js';
import { outageNews } from '../../outage-news.js';
import { type Output, programName } from '../../output.js';

/** What is followed. */
export interface Following {
  aip: AipClient;
  automationId: string;
  output: Output;
  io: CliIo;
  signal: AbortSignal;
  /** Called for each look; absent: it is shown on stderr. */
  tell?: (description: AutomationDescription) => void;
  intervalMs?: number;
}

/**
 * Follows an automation to its end; an abort leaves it running, and says how to look again.
 *
 * @throws The signal's reason, and what watching throws.
 */
export async function follow({ aip, automationId, output, io, signal, tell, intervalMs }: Following) {
  const program = programName(io.env);
  const display = new AutomationDisplay(io.stderr, { isJson: output.isJson, program });
  let last: AutomationDescription | undefined;
  try {
    const pauses = intervalMs === undefined ? {} : { intervalMs };
    for await (const description of watchAutomation(aip, automationId, { signal, ...pauses })) {
      const news = outageNews(last, description);
      last = description;
      if (tell === undefined) {
        display.update(description);
        continue;
      }
      if (news !== undefined) output.note(news);
      tell(description);
    }
  } finally {
    display.end();
  }
  if (signal.aborted) {
    output.note(`Stopped watching; the automation goes on: ${program} automation watch ${automationId}`);
    output.note(`To end it: ${program} automation cancel ${automationId}`);
    signal.throwIfAborted();
  }
  return last;
}

/** Tells what an automation resulted in: the output on stdout, how it ended otherwise on stderr. @returns The exit code. */
export function tellEnd(description: AutomationDescription | undefined, output: Output): number {
  if (description === undefined) return EXIT.failed;
  const { automationId, status, result, failure } = description;
  const isDone = status === 'completed';
  if (output.isJson) {
    output.json({ automationId, status, ...result, ...(failure !== undefined && { failure }) });
  } else if (!isDone) {
    const why = failure === undefined ? '' : `: ${failure.message}`;
    output.error(`Automation ${automationId} ${END_WORDS[status]}${why}`);
  } else if (result?.output !== undefined) output.result(outputText(result.output));
  return isDone ? EXIT.ok : EXIT.failed;
}

const END_WORDS: Record<AutomationDescription['status'], string> = {
  running: 'still runs',
  completed: 'has completed',
  cancelled: 'was cancelled',
  terminated: 'was terminated',
  timedOut: 'has timed out',
  failed: 'has failed',
};
