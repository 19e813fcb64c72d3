import { CompleteAsyncError } from '@temporalio/activity';

/**
 * Stands for a worker in the fleet of an agent (`governorWorkflow`). Whichever worker picks it up, it goes on without one: the
 * worker that it stands for beats and completes it by its id.
 *
 * @see Temporal, Asynchronous Activity Completion.
 */
export function holdShare(): Promise<void> {
  throw new CompleteAsyncError();
}
