/**
 * What one exchange takes in and gives back, as it crosses between workflows, activities and clients.
 *
 * Everything here is JSON by type: it travels in payloads and through continue-as-new.
 */

/** A value for an application variable of the agent. Source: AIP Agents v2 (preview), `ParameterValue`. */
export type ParameterValue =
  | { type: 'string'; value: string }
  /** `objectSet` is the API's definition of a set (`base`, `filter`, `reference`, …), by ontology. */
  | { type: 'objectSet'; objectSet: { type: string; [field: string]: unknown }; ontology: string };

/**
 * An application variable as the agent changed it: of type `string` its new text, of type `objectSet` the RID of the new
 * set. Kept as the server sent it, also when its type is newer than this code. Source: AIP Agents v2 (preview),
 * `ParameterValueUpdate`.
 */
export interface ParameterValueUpdate {
  type: string;
  value?: unknown;
}

/** Values by parameter id. */
export type ParameterInputs = Record<string, ParameterValue>;

/** Updates by parameter id; empty when the agent changed nothing. */
export type ParameterUpdates = Record<string, ParameterValueUpdate>;

/** Context handed to the agent instead of its own retrieval. Source: AIP Agents v2 (preview), `InputContext`. */
export type InputContext =
  | { type: 'functionRetrievedContext'; functionRid: string; functionVersion: string; retrievedPrompt: string }
  | { type: 'objectContext'; objectRids: string[]; propertyTypeRids: string[] };

/** How an exchange is sent: only a streamed one can be cancelled at the agent; blocking is one call fewer. */
export type ExchangeMode = 'streaming' | 'blocking';

/**
 * The ids by which an exchange is found again. Made before it is sent, and shared by every attempt.
 */
export interface ExchangeIds {
  /** UUID that `streamingContinue` carries and `cancel` names. */
  messageId: string;
  /** UUID from which `sessionTraceId` n is derived (UUID v5 of the session and n, n from 0). */
  traceIdBase: string;
}

/** The result of an exchange as the session's content holds it. */
export interface ExchangeResult {
  agentMarkdownResponse: string;
  parameterUpdates: ParameterUpdates;
  /** Tokens used for this exchange; absent when the agent's model does not tell. */
  totalTokensUsed?: number;
  /** True when the response was given by the client while cancelling. */
  interruptedOutput: boolean;
  /** Absent on servers without traces. */
  sessionTraceId?: string;
}

/** What went wrong, in the API's words: enough to search Palantir's pages and to quote to its support. */
export interface ExchangeError {
  /** The API's `errorName`, or one of `FAILURE_TYPES`. */
  errorName: string;
  message: string;
  status?: number;
  errorCode?: string;
  /** What Palantir's support asks for. */
  errorInstanceId?: string;
  parameters?: Record<string, unknown>;
}

/**
 * How an exchange ended, as the session's content says:
 * `answered` by the agent; `interrupted`: cancelled, and kept with the client's text; `cancelled`: not added to the
 * session; `failed`: the API's error in `error`.
 */
export type ExchangeStatus = 'answered' | 'interrupted' | 'cancelled' | 'failed';

/** The one recorded outcome of an accepted message. */
export interface ExchangeOutcome {
  messageId: string;
  status: ExchangeStatus;
  /** Position in the conversation, from 0, in the order of acceptance. */
  index: number;
  /** Present when `status` is `answered` or `interrupted`. */
  result?: ExchangeResult;
  /** Present when `status` is `failed`. */
  error?: ExchangeError;
  /** The session that holds the exchange; absent when none could be opened. */
  sessionRid?: string;
  /**
   * Times the message was sent to the agent, over all attempts, as far as the record tells: cancelled while it waited for
   * its next try, or forgotten for room, it counts 0.
   */
  sends: number;
  /** ISO 8601. */
  acceptedAt: string;
  /** ISO 8601. */
  finishedAt: string;
  /** True when a cancelled exchange was sent with `blockingContinue`: it cannot be stopped, and may still land. */
  mayStillRun?: boolean;
  /**
   * True when the text of `result`, its `parameterUpdates` and the `parameters` of `error` were dropped to keep the workflow's
   * state within its bounds; the session's content, or the failed activity, still holds them.
   */
  textDropped?: boolean;
}
