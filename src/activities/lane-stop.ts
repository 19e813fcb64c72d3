import type { Context } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { cancellationAction, isRunOpen, type CancellationAction } from './cancellation-action.js';

/**
 * What a stopped activity of a batch does about its rows in flight: `cancellationAction`, with its open question answered.
 * `cancelUnheard`: the run is closed, so they are cancelled at the agent, and nobody takes the result.
 */
export type StopAction = Exclude<CancellationAction, 'askWhetherOpen'> | 'cancelUnheard';

/** Decides what to do about a cancellation; asks Temporal whether the run is still open, where that decides. */
export async function stopAction(context: Context): Promise<StopAction> {
  const action = cancellationAction(context.cancellationDetails);
  if (action !== 'askWhetherOpen') return action;
  const { workflowExecution } = context.info;
  if (workflowExecution === undefined) return 'stopQuietly';
  try {
    const isOpen = await isRunOpen(context.client, workflowExecution.workflowId, workflowExecution.runId);
    return isOpen ? 'stopQuietly' : 'cancelUnheard';
  } catch {
    // Temporal is out of reach, so nobody knows: the exchanges are left to whoever finds them there.
    return 'stopQuietly';
  }
}

/** Thrown by an attempt that hands its work back unfinished: the next attempt takes it up at once. */
export function handedBack(why: StopAction): ApplicationFailure {
  return ApplicationFailure.create({
    message: `Stopped (${why}): the next attempt goes on with the rows in flight`,
    type: 'HandedBack',
    nextRetryDelay: '1 second',
    category: ApplicationFailureCategory.BENIGN,
  });
}
