import { Agent as ConnectionPool, type Dispatcher } from 'undici';
import { ApiCaller } from './api-caller.js';
import type { Operation } from './errors.js';
import { parseFoundryUrl } from './foundry-url.js';
import { type DefaultLimits, agentOperations, exchangeOperations, sessionOperations } from './operations.js';
import type { RequestOf } from './request-schemas.js';
import type {
  Agent,
  CancelAnswer,
  Exchange,
  ExchangeResult,
  RagContext,
  Session,
  SessionPage,
  SessionTrace,
} from './schemas.js';
import type { TokenSource } from './token.js';

/** What every call takes besides its request. */
export interface CallOptions {
  /** Ends the call early; its reason is thrown as it is. It does not stop an exchange at the server: `cancel` does. */
  signal?: AbortSignal | undefined;
  /** Limit on the whole call, in milliseconds. */
  timeoutMs?: number | undefined;
}

/** What a streamed exchange takes besides. */
export interface StreamOptions extends CallOptions {
  /** Limit on the wait for the first byte, from the start of the call, in milliseconds. */
  firstTextTimeoutMs?: number | undefined;
  /** Limit on the wait for each further byte, in milliseconds. */
  silenceTimeoutMs?: number | undefined;
  /** Gets the text as it comes, in pieces of any size, never half a character. */
  onText?: ((text: string) => void) | undefined;
}

/**
 * What a look for a session trace found: the trace; that this session knows no such trace (nothing with this id was
 * started); or that the server has no traces at all (the five-page API), which tells nothing about the exchange.
 */
export type TraceLookup = { found: 'trace'; trace: SessionTrace } | { found: 'unknownTrace' } | { found: 'noTraces' };

/**
 * The operations of the AIP Agents API v2 (preview), each sent exactly once.
 *
 * Each takes one object: the request's fields, checked strictly, and `CallOptions`. Each throws `InvalidRequestError`
 * (before anything is sent), `AgentsApiError`, `TokenError`, or the signal's own reason.
 */
export interface AgentsApi {
  /** Opens a session with an agent, at a version or at the latest published one. */
  createSession(input: RequestOf<'createSession'> & CallOptions): Promise<Session>;
  /** One exchange, answered whole. It cannot be cancelled, only waited for. */
  blockingContinue(input: RequestOf<'blockingContinue'> & CallOptions): Promise<ExchangeResult>;
  /**
   * One exchange, answered as text while it is made. That the stream ended proves nothing: read the content. `messageId`
   * is the handle by which `cancel` finds it.
   */
  streamingContinue(input: RequestOf<'streamingContinue'> & StreamOptions): Promise<{ text: string }>;
  /**
   * Cancels a streamed exchange that runs. With `response`, it is added to the session with that text and returned;
   * without, it never was. `CancelSessionFailedMessageNotInProgress`: over, or not started yet; the content tells.
   */
  cancel(input: RequestOf<'cancel'> & CallOptions): Promise<CancelAnswer>;
  /** The exchanges of a session that have ended, oldest first. */
  getContent(input: RequestOf<'getContent'> & CallOptions): Promise<Exchange[]>;
  getSession(input: RequestOf<'getSession'> & CallOptions): Promise<Session>;
  /** A page of this client's sessions with an agent, most recently updated first. */
  listSessions(input: RequestOf<'listSessions'> & CallOptions): Promise<SessionPage>;
  /** A page of this client's sessions with all agents. */
  listAllSessions(input?: RequestOf<'listAllSessions'> & CallOptions): Promise<SessionPage>;
  deleteSession(input: RequestOf<'deleteSession'> & CallOptions): Promise<void>;
  /** Sets the title by which people recognise the session in AIP. */
  updateTitle(input: RequestOf<'updateTitle'> & CallOptions): Promise<void>;
  /** What became of the exchange that was sent with this `sessionTraceId`. */
  getSessionTrace(input: RequestOf<'getSessionTrace'> & CallOptions): Promise<TraceLookup>;
  /** The context that the agent would retrieve for a message, to be passed back as `contextsOverride`. */
  getRagContext(input: RequestOf<'getRagContext'> & CallOptions): Promise<RagContext>;
  /** An agent with its parameters, at a version or at the latest published one. */
  getAgent(input: RequestOf<'getAgent'> & CallOptions): Promise<Agent>;
  /** Closes the connections, idle ones at once and others after their calls. */
  close(): Promise<void>;
}

/** Time limits (milliseconds) and connections, where a call does not say otherwise. */
export interface AgentsApiLimits extends DefaultLimits {
  connectTimeoutMs: number;
  /** Connections at once; calls beyond wait for one, within their own limits. */
  maxConnections: number;
}

/** The limits that hold unless given. */
export const DEFAULT_LIMITS: Readonly<AgentsApiLimits> = {
  connectTimeoutMs: 10_000,
  callTimeoutMs: 60_000,
  blockingTimeoutMs: 600_000,
  firstTextTimeoutMs: 120_000,
  silenceTimeoutMs: 120_000,
  maxConnections: 2_000,
};

/** Options of `createAgentsApi`. */
export interface AgentsApiOptions {
  /** Address of the enrollment, such as `https://example.palantirfoundry.com`. */
  foundryUrl: string;
  token: TokenSource;
  limits?: Partial<AgentsApiLimits>;
  /** Accept `http://` beyond loopback hosts, where the token travels in the clear. Default false. */
  allowInsecureHttp?: boolean;
  /** Default `aip-temporal`. */
  userAgent?: string;
  /** undici dispatcher to send through, such as a `ProxyAgent`, in place of a connection pool of our own. */
  dispatcher?: Dispatcher;
  /** Called at the start of each call with its operation; what it returns, at its end. It must not throw. */
  onCall?: (operation: Operation) => () => void;
}

/**
 * Makes a client of the API: `@osdk/foundry.aipagents` over a connection pool and time limits of our own.
 *
 * @throws Error when the address is unusable.
 */
export function createAgentsApi(options: AgentsApiOptions): AgentsApi {
  const limits: AgentsApiLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const dispatcher = options.dispatcher ?? connectionPool(limits);
  const caller = new ApiCaller({
    baseUrl: parseFoundryUrl(options.foundryUrl, options).href,
    token: options.token,
    dispatcher,
    userAgent: options.userAgent ?? 'aip-temporal',
    onCall: options.onCall,
  });
  return {
    ...sessionOperations(caller, limits),
    ...exchangeOperations(caller, limits),
    ...agentOperations(caller, limits),
    close: () => dispatcher.close(),
  };
}

/** undici's own limits are off: a silent call may be a long answer, and how long to wait is each call's to say. */
function connectionPool(limits: AgentsApiLimits): Dispatcher {
  return new ConnectionPool({
    connections: limits.maxConnections,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: limits.connectTimeoutMs },
  });
}
