import { ApplicationFailure } from '@temporalio/common';
import type { FailureDetails } from '../protocol/failures.js';
import type { ExchangeFailure } from './exchange-failure.js';

/**
 * A failed try in Temporal's words: the API's `errorName` as type, class, status, `errorInstanceId` and parameters in the
 * details, and whether and when Temporal tries again.
 */
export function applicationFailure(
  { failureClass, error, memory }: Pick<ExchangeFailure, 'failureClass' | 'error' | 'memory'>,
  decision: { retryAfterMs: number } | 'final',
): ApplicationFailure {
  const details: FailureDetails = {
    class: failureClass,
    sends: memory.sends,
    traceNumber: memory.traceNumber,
    mayBeSent: memory.mayBeSent,
    ...(error.status !== undefined && { status: error.status }),
    ...(error.errorCode !== undefined && { errorCode: error.errorCode }),
    ...(error.errorInstanceId !== undefined && { errorInstanceId: error.errorInstanceId }),
    ...(error.parameters !== undefined && { parameters: error.parameters }),
  };
  return ApplicationFailure.create({
    message: error.message,
    type: error.errorName,
    details: [details],
    ...(decision === 'final' ? { nonRetryable: true } : { nextRetryDelay: decision.retryAfterMs }),
  });
}
