import { AgentsApiError, InvalidRequestError, TokenError } from '../agents-api/errors.js';
import type { ExchangeProgress } from '../protocol/activities.js';
import { BACKOFF, LIMITS } from '../protocol/defaults.js';
import type { ExchangeError } from '../protocol/exchange.js';
import {
  asksToSlowDown,
  bareErrorName,
  classifyFailure,
  FAILURE_TYPES,
  type FailureClass,
  type FailureFacts,
} from '../protocol/failures.js';

/**
 * What is known of an exchange from one try to the next. Losing it costs time, never a second exchange.
 */
export interface ExchangeMemory {
  /** Number of the trace id in use, from 0; goes up only after a definite failure. */
  traceNumber: number;
  /** Times the message was sent. */
  sends: number;
  /** The trace id in use may have been sent: look before sending again. */
  mayBeSent: boolean;
  /** Failures of the class that is retried a bounded number of times. */
  transientFailures: number;
  /** Refusals of the class that waits. */
  waits: number;
  /**
   * Where `mayBeSent`: it was not sent after this (milliseconds since the epoch), so what has not shown for long enough since then
   * never will. Absent: it may have been sent just now.
   */
  lastSendMs?: number;
  /** An earlier attempt, of which too little is known, may have sent it: this trace id, and ids beyond it. */
  earlierMayBeAhead?: boolean;
  /** The trace number by which a send of ours was refused for sure, where the id stays because another one may arrive yet. */
  refusedTraceNumber?: number;
}

/** The memory of an exchange that was never sent. */
export function newExchangeMemory(): ExchangeMemory {
  return { traceNumber: 0, sends: 0, mayBeSent: false, transientFailures: 0, waits: 0 };
}

/** An attempt may go on for as long as this beside the next one, when its worker has lost touch with Temporal (milliseconds). */
const OVERLAP_MS = 5_000;

/** The memory of an exchange that an earlier attempt may have sent, for one that began at `startedMs` (milliseconds since the epoch). */
export function memoryAfterAnAttempt(
  startedMs: number,
): Pick<ExchangeMemory, 'mayBeSent' | 'earlierMayBeAhead' | 'lastSendMs'> {
  return { mayBeSent: true, earlierMayBeAhead: true, lastSendMs: startedMs + OVERLAP_MS };
}

/** The memory within the progress that was told of an exchange. */
export function memoryOf(progress: ExchangeProgress): ExchangeMemory {
  const { traceNumber, sends, mayBeSent, transientFailures, waits, earlierMayBeAhead, refusedTraceNumber } = progress;
  return {
    traceNumber,
    sends,
    mayBeSent,
    transientFailures,
    waits,
    ...(earlierMayBeAhead !== undefined && { earlierMayBeAhead }),
    ...(refusedTraceNumber !== undefined && { refusedTraceNumber }),
  };
}

/** One try of an exchange failed; `memory` is what the next try must know. */
export class ExchangeFailure extends Error {
  override readonly name = 'ExchangeFailure';

  constructor(
    readonly failureClass: FailureClass,
    readonly error: ExchangeError,
    readonly memory: ExchangeMemory,
    /** What a proxy's `Retry-After` said, in milliseconds. */
    readonly retryAfterMs?: number,
  ) {
    super(error.message);
  }
}

/** The API's error in the words that are recorded and shown: ids and names, never user text or tokens. */
export function exchangeErrorOf(error: unknown): ExchangeError {
  if (error instanceof AgentsApiError) {
    return {
      errorName: error.errorName ?? (error.noAnswer ? FAILURE_TYPES.noAnswer : FAILURE_TYPES.httpError),
      message: error.message,
      ...(error.status !== undefined && { status: error.status }),
      ...(error.errorCode !== undefined && { errorCode: error.errorCode }),
      ...(error.errorInstanceId !== undefined && { errorInstanceId: error.errorInstanceId }),
      ...(error.parameters !== undefined && { parameters: error.parameters }),
    };
  }
  if (error instanceof TokenError) return { errorName: FAILURE_TYPES.tokenUnavailable, message: error.message };
  if (error instanceof InvalidRequestError) return { errorName: FAILURE_TYPES.invalidInput, message: error.message };
  if (error instanceof Error) return { errorName: error.name, message: error.message };
  return { errorName: 'Error', message: String(error) };
}

/** The class of a failed call of the API (the contract's table). Errors that are no answer of the API give up. */
export function failureClassOf(error: unknown, earlierSendMayRun = false): FailureClass {
  if (error instanceof TokenError) return error.retryable ? 'transient' : 'giveUp';
  if (!(error instanceof AgentsApiError)) return 'giveUp';
  return classifyFailure({ ...factsOf(error), earlierSendMayRun });
}

/** Whether it is an answer of the API with this error name, whatever its name space. */
export function hasErrorName(error: unknown, name: string): boolean {
  return error instanceof AgentsApiError && error.errorName !== undefined && bareErrorName(error.errorName) === name;
}

/** Whether the same call may succeed a little later. */
export function mayPass(failureClass: FailureClass): boolean {
  return failureClass === 'transient' || failureClass === 'wait' || failureClass === 'ambiguous';
}

/** Whether a failed call says that a limit was met, so that everyone on that agent must slow down. */
export function isRefusedByLimit(error: unknown): boolean {
  return error instanceof AgentsApiError && asksToSlowDown(factsOf(error));
}

/** What a proxy's `Retry-After` asked for (milliseconds), when the error carries one. */
export function retryAfterOf(error: unknown): number | undefined {
  return error instanceof AgentsApiError ? error.retryAfterMs : undefined;
}

function factsOf(error: AgentsApiError): FailureFacts {
  return {
    operation: error.operationKind,
    noAnswer: error.noAnswer,
    neverSent: error.neverSent,
    ...(error.errorName !== undefined && { errorName: error.errorName }),
    ...(error.errorCode !== undefined && { errorCode: error.errorCode }),
    ...(error.status !== undefined && { status: error.status }),
  };
}

/**
 * What to do after a failed try: try again after so many milliseconds, or record it as final.
 *
 * `wait` has no attempt limit (the exchange's overall time limit ends it) and full jitter, so that many waiters do not
 * come back together; `transient` and unresolved `ambiguous` ones are tried at most five times per exchange.
 */
export function retryDecision(
  failure: ExchangeFailure,
  random: () => number = Math.random,
): { retryAfterMs: number } | 'final' {
  const { failureClass, memory } = failure;
  if (failureClass === 'wait') {
    const backoff = backoffMs(BACKOFF.wait, memory.waits);
    // A floor of half the base: a jitter near zero would be no wait at all.
    const jittered = Math.max(BACKOFF.wait.baseMs / 2, random() * backoff);
    return { retryAfterMs: Math.round(Math.max(failure.retryAfterMs ?? 0, jittered)) };
  }
  const retriable = failureClass === 'transient' || failureClass === 'ambiguous' || failureClass === 'reconcile';
  if (!retriable || memory.transientFailures > LIMITS.transientFailures) return 'final';
  return { retryAfterMs: Math.max(failure.retryAfterMs ?? 0, backoffMs(BACKOFF.transient, memory.transientFailures)) };
}

function backoffMs(policy: { baseMs: number; factor: number; capMs: number }, failures: number): number {
  return Math.min(policy.capMs, policy.baseMs * policy.factor ** Math.max(0, failures - 1));
}
