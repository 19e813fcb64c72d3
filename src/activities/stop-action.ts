import type { Context, Info } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { cancellationAction, isRunOpen, type CancellationAction } from './cancellation-action.js';
import { sleep } from './sleep.js';

/**
 * What a stopped activity does about its exchanges in flight: `cancellationAction`, with its open question answered.
 * `cancelUnheard`: the run is closed, so they are cancelled at the agent, and nobody takes the result.
 */
export type StopAction = Exclude<CancellationAction, 'askWhetherOpen'> | 'cancelUnheard';

/** Pauses between asks of a Temporal that is out of reach (milliseconds): it was there a moment ago. */
const ASK_PAUSES_MS = [0, 250, 1_000, 2_000, 4_000, 8_000];

/** Decides what to do about a cancellation; asks Temporal whether the run is still open, where that decides. */
export async function stopAction(context: Context): Promise<StopAction> {
  const action = cancellationAction(context.cancellationDetails);
  if (action !== 'askWhetherOpen') return action;
  const { workflowExecution } = context.info;
  if (workflowExecution === undefined) return 'stopQuietly';
  for (const pauseMs of ASK_PAUSES_MS) {
    await sleep(pauseMs);
    try {
      const isOpen = await isRunOpen(context.client, workflowExecution.workflowId, workflowExecution.runId);
      return isOpen ? 'stopQuietly' : 'cancelUnheard';
    } catch (error) {
      context.log.debug('Cannot see whether the run is open', { error });
    }
  }
  // Nobody knows: the exchanges are left to whoever finds them there, the next attempt or the search for orphans.
  return 'stopQuietly';
}

/** Whether no attempt was before this one. The attempt number alone does not tell: a reset sets it back to 1 (facts.md). */
export function isFirstAttempt(info: Info): boolean {
  return info.attempt === 1 && info.currentAttemptScheduledTimestampMs === info.scheduledTimestampMs;
}

/** Thrown by an attempt that hands its work back unfinished: the next one takes it up so soon (milliseconds, not 0). */
export function handedBack(message: string, type = 'HandedBack', nextRetryDelay = 1_000): ApplicationFailure {
  return ApplicationFailure.create({ message, type, nextRetryDelay, category: ApplicationFailureCategory.BENIGN });
}
