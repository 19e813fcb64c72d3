import {
  type WorkflowExecutionDescription,
  type WorkflowExecutionInfo,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { type AutomationMemo, automationWorkflowId } from '../protocol/automation.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import { AutomationNotFoundError } from './automation-errors.js';
import type { ClientContext } from './connection.js';
import { runStatus } from './describe-conversation.js';
import type { EndStatus } from './errors.js';
import { translateError } from './translate-error.js';

const PREFIX = automationWorkflowId('');

/** An automation as lists show it: what Temporal knows of it without a worker. */
export interface AutomationSummary {
  automationId: string;
  workflowId: string;
  /** The run it is in: a long one goes on in new runs. */
  runId: string;
  status: 'running' | EndStatus;
  /** Name of the plan; absent when it was not started by this client. */
  plan?: string;
  /** Name of the file that the plan was read from. */
  source?: string;
  agentRid?: string;
  /** Name of the schedule that has started it. */
  schedule?: string;
  /** The time of the schedule that it was started for: long before it started, where that was made up for, or had to wait. */
  scheduledAt?: Date;
  /** Where it stands: `open`, `cancelling`, … */
  state?: string;
  /** True while it waits for somebody's decision. */
  needsAttention: boolean;
  startedAt: Date;
  closedAt?: Date;
}

/** The id of an automation as its callers give it; the workflow's id, as the Temporal UI shows it, will do as well. */
export const automationIdOf = (id: string): string => (id.startsWith(PREFIX) ? id.slice(PREFIX.length) : id);

/** What a list entry or a description of Temporal's says of an automation. */
export function automationSummary(info: Omit<WorkflowExecutionInfo, 'raw'>): AutomationSummary {
  const memo = info.memo?.['automation'] as AutomationMemo | undefined;
  const attributes = info.typedSearchAttributes;
  const agentRid = attributes.get(searchAttributeKeys.agent);
  const state = attributes.get(searchAttributeKeys.state);
  const { schedule, scheduledAt } = scheduledBy(info);
  const status = runStatus(info);
  return {
    automationId: automationIdOf(info.workflowId),
    workflowId: info.workflowId,
    runId: info.runId,
    status,
    ...(memo?.plan !== undefined && { plan: memo.plan }),
    ...(memo?.source !== undefined && { source: memo.source }),
    ...(agentRid !== undefined && { agentRid }),
    ...(schedule !== undefined && { schedule: automationIdOf(schedule) }),
    ...(scheduledAt !== undefined && { scheduledAt }),
    ...(state !== undefined && { state }),
    needsAttention: attributes.get(searchAttributeKeys.needsAttention) ?? false,
    startedAt: memo?.startedAt === undefined ? info.startTime : new Date(memo.startedAt),
    ...(status !== 'running' && info.closeTime !== undefined && { closedAt: info.closeTime }),
  };
}

/** Temporal's own search attributes on what a schedule has started. */
function scheduledBy({ typedSearchAttributes }: Omit<WorkflowExecutionInfo, 'raw'>): {
  schedule?: string;
  scheduledAt?: Date;
} {
  const values = new Map(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value as unknown]));
  const schedule = values.get('TemporalScheduledById');
  const scheduledAt = values.get('TemporalScheduledStartTime');
  return {
    ...(typeof schedule === 'string' && { schedule }),
    ...(scheduledAt instanceof Date && { scheduledAt }),
  };
}

/** The newest run of an automation. @throws AutomationNotFoundError */
export async function describedAutomation(
  context: ClientContext,
  automationId: string,
): Promise<WorkflowExecutionDescription> {
  const workflowId = automationWorkflowId(automationIdOf(automationId));
  try {
    const description = await context.client.workflow.getHandle(workflowId).describe();
    if (description.type === WORKFLOW_TYPES.automation) return description;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw translateError(error, context, workflowId);
  }
  throw new AutomationNotFoundError(automationId, context.client.options.namespace);
}
