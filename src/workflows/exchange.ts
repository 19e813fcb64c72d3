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
import type {
  ConversationInput,
  ExchangeCancellation,
  QueuedMessage,
  SentExchange,
  SessionState,
  UnsettledExchange,
} from '../protocol/conversation.js';
import { cancellationResponse } from '../protocol/cancellation-response.js';
import { exchangeActivityId } from '../protocol/conversation.js';
import { DEFAULTS, LIMITS } from '../protocol/defaults.js';
import type { ExchangeError, ExchangeMode, ExchangeOutcome, ParameterInputs } from '../protocol/exchange.js';
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
  /** Set before its activity is scheduled. */
  sent?: SentExchange;
  /** Set before its scope is cancelled: what the activity is to do at the agent. */
  cancellation?: ExchangeCancellation;
}

/** An outcome as far as the exchange itself knows it. */
type Ending = Pick<ExchangeOutcome, 'status' | 'result' | 'error' | 'mayStillRun'> & { sends: number };

/** How often a message is moved to a new session or shortened before it has failed. */
const MOST_REMEDIES = 3;

export class ExchangeRunner {
  #givenSessionIsGone = false;

  constructor(
    private readonly input: ConversationInput,
    private readonly state: ConversationState,
    /** Called when a session is in use, with the title that it was given when it was opened. */
    private readonly onSession: (session: SessionState, title: string | undefined) => void,
  ) {}

  /** Records that a message was taken out of the queue before it was its turn. */
  recordDropped(message: QueuedMessage): void {
    const { messageId, index, acceptedAt } = message;
    const finishedAt = new Date().toISOString();
    this.state.record(
      message,
      { messageId, index, status: 'cancelled', sends: 0, acceptedAt, finishedAt },
      {},
      Date.now(),
    );
  }

  /** Runs the message to its outcome and records it. Cancel the scope it runs in to cancel the exchange. */
  async run(running: RunningExchange): Promise<ExchangeOutcome> {
    const { message } = running;
    const inputs = this.#inputs(message);
    const ending = this.#withoutParameters(message) ?? (await this.#toItsEnd(running, inputs));
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

  /** Sent all the same, the agent would work with an older value, and nobody would know. */
  #withoutParameters(message: QueuedMessage): Ending | undefined {
    const uncarried = this.input.carryParameters === false ? [] : this.state.uncarriedBy(message);
    if (uncarried.length === 0) return undefined;
    const reason =
      `Cannot send exchange ${message.index}: the agent changed ${uncarried.join(', ')} to values too large to carry over ` +
      `(more than ${LIMITS.parameterBytes} bytes of JSON with the others); give them with the message, as parameterInputs, or begin a conversation with carryParameters false`;
    return { status: 'failed', error: { errorName: FAILURE_TYPES.parametersTooLarge, message: reason }, sends: 0 };
  }

  async #toItsEnd(running: RunningExchange, inputs: ParameterInputs): Promise<Ending> {
    let { text } = running.message;
    // Fresh ids for each send that follows a definite failure; the message's own id stays its own.
    let sends = 0;
    for (let remedies = 0; ; remedies++) {
      delete running.sent;
      try {
        if (this.#hasExpired()) text = this.#leaveSession(running.message);
        running.phase = 'openingSession';
        const session = await this.#ensureSession();
        running.phase = 'exchanging';
        running.sent = this.#sentExchange(running.message, session, text);
        const ended = await this.#exchange(running, running.sent, inputs);
        return { ...ended, sends: sends + ended.sends };
      } catch (error) {
        const failure = readFailure(error);
        sends += failure.sends;
        if (running.sent !== undefined && failure.isUnsettled) {
          const settled = await this.#settle(running, running.sent, failure);
          return { ...settled, sends };
        }
        // Also when its last send failed before its activity heard of the cancel.
        if (failure.isCancelled || CancellationScope.current().consideredCancelled)
          return { status: 'cancelled', sends };
        const remedied = remedies < MOST_REMEDIES ? this.#remedy(failure, running.message, text, remedies) : undefined;
        if (remedied === undefined) return { status: 'failed', error: failure.error, sends };
        text = remedied;
      }
    }
  }

  #sentExchange(message: QueuedMessage, session: SessionState, text: string): SentExchange {
    const { sessionRid, exchangeCount: exchangesBefore } = session;
    const ids = { messageId: messageIdFor(message), traceIdBase: uuid4() };
    return { sessionRid, ids, text, mode: this.#mode(message), exchangesBefore };
  }

  #exchange(
    { message, activityId }: RunningExchange,
    { mode, ...sent }: SentExchange,
    inputs: ParameterInputs,
  ): Promise<ExchangeActivityResult> {
    const { batchId, batchWeight = 1 } = this.input;
    const activities = exchangeActivities({
      activityId,
      summary: `exchange ${message.index}: ${summaryLine(message.text)}`,
      timeoutMs: this.#exchangeTimeoutMs,
    });
    const send = mode === 'blocking' ? activities.blockingContinue : activities.streamingContinue;
    return send({
      agentRid: this.input.agentRid,
      messageId: message.messageId,
      ...sent,
      ...(Object.keys(inputs).length > 0 && { parameterInputs: inputs }),
      ...(message.contextsOverride !== undefined && { contextsOverride: message.contextsOverride }),
      ...(this.state.session?.mayBeBusy === true && { sessionMayBeBusy: true }),
      callTimeoutMs: this.input.callTimeoutMs ?? DEFAULTS.callTimeoutMs,
      silenceTimeoutMs: DEFAULTS.silenceTimeoutMs,
      priority: batchId === undefined ? 'interactive' : 'batch',
      ...(batchId !== undefined && { flow: { key: batchId, weight: batchWeight } }),
    });
  }

  /**
   * Ends what an earlier run had at the agent when it was terminated: its outcome is recorded here. One that has not landed, and
   * cannot any more, leaves no record: its message may be sent anew.
   */
  async settleInherited({ message, sent }: UnsettledExchange): Promise<void> {
    const ending = await this.#endAtAgent(message, sent, { traceNumber: 0 }).catch((error: unknown) =>
      outcomeUnknown(message, sent, error),
    );
    if (ending.status === 'cancelled' && ending.mayStillRun !== true) return;
    this.state.dropQueued(message.messageId);
    const { messageId, index, acceptedAt } = message;
    const { sessionRid } = sent;
    const finishedAt = new Date().toISOString();
    this.state.record(
      message,
      { messageId, index, sends: 0, ...ending, sessionRid, acceptedAt, finishedAt },
      {},
      Date.now(),
    );
  }

  /** The activity could not tell how the exchange ended: end it at the agent, and ask. Runs although cancelled. */
  async #settle(running: RunningExchange, sent: SentExchange, failure: ReadFailure): Promise<Ending> {
    running.phase = 'cancelling';
    const { message, cancellation } = running;
    const response = cancellationResponse(cancellation, failure.progress);
    try {
      const { traceNumber } = failure;
      const ended = await this.#endAtAgent(message, sent, { traceNumber, ...(response !== undefined && { response }) });
      const isCancelled = failure.isCancelled || CancellationScope.current().consideredCancelled;
      if (ended.status !== 'cancelled' || isCancelled) return { ...ended, sends: 0 };
      return {
        status: 'failed',
        error: failure.error,
        sends: 0,
        ...(ended.mayStillRun === true && { mayStillRun: true }),
      };
    } catch (error) {
      return outcomeUnknown(message, sent, error);
    }
  }

  #endAtAgent(
    message: QueuedMessage,
    sent: SentExchange,
    how: { traceNumber: number; response?: string },
  ): Promise<CancelExchangeResult> {
    const { agentRid } = this.input;
    return CancellationScope.nonCancellable(() =>
      cleanUpActivities({ summary: `end exchange ${message.index} at the agent` }).cancelExchange({
        agentRid,
        ...sent,
        ...how,
      }),
    );
  }

  /** What the policies say of a failure: the text to send again (in a new session, or shortened); undefined: it has failed. */
  #remedy(
    { failureClass }: ReadFailure,
    message: QueuedMessage,
    sentText: string,
    remedies: number,
  ): string | undefined {
    const { session } = this.state;
    if (failureClass === 'expired') {
      if ((this.input.onExpired ?? 'newSession') === 'fail') return undefined;
      if (session !== undefined) return this.#leaveSession(message);
      if (!this.#opensGivenSession) return undefined;
      this.#givenSessionIsGone = true;
      return message.text;
    }
    if (failureClass !== 'overflow') return undefined;
    switch (this.input.onContextOverflow ?? 'newSession') {
      case 'fail':
        return undefined;
      case 'shorten':
        return shortened(message.text, remedies + 1);
      case 'newSession':
        if (session?.exchangeCount !== 0) return this.#leaveSession(message);
        // An empty session was too small for the transcript's tail, so without; for the bare text, no other would do.
        return sentText === message.text ? undefined : message.text;
    }
  }

  #hasExpired(): boolean {
    const expires = this.state.session?.estimatedExpiresTime;
    return (
      expires !== undefined && Date.parse(expires) <= Date.now() && (this.input.onExpired ?? 'newSession') !== 'fail'
    );
  }

  /** The next send opens a new session. Returns what to send there: the text, after what shall be carried over. */
  #leaveSession({ text }: QueuedMessage): string {
    this.state.session = undefined;
    const earlier = this.state.recentExchanges();
    const carriesOver = (this.input.carryOver ?? 'transcript') === 'transcript' && earlier.length > 0;
    return carriesOver ? withTranscript(earlier, text, DEFAULTS.carryOverCharacters) : text;
  }

  get #opensGivenSession(): boolean {
    return this.input.sessionRid !== undefined && this.state.totals.sessions === 0 && !this.#givenSessionIsGone;
  }

  async #ensureSession(): Promise<SessionState> {
    if (this.state.session !== undefined) return this.state.session;
    const { sessionRid } = this.input;
    const { title } = this.state;
    const session =
      sessionRid !== undefined && this.#opensGivenSession
        ? await this.#existingSession(sessionRid)
        : await this.#newSession();
    this.state.useSession(session);
    this.onSession(session, session.sessionRid === sessionRid ? undefined : title);
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
    const lifetimeMs = Date.parse(created.estimatedExpiresTime ?? '') - Date.now();
    return { ...created, ...(Number.isFinite(lifetimeMs) && { lifetimeMs }), exchangeCount: 0 };
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

function outcomeUnknown({ index }: QueuedMessage, { sessionRid }: SentExchange, error: unknown): Ending {
  const message =
    `Cannot tell how exchange ${index} ended in session ${sessionRid}: ending it at the agent failed too ` +
    `(${readFailure(error).error.errorName}); look at the session's content`;
  return { status: 'failed', error: { errorName: 'ExchangeOutcomeUnknown', message }, sends: 0, mayStillRun: true };
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
  failureClass?: FailureClass;
  isCancelled: boolean;
  /** Nobody knows yet how the exchange ended: it may be running. */
  isUnsettled: boolean;
  /** The last heartbeat, where Temporal kept it. */
  progress?: ExchangeProgress;
  traceNumber: number;
  sends: number;
}

const UNKNOWN_END = { isCancelled: false, isUnsettled: true, traceNumber: 0, sends: 0 };

/** @throws The error itself when it is no activity's: a fault of this code, which a mended worker goes on from. */
function readFailure(error: unknown): ReadFailure {
  if (isCancellation(error)) {
    const message = 'The exchange was cancelled';
    return { ...UNKNOWN_END, error: { errorName: FAILURE_TYPES.exchangeCancelled, message }, isCancelled: true };
  }
  if (!(error instanceof ActivityFailure)) throw error;
  const { cause, retryState } = error;
  if (cause instanceof ApplicationFailure) {
    // Handed back on a shutdown, a pause or a reset, and no time was left for the next attempt.
    if (cause.details?.[0] === undefined && retryState === 'TIMEOUT') return timedOut('no time left to retry');
    return readApplicationFailure(cause);
  }
  if (cause instanceof TimeoutFailure) return timedOut(String(cause.timeoutType), cause.lastHeartbeatDetails);
  return { ...UNKNOWN_END, error: { errorName: cause?.name ?? 'Error', message: cause?.message ?? error.message } };
}

function timedOut(timeoutType: string, lastHeartbeatDetails?: unknown): ReadFailure {
  const progress = lastHeartbeatDetails as ExchangeProgress | undefined;
  const message = `The exchange had no outcome within its time limit (${timeoutType}); raise exchangeTimeoutMs, or look why it waited`;
  const error = { errorName: FAILURE_TYPES.exchangeTimedOut, message };
  if (progress === undefined) return { ...UNKNOWN_END, error };
  return { ...UNKNOWN_END, error, progress, traceNumber: progress.traceNumber, sends: progress.sends };
}

function readApplicationFailure({ type, message, details }: ApplicationFailure): ReadFailure {
  const known = details?.[0] as FailureDetails | undefined;
  if (known === undefined) return { ...UNKNOWN_END, error: { errorName: type ?? 'Error', message } };
  const { class: failureClass, status, errorCode, errorInstanceId, parameters } = known;
  return {
    error: {
      errorName: type ?? 'Error',
      message,
      ...(status !== undefined && { status }),
      ...(errorCode !== undefined && { errorCode }),
      ...(errorInstanceId !== undefined && { errorInstanceId }),
      ...(parameters !== undefined && { parameters }),
    },
    failureClass,
    isCancelled: false,
    // A session that is gone holds nothing that could be looked for.
    isUnsettled: known.mayBeSent === true && failureClass !== 'expired',
    traceNumber: known.traceNumber ?? 0,
    sends: known.sends ?? 0,
  };
}
