import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  ChildWorkflowFailure,
  isCancellation,
} from '@temporalio/workflow';
import type { ExchangeError } from '../../protocol/exchange.js';
import type { FailureType } from '../../protocol/failures.js';

/** A step of a plan failed: what its `onError` decides on. */
export class StepError extends Error {
  override readonly name = 'StepError';
  /** The innermost step that failed, in words: `steps[2].do[0] (figures)`. */
  place: string | undefined;
  constructor(readonly error: ExchangeError) {
    super(error.message);
  }

  static of(errorName: FailureType, message: string): StepError {
    return new StepError({ errorName, message });
  }
}

/** The run rolls over: everything comes to rest where it stands, and the next run goes on from there. */
export class RollingOver extends Error {
  override readonly name = 'RollingOver';
}

/** `goto`: the block that holds the step goes on with it. */
export class Jump extends Error {
  override readonly name = 'Jump';
  constructor(readonly target: string) {
    super(`goto ${target}`);
  }
}

/** The plan is over, whatever the steps around say of failures: a `fail` step, or too many steps. */
export class PlanEnd extends Error {
  override readonly name = 'PlanEnd';
  constructor(readonly error: ExchangeError) {
    super(error.message);
  }
}

/** No failure of a step: it passes through all that deals with those. A cancel does where this scope is cancelled itself. */
export function passesThrough(error: unknown): boolean {
  if (error instanceof RollingOver || error instanceof Jump || error instanceof PlanEnd) return true;
  return isCancellation(error) && CancellationScope.current().consideredCancelled;
}

/**
 * What a step failed of; what is no failure of a step (a cancel, a roll-over, a fault of this code) is thrown on.
 *
 * @throws The error itself.
 */
export function stepErrorOf(error: unknown): StepError {
  if (error instanceof StepError) return error;
  if (error instanceof ApplicationFailure) {
    return new StepError({ errorName: error.type ?? error.name, message: error.message });
  }
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) {
    const { cause } = error;
    const errorName = cause instanceof ApplicationFailure ? (cause.type ?? cause.name) : (cause?.name ?? error.name);
    return new StepError({ errorName, message: cause?.message ?? error.message });
  }
  throw error;
}
