import {
  isGrpcServiceError,
  QueryNotRegisteredError,
  ServiceError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import {
  ApplicationFailure,
  CancelledFailure,
  NamespaceNotFoundError,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { FAILURE_TYPES } from '../protocol/failures.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import type { ClientContext } from './connection.js';
import { addressOf } from './connection.js';
import {
  ConversationBusyError,
  ConversationClosedError,
  ConversationEndedError,
  ConversationNotFoundError,
  ConversationNotRunningError,
  ConversationQueueFullError,
  InvalidMessageError,
  SearchAttributesMissingError,
  TemporalRefusedError,
  TemporalUnreachableError,
  UnansweredError,
} from './errors.js';
import { searchAttributeCommand } from './search-attributes.js';

/** gRPC status codes that are decided on here (`grpc.status`). */
export const GRPC = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** The gRPC status behind an error, in words too; absent when it is none. */
export function grpcStatus(error: unknown): { code: number; details: string } | undefined {
  const candidates = [error, error instanceof Error ? error.cause : undefined];
  const found = candidates.find(isGrpcServiceError);
  if (found === undefined) return undefined;
  const { code, message, details } = found;
  // Of an update-with-start the SDK puts what was refused into the message; the details only say that it was.
  return { code, details: details !== '' && message.includes(details) ? details : message };
}

/** The `ApplicationFailure` of our own making behind an error; absent when it is none. */
export function applicationFailureOf(error: unknown): ApplicationFailure | undefined {
  if (!(error instanceof WorkflowUpdateFailedError) && !(error instanceof WorkflowFailedError)) return undefined;
  return error.cause instanceof ApplicationFailure ? error.cause : undefined;
}

/**
 * Makes one of the client's own errors of what the SDK threw; what is none of ours comes back as it was.
 *
 * @param conversationId The workflow id that the call was about.
 */
export function translateError(error: unknown, context: ClientContext, conversationId: string): unknown {
  const namespace = context.client.options.namespace;
  if (error instanceof WorkflowNotFoundError) {
    // The server tells a run that has ended from one that never was by its words alone.
    if (/already completed/.test(error.message)) return new ConversationNotRunningError(conversationId);
    return new ConversationNotFoundError(conversationId, namespace);
  }
  if (error instanceof NamespaceNotFoundError) {
    return new TemporalRefusedError(
      `Cannot find namespace ${namespace} on Temporal at ${addressOf(context.client)}: create it, or mend TEMPORAL_NAMESPACE`,
    );
  }
  if (error instanceof QueryNotRegisteredError) {
    return new TemporalRefusedError(`Workflow ${conversationId} is no conversation: ${error.message}`);
  }
  return (
    translateRefusal(applicationFailureOf(error), conversationId) ??
    translateEnd(error, conversationId) ??
    translateStatus(error, context, conversationId) ??
    error
  );
}

function translateRefusal(failure: ApplicationFailure | undefined, conversationId: string): Error | undefined {
  switch (failure?.type) {
    case FAILURE_TYPES.conversationBusy:
      return new ConversationBusyError(conversationId);
    case FAILURE_TYPES.conversationClosed:
      return new ConversationClosedError(conversationId);
    case FAILURE_TYPES.conversationQueueFull:
      return new ConversationQueueFullError(conversationId, failure.message);
    case FAILURE_TYPES.invalidInput:
      return new InvalidMessageError(failure.message);
    default:
      return undefined;
  }
}

function translateEnd(error: unknown, conversationId: string): Error | undefined {
  if (!(error instanceof WorkflowUpdateFailedError) && !(error instanceof WorkflowFailedError)) return undefined;
  const { cause } = error;
  if (cause instanceof CancelledFailure) return new ConversationEndedError(conversationId, 'cancelled');
  if (cause instanceof TerminatedFailure) return new ConversationEndedError(conversationId, 'terminated');
  if (cause instanceof TimeoutFailure) return new ConversationEndedError(conversationId, 'timedOut');
  return undefined;
}

function translateStatus(error: unknown, context: ClientContext, conversationId: string): Error | undefined {
  const status = grpcStatus(error);
  if (status === undefined) return undefined;
  const namespace = context.client.options.namespace;
  const missing = Object.values(searchAttributeKeys)
    .map((key) => key.name)
    .filter((name) => status.details.includes(name));
  switch (status.code) {
    case GRPC.unavailable:
      return new TemporalUnreachableError(addressOf(context.client), status.details);
    case GRPC.cancelled:
    case GRPC.deadlineExceeded:
      // Past a time limit of ours, gRPC may also say "cancelled".
      return error instanceof ServiceError
        ? new UnansweredError(`Temporal gave no answer in time about ${conversationId}: try again`)
        : undefined;
    case GRPC.failedPrecondition:
    case GRPC.invalidArgument:
      if (missing.length > 0 && /search attribute/i.test(status.details)) {
        return new SearchAttributesMissingError(missing, searchAttributeCommand(namespace), status.details);
      }
      return new TemporalRefusedError(`Temporal refused the request for ${conversationId}: ${status.details}`);
    case GRPC.permissionDenied:
    case GRPC.unauthenticated:
      return new TemporalRefusedError(
        `Temporal at ${addressOf(context.client)} refused access to namespace ${namespace}: ${status.details}; mend the API key or certificate (TEMPORAL_API_KEY, TEMPORAL_TLS_…)`,
      );
    default:
      return undefined;
  }
}
