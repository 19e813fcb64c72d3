/** The operations of the API that this client calls, by the API's own names. */
export type Operation =
  | 'createSession'
  | 'blockingContinue'
  | 'streamingContinue'
  | 'cancel'
  | 'getContent'
  | 'getSession'
  | 'listSessions'
  | 'listAllSessions'
  | 'deleteSession'
  | 'updateTitle'
  | 'getSessionTrace'
  | 'getRagContext'
  | 'getAgent';

/** What repeating a call means: a continue can land unseen and costs tokens, the others are safe to repeat. */
export type OperationKind = 'continue' | 'create' | 'cancel' | 'read';

const KIND: Readonly<Record<Operation, OperationKind>> = {
  createSession: 'create',
  blockingContinue: 'continue',
  streamingContinue: 'continue',
  cancel: 'cancel',
  getContent: 'read',
  getSession: 'read',
  listSessions: 'read',
  listAllSessions: 'read',
  deleteSession: 'cancel',
  updateTitle: 'create',
  getSessionTrace: 'read',
  getRagContext: 'read',
  getAgent: 'read',
};

const ACTION: Readonly<Record<Operation, string>> = {
  createSession: 'create a session with agent',
  blockingContinue: 'continue session',
  streamingContinue: 'continue session',
  cancel: 'cancel an exchange of session',
  getContent: 'read the content of session',
  getSession: 'read session',
  listSessions: 'list the sessions of agent',
  listAllSessions: 'list the sessions of',
  deleteSession: 'delete session',
  updateTitle: 'set the title of session',
  getSessionTrace: 'read a trace of session',
  getRagContext: 'retrieve context for session',
  getAgent: 'read agent',
};

/** What the API's pages advise, by error name; the reader of a failure sees it after the error's name. */
const REMEDY: Readonly<Record<string, string>> = {
  RateLimitExceeded: "the model's limits are used up; wait and retry",
  RetryAttemptsExceeded: "the server's own retries ran out; wait and retry",
  RetryDeadlineExceeded: "the server's own retries ran out; wait and retry",
  ContextSizeExceededLimit: "the model's context is full; send a shorter message or use a new session",
  AgentIterationsExceededLimit: 'the agent found no answer in its number of steps; ask differently or review the agent',
  SessionExecutionFailed: 'the agent failed unexpectedly; try again',
  SessionNotFound: 'it has expired or never existed; create a new session',
  ContentNotFound: 'it has expired or never existed; create a new session',
  SessionTraceIdAlreadyExists: 'an earlier send arrived; look at the trace and the content',
  CancelSessionFailedMessageNotInProgress: 'no such exchange runs; reload the content to see what became of it',
  InvalidParameter: "the agent has no such parameter; compare with the agent's parameters",
  InvalidParameterType: "the value has another type than the agent's parameter",
  InvalidAgentVersion: 'give the version as MAJOR.MINOR',
  NoPublishedAgentVersion: 'publish the agent in AIP Agent Studio',
  AgentNotFound: "check the agent's RID and the token's access to it",
  AgentVersionNotFound: 'choose a version that is published',
};

function remedyFor(errorName: string | undefined, status: number | undefined): string {
  const name = errorName?.slice(errorName.lastIndexOf(':') + 1) ?? '';
  if (Object.hasOwn(REMEDY, name)) return `: ${REMEDY[name]}`;
  if (name.endsWith('PermissionDenied') || status === 403) return ': the token lacks the permission or a scope';
  if (status === 401) return ': the token was not accepted; check that it is valid and not expired';
  return '';
}

/** What an `AgentsApiError` is made of. */
export interface AgentsApiErrorInput {
  operation: Operation;
  /** RID of the session or agent, for the message. */
  target: string;
  status?: number | undefined;
  errorName?: string | undefined;
  errorCode?: string | undefined;
  errorInstanceId?: string | undefined;
  parameters?: Record<string, unknown> | undefined;
  retryAfterMs?: number | undefined;
  /** Given when no answer came: why. */
  noAnswer?: { causeCode: string; neverSent: boolean; reason: string } | undefined;
  cause?: unknown;
}

/**
 * A call of the API that failed: refused by the server (`status` is set, `errorName` too when the body was Foundry's), or
 * left without a readable answer (`noAnswer`). Not thrown for a cancelled call: the signal's own reason is.
 *
 * Its fields fit `classifyFailure` of `protocol/failures.ts`, with `operation: error.operationKind`. Message and fields
 * hold no user text and no token.
 */
export class AgentsApiError extends Error {
  override readonly name = 'AgentsApiError';
  readonly operation: Operation;
  readonly operationKind: OperationKind;
  /** HTTP status; absent when no answer came. */
  readonly status?: number;
  /** The API's error name as sent, perhaps with a namespace; absent when a proxy answered. */
  readonly errorName?: string;
  readonly errorCode?: string;
  /** What Palantir's support asks for. */
  readonly errorInstanceId?: string;
  /** The error's parameters, long strings cut. */
  readonly parameters?: Record<string, unknown>;
  /** What a `Retry-After` header asked for, in milliseconds. The API documents none; a proxy may send one. */
  readonly retryAfterMs?: number;
  /** No answer came, or none that could be read: the exchange may have landed. */
  readonly noAnswer: boolean;
  /** With `noAnswer`: the request surely never reached a server (refused, unknown host, TLS not agreed). */
  readonly neverSent: boolean;
  /**
   * With `noAnswer`: the system's or undici's code (`ECONNRESET`, `UND_ERR_SOCKET`), or one of ours: `CALL_TIMEOUT`,
   * `FIRST_TEXT_TIMEOUT`, `SILENCE_TIMEOUT`, `UNREADABLE_ANSWER`.
   */
  readonly causeCode?: string;

  constructor(input: AgentsApiErrorInput) {
    super(describe(input), input.cause === undefined ? undefined : { cause: input.cause });
    this.operation = input.operation;
    this.operationKind = KIND[input.operation];
    this.noAnswer = input.noAnswer !== undefined;
    this.neverSent = input.noAnswer?.neverSent ?? false;
    if (input.status !== undefined) this.status = input.status;
    if (input.errorName !== undefined) this.errorName = input.errorName;
    if (input.errorCode !== undefined) this.errorCode = input.errorCode;
    if (input.errorInstanceId !== undefined) this.errorInstanceId = input.errorInstanceId;
    if (input.parameters !== undefined) this.parameters = input.parameters;
    if (input.retryAfterMs !== undefined) this.retryAfterMs = input.retryAfterMs;
    if (input.noAnswer !== undefined) this.causeCode = input.noAnswer.causeCode;
  }
}

function describe(input: AgentsApiErrorInput): string {
  const action = `Cannot ${ACTION[input.operation]} ${input.target}`;
  if (input.noAnswer !== undefined) {
    const remedy = input.noAnswer.neverSent
      ? 'nothing was sent; check the address and the network'
      : KIND[input.operation] === 'continue'
        ? 'the exchange may have landed; look at the content before sending again'
        : 'try again';
    return `${action}: ${input.noAnswer.reason} (${input.noAnswer.causeCode}); ${remedy}`;
  }
  const name = input.errorName === undefined ? '' : ` ${input.errorName}`;
  const instance = input.errorInstanceId === undefined ? '' : ` (errorInstanceId ${input.errorInstanceId})`;
  return `${action}: HTTP ${input.status ?? '?'}${name}${instance}${remedyFor(input.errorName, input.status)}`;
}

const LONGEST_PARAMETER = 500;

/** Reads a refusal's body as far as it is Foundry's; anything else (a proxy's page) gives no fields. */
export function readErrorBody(
  text: string,
): Pick<AgentsApiErrorInput, 'errorName' | 'errorCode' | 'errorInstanceId' | 'parameters'> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return {}; // Not JSON: a proxy's page. The status alone decides.
  }
  if (typeof body !== 'object' || body === null) return {};
  const { errorName, errorCode, errorInstanceId, parameters } = body as Record<string, unknown>;
  const isMap = typeof parameters === 'object' && parameters !== null && !Array.isArray(parameters);
  return {
    errorName: typeof errorName === 'string' && errorName !== '' ? errorName : undefined,
    errorCode: typeof errorCode === 'string' ? errorCode : undefined,
    errorInstanceId: typeof errorInstanceId === 'string' ? errorInstanceId : undefined,
    parameters: isMap ? shortened(parameters as Record<string, unknown>) : undefined,
  };
}

function shortened(parameters: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parameters).map(([key, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      return text.length <= LONGEST_PARAMETER ? [key, value] : [key, `${text.slice(0, LONGEST_PARAMETER)}…`];
    }),
  );
}

/** Reads a `Retry-After` header (seconds or an HTTP date) as milliseconds from `nowMs`; absent or unreadable: undefined. */
export function readRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined || header.trim() === '') return undefined;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

const TLS_CODE = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH)/;

/** Tells the code of a connection error, and whether it came before anything could be sent. */
export function readConnectionError(error: unknown): { causeCode: string; neverSent: boolean } {
  const chain: Record<string, unknown>[] = [];
  for (let link = error; typeof link === 'object' && link !== null && chain.length < 5;) {
    const fields = link as Record<string, unknown>;
    chain.push(fields);
    // Node tries several addresses of a name at once and reports them together.
    link = Array.isArray(fields['errors']) ? (fields['errors'] as unknown[])[0] : fields['cause'];
  }
  const code = chain.map((fields) => fields['code']).find((value) => typeof value === 'string');
  const causeCode = typeof code === 'string' ? code : 'UNKNOWN';
  const neverSent =
    chain.some((fields) => fields['syscall'] === 'connect' || fields['syscall'] === 'getaddrinfo') ||
    causeCode === 'UND_ERR_CONNECT_TIMEOUT' ||
    TLS_CODE.test(causeCode);
  return { causeCode, neverSent };
}

/** A request that was refused here, before a call was spent on it. `field` is the path of what is wrong. */
export class InvalidRequestError extends Error {
  override readonly name = 'InvalidRequestError';

  constructor(
    readonly operation: Operation,
    readonly field: string,
    problem: string,
  ) {
    super(`Cannot call ${operation}: ${field}: ${problem}`);
  }
}

/** No token could be had, or none that fits into a header. Never holds the token. */
export class TokenError extends Error {
  override readonly name = 'TokenError';

  constructor(
    message: string,
    /** True when trying again may help: the token's server did not answer, or asked for patience. */
    readonly retryable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
