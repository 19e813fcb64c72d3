/**
 * A conversation inside a workflow of one's own: the queue, the exchanges and their remedies are those of `conversationWorkflow`,
 * without a run of its own.
 */
import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  setHandler,
  uuid4,
} from '@temporalio/workflow';
import {
  type CancelExchangeInput,
  type ConversationMessage,
  type ConversationOptions,
  type ConversationSnapshot,
  type ConversationTotals,
  exchangeCancellationQuery,
  type RecordedExchange,
  type SessionState,
} from '../protocol/conversation.js';
import { optionsProblem } from '../protocol/conversation-options.js';
import type { ExchangeOutcome, ParameterInputs } from '../protocol/exchange.js';
import { FAILURE_TYPES } from '../protocol/failures.js';
import { ConversationState } from './conversation-state.js';
import { ExchangeRunner, runningExchange, type RunningExchange } from './exchange.js';

/** With whom, and how. Idleness and roll-overs are the workflow's own affair. */
export interface ConversationSettings extends Omit<ConversationOptions, 'idleTimeoutMs' | 'maxExchangesPerRun'> {
  agentRid: string;
  /** Go on in this session instead of opening one. */
  sessionRid?: string;
  /** Told apart by it in ids of activities, as `exchange-<name>-0`; unique in the workflow. Default: its number. */
  name?: string;
}

/** A message: a text alone, or with its choices; the id is made when there is none. */
export type Message = string | (Omit<ConversationMessage, 'messageId'> & { messageId?: string });

/** All of this workflow. Each workflow has modules, and so a set, of its own. */
const conversations = new Map<string, Conversation>();
let opened = 0;

/**
 * A conversation with an agent, in a workflow's own code.
 *
 * ```ts
 * const conversation = Conversation.open({ agentRid });
 * const summary = await conversation.answer('Summarise the incidents of today.');
 * ```
 *
 * Messages are answered one at a time, in the order of asking, by activities of the worker's `AipAgentsPlugin` (or of an
 * `aip-temporal worker` on the same task queue). Nothing is asked twice, whatever dies. Where the workflow, or the scope in which it
 * was asked, is cancelled, the exchange is ended at the agent.
 */
export class Conversation {
  readonly #state: ConversationState;
  readonly #exchanges: ExchangeRunner;
  #running: RunningExchange | undefined;
  #scope: CancellationScope | undefined;
  #isPumping = false;

  private constructor(
    readonly name: string,
    private readonly settings: ConversationSettings,
    snapshot: ConversationSnapshot | undefined,
  ) {
    this.#state = ConversationState.of({ ...settings, ...(snapshot !== undefined && { snapshot }) }, Date.now());
    this.#exchanges = new ExchangeRunner(settings, this.#state, () => undefined);
  }

  /**
   * Opens a conversation; its session is opened when it is first asked something.
   *
   * @param snapshot Of an earlier run (`snapshot`), after continue-as-new: it goes on in its session.
   * @throws ApplicationFailure `InvalidInput` when the settings are too large, or the name is taken.
   */
  static open(settings: ConversationSettings, snapshot?: ConversationSnapshot): Conversation {
    const name = settings.name ?? freeName();
    const problem = conversations.has(name)
      ? `Cannot open conversation ${name}: this workflow has one of that name; close it first, or give another name`
      : optionsProblem(settings);
    if (problem !== undefined) throw ApplicationFailure.nonRetryable(problem, FAILURE_TYPES.invalidInput);
    if (conversations.size === 0) answerActivities();
    const conversation = new Conversation(name, settings, snapshot);
    conversations.set(name, conversation);
    return conversation;
  }

  /**
   * Asks, and waits for the outcome: also of an exchange that failed or was cancelled by `cancel`.
   *
   * @throws ApplicationFailure when the message is refused (closed, too large, busy with `whenBusy: 'reject'`).
   * @throws CancelledFailure when the scope is cancelled, once the exchange has ended at the agent.
   */
  async ask(message: Message): Promise<ExchangeOutcome> {
    const given = typeof message === 'string' ? { text: message } : message;
    const { messageId = uuid4() } = given;
    this.#accept({ ...given, messageId });
    const scope = CancellationScope.current();
    // Also of what waits for its turn.
    scope.cancelRequested.catch(() => this.cancel({ messageId }));
    if (scope.consideredCancelled) this.cancel({ messageId });
    const outcome = await CancellationScope.nonCancellable(async () => {
      void this.#pump();
      await condition(() => this.#state.outcomeOf(messageId) !== undefined);
      return this.#state.outcomeOf(messageId);
    });
    if (outcome === undefined) throw new Error(`The outcome of message ${messageId} is gone`);
    if (outcome.result === undefined && scope.consideredCancelled) {
      throw new CancelledFailure('The exchange was cancelled');
    }
    return outcome;
  }

  /**
   * Asks, and waits for the text of the answer (markdown).
   *
   * @throws ApplicationFailure When it is not answered; its type is the API's error name, or `ExchangeCancelled`.
   */
  async answer(message: Message): Promise<string> {
    return answerOf(await this.ask(message));
  }

  /**
   * Cancels the exchange in flight, or the message of that id, at the agent. With a `response` it stays in the session with that
   * text; without one it never was.
   */
  cancel({ messageId, response }: CancelExchangeInput = {}): void {
    if (messageId === undefined || messageId === this.#running?.message.messageId) {
      this.#cancelRunning(response === undefined ? { kind: 'withoutResponse' } : { kind: 'withResponse', response });
      return;
    }
    const dropped = this.#state.dropQueued(messageId);
    if (dropped !== undefined) this.#exchanges.recordDropped(dropped);
  }

  /** Takes no more messages, and waits until those accepted have ended, also where the scope is cancelled. */
  async close(): Promise<void> {
    this.#state.close();
    if (this.#state.isBusy) await CancellationScope.nonCancellable(() => condition(() => !this.#state.isBusy));
    if (conversations.get(this.name) === this) conversations.delete(this.name);
  }

  /** The session in use; absent until something was asked. */
  get session(): Readonly<SessionState> | undefined {
    return this.#state.session;
  }

  get totals(): Readonly<ConversationTotals> {
    return this.#state.totals;
  }

  /** Values of application variables that carry over into the next exchange. */
  get parameters(): ParameterInputs {
    return this.#state.parameters;
  }

  /** What was asked and answered, oldest first; the oldest lose their texts where it becomes too much (352 KiB). */
  get transcript(): RecordedExchange[] {
    return this.#state.transcript({ pageSize: Infinity }).exchanges;
  }

  get isBusy(): boolean {
    return this.#state.isBusy;
  }

  /**
   * Everything that a later run needs to go on, as JSON: for `continueAsNew`. Only while nothing is asked.
   *
   * @throws ApplicationFailure `ConversationBusy`
   */
  snapshot(): ConversationSnapshot {
    if (this.#state.isBusy) {
      const message = `Cannot take a snapshot of conversation ${this.name}: it is busy; wait for its answers first`;
      throw ApplicationFailure.nonRetryable(message, FAILURE_TYPES.conversationBusy);
    }
    return this.#state.snapshot();
  }

  /** What the cancellation of its running exchange asks for; for its activity. */
  cancellationOf(messageId: string): RunningExchange['cancellation'] {
    return this.#running?.message.messageId === messageId ? this.#running.cancellation : undefined;
  }

  #accept(message: ConversationMessage): void {
    const acceptance = this.#state.accept(message, Date.now());
    if ('refused' in acceptance) {
      throw ApplicationFailure.nonRetryable(acceptance.refused.message, acceptance.refused.type);
    }
    if (!('accepted' in acceptance)) return;
    if (message.whenBusy === 'interrupt') this.#cancelRunning({ kind: 'withTextSoFar' });
    if (message.whenBusy === 'rollback') this.#cancelRunning({ kind: 'withoutResponse' });
  }

  /** Works the queue off; the one place where exchanges begin. */
  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      for (let message = this.#state.begin(); message !== undefined; message = this.#state.begin()) {
        const activityId = `exchange-${this.name}-${message.index}`;
        const running: RunningExchange = { ...runningExchange(message, () => undefined), activityId };
        this.#running = running;
        this.#scope = new CancellationScope({ cancellable: true });
        await this.#scope.run(() => this.#exchanges.run(running));
        this.#running = undefined;
        this.#scope = undefined;
      }
    } finally {
      this.#isPumping = false;
    }
  }

  #cancelRunning(cancellation: NonNullable<RunningExchange['cancellation']>): void {
    const running = this.#running;
    // The first cancel counts: the activity may have acted on it already.
    if (running === undefined || running.cancellation !== undefined) return;
    running.cancellation = cancellation;
    this.#scope?.cancel();
  }
}

function freeName(): string {
  do opened++;
  while (conversations.has(`${opened}`));
  return `${opened}`;
}

/**
 * The text of an answer.
 *
 * @throws ApplicationFailure When there is none; its type is the API's error name, or `ExchangeCancelled`.
 */
export function answerOf({ status, result, error, index }: ExchangeOutcome): string {
  if (result !== undefined) return result.agentMarkdownResponse;
  if (error !== undefined) throw ApplicationFailure.nonRetryable(error.message, error.errorName, error);
  throw ApplicationFailure.nonRetryable(`Exchange ${index} was ${status}`, FAILURE_TYPES.exchangeCancelled);
}

/** Activities ask what a cancel asks for: a cancellation request carries no data. */
function answerActivities(): void {
  setHandler(
    exchangeCancellationQuery,
    ({ messageId }) => {
      for (const conversation of conversations.values()) {
        const cancellation = conversation.cancellationOf(messageId);
        if (cancellation !== undefined) return cancellation;
      }
      return null;
    },
    { description: 'For activities: what the cancellation of an exchange asks for. {"messageId": "q1"}' },
  );
}
