import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import { type AutomationSummary, automationSummary } from './automation-memo.js';
import type { ClientContext } from './connection.js';
import { translateError } from './translate-error.js';

/** Which automations to list; all that is given must hold. */
export interface AutomationFilter {
  /** Running ones only. Default false. */
  running?: boolean;
  /** Those only that wait for somebody's decision. Default false. */
  needsAttention?: boolean;
  /** Runs of the plan of this name only. */
  plan?: string;
}

/** The filter as a list query of Temporal's, as far as that can tell: plans stand in memos. */
export const automationQuery = ({ running, needsAttention }: AutomationFilter): string =>
  [
    `WorkflowType = '${WORKFLOW_TYPES.automation}'`,
    // What was terminated while it waited could not say that it no longer does.
    ...(running === true || needsAttention === true ? [`ExecutionStatus = 'Running'`] : []),
    ...(needsAttention === true ? ['AipNeedsAttention = true'] : []),
  ].join(' AND ');

/**
 * Lists automations, newest first, reading pages as they are needed. A list is a second or so behind. Needs no worker.
 *
 * @throws SearchAttributesMissingError, TemporalUnreachableError
 */
export async function* listAutomations(
  context: ClientContext,
  filter: AutomationFilter = {},
): AsyncGenerator<AutomationSummary, void, void> {
  const { plan } = filter;
  try {
    for await (const info of context.client.workflow.list({ query: automationQuery(filter), pageSize: 100 })) {
      // Runs that went on as a new run are the same automation.
      if (info.status.name === 'CONTINUED_AS_NEW') continue;
      const summary = automationSummary(info);
      if (plan === undefined || summary.plan === plan) yield summary;
    }
  } catch (error) {
    throw translateError(error, context, 'the list of automations');
  }
}
