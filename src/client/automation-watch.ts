import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import type { AutomationResult } from '../protocol/automation.js';
import { automationWorkflowId } from '../protocol/automation.js';
import { orAborted } from './abort.js';
import { type Automation, type AutomationDescription, AutomationLooker, failureOf } from './automation-describe.js';
import { AutomationFailedError, AutomationNotFoundError } from './automation-errors.js';
import { automationIdOf, describedAutomation } from './automation-memo.js';
import type { ClientContext } from './connection.js';
import { runStatus } from './describe-conversation.js';
import { isOutOfReach, lookAgain, pause, UNREACHABLE_MS } from './outage.js';
import { translateError } from './translate-error.js';

/** Pause before the result is asked for again after an outage (milliseconds). */
const RETRY_PAUSE_MS = 1_000;

/** Options of `watchAutomation`. */
export interface WatchAutomationOptions {
  /** Pause between looks (milliseconds). Default 1,000. */
  intervalMs?: number;
  /** Ends watching; the automation goes on. */
  signal?: AbortSignal;
}

/**
 * Tells how an automation stands, again and again, until it has ended; the last one is its end. Without a worker it goes on, and
 * says so (`noWorker`); without Temporal for up to five minutes, too (`outage`).
 *
 * @throws AutomationNotFoundError, TemporalUnreachableError
 */
export async function* watchAutomation(
  context: ClientContext,
  automationId: string,
  options: WatchAutomationOptions = {},
): AsyncGenerator<AutomationDescription, void, void> {
  const looker = new AutomationLooker(context, automationId);
  for await (const { seen, outage } of lookAgain(context, () => looker.look(), options)) {
    yield outage === undefined ? seen : { ...seen, outage, exchanges: [], waits: [] };
    if (seen.status !== 'running') return;
  }
}

/**
 * Waits for the end of an automation and gives what it resulted in; an outage of Temporal of up to five minutes is waited out.
 * Needs no worker once it has ended.
 *
 * @param options.signal Ends waiting; the automation goes on.
 * @throws AutomationFailedError when it has ended without a result; AutomationNotFoundError, and the signal's reason.
 */
export async function automationResult(
  context: ClientContext,
  automationId: string,
  options: { signal?: AbortSignal } = {},
): Promise<AutomationResult> {
  const { signal } = options;
  const workflowId = automationWorkflowId(automationIdOf(automationId));
  let awaySinceMs: number | undefined;
  for (;;) {
    try {
      await describedAutomation(context, automationId);
      awaySinceMs = undefined;
      return await orAborted(context.client.workflow.getHandle<Automation>(workflowId).result(), signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof WorkflowFailedError) throw await endedError(context, automationId, error);
      if (error instanceof WorkflowNotFoundError) {
        throw new AutomationNotFoundError(automationId, context.client.options.namespace);
      }
      if (!isOutOfReach(error)) throw translateError(error, context, workflowId);
      awaySinceMs ??= Date.now();
      if (Date.now() - awaySinceMs > UNREACHABLE_MS) throw translateError(error, context, workflowId);
      await pause(RETRY_PAUSE_MS, signal);
      signal?.throwIfAborted();
    }
  }
}

async function endedError(
  context: ClientContext,
  automationId: string,
  error: WorkflowFailedError,
): Promise<AutomationFailedError> {
  const status = runStatus(await describedAutomation(context, automationId));
  if (status !== 'failed' && status !== 'running' && status !== 'completed') {
    return new AutomationFailedError(automationId, status);
  }
  return new AutomationFailedError(automationId, 'failed', failureOf(error));
}
