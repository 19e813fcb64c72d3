import { randomUUID } from 'node:crypto';

/** The body of every error answer of the API. @see AIP Agents v2 (preview), Errors. */
export interface ErrorBody {
  errorCode: string;
  errorName: string;
  errorDescription?: string;
  errorInstanceId: string;
  parameters: Record<string, unknown>;
}

/** A refusal as the API would word it: thrown by whoever refuses, written to the client by the server. */
export class ApiError extends Error {
  readonly errorInstanceId = randomUUID();

  constructor(
    readonly status: number,
    readonly errorCode: string,
    readonly errorName: string,
    readonly parameters: Record<string, unknown>,
    readonly errorDescription?: string,
  ) {
    super(errorName);
    this.name = 'ApiError';
  }

  toBody(): ErrorBody {
    return {
      errorCode: this.errorCode,
      errorName: this.errorName,
      ...(this.errorDescription === undefined ? {} : { errorDescription: this.errorDescription }),
      errorInstanceId: this.errorInstanceId,
      parameters: this.parameters,
    };
  }
}

interface ErrorKind {
  status: number;
  errorCode: string;
  description: string;
  /** Parameters beyond the ids of the request, with the value a fault gives them when it names none. */
  samples?: Record<string, unknown>;
  /** Ids of the request which this error carries. */
  ids: readonly ('agentRid' | 'sessionRid' | 'messageId' | 'sessionTraceId')[];
}

const sessionIds = ['agentRid', 'sessionRid'] as const;
const invalid = { status: 400, errorCode: 'INVALID_ARGUMENT', ids: sessionIds };
const wait = { status: 400, errorCode: 'CUSTOM_CLIENT', ids: sessionIds };
const missing = { status: 404, errorCode: 'NOT_FOUND', ids: sessionIds };
const denied = (operation: string) => ({
  status: 403,
  errorCode: 'PERMISSION_DENIED',
  ids: sessionIds,
  description: `Could not ${operation} the Session.`,
});
const details = { details: 'simulated' };
const sampleTypeRid = 'ri.ontology.main.object-type.7899aeb4-a389-4f2e-a0fd-e7193a4f6cb1';
const modelRid = 'ri.language-model-service..language-model.simulated';

/** The documented errors, as the pages and the vendor's clients (TypeScript 2.38, Python 1.111) have them. */
const documented = {
  AgentNotFound: { ...missing, ids: ['agentRid'], description: 'The given Agent could not be found.' },
  AgentVersionNotFound: {
    ...missing,
    ids: ['agentRid'],
    samples: { agentVersionString: '99.0' },
    description: 'The given AgentVersion could not be found.',
  },
  InvalidAgentVersion: {
    ...invalid,
    ids: ['agentRid'],
    samples: { version: 'newest' },
    description: 'The provided version string is not a valid format for an Agent version.',
  },
  NoPublishedAgentVersion: {
    ...invalid,
    ids: ['agentRid'],
    description:
      'Failed to retrieve the latest published version of the Agent because the Agent has no published versions.',
  },
  SessionNotFound: { ...missing, description: 'The given Session could not be found.' },
  ContentNotFound: { ...missing, description: 'The given Content could not be found.' },
  SessionTraceNotFound: {
    ...missing,
    ids: ['sessionTraceId', 'agentRid', 'sessionRid'],
    description: 'The given SessionTrace could not be found.',
  },
  SessionTraceIdAlreadyExists: {
    ...invalid,
    ids: ['agentRid', 'sessionRid', 'sessionTraceId'],
    description: 'The provided trace ID already exists for the session and cannot be reused.',
  },
  CancelSessionFailedMessageNotInProgress: {
    ...invalid,
    ids: ['messageId', 'agentRid', 'sessionRid'],
    description:
      'Unable to cancel the requested session exchange as no in-progress exchange was found for the provided message identifier.',
  },
  ContextSizeExceededLimit: {
    ...invalid,
    samples: details,
    description:
      'Failed to generate a response for a session because the context size of the LLM has been exceeded. Clients should either retry with a shorter message or create a new session and try re-sending the message.',
  },
  AgentIterationsExceededLimit: {
    ...invalid,
    samples: details,
    description: 'The Agent was unable to produce an answer in the set number of maximum iterations.',
  },
  SessionExecutionFailed: {
    status: 500,
    errorCode: 'INTERNAL',
    ids: sessionIds,
    samples: { message: 'simulated', ...details },
    description: 'Failed to generate a response for a session due to an unexpected error.',
  },
  RateLimitExceeded: {
    ...wait,
    samples: details,
    description: 'Failed to generate a response as the model rate limits were exceeded. Clients should wait and retry.',
  },
  RetryAttemptsExceeded: {
    ...wait,
    samples: details,
    description: 'Failed to generate a response after retrying up to the configured number of retry attempts.',
  },
  RetryDeadlineExceeded: {
    ...wait,
    samples: details,
    description: 'Failed to generate a response after retrying up to the configured retry deadline.',
  },
  InvalidParameter: {
    ...invalid,
    samples: { parameter: 'unknownParameter' },
    description: 'The provided application variable is not valid for the Agent for this session.',
  },
  InvalidParameterType: {
    ...invalid,
    samples: { parameter: 'customerName', expectedType: 'string', receivedType: 'objectSet' },
    description: 'The provided value does not match the expected type for the application variable.',
  },
  ObjectTypeIdsNotFound: {
    ...missing,
    samples: { objectTypeIds: ['customerOrder'] },
    description: 'Some object types are configured for use by the Agent but could not be found.',
  },
  ObjectTypeRidsNotFound: {
    ...missing,
    samples: { objectTypeRids: [sampleTypeRid] },
    description: 'Some object types are configured for use by the Agent but could not be found.',
  },
  OntologyEntitiesNotFound: {
    ...missing,
    samples: { objectTypeRids: [sampleTypeRid], linkTypeRids: [] },
    description: 'Some ontology types are configured for use by the Agent but could not be found.',
  },
  FunctionLocatorNotFound: {
    ...missing,
    samples: { functionRid: 'ri.function-registry.main.function.simulated', functionVersion: '1.0.0' },
    description: 'The specified function locator is configured for use by the Agent but could not be found.',
  },
  ActionTypeNotFound: {
    ...invalid,
    samples: { actionRid: 'ri.actions.main.action-type.simulated' },
    description: 'An action tool configured on the Agent references an action type that could not be found.',
  },
  UnsupportedLanguageModelRid: {
    ...invalid,
    samples: { languageModelRid: modelRid, modelPurpose: 'PRIMARY_AGENT' },
    description: 'The language model configured on the Agent is not supported.',
  },
  CreateSessionPermissionDenied: { ...denied('create'), ids: ['agentRid'] },
  BlockingContinueSessionPermissionDenied: denied('blockingContinue'),
  StreamingContinueSessionPermissionDenied: denied('streamingContinue'),
  CancelSessionPermissionDenied: denied('cancel'),
  DeleteSessionPermissionDenied: denied('delete'),
  GetRagContextForSessionPermissionDenied: denied('ragContext'),
  UpdateSessionTitlePermissionDenied: denied('updateTitle'),
  GetAllSessionsAgentsPermissionDenied: {
    ...denied('list'),
    ids: [],
    description: 'The calling user does not have permission to list all sessions across all Agents.',
  },
  ListSessionsForAgentsPermissionDenied: {
    ...denied('list'),
    ids: [],
    description: 'Could not allSessions the Agent.',
  },
} as const satisfies Record<string, ErrorKind>;

/** Name of an error which the API documents. */
export type DocumentedErrorName = keyof typeof documented;

/** All documented error names, for tests that walk through them. */
export const documentedErrorNames = Object.keys(documented) as readonly DocumentedErrorName[];

/** Whether the API documents an error of this name. */
export function isDocumentedErrorName(name: string): name is DocumentedErrorName {
  return Object.hasOwn(documented, name);
}

/** Values from which an error takes the parameters that its documentation lists, and no others. */
export type ErrorValues = Record<string, unknown>;

/**
 * A documented error with exactly the parameters of its documentation. Values that are not given are left out when
 * they are ids of the request, and get a sample value otherwise.
 */
export function documentedError(name: DocumentedErrorName, values: ErrorValues): ApiError {
  const kind: ErrorKind = documented[name];
  const parameters: Record<string, unknown> = {};
  for (const id of kind.ids) {
    if (values[id] !== undefined) parameters[id] = values[id];
  }
  for (const [key, sample] of Object.entries(kind.samples ?? {})) parameters[key] = values[key] ?? sample;
  return new ApiError(kind.status, kind.errorCode, name, parameters, kind.description);
}

/** A body or query that the platform itself refuses, before the Agents API sees it. The name is Conjure's. */
export function invalidRequest(reason: string): ApiError {
  return new ApiError(400, 'INVALID_ARGUMENT', 'Default:InvalidArgument', { reason }, `Invalid request: ${reason}`);
}

/**
 * The refusal of a second continue on a session that is answering. The API says that this is not supported, and names
 * no error for it: the name here stands on no documented list on purpose, so that no client learns to rely on it.
 */
export function sessionBusy(agentRid: string, sessionRid: string): ApiError {
  return new ApiError(400, 'INVALID_ARGUMENT', 'SessionBusy', { agentRid, sessionRid });
}
