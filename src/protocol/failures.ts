/**
 * What each refusal of the AIP Agents API asks for (docs/errors.md has the same table for people).
 *
 * - `wait`: the limits are used up; try again later, without an attempt limit.
 * - `transient`: a hiccup; nothing landed; try again a few times.
 * - `ambiguous`: no definite answer came, so the exchange may have landed: look before sending again.
 * - `reconcile`: the server says that an earlier send of ours is there, or is still running: look.
 * - `overflow`: the session's context is full: a shorter message or a new session.
 * - `expired`: the session is gone: a new session.
 * - `auth`: the token is not accepted: a fresh one, once.
 * - `giveUp`: trying again cannot help: the request, the agent or the permissions must be mended.
 */
export type FailureClass =
  'wait' | 'transient' | 'ambiguous' | 'reconcile' | 'overflow' | 'expired' | 'auth' | 'giveUp';

/** The kind of call that failed: only a continue spends tokens and can land unseen; the others are safe to repeat. */
export type OperationKind = 'continue' | 'create' | 'cancel' | 'read';

/** What is known of a failed call. All but `operation` may be absent. */
export interface FailureFacts {
  operation: OperationKind;
  /** The API's `errorName`, with or without a namespace (`Default:Unauthorized`). Decides before the status does. */
  errorName?: string;
  /** The API's `errorCode`, such as `CUSTOM_CLIENT`. */
  errorCode?: string;
  /** HTTP status. */
  status?: number;
  /** No answer came, or none that could be read: connection lost, time limit, a stream cut short. */
  noAnswer?: boolean;
  /** With `noAnswer`: the request surely never left (connection refused, name not found). Default false. */
  neverSent?: boolean;
  /** An earlier send of the same exchange may still be running on this session. Default false. */
  earlierSendMayRun?: boolean;
}

/** The documented error names, by what they ask for (contract, "Errors, and what each asks for"). */
const CLASS_BY_NAME: Readonly<Record<string, FailureClass>> = {
  RateLimitExceeded: 'wait',
  RetryAttemptsExceeded: 'wait',
  RetryDeadlineExceeded: 'wait',
  ContextSizeExceededLimit: 'overflow',
  AgentIterationsExceededLimit: 'giveUp',
  SessionExecutionFailed: 'transient',
  SessionNotFound: 'expired',
  ContentNotFound: 'expired',
  SessionTraceIdAlreadyExists: 'reconcile',
  CancelSessionFailedMessageNotInProgress: 'reconcile',
  InvalidParameter: 'giveUp',
  InvalidParameterType: 'giveUp',
  InvalidAgentVersion: 'giveUp',
  NoPublishedAgentVersion: 'giveUp',
  AgentNotFound: 'giveUp',
  AgentVersionNotFound: 'giveUp',
  ObjectTypeIdsNotFound: 'giveUp',
  ObjectTypeRidsNotFound: 'giveUp',
  OntologyEntitiesNotFound: 'giveUp',
  FunctionLocatorNotFound: 'giveUp',
  ActionTypeNotFound: 'giveUp',
  UnsupportedLanguageModelRid: 'giveUp',
};

/** The API's error name without its namespace: `Default:Unauthorized` → `Unauthorized`. */
export function bareErrorName(errorName: string): string {
  return errorName.slice(errorName.lastIndexOf(':') + 1);
}

function classByName(errorName: string | undefined): FailureClass | undefined {
  if (errorName === undefined) return undefined;
  const name = bareErrorName(errorName);
  if (Object.hasOwn(CLASS_BY_NAME, name)) return CLASS_BY_NAME[name];
  if (name.endsWith('PermissionDenied')) return 'giveUp';
  if (name.endsWith('Unauthorized')) return 'auth';
  return undefined;
}

function classByStatus(status: number, operation: OperationKind, earlierSendMayRun: boolean): FailureClass {
  const lost: FailureClass = operation === 'continue' ? 'ambiguous' : 'transient';
  if (status === 401) return 'auth';
  if (status === 403) return 'giveUp';
  if (status === 408) return lost;
  if (status === 429) return 'wait';
  if (status >= 500) return lost;
  // A session that is still answering refuses the next exchange with a 4xx that no page documents.
  if (status >= 400 && operation === 'continue' && earlierSendMayRun) return 'reconcile';
  return 'giveUp';
}

/**
 * Tells what a failed call asks for: by the error's name, then by status, then by the absence of an answer.
 *
 * The name goes first because this API asks for patience with an HTTP 400 (`RateLimitExceeded`). A lost or broken answer
 * is `ambiguous` on a continue and `transient` elsewhere: reads, cancels and creates may be repeated (a create at the cost
 * of an empty session). An undocumented 4xx on a continue is `reconcile` while an earlier send may still run.
 */
export function classifyFailure(facts: FailureFacts): FailureClass {
  const named = classByName(facts.errorName);
  if (named !== undefined) return named;
  if (facts.noAnswer !== true && facts.status !== undefined) {
    return classByStatus(facts.status, facts.operation, facts.earlierSendMayRun ?? false);
  }
  if (facts.noAnswer !== true) return 'giveUp';
  return facts.operation === 'continue' && facts.neverSent !== true ? 'ambiguous' : 'transient';
}

/**
 * True when a failure says that a limit was met, so that the governor must slow this agent down: class `wait`, and a 503
 * without a documented name, which Foundry sends when too many calls run at once.
 */
export function asksToSlowDown(facts: FailureFacts): boolean {
  const named = classByName(facts.errorName);
  if (named !== undefined) return named === 'wait';
  return facts.noAnswer !== true && (facts.status === 429 || facts.status === 503);
}

/**
 * What an `ApplicationFailure` of ours carries in its details: enough to search Palantir's pages and to quote to its
 * support (`errorInstanceId`). Never user text, never a token.
 */
export interface FailureDetails {
  class: FailureClass;
  /** HTTP status; absent when no answer came. */
  status?: number;
  errorCode?: string;
  errorInstanceId?: string;
  /** Times the message had been sent by then. */
  sends?: number;
  /** Number of the trace id in use by then. */
  traceNumber?: number;
  /** True when a send may have landed or be running all the same: look at the agent before believing the failure. */
  mayBeSent?: boolean;
  /** The error's parameters as the API gave them: ids, names and types. */
  parameters?: Record<string, unknown>;
}

/**
 * `ApplicationFailure.type` of the failures that are ours. All others carry the API's own `errorName` as type.
 * Written once, here: a second literal will drift.
 */
export const FAILURE_TYPES = {
  /** `whenBusy: 'reject'` while an exchange runs. */
  conversationBusy: 'ConversationBusy',
  /** The conversation no longer takes messages. */
  conversationClosed: 'ConversationClosed',
  /** The run is handing over to its successor: ask again with the same message id; nothing was lost. */
  conversationRolledOver: 'ConversationRolledOver',
  /** The conversation's queue is full: the message was not accepted. */
  conversationQueueFull: 'ConversationQueueFull',
  /** Input refused at the door, before a call was spent. */
  invalidInput: 'InvalidInput',
  /** The overall time limit of an exchange ran out before it had an outcome. */
  exchangeTimedOut: 'ExchangeTimedOut',
  /** The agent changed a parameter to a value too large to carry over, and the message brought none of its own. */
  parametersTooLarge: 'ParametersTooLarge',
  /** The session is gone and the policy `onExpired` is `fail`. */
  sessionExpired: 'SessionExpired',
  /** The context is full and the policy `onContextOverflow` is `fail`, or its remedy was not enough. */
  contextOverflow: 'ContextOverflow',
  /** The exchange was cancelled and not added to the session. */
  exchangeCancelled: 'ExchangeCancelled',
  /** The row's or the batch's deadline passed before the row had ended. */
  deadlinePassed: 'DeadlinePassed',
  /** The batch had used its tokens before the row was begun. */
  tokenBudgetSpent: 'TokenBudgetSpent',
  /** Too many rows of the batch had failed before this one was begun. */
  tooManyFailures: 'TooManyFailures',
  /** No answer, or none that could be read: connection lost, a time limit of ours, a broken body. */
  noAnswer: 'NoAnswer',
  /** The server refused without an error name (a proxy, a gateway): the status is in the details. */
  httpError: 'HttpError',
  /** The attempt's worker died, and its successor took the work back: the next attempt adopts what goes on. */
  workerDied: 'WorkerDied',
  /** `askJson`: no answer fitted the schema within its attempts; the reasons are in the details. */
  answerDoesNotFit: 'AnswerDoesNotFit',
  /** Somebody said no. */
  rejected: 'Rejected',
  /** A plan's expression or template cannot be evaluated, or gives what its step cannot use. */
  expressionFailed: 'ExpressionFailed',
  /** A plan's `fail` step. */
  planFailed: 'PlanFailed',
  /** What a plan's steps resulted in, all together, is too large to be kept. */
  planStateTooLarge: 'PlanStateTooLarge',
  /** A plan has begun as many steps as `maxSteps` allows. */
  tooManySteps: 'TooManySteps',
  /** A batch that a workflow waited for was cancelled, or has failed. */
  batchNotCompleted: 'BatchNotCompleted',
  /** A batch of a plan had more failed rows than the step puts up with. */
  tooManyFailedRows: 'TooManyFailedRows',
  /** No token could be had: unset, unreadable file, refused client credentials. */
  tokenUnavailable: 'TokenUnavailable',
} as const;

/** One of our own failure types. */
export type FailureType = (typeof FAILURE_TYPES)[keyof typeof FAILURE_TYPES];

/** Error names of the API that code decides on by name; the others are handled by class alone. */
export const API_ERRORS = {
  rateLimitExceeded: 'RateLimitExceeded',
  contextSizeExceededLimit: 'ContextSizeExceededLimit',
  sessionNotFound: 'SessionNotFound',
  contentNotFound: 'ContentNotFound',
  sessionTraceNotFound: 'SessionTraceNotFound',
  sessionTraceIdAlreadyExists: 'SessionTraceIdAlreadyExists',
  messageNotInProgress: 'CancelSessionFailedMessageNotInProgress',
} as const;
