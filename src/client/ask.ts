import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises';
import type { WorkflowUpdateHandle } from '@temporalio/client';
import { WithStartWorkflowOperation, WorkflowNotFoundError, WorkflowUpdateStage } from '@temporalio/client';
import type { ConversationMessage } from '../protocol/conversation.js';
import { askUpdate } from '../protocol/conversation.js';
import type { ExchangeOutcome } from '../protocol/exchange.js';
import { FAILURE_TYPES } from '../protocol/failures.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import { orAborted } from './abort.js';
import type { ClientContext } from './connection.js';
import { runStatus } from './describe-conversation.js';
import type { EndStatus } from './errors.js';
import { ConversationEndedError, ConversationNotFoundError, UnansweredError } from './errors.js';
import type { ConversationTarget } from './start-conversation.js';
import { beforeReopening, beginOnce, startOptions } from './start-conversation.js';
import { withUpdateSlot } from './update-slots.js';
import { applicationFailureOf, GRPC, grpcStatus, translateError } from './translate-error.js';

/** The choices of `ask` that are not the message's. */
export interface AskOptions {
  /** Stops the waiting, not the exchange: for that there is `cancelExchange`. */
  signal?: AbortSignal;
  /** Called once, when the conversation has accepted the message. */
  onAccepted?: () => void;
  /** How long an unreachable Temporal is tried again, in milliseconds. Default 2 minutes. */
  unreachableTimeoutMs?: number;
}

const BACKOFF = { baseMs: 250, factor: 1.7, capMs: 5_000 } as const;
/** Too many updates in flight; nobody accepted it in time; a workflow task failed (its worker died) or has yet to be done. */
const PASSING: readonly number[] = [GRPC.resourceExhausted, GRPC.deadlineExceeded, GRPC.failedPrecondition];
const DEFAULT_UNREACHABLE_TIMEOUT_MS = 2 * 60 * 1000;

/**
 * Asks, and waits for the outcome however long that takes.
 *
 * What interrupts the waiting without deciding anything is overcome by asking again with the same message id, which gives
 * the first outcome and never a second exchange: the conversation rolled over to a new run, too many updates were in flight
 * (ten per run, by all clients), Temporal was away for a while.
 */
export async function ask(
  context: ClientContext,
  target: ConversationTarget,
  message: ConversationMessage,
  options: AskOptions = {},
): Promise<ExchangeOutcome> {
  const { signal } = options;
  const asking = async () => {
    // A signal of our own: the SDK adds a listener for each of its calls, and an answer may take hundreds of polls.
    const calls = new AbortController();
    setMaxListeners(0, calls.signal);
    const run = () => askUntilDecided(context, target, message, options);
    try {
      return await orAborted(context.client.connection.withAbortSignal(calls.signal, run), signal);
    } finally {
      calls.abort();
    }
  };
  // What shall happen to the running exchange cannot wait for it.
  if (message.whenBusy !== undefined && message.whenBusy !== 'enqueue') return asking();
  return withUpdateSlot(context, target.conversationId, signal, asking);
}

async function askUntilDecided(
  context: ClientContext,
  target: ConversationTarget,
  message: ConversationMessage,
  options: AskOptions,
): Promise<ExchangeOutcome> {
  const unreachableTimeoutMs = options.unreachableTimeoutMs ?? DEFAULT_UNREACHABLE_TIMEOUT_MS;
  let unreachableSince: number | undefined;
  let accepted = false;
  // Its acceptance may have been lost on the way.
  let mayBeAccepted = false;
  for (let attempt = 0; ; attempt++) {
    try {
      const update = await startAsk(context, target, message, mayBeAccepted);
      options.signal?.throwIfAborted();
      unreachableSince = undefined;
      const outcome = 'outcome' in update ? Promise.resolve(update.outcome) : update.handle.result();
      // A refused update comes back as a handle, too: one whose failure is at hand.
      await Promise.race([outcome, immediate()]);
      if (!accepted) options.onAccepted?.();
      accepted = true;
      return await outcome;
    } catch (error) {
      options.signal?.throwIfAborted();
      mayBeAccepted = true;
      const again = await judge(context, target.conversationId, error, {
        accepted,
        signal: options.signal,
        unreachableTimeoutMs,
      });
      if (again === 'unreachable') {
        unreachableSince ??= Date.now();
        if (Date.now() - unreachableSince > unreachableTimeoutMs) {
          throw translateError(error, context, target.conversationId);
        }
      } else {
        unreachableSince = undefined;
      }
      if (again === 'now') attempt = -1;
      else await pause(attempt, options.signal);
    }
  }
}

const backoffMs = (attempt: number): number =>
  Math.min(BACKOFF.capMs, BACKOFF.baseMs * BACKOFF.factor ** attempt) * (0.5 + Math.random() / 2);

const pause = (attempt: number, signal: AbortSignal | undefined): Promise<void> =>
  delay(backoffMs(attempt), undefined, signal === undefined ? {} : { signal });

/** How long, and for whom, an answer is tried for. */
interface Asking {
  /** The conversation has accepted the message. */
  accepted: boolean;
  signal: AbortSignal | undefined;
  unreachableTimeoutMs: number;
}

/** Whether to ask again, and how; throws what the caller shall see. */
async function judge(
  context: ClientContext,
  conversationId: string,
  error: unknown,
  asking: Asking,
): Promise<'now' | 'later' | 'unreachable'> {
  const failure = applicationFailureOf(error);
  if (failure?.type === FAILURE_TYPES.conversationRolledOver) return 'now';
  // The run ended under an accepted message: as new (the message is in the next run), or for good.
  if (
    failure?.type === 'AcceptedUpdateCompletedWorkflow' ||
    (asking.accepted && error instanceof WorkflowNotFoundError)
  ) {
    const status = await endStatus(context, conversationId, asking);
    if (status === undefined) return 'now';
    throw new ConversationEndedError(conversationId, status);
  }
  // Lost between the server and a worker, for example in a death of either: never accepted.
  if (failure?.type === 'UnprocessedUpdate') return 'later';
  const { code, details = '' } = grpcStatus(error) ?? {};
  // It closed before it had seen the message, which now begins it again.
  if (code === GRPC.notFound && details.includes('aborted by closing workflow')) return 'now';
  if (code !== undefined && PASSING.includes(code)) return 'later';
  if (code === GRPC.unavailable) return 'unreachable';
  const translated = translateError(error, context, conversationId);
  // No worker was there to tell what an ended conversation has answered: one will come.
  if (translated instanceof UnansweredError) return 'later';
  throw translated;
}

/** How the newest run of a conversation ended; absent while it runs. Gets over an outage of Temporal as `ask` does. */
async function endStatus(
  context: ClientContext,
  conversationId: string,
  { signal, unreachableTimeoutMs }: Asking,
): Promise<EndStatus | undefined> {
  const sinceMs = Date.now();
  for (let attempt = 0; ; attempt++) {
    try {
      const status = runStatus(await context.client.workflow.getHandle(conversationId).describe());
      return status === 'running' ? undefined : status;
    } catch (error) {
      signal?.throwIfAborted();
      const code = grpcStatus(error)?.code;
      const mayPass = code === GRPC.unavailable || (code !== undefined && PASSING.includes(code));
      if (!mayPass || Date.now() - sinceMs > unreachableTimeoutMs) {
        throw translateError(error, context, conversationId);
      }
      await pause(attempt, signal);
    }
  }
}

type Started = { handle: WorkflowUpdateHandle<ExchangeOutcome> } | { outcome: ExchangeOutcome };

/** Sends the update: to the conversation that runs, else to one that it starts. */
async function startAsk(
  context: ClientContext,
  target: ConversationTarget,
  message: ConversationMessage,
  mayBeAccepted: boolean,
): Promise<Started> {
  const { conversationId, start, isNew } = target;
  // A fresh id each time: the same update id in the same run would give the refusal that made us ask again.
  const update = { args: [message] as [ConversationMessage], updateId: randomUUID() };
  if (!isNew) {
    try {
      const handle = context.client.workflow.getHandle(conversationId);
      return {
        handle: await handle.startUpdate(askUpdate, { ...update, waitForStage: WorkflowUpdateStage.ACCEPTED }),
      };
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError) || start === undefined) throw error;
    }
  }
  if (start === undefined) throw new ConversationNotFoundError(conversationId, context.client.options.namespace);
  const before = isNew ? {} : await beforeReopening(context, conversationId, message.messageId);
  if (before === 'running') return startAsk(context, target, message, mayBeAccepted);
  if (before.outcome !== undefined) return { outcome: before.outcome };
  // Whoever ended the conversation over this message did not mean it to be begun again.
  if (mayBeAccepted && before.endedUnder !== undefined) {
    throw new ConversationEndedError(conversationId, before.endedUnder);
  }
  const options = startOptions(context, conversationId, { ...start, ...before.input }, message.text);
  if (!isNew) {
    await beginOnce(context, conversationId, before, options);
    return startAsk(context, target, message, mayBeAccepted);
  }
  const handle = await context.client.workflow.startUpdateWithStart(askUpdate, {
    ...update,
    waitForStage: WorkflowUpdateStage.ACCEPTED,
    startWorkflowOperation: new WithStartWorkflowOperation(WORKFLOW_TYPES.conversation, {
      ...options,
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  });
  return { handle };
}
