/**
 * The exchange activities: the exchange protocol inside one Temporal activity.
 *
 * 1. Every attempt knows what earlier ones knew (heartbeat details), or looks before it sends.
 * 2. It beats on a timer from its first moment to its last, also while it ends an exchange at the agent.
 * 3. Why it is told to stop decides what happens at the agent (docs/design.md, "Cancellation, by its reason").
 */
import { Context } from '@temporalio/activity';
import type { ExchangeActivityResult, ExchangeInput, ExchangeProgress } from '../protocol/activities.js';
import { cancellationResponse } from '../protocol/cancellation-response.js';
import type { ExchangeCancellation } from '../protocol/conversation.js';
import { DEFAULTS } from '../protocol/defaults.js';
import type { ExchangeMode } from '../protocol/exchange.js';
import { applicationFailure } from './application-failure.js';
import { exchangeCancellationOf, isCancelRequested } from './cancellation-request.js';
import {
  ExchangeFailure,
  exchangeErrorOf,
  failureClassOf,
  memoryAfterAnAttempt,
  memoryOf,
  newExchangeMemory,
  retryDecision,
  type ExchangeMemory,
} from './exchange-failure.js';
import type { ExchangeProtocol, ExchangeRequest } from './exchange-protocol.js';
import { startHeartbeat, type Heartbeat } from './heartbeat.js';
import { boundedProgress } from './progress-report.js';
import { handedBack, isFirstAttempt, stopAction, type StopAction } from './stop-action.js';

/** An attempt that started this long after it was scheduled had nobody to tell it of a cancel (milliseconds). */
const LATE_START_MS = 2_000;

/** Makes `streamingContinue` or `blockingContinue`: one exchange, resolved with its result as stored. */
export function createExchangeActivity(mode: ExchangeMode, { protocol }: { protocol: ExchangeProtocol }) {
  return (input: ExchangeInput): Promise<ExchangeActivityResult> =>
    new ExchangeAttempt({ ...input, mode }, input.messageId, protocol, Context.current()).run();
}

class ExchangeAttempt {
  readonly #memory: ExchangeMemory;
  #progress: ExchangeProgress;
  #heartbeat: Heartbeat | undefined;

  constructor(
    private readonly request: ExchangeRequest,
    private readonly messageId: string,
    private readonly protocol: ExchangeProtocol,
    private readonly context: Context,
  ) {
    const earlier = context.info.heartbeatDetails as ExchangeProgress | undefined;
    this.#memory = { ...newExchangeMemory(), ...(earlier !== undefined && memoryOf(earlier)) };
    const isSettled = isFirstAttempt(context.info) || earlier?.settledAttempt === context.info.attempt - 1;
    if (!isSettled) Object.assign(this.#memory, memoryAfterAnAttempt(Date.now()));
    const { text = '', textOffset = 0 } = earlier ?? {};
    this.#progress = { phase: 'sending', text, textOffset, ...this.#memory };
  }

  async run(): Promise<ExchangeActivityResult> {
    this.#heartbeat = startHeartbeat(this.context, DEFAULTS.heartbeatThrottleMs.interactive, () =>
      boundedProgress(this.#progress),
    );
    try {
      // An attempt can start when its cancel is already decided, and would hear of it only with a later heartbeat.
      if (await this.#isCancelledAlready()) return await this.#endAtAgent();
      return await this.#exchange();
    } finally {
      this.#heartbeat.stop();
    }
  }

  async #exchange(): Promise<ExchangeActivityResult> {
    const { cancellationSignal: signal } = this.context;
    try {
      const { result, memory } = await this.protocol.run(this.request, this.#memory, {
        signal,
        textSoFar: { text: this.#progress.text, textOffset: this.#progress.textOffset },
        onProgress: (progress) => (this.#progress = progress),
      });
      // Found without a send that is known of: an attempt that died sent it.
      const sends = Math.max(1, memory.sends);
      return { status: result.interruptedOutput ? 'interrupted' : 'answered', result, sends };
    } catch (error) {
      if (error instanceof ExchangeFailure) this.#progress = { ...this.#progress, ...error.memory };
      if (signal.aborted) return await this.#stop(await stopAction(this.context));
      if (!(error instanceof ExchangeFailure)) throw error;
      const decision = retryDecision(error);
      this.#beatLast(error.memory);
      throw applicationFailure(error, decision);
    }
  }

  async #stop(action: StopAction): Promise<ExchangeActivityResult> {
    switch (action) {
      case 'cancelAtAgent':
      case 'cancelUnheard':
        return this.#endAtAgent();
      case 'leaveRunning':
        this.#heartbeat?.beat();
        throw handedBack('The exchange goes on at the agent; the next attempt adopts it', 'ExchangeHandedBack', 1);
      case 'cancelAndRestart':
        await this.protocol.cancel(this.request, this.#progress);
        throw handedBack('The exchange was ended at the agent, because its activity was reset', 'ExchangeReset', 1);
      case 'stopQuietly':
        throw this.context.cancellationSignal.reason;
    }
  }

  async #endAtAgent(): Promise<ExchangeActivityResult> {
    const response = cancellationResponse(await this.#cancellation(), this.#progress);
    this.#progress = { ...this.#progress, phase: 'cancelling' };
    try {
      const ended = await this.protocol.cancel(this.request, this.#progress, response);
      return { ...ended, sends: this.#progress.sends };
    } catch (error) {
      // The workflow's own clean-up takes over (design, "Cancellation, by its reason").
      const failure = new ExchangeFailure(failureClassOf(error), exchangeErrorOf(error), memoryOf(this.#progress));
      throw applicationFailure(failure, 'final');
    }
  }

  async #cancellation(): Promise<ExchangeCancellation> {
    const { workflowExecution } = this.context.info;
    if (workflowExecution === undefined) return { kind: 'withoutResponse' };
    return exchangeCancellationOf(this.context.client, workflowExecution, this.messageId);
  }

  async #isCancelledAlready(): Promise<boolean> {
    const { info, client } = this.context;
    const { activityId, workflowExecution: run } = info;
    const isLate = Date.now() - info.currentAttemptScheduledTimestampMs > LATE_START_MS;
    if (run === undefined || (isFirstAttempt(info) && !isLate)) return false;
    return isCancelRequested(client, { run, activityId, messageId: this.messageId }, isLate);
  }

  /** The last word of this attempt: what the next one must know, and that nothing was sent since. */
  #beatLast(memory: ExchangeMemory): void {
    this.#progress = { ...this.#progress, ...memory, settledAttempt: this.context.info.attempt };
    this.#heartbeat?.beat();
  }
}
