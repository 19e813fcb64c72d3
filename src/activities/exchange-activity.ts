/**
 * The exchange activities: the exchange protocol inside one Temporal activity.
 *
 * 1. Every attempt knows what earlier ones knew (heartbeat details), or looks before it sends.
 * 2. It beats on a timer from its first moment to its last, also while it ends an exchange at the agent.
 * 3. Why it is told to stop decides what happens at the agent (docs/design.md, "Cancellation, by its reason").
 */
import { ApplicationFailure, Context, type Info } from '@temporalio/activity';
import type { ExchangeActivityResult, ExchangeInput, ExchangeProgress } from '../protocol/activities.js';
import type { ExchangeCancellation } from '../protocol/conversation.js';
import { DEFAULTS } from '../protocol/defaults.js';
import type { ExchangeMode } from '../protocol/exchange.js';
import { applicationFailure } from './application-failure.js';
import { cancellationAction, isRunOpen, type CancellationAction } from './cancellation-action.js';
import { exchangeCancellationOf, isCancelRequested } from './cancellation-request.js';
import { ExchangeFailure, newExchangeMemory, retryDecision, type ExchangeMemory } from './exchange-failure.js';
import type { ExchangeProtocol, ExchangeRequest } from './exchange-protocol.js';
import { startHeartbeat, type Heartbeat } from './heartbeat.js';
import { boundedProgress } from './progress-report.js';

/** Makes `streamingContinue` or `blockingContinue`: one exchange, resolved with its result as stored. */
export function createExchangeActivity(mode: ExchangeMode, { protocol }: { protocol: ExchangeProtocol }) {
  return (input: ExchangeInput): Promise<ExchangeActivityResult> =>
    new ExchangeAttempt({ ...input, mode }, input.messageId, protocol, Context.current()).run();
}

class ExchangeAttempt {
  readonly #memory: ExchangeMemory;
  readonly #mayHaveBeenSent: boolean;
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
    this.#mayHaveBeenSent = !isFirstAttempt(context.info) && earlier?.settledAttempt !== context.info.attempt - 1;
    this.#progress = { phase: 'sending', text: '', textOffset: 0, ...this.#memory };
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
      const { result, memory } = await this.protocol.run(this.request, this.#memory, this.#mayHaveBeenSent, {
        signal,
        onProgress: (progress) => (this.#progress = progress),
      });
      return { status: result.interruptedOutput ? 'interrupted' : 'answered', result, sends: memory.sends };
    } catch (error) {
      if (signal.aborted) return this.#stop(await this.#actionOnCancel());
      if (!(error instanceof ExchangeFailure)) throw error;
      const decision = retryDecision(error);
      this.#beatLast(error.memory);
      throw applicationFailure(error, decision);
    }
  }

  async #actionOnCancel(): Promise<CancellationAction> {
    const action = cancellationAction(this.context.cancellationDetails);
    if (action !== 'askWhetherOpen') return action;
    const { workflowExecution } = this.context.info;
    if (workflowExecution === undefined) return 'cancelAtAgent';
    const { workflowId, runId } = workflowExecution;
    return (await isRunOpen(this.context.client, workflowId, runId)) ? 'stopQuietly' : 'cancelAtAgent';
  }

  async #stop(action: CancellationAction): Promise<ExchangeActivityResult> {
    switch (action) {
      case 'cancelAtAgent':
        return this.#endAtAgent();
      case 'leaveRunning':
        this.#heartbeat?.beat();
        throw handedBack('The exchange goes on at the agent; the next attempt adopts it', 'ExchangeHandedBack');
      case 'cancelAndRestart':
        await this.protocol.cancel(this.request, this.#progress);
        throw handedBack('The exchange was ended at the agent, because its activity was reset', 'ExchangeReset');
      case 'stopQuietly':
      case 'askWhetherOpen':
        throw this.context.cancellationSignal.reason;
    }
  }

  async #endAtAgent(): Promise<ExchangeActivityResult> {
    const cancellation = await this.#cancellation();
    const ended = await this.protocol.cancel(this.request, this.#progress, responseOf(cancellation, this.#progress));
    return { ...ended, sends: this.#progress.sends };
  }

  async #cancellation(): Promise<ExchangeCancellation> {
    const { workflowExecution } = this.context.info;
    if (workflowExecution === undefined) return { kind: 'withoutResponse' };
    return exchangeCancellationOf(this.context.client, workflowExecution, this.messageId);
  }

  async #isCancelledAlready(): Promise<boolean> {
    const { attempt, activityId, workflowExecution } = this.context.info;
    if (attempt === 1 || workflowExecution === undefined) return false;
    if (!(await isCancelRequested(this.context.client, workflowExecution, activityId))) return false;
    if (this.#mayHaveBeenSent) this.#progress = { ...this.#progress, mayBeSent: true };
    return true;
  }

  /** The last word of this attempt: what the next one must know, and that nothing was sent since. */
  #beatLast(memory: ExchangeMemory): void {
    this.#progress = { ...this.#progress, ...memory, settledAttempt: this.context.info.attempt };
    this.#heartbeat?.beat();
  }
}

function memoryOf(progress: ExchangeProgress): ExchangeMemory {
  const { traceNumber, sends, mayBeSent, transientFailures, waits } = progress;
  return { traceNumber, sends, mayBeSent, transientFailures, waits };
}

/** The attempt number alone does not tell: a reset sets it back to 1 (facts.md). */
function isFirstAttempt(info: Info): boolean {
  return info.attempt === 1 && info.currentAttemptScheduledTimestampMs === info.scheduledTimestampMs;
}

function responseOf(cancellation: ExchangeCancellation, progress: ExchangeProgress): string | undefined {
  switch (cancellation.kind) {
    case 'withResponse':
      return cancellation.response;
    case 'withTextSoFar':
      return progress.text;
    case 'withoutResponse':
      return undefined;
  }
}

/** Retried at once: the shortest delay that Temporal takes. */
function handedBack(message: string, type: string): ApplicationFailure {
  return ApplicationFailure.create({ message, type, nextRetryDelay: 1 });
}
