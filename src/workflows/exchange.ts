/**
 * Runs one message of a conversation to its outcome: the session it needs, the exchange, and the policies for a session
 * that has expired or is full. Never throws for what the agent or the network did: that is an outcome.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  TimeoutFailure,
  uuid4,
} from '@temporalio/workflow';
import type { CancelExchangeResult, ExchangeActivityResult, ExchangeProgress } from '../protocol/activities.js';
import type { ConversationInput, ExchangeCancellation, QueuedMessage, SessionState } from '../protocol/conversation.js';
import { exchangeActivityId } from '../protocol/conversation.js';
import { DEFAULTS } from '../protocol/defaults.js';
import type {
  ExchangeError,
  ExchangeIds,
  ExchangeMode,
  ExchangeOutcome,
  ParameterInputs,
} from '../protocol/exchange.js';
import { FAILURE_TYPES, type FailureClass, type FailureDetails } from '../protocol/failures.js';
import { summaryLine } from '../protocol/summary-line.js';
import { cleanUpActivities, exchangeActivities, sessionActivities } from './activity-proxies.js';
import { shortened, withTranscript } from './carry-over.js';
import type { ConversationState } from './conversation-state.js';

/** What the conversation sees of the exchange that is running. */
export interface RunningExchange {
  readonly message: QueuedMessage;
  readonly activityId: string;
  readonly startedAt: string;
  phase: 'openingSession' | 'exchanging' | 'cancelling';
  /** Set before its scope is cancelled: what the activity is to do at the agent. */
  cancellation?: ExchangeCancellation;
}

/** An outcome as far as the exchange itself knows it. */
type Ending = Pick<ExchangeOutcome, 'status' | 'result' | 'error' | 'mayStillRun'> & { sends: number };

/** How often a message is moved to a new session or shortened before it has failed. */
const MOST_REMEDIES = 3;

export class ExchangeRunner {
  constructor(
    private readonly input: ConversationInput,
    private readonly state: ConversationState,
    /** Called when a session was opened. */
    private readonly onSession: (session: SessionState) => void,
  ) {}

  /** Runs the message to its outcome and records it. Cancel the scope it runs in to cancel the exchange. */
  async run(running: RunningExchange): Promise<ExchangeOutcome> {
    const { message } = running;
    const inputs = this.#inputs(message);
    const ending = await this.#toItsEnd(running, inputs);
    const outcome: ExchangeOutcome = {
      messageId: message.messageId,
      index: message.index,
      ...ending,
      ...(this.state.session !== undefined && { sessionRid: this.state.session.sessionRid }),
      acceptedAt: message.acceptedAt,
      finishedAt: new Date().toISOString(),
    };
    this.state.record(message, outcome, inputs, Date.now());
    return outcome;
  }

  async #toItsEnd(running: RunningExchange, inputs: ParameterInputs): Promise<Ending> {
    let text = running.message.text;
    // Fresh ids for each send that follows a definite failure; the message's own id stays its own.
    let sends = 0;
    for (let remedies = 0; ; remedies++) {
      let ids: ExchangeIds | undefined;
      try {
        if (this.#hasExpired()) this.#leaveSession();
        running.phase = 'openingSession';
        const session = await this.#ensureSession();
        running.phase = 'exchanging';
        ids = { messageId: messageIdFor(running.message), traceIdBase: uuid4() };
        const ended = await this.#exchange(running, session, ids, text, inputs);
        return { ...ended, sends: sends + ended.sends };
      } catch (error) {
        const failure = readFailure(error);
        sends += failure.sends;
        if (ids !== undefined && failure.isUnsettled) {
          const settled = await this.#settle(running, ids, text, failure);
          return { ...settled, sends };
        }
        if (failure.isCancelled) return { status: 'cancelled', sends };
        const remedied = remedies < MOST_REMEDIES ? this.#remedy(failure, running.message.text, remedies) : undefined;
        if (remedied === undefined) return { status: 'failed', error: failure.error, sends };
        text = remedied;
      }
    }
  }

  #exchange(
    running: RunningExchange,
    session: SessionState,
    ids: ExchangeIds,
    text: string,
    inputs: ParameterInputs,
  ): Promise<ExchangeActivityResult> {
    const { message, activityId } = running;
    const activities = exchangeActivities({
      activityId,
      summary: `exchange ${message.index}: ${summaryLine(message.text)}`,
      timeoutMs: this.#exchangeTimeoutMs,
    });
    const send = this.#mode(message) === 'blocking' ? activities.blockingContinue : activities.streamingContinue;
    return send({
      agentRid: this.input.agentRid,
      sessionRid: session.sessionRid,
      messageId: message.messageId,
      ids,
      text,
      ...(Object.keys(inputs).length > 0 && { parameterInputs: inputs }),
      ...(message.contextsOverride !== undefined && { contextsOverride: message.contextsOverride }),
      exchangesBefore: session.exchangeCount,
      ...(session.mayBeBusy === true && { sessionMayBeBusy: true }),
      callTimeoutMs: this.input.callTimeoutMs ?? DEFAULTS.callTimeoutMs,
      silenceTimeoutMs: DEFAULTS.silenceTimeoutMs,
      priority: 'interactive',
    });
  }

  /** The activity could not tell how the exchange ended: end it at the agent, and ask. Runs although cancelled. */
  async #settle(running: RunningExchange, ids: ExchangeIds, text: string, failure: ReadFailure): Promise<Ending> {
    running.phase = 'cancelling';
    const session = this.state.session;
    if (session === undefined) return { status: 'failed', error: failure.error, sends: 0 };
    const response = responseFor(running.cancellation, failure.progress);
    try {
      const ended: CancelExchangeResult = await CancellationScope.nonCancellable(() =>
        cleanUpActivities({ summary: `end exchange ${running.message.index} at the agent` }).cancelExchange({
          agentRid: this.input.agentRid,
          sessionRid: session.sessionRid,
          ids,
          text,
          exchangesBefore: session.exchangeCount,
          mode: this.#mode(running.message),
          traceNumber: failure.progress?.traceNumber ?? 0,
          ...(response !== undefined && { response }),
        }),
      );
      if (ended.status !== 'cancelled' || failure.isCancelled) return { ...ended, sends: 0 };
      return {
        status: 'failed',
        error: failure.error,
        sends: 0,
        ...(ended.mayStillRun === true && { mayStillRun: true }),
      };
    } catch (error) {
      const message =
        `Cannot tell how exchange ${running.message.index} ended in session ${session.sessionRid}: ending it at the agent ` +
        `failed too (${readFailure(error).error.errorName}); look at the session's content`;
      return { status: 'failed', error: { errorName: 'ExchangeOutcomeUnknown', message }, sends: 0, mayStillRun: true };
    }
  }

  /** What the policies say of a failure: the text to send again (in a new session, or shortened); undefined: it has failed. */
  #remedy(failure: ReadFailure, text: string, remedies: number): string | undefined {
    if (failure.failureClass === 'expired' && this.state.session !== undefined) {
      if ((this.input.onExpired ?? 'newSession') === 'fail') return undefined;
      this.#leaveSession();
      return this.#carriedOver(text);
    }
    if (failure.failureClass !== 'overflow') return undefined;
    switch (this.input.onContextOverflow ?? 'newSession') {
      case 'fail':
        return undefined;
      case 'shorten':
        return shortened(text, remedies + 1);
      case 'newSession': {
        // With the transcript's tail first; bare when that did not fit either. A bare text in an empty session cannot
        // be helped by another session.
        const wasEmpty = this.state.session?.exchangeCount === 0;
        if (wasEmpty && (remedies > 1 || !this.#carriesOver)) return undefined;
        if (!wasEmpty) this.#leaveSession();
        return remedies === 0 ? this.#carriedOver(text) : text;
      }
    }
  }

  get #carriesOver(): boolean {
    return (this.input.carryOver ?? 'transcript') === 'transcript' && this.state.recentExchanges().length > 0;
  }

  #carriedOver(text: string): string {
    return this.#carriesOver ? withTranscript(this.state.recentExchanges(), text, DEFAULTS.carryOverCharacters) : text;
  }

  #hasExpired(): boolean {
    const expires = this.state.session?.estimatedExpiresTime;
    return (
      expires !== undefined && Date.parse(expires) <= Date.now() && (this.input.onExpired ?? 'newSession') !== 'fail'
    );
  }

  #leaveSession(): void {
    this.state.session = undefined;
  }

  async #ensureSession(): Promise<SessionState> {
    if (this.state.session !== undefined) return this.state.session;
    const isFirst = this.state.totals.sessions === 0;
    const session =
      isFirst && this.input.sessionRid !== undefined
        ? await this.#existingSession(this.input.sessionRid)
        : await this.#newSession();
    this.state.useSession(session);
    this.onSession(session);
    return session;
  }

  async #newSession(): Promise<SessionState> {
    const { agentRid, agentVersion } = this.input;
    const { title } = this.state;
    const created = await sessionActivities({
      summary: 'open a session',
      timeoutMs: this.#exchangeTimeoutMs,
    }).createSession({
      agentRid,
      ...(agentVersion !== undefined && { agentVersion }),
      ...(title !== undefined && { title }),
    });
    const expires = created.estimatedExpiresTime;
    return {
      ...created,
      ...(expires !== undefined && { lifetimeMs: Date.parse(expires) - Date.now() }),
      exchangeCount: 0,
    };
  }

  async #existingSession(sessionRid: string): Promise<SessionState> {
    const { agentRid } = this.input;
    const { exchangeCount } = await sessionActivities({
      summary: 'read the session given',
      timeoutMs: this.#exchangeTimeoutMs,
    }).getContent({ agentRid, sessionRid });
    return { sessionRid, exchangeCount };
  }

  get #exchangeTimeoutMs(): number {
    return this.input.exchangeTimeoutMs ?? DEFAULTS.exchangeTimeoutMs.interactive;
  }

  #mode(message: QueuedMessage): ExchangeMode {
    return message.mode ?? this.input.mode ?? 'streaming';
  }

  #inputs(message: QueuedMessage): ParameterInputs {
    const carried = this.input.carryParameters === false ? {} : this.state.parameters;
    return { ...this.input.parameterInputs, ...carried, ...message.parameterInputs };
  }
}

/**
 * Makes the running exchange of a message that was taken out of the queue.
 *
 * @param onPhase Called at each change of its phase, so that what people see keeps up with it.
 */
export function runningExchange(message: QueuedMessage, onPhase: () => void): RunningExchange {
  let phase: RunningExchange['phase'] = 'openingSession';
  return {
    message,
    activityId: exchangeActivityId(message.index),
    startedAt: new Date().toISOString(),
    get phase() {
      return phase;
    },
    set phase(next) {
      phase = next;
      onPhase();
    },
  };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The agent wants a UUID: the caller's id when it is one. */
function messageIdFor(message: QueuedMessage): string {
  return UUID.test(message.messageId) ? message.messageId : uuid4();
}

/** What a failed activity says. */
interface ReadFailure {
  error: ExchangeError;
  failureClass: FailureClass | undefined;
  isCancelled: boolean;
  /** Nobody knows yet how the exchange ended: it may be running. */
  isUnsettled: boolean;
  /** The last heartbeat, where Temporal kept it. */
  progress: ExchangeProgress | undefined;
  sends: number;
}

function readFailure(error: unknown): ReadFailure {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (isCancellation(error)) {
    return {
      error: { errorName: FAILURE_TYPES.exchangeCancelled, message: 'The exchange was cancelled' },
      failureClass: undefined,
      isCancelled: true,
      isUnsettled: true,
      progress: undefined,
      sends: 0,
    };
  }
  if (cause instanceof TimeoutFailure) {
    const progress = cause.lastHeartbeatDetails as ExchangeProgress | undefined;
    return {
      error: {
        errorName: FAILURE_TYPES.exchangeTimedOut,
        message: `The exchange had no outcome within its time limit (${cause.timeoutType}); raise exchangeTimeoutMs, or look why it waited`,
      },
      failureClass: undefined,
      isCancelled: false,
      isUnsettled: true,
      progress,
      sends: progress?.sends ?? 0,
    };
  }
  if (cause instanceof ApplicationFailure) {
    const details = cause.details?.[0] as FailureDetails | undefined;
    return {
      error: {
        errorName: cause.type ?? 'Error',
        message: cause.message,
        ...(details?.status !== undefined && { status: details.status }),
        ...(details?.errorCode !== undefined && { errorCode: details.errorCode }),
        ...(details?.errorInstanceId !== undefined && { errorInstanceId: details.errorInstanceId }),
        ...(details?.parameters !== undefined && { parameters: details.parameters }),
      },
      failureClass: details?.class,
      isCancelled: false,
      // Retried until final: an ambiguous end may still be running at the agent.
      isUnsettled: details === undefined || details.class === 'ambiguous' || details.class === 'reconcile',
      progress: undefined,
      sends: details?.sends ?? 0,
    };
  }
  throw error;
}

function responseFor(
  cancellation: ExchangeCancellation | undefined,
  progress: ExchangeProgress | undefined,
): string | undefined {
  switch (cancellation?.kind) {
    case 'withResponse':
      return cancellation.response;
    case 'withTextSoFar':
      return progress === undefined || progress.textOffset > 0 ? undefined : progress.text;
    case 'withoutResponse':
    case undefined:
      return undefined;
  }
}
