/** Deadlines of steps and of the plan: what has not ended by then is cancelled, and fails. */
import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import { FAILURE_TYPES } from '../../protocol/failures.js';
import { StepError } from './step-error.js';
import { durationText } from './step-tree.js';

export interface Deadline {
  /** Milliseconds since the epoch. */
  atMs: number;
  /** Whose: `the plan`, or the path of a step. */
  of: string;
}

/** What runs in it ends by its deadline. */
class DeadlineScope extends CancellationScope {
  constructor(readonly deadline: Deadline) {
    super({ cancellable: true });
  }
}

/** Of the deadlines that hold for what runs here, the one that comes first. */
export function firstDeadline(): Deadline | undefined {
  let first: Deadline | undefined;
  for (let scope: CancellationScope | undefined = CancellationScope.current(); scope; scope = scope.parent) {
    if (scope instanceof DeadlineScope && !(scope.deadline.atMs >= (first?.atMs ?? Infinity))) first = scope.deadline;
  }
  return first;
}

/**
 * Within so many milliseconds since then; past it, all of it is cancelled and fails as `DeadlinePassed`.
 *
 * @param of Whose deadline it is: `the plan`, or the path of a step.
 */
export async function withinDeadline<T>(
  deadlineMs: number | undefined,
  sinceMs: number,
  of: string,
  run: () => Promise<T>,
): Promise<T> {
  if (deadlineMs === undefined) return run();
  const outer = CancellationScope.current();
  const scope = new DeadlineScope({ atMs: sinceMs + deadlineMs, of });
  const timer = new CancellationScope({ cancellable: true });
  let isPast = false;
  const leftMs = Math.max(1, sinceMs + deadlineMs - Date.now());
  timer
    .run(() => sleep(leftMs, { summary: `deadline of ${of}` }))
    .then(
      () => {
        isPast = true;
        scope.cancel();
      },
      () => undefined,
    );
  try {
    return await scope.run(run);
  } catch (error) {
    if (!isPast || outer.consideredCancelled || !isCancellation(error)) throw error;
    throw StepError.of(FAILURE_TYPES.deadlinePassed, `It had not ended within ${durationText(deadlineMs)}`);
  } finally {
    timer.cancel();
  }
}
