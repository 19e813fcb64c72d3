import { randomUUID } from 'node:crypto';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { type AutomationInput, type AutomationMemo, automationWorkflowId } from '../protocol/automation.js';
import type { JsonObject, Plan } from '../protocol/plan.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { summaryLine } from '../protocol/summary-line.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import { checkAutomation, checkAutomationId } from './automation-check.js';
import { AutomationExistsError } from './automation-errors.js';
import { describedAutomation } from './automation-memo.js';
import type { ClientContext } from './connection.js';
import { runStatus } from './describe-conversation.js';
import { translateError } from './translate-error.js';

/** Most that a step of the workflow may take: a worker that is killed in one holds the automation up for as long. */
const WORKFLOW_TASK_TIMEOUT = '5 seconds';

/** A plan to run. */
export interface AutomationStart {
  /** 1–200 characters, used once. Default: the plan's name, the time and something of its own. */
  automationId?: string;
  /** Read and checked (`readPlan`). */
  plan: Plan;
  /** By name, checked against the plan's (`checkInputs`). Default: none. */
  inputs?: JsonObject;
  /** Agent of the conversations and batches that name none. */
  agentRid?: string;
  /** Name of the file that the plan was read from, for people. */
  source?: string;
}

/** An automation as started. */
export interface StartedAutomation {
  automationId: string;
  workflowId: string;
  runId: string;
}

/**
 * Starts a plan: from then on it needs no client. An id is used once for all time, so that a start that is repeated runs nothing
 * twice.
 *
 * @throws AutomationExistsError when an automation of this id runs, or ran.
 * @throws InvalidCallError when a step has no agent to ask, or plan or inputs are too large.
 */
export async function startAutomation(context: ClientContext, start: AutomationStart): Promise<StartedAutomation> {
  const automationId = start.automationId ?? newAutomationId(start.plan);
  checkAutomationId(automationId);
  const { inputs = {} } = start;
  checkAutomation({ ...start, inputs });
  const workflowId = automationWorkflowId(automationId);
  const { workflowType, memo, ...options } = automationAction(context, start);
  try {
    const { firstExecutionRunId } = await context.client.workflow.start(workflowType, {
      ...options,
      workflowId,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'FAIL',
      memo: { automation: { ...memo.automation, startedAt: new Date().toISOString() } },
    });
    return { automationId, workflowId, runId: firstExecutionRunId };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw translateError(error, context, workflowId);
    const there = await describedAutomation(context, automationId).catch(() => undefined);
    throw new AutomationExistsError(automationId, there && runStatus(there));
  }
}

/** The id of an automation that was given none: its plan, the time, to be sorted by, and something of its own. */
export const newAutomationId = ({ name }: Plan): string =>
  `${name}/${new Date().toISOString().slice(0, 16).replace(/[-:]/g, '')}-${randomUUID().slice(0, 8)}`;

/** How the workflow is started, by a client or by a schedule: all but its id. */
export function automationAction(
  { taskQueue }: Pick<ClientContext, 'taskQueue'>,
  { plan, inputs = {}, agentRid, source }: Omit<AutomationStart, 'automationId'>,
): {
  workflowType: string;
  taskQueue: string;
  workflowTaskTimeout: '5 seconds';
  args: [AutomationInput];
  memo: { automation: AutomationMemo };
  typedSearchAttributes: TypedSearchAttributes;
  staticSummary: string;
  staticDetails: string;
} {
  const { name, description } = plan;
  const from = source === undefined ? '' : ` from \`${source}\``;
  const agent = agentRid === undefined ? '' : `, agent \`${agentRid}\``;
  return {
    workflowType: WORKFLOW_TYPES.automation,
    taskQueue,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    args: [{ plan, inputs, ...(agentRid !== undefined && { agentRid }) }],
    memo: { automation: { plan: name, ...(source !== undefined && { source }) } },
    typedSearchAttributes: new TypedSearchAttributes([
      ...(agentRid === undefined ? [] : [{ key: searchAttributeKeys.agent, value: agentRid }]),
      { key: searchAttributeKeys.state, value: 'open' },
      { key: searchAttributeKeys.needsAttention, value: false },
    ]),
    staticSummary: summaryLine(description === undefined ? name : `${name}: ${description}`),
    staticDetails: `Plan **${name}**${from}${agent}${description === undefined ? '' : `\n\n${description}`}`,
  };
}
