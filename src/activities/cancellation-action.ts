import { type Client, WorkflowNotFoundError } from '@temporalio/client';

/** Why an activity was told to stop: `Context.current().cancellationDetails`, without its class. */
export interface CancellationReasons {
  cancelRequested: boolean;
  notFound: boolean;
  workerShutdown: boolean;
  paused: boolean;
  reset: boolean;
  timedOut: boolean;
}

/**
 * What an activity does about the exchanges it has in flight (docs/design.md, "Cancellation, by its reason"):
 *
 * - `cancelAtAgent`: end them at the agent and report how they ended.
 * - `askWhetherOpen`: the server no longer knows this attempt. `isRunOpen` tells why: a closed run means `cancelAtAgent`,
 *   an open one `stopQuietly`.
 * - `leaveRunning`: hand the attempt back at once; the next one adopts what runs.
 * - `stopQuietly`: another attempt owns the work already; touch nothing.
 * - `cancelAndRestart`: end them at the agent; the next attempt starts afresh.
 */
export type CancellationAction =
  'cancelAtAgent' | 'askWhetherOpen' | 'leaveRunning' | 'stopQuietly' | 'cancelAndRestart';

/**
 * Decides by the reason of a cancellation. Where several are set, the strongest wish goes first: somebody who asked for a
 * cancel gets it, also while the worker drains.
 *
 * Without a reason (`undefined`, or none set) the answer is `askWhetherOpen`: Temporal knows, and guessing either way
 * would leave an exchange running or take an answer away.
 */
export function cancellationAction(reasons: CancellationReasons | undefined): CancellationAction {
  if (reasons?.cancelRequested === true) return 'cancelAtAgent';
  if (reasons?.notFound === true) return 'askWhetherOpen';
  if (reasons?.reset === true) return 'cancelAndRestart';
  if (reasons?.timedOut === true) return 'stopQuietly';
  if (reasons?.paused === true || reasons?.workerShutdown === true) return 'leaveRunning';
  return 'askWhetherOpen';
}

/**
 * Whether a workflow run is still open. A run that Temporal no longer knows counts as closed.
 *
 * Works in an activity that has been cancelled, too: the worker ties the client's calls to the activity's cancellation
 * signal, and this one takes itself out.
 *
 * @throws What the client throws when Temporal cannot be reached: then nobody knows, and nothing should be cancelled.
 */
export async function isRunOpen(client: Client, workflowId: string, runId?: string): Promise<boolean> {
  try {
    const { status } = await client.withAbortSignal(new AbortController().signal, () =>
      client.workflow.getHandle(workflowId, runId).describe(),
    );
    return status.name === 'RUNNING' || status.name === 'PAUSED';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
