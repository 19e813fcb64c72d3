/**
 * The conversation: one session at a time, one exchange at a time, as a workflow.
 *
 * 1. Only the main loop begins exchanges, so that there is one at a time (design, invariant 1).
 * 2. Handlers never await between reading the state and changing it; after an await they read it again.
 * 3. A run hands over to the next only between exchanges and when no handler waits: waiting callers are told to ask again.
 * 4. What is cancelled is settled in non-cancellable scopes, before the run closes.
 */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  askUpdate,
  cancelExchangeSignal,
  closeSignal,
  exchangeCancellationQuery,
  legacyQuery,
  outcomeQuery,
  setTitleSignal,
  statusQuery,
  submitSignal,
  transcriptQuery,
  type CancelExchangeInput,
  type ConversationInput,
  type ConversationMessage,
  type ConversationResult,
  type ConversationSnapshot,
  type QueuedMessage,
} from '../protocol/conversation.js';
import { optionsProblem } from '../protocol/conversation-options.js';
import { DEFAULTS, LIMITS } from '../protocol/defaults.js';
import type { ExchangeOutcome } from '../protocol/exchange.js';
import { FAILURE_TYPES } from '../protocol/failures.js';
import { jsonBytes } from '../protocol/json-size.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { sessionActivities } from './activity-proxies.js';
import { detailsOf, statusOf } from './conversation-status.js';
import { ConversationState } from './conversation-state.js';
import { ExchangeRunner, runningExchange, type RunningExchange } from './exchange.js';

/** How long a cancelled conversation waits for its callers to be told. */
const TELL_CALLERS_MS = 10_000;

const ENDED = {
  type: FAILURE_TYPES.conversationClosed,
  message: 'Cannot accept the message: the conversation has ended; start a new one',
};

/**
 * A conversation with an agent. Messages come in by `ask` (update) and `submit` (signal); see `protocol/conversation.ts`
 * for all messages and their shapes.
 *
 * It ends by `close`, by idleness, by cancellation, or, with `turns`, after the last of them.
 */
export async function conversationWorkflow(input: ConversationInput): Promise<ConversationResult> {
  return new ConversationRun(input).run();
}

class ConversationRun {
  readonly #state: ConversationState;
  readonly #exchanges: ExchangeRunner;
  #running: RunningExchange | undefined;
  #scope: CancellationScope | undefined;
  #rolling = false;
  #ended = false;
  #idleEnded = false;
  #titleToSet: string | undefined;
  #needsAttention: boolean;
  #exchangesThisRun = 0;
  /** Those who wait for an outcome. They get it whole, also when its text has to leave the record before they hear of it. */
  readonly #callers = new Set<{ messageId: string; outcome?: ExchangeOutcome }>();

  constructor(private readonly input: ConversationInput) {
    this.#state = ConversationState.of(input, Date.now());
    this.#exchanges = new ExchangeRunner(input, this.#state, ({ sessionRid }, title) => {
      upsertSearchAttributes([{ key: searchAttributeKeys.session, value: sessionRid }]);
      if (title === this.#state.title) this.#titleToSet = undefined;
    });
    this.#needsAttention = workflowInfo().typedSearchAttributes.get(searchAttributeKeys.needsAttention) === true;
    if (input.snapshot === undefined) this.#acceptInput();
    this.#handleMessages();
    this.#nameMyself();
  }

  async run(): Promise<ConversationResult> {
    try {
      await this.#settleInherited();
      await this.#workOff();
      return await (this.#rolling ? this.#rollOver() : this.#end());
    } catch (error) {
      if (!isCancellation(error)) throw error;
      await CancellationScope.nonCancellable(() => this.#endCancelled());
      if (this.#isBatchRow) return this.#result('cancelled');
      throw error;
    }
  }

  /** First of all: what a run that was terminated had at the agent. */
  async #settleInherited(): Promise<void> {
    const unsettled = this.input.snapshot?.unsettled;
    if (unsettled === undefined) return;
    const { message, sent } = unsettled;
    this.#running = { ...runningExchange(message, () => undefined), phase: 'cancelling', sent };
    this.#describe();
    await this.#exchanges.settleInherited(unsettled);
    this.#running = undefined;
    this.#describe();
  }

  get #isBatchRow(): boolean {
    return this.input.batchId !== undefined && this.input.turns !== undefined;
  }

  /** The main loop: works the queue off until the conversation ends or rolls over to a new run. */
  async #workOff(): Promise<void> {
    const idleScope = new CancellationScope({ cancellable: true });
    // Ends by its own cancellation below, or with the run's: neither is a failure.
    const idleWatch = idleScope.run(() => this.#watchIdleness()).catch(() => undefined);
    try {
      for (;;) {
        // Before a roll-over too: which title has yet to be set is not carried along.
        const isTitleDue = this.#isTitleDue() && (!this.#state.isBusy || this.#shouldRoll());
        if (isTitleDue) await this.#setTitle();
        if (this.#shouldRoll()) {
          this.#rolling = true;
          return;
        }
        const message = this.#state.begin();
        if (message !== undefined) await this.#exchange(message);
        else if (this.#isOver()) return;
        else if (!isTitleDue) await condition(() => this.#isWanted());
        if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('Conversation cancelled');
      }
    } finally {
      idleScope.cancel();
      await CancellationScope.nonCancellable(() => idleWatch);
    }
  }

  /** Whether an idle conversation has something to do. Repeated messages use updates up too, so it may have to roll over. */
  #isWanted(): boolean {
    return this.#state.isBusy || this.#isOver() || this.#isTitleDue() || this.#shouldRoll();
  }

  #isOver(): boolean {
    return this.#state.isClosing || this.#idleEnded || this.input.turns !== undefined;
  }

  async #exchange(message: QueuedMessage): Promise<void> {
    const running = runningExchange(message, () => this.#describe());
    this.#running = running;
    this.#scope = new CancellationScope({ cancellable: true });
    this.#describe();
    try {
      const outcome = await this.#scope.run(() => this.#exchanges.run(running));
      for (const caller of this.#callers) if (caller.messageId === outcome.messageId) caller.outcome = outcome;
      this.#exchangesThisRun++;
      this.#noteAttention(outcome);
      // The turns build on each other.
      if (this.#isBatchRow && outcome.result === undefined) this.#dropQueued();
    } finally {
      this.#running = undefined;
      this.#scope = undefined;
      this.#describe();
    }
  }

  /** One timer, compared with a deadline that moves: a timer armed anew for each exchange costs two events each. */
  async #watchIdleness(): Promise<void> {
    const idleTimeoutMs = this.input.idleTimeoutMs ?? DEFAULTS.idleTimeoutMs;
    for (;;) {
      const remainingMs = this.#state.lastActiveMs + idleTimeoutMs - Date.now();
      if (remainingMs > 0) await sleep(remainingMs, { summary: 'idle timeout' });
      else if (this.#state.isBusy) await condition(() => !this.#state.isBusy);
      else break;
    }
    this.#idleEnded = true;
  }

  #shouldRoll(): boolean {
    if (!this.#state.isBusy && this.#isOver()) return false;
    const { maxExchangesPerRun } = this.input;
    if (maxExchangesPerRun !== undefined && this.#exchangesThisRun >= maxExchangesPerRun) return true;
    return workflowInfo().continueAsNewSuggested;
  }

  async #rollOver(): Promise<never> {
    await condition(allHandlersFinished);
    const { turns: _done, ...rest } = this.input;
    return continueAsNew<typeof conversationWorkflow>({
      ...rest,
      ...(this.input.turns !== undefined && { turns: [] }),
      snapshot: this.#state.snapshot(),
    });
  }

  async #end(): Promise<ConversationResult> {
    this.#ended = true;
    this.#describe();
    upsertSearchAttributes([{ key: searchAttributeKeys.state, value: 'closed' }]);
    await condition(allHandlersFinished);
    return this.#result(this.#state.isClosing ? 'closed' : this.input.turns !== undefined ? 'turnsDone' : 'idle');
  }

  #result(endedBy: ConversationResult['endedBy']): ConversationResult {
    const { session, totals } = this.#state;
    return {
      endedBy,
      totals,
      ...(session !== undefined && { sessionRid: session.sessionRid }),
      // A payload, too, and bounded like the one for a next run.
      ...(this.input.turns !== undefined && { outcomes: this.#state.legacy().outcomes.map(({ outcome }) => outcome) }),
    };
  }

  /** Gives what was still queued its outcome, and lets its senders hear it, before the run closes as Canceled. */
  async #endCancelled(): Promise<void> {
    this.#state.close();
    this.#dropQueued();
    this.#ended = true;
    upsertSearchAttributes([{ key: searchAttributeKeys.state, value: 'cancelled' }]);
    this.#describe();
    await condition(allHandlersFinished, TELL_CALLERS_MS);
  }

  #dropQueued(): void {
    for (const message of this.#state.dropAllQueued()) this.#exchanges.recordDropped(message);
  }

  #acceptInput(): void {
    const problem = optionsProblem(this.input);
    if (problem !== undefined) throw ApplicationFailure.nonRetryable(problem, FAILURE_TYPES.invalidInput);
    for (const turn of this.input.turns ?? []) {
      const acceptance = this.#state.accept(turn, Date.now());
      if ('refused' in acceptance) {
        throw ApplicationFailure.nonRetryable(acceptance.refused.message, acceptance.refused.type);
      }
    }
  }

  #handleMessages(): void {
    setHandler(submitSignal, (message) => this.#submit(message), {
      description: 'Sends a message without waiting. {"messageId": "q1", "text": "What is …?"}',
    });
    setHandler(cancelExchangeSignal, (cancel) => this.#cancelExchange(cancel ?? {}), {
      description:
        'Cancels the exchange in flight, or a queued message. {} or {"messageId": "q1"}; with "response": "…" the exchange is kept with that text.',
    });
    setHandler(
      closeSignal,
      () => {
        this.#state.close();
        this.#describe();
      },
      { description: 'Takes no more messages, finishes the queue, then completes. No argument.' },
    );
    setHandler(
      setTitleSignal,
      (input) => {
        // By hand in the UI, anything can come.
        const title: unknown = (input as { title?: unknown } | null | undefined)?.title;
        if (typeof title !== 'string' || title === '' || jsonBytes(title) > LIMITS.nameBytes) {
          return log.warn(`A title was refused: {"title": "…"} is needed, of at most ${LIMITS.nameBytes} bytes`);
        }
        this.#state.title = title;
        this.#titleToSet = title;
      },
      { description: 'Sets the title of the session in AIP. {"title": "…"}' },
    );
    setHandler(askUpdate, (message) => this.#ask(message), {
      validator: (message: ConversationMessage) => this.#refuseAtTheDoor(message),
      description: 'Sends a message and waits for its outcome. {"messageId": "q1", "text": "What is …?"}',
    });
    setHandler(statusQuery, () => this.#status(), { description: 'Where the conversation stands. No argument.' });
    setHandler(transcriptQuery, (page) => this.#state.transcript(page), {
      description: 'The recorded exchanges, a page at a time. {} or {"from": 0, "pageSize": 50}',
    });
    setHandler(outcomeQuery, (input) => this.#state.stateOf(messageIdOf(input)), {
      description: 'What became of a message. {"messageId": "q1"}',
    });
    setHandler(legacyQuery, () => this.#legacy(), {
      description: 'For clients: what the conversation leaves to the one that follows it under its id. No argument.',
    });
    setHandler(
      exchangeCancellationQuery,
      (input) =>
        this.#running?.message.messageId === messageIdOf(input) ? (this.#running.cancellation ?? null) : null,
      { description: 'For activities: what the cancellation of an exchange asks for. {"messageId": "q1"}' },
    );
  }

  #legacy(): ConversationSnapshot {
    const { message, sent } = this.#running ?? {};
    return {
      ...this.#state.legacy(),
      ...(message !== undefined && sent !== undefined && { unsettled: { message, sent } }),
    };
  }

  #refuseAtTheDoor(message: ConversationMessage): void {
    if (this.#rolling) throw rolledOver();
    const refusal = this.#ended ? ENDED : this.#state.refusal(message);
    if (refusal !== undefined) throw ApplicationFailure.nonRetryable(refusal.message, refusal.type);
  }

  async #ask(message: ConversationMessage): Promise<ExchangeOutcome> {
    this.#accept(message);
    const { messageId } = message;
    const caller: { messageId: string; outcome?: ExchangeOutcome } = { messageId };
    this.#callers.add(caller);
    // Not cancelled with the run: the outcome is recorded first, and the caller hears it.
    await CancellationScope.nonCancellable(() =>
      condition(() => this.#rolling || this.#state.outcomeOf(messageId) !== undefined),
    );
    this.#callers.delete(caller);
    const outcome = caller.outcome ?? this.#state.outcomeOf(messageId);
    if (outcome !== undefined) return outcome;
    throw rolledOver();
  }

  #submit(message: ConversationMessage): void {
    const refusal = this.#ended ? ENDED : this.#state.refusal(message);
    if (refusal === undefined) {
      this.#accept(message);
      return;
    }
    log.warn('A submitted message was refused', { type: refusal.type });
    const messageId: unknown = (message as ConversationMessage | null)?.messageId;
    if (typeof messageId === 'string' && messageId !== '') this.#state.reject(messageId);
  }

  #accept(message: ConversationMessage): void {
    const acceptance = this.#state.accept(message, Date.now());
    if ('refused' in acceptance) {
      throw ApplicationFailure.nonRetryable(acceptance.refused.message, acceptance.refused.type);
    }
    if (!('accepted' in acceptance)) return;
    if (message.whenBusy === 'interrupt') this.#cancelRunning({ kind: 'withTextSoFar' });
    if (message.whenBusy === 'rollback') this.#cancelRunning({ kind: 'withoutResponse' });
    this.#describe();
  }

  #cancelExchange({ messageId, response }: CancelExchangeInput): void {
    if (messageId === undefined || messageId === this.#running?.message.messageId) {
      // By hand in the UI, anything can come.
      const isText = typeof (response as unknown) === 'string';
      this.#cancelRunning(
        isText && response !== undefined ? { kind: 'withResponse', response } : { kind: 'withoutResponse' },
      );
      return;
    }
    const dropped = this.#state.dropQueued(messageId);
    if (dropped !== undefined) this.#exchanges.recordDropped(dropped);
  }

  #cancelRunning(cancellation: NonNullable<RunningExchange['cancellation']>): void {
    const running = this.#running;
    // The first cancel counts: the activity may have acted on it already.
    if (running === undefined || running.cancellation !== undefined) return;
    running.cancellation = cancellation;
    running.phase = 'cancelling';
    this.#scope?.cancel();
  }

  #isTitleDue(): boolean {
    return this.#titleToSet !== undefined && this.#state.session !== undefined;
  }

  async #setTitle(): Promise<void> {
    const title = this.#titleToSet;
    const { session } = this.#state;
    if (title === undefined || session === undefined) return;
    this.#titleToSet = undefined;
    try {
      await sessionActivities({ summary: 'set the title', timeoutMs: 60_000 }).updateTitle({
        agentRid: this.input.agentRid,
        sessionRid: session.sessionRid,
        title,
      });
    } catch (error) {
      if (isCancellation(error)) throw error;
      log.warn('The title of the session could not be set', { error: error instanceof Error ? error.message : '' });
    }
  }

  #noteAttention(outcome: ExchangeOutcome): void {
    const needsAttention = outcome.status === 'failed';
    if (needsAttention === this.#needsAttention) return;
    this.#needsAttention = needsAttention;
    upsertSearchAttributes([{ key: searchAttributeKeys.needsAttention, value: needsAttention }]);
  }

  /** Search attributes that the starter left out, for runs started by hand in the UI. */
  #nameMyself(): void {
    if (workflowInfo().typedSearchAttributes.get(searchAttributeKeys.agent) === undefined) {
      upsertSearchAttributes([
        { key: searchAttributeKeys.agent, value: this.input.agentRid },
        { key: searchAttributeKeys.state, value: 'open' },
      ]);
    }
    this.#describe();
  }

  #status() {
    return statusOf(this.input, this.#state, this.#running, { rolling: this.#rolling, ended: this.#ended });
  }

  #describe(): void {
    setCurrentDetails(detailsOf(this.#status()));
  }
}

function rolledOver(): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    'The conversation goes on in a new run: ask again with the same messageId',
    FAILURE_TYPES.conversationRolledOver,
  );
}

/** By hand in the UI, anything can come. */
function messageIdOf(input: unknown): string {
  const messageId: unknown = (input as { messageId?: unknown } | null | undefined)?.messageId;
  if (typeof messageId === 'string') return messageId;
  throw new Error('Cannot look for a message without its id: give {"messageId": "q1"}');
}
