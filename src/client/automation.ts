import { automationWorkflowId } from '../protocol/automation.js';
import { automationIdOf, describedAutomation } from './automation-memo.js';
import type { ClientContext } from './connection.js';
import { runStatus } from './describe-conversation.js';
import { translateError } from './translate-error.js';

export { type AutomationDecision, decide, decideInWorkflow } from './automation-decide.js';
export { type AutomationDescription, describeAutomation, type LiveExchange } from './automation-describe.js';
export {
  AlreadyDecidedError,
  AutomationExistsError,
  AutomationFailedError,
  AutomationNotFoundError,
  NothingToDecideError,
  SeveralApprovalsError,
} from './automation-errors.js';
export { type AutomationFilter, listAutomations } from './automation-list.js';
export type { AutomationSummary } from './automation-memo.js';
export { type AutomationStart, newAutomationId, startAutomation, type StartedAutomation } from './automation-start.js';
export { automationResult, watchAutomation, type WatchAutomationOptions } from './automation-watch.js';

/**
 * Asks for the cancellation of an automation and returns at once. What runs at agents is cancelled there, too, batches of its own
 * with all their rows.
 *
 * @returns False when it had ended before.
 * @throws AutomationNotFoundError
 */
export async function cancelAutomation(context: ClientContext, automationId: string): Promise<boolean> {
  const description = await describedAutomation(context, automationId);
  // Temporal takes a cancellation of a run that has ended, and does nothing.
  if (runStatus(description) !== 'running') return false;
  const workflowId = automationWorkflowId(automationIdOf(automationId));
  try {
    await context.client.workflow.getHandle(workflowId).cancel();
    return true;
  } catch (error) {
    throw translateError(error, context, workflowId);
  }
}
