import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import {
  type ApprovalAnswer,
  approvalsQuery,
  type ApprovalStatus,
  automationStatusQuery,
  automationWorkflowId,
  type DecideInput,
  type Decision,
  decideUpdate,
} from '../protocol/automation.js';
import { LIMITS } from '../protocol/defaults.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import {
  AlreadyDecidedError,
  AutomationNotFoundError,
  NothingToDecideError,
  SeveralApprovalsError,
} from './automation-errors.js';
import { automationIdOf } from './automation-memo.js';
import type { ClientContext } from './connection.js';
import { runStatus } from './describe-conversation.js';
import { type EndStatus, InvalidCallError } from './errors.js';
import { applicationFailureOf, GRPC, grpcStatus, translateError } from './translate-error.js';
import { queryWorker } from './worker-query.js';

/** A worker takes a decision in milliseconds. */
const DECIDE_TIMEOUT_MS = 10_000;

/** A run that goes on as a new one does so within a second or two. */
const MOST_ATTEMPTS = 10;
const ATTEMPT_PAUSE_MS = 500;

/** A decision, and about what: without `approvalId` about the only approval that waits. */
export interface AutomationDecision extends DecideInput {
  decision: Decision;
}

/**
 * Decides for an automation that waits for somebody. The first decision stays. Needs a worker; without one, the signals `approve`
 * and `reject` count as soon as one runs.
 *
 * @param decision.by Who decides, as they say themselves; recorded.
 * @returns The decision as recorded.
 * @throws NothingToDecideError, SeveralApprovalsError, AlreadyDecidedError, AutomationNotFoundError, NoWorkerError
 */
export async function decide(
  context: ClientContext,
  automationId: string,
  decision: AutomationDecision,
): Promise<ApprovalAnswer> {
  const id = automationIdOf(automationId);
  return decideIn(context, automationWorkflowId(id), `automation ${id}`, decision);
}

/** The same for a workflow of a user's own code that waits in an `approval`. @throws As `decide`. */
export async function decideInWorkflow(
  context: ClientContext,
  workflowId: string,
  decision: AutomationDecision,
): Promise<ApprovalAnswer> {
  return decideIn(context, workflowId, `workflow ${workflowId}`, decision);
}

async function decideIn(
  context: ClientContext,
  workflowId: string,
  subject: string,
  decision: AutomationDecision,
): Promise<ApprovalAnswer> {
  if ((decision.comment?.length ?? 0) > LIMITS.reasonCharacters * 10) {
    throw new InvalidCallError(
      `Cannot decide with a comment of ${decision.comment?.length} characters: give at most ${LIMITS.reasonCharacters * 10}`,
    );
  }
  try {
    return await throughRollOvers(() =>
      queryWorker(context, workflowId, DECIDE_TIMEOUT_MS, (handle) =>
        handle.executeUpdate(decideUpdate, { args: [decision] }),
      ),
    );
  } catch (error) {
    const isRefused = error instanceof WorkflowUpdateFailedError;
    if (!isRefused && !(error instanceof WorkflowNotFoundError)) throw translateError(error, context, workflowId);
    throw (await whyRefused(context, workflowId, subject, decision.approvalId)) ?? refusal(error, subject);
  }
}

/** An update that meets a run which goes on as a new one is refused by the server, and has not counted. */
async function throughRollOvers<T>(decideOnce: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await decideOnce();
    } catch (error) {
      const { code, details = '' } = grpcStatus(error) ?? {};
      const isRollOver =
        code === GRPC.failedPrecondition ||
        (code === GRPC.notFound && details.includes('aborted by closing workflow')) ||
        applicationFailureOf(error)?.type === 'AcceptedUpdateCompletedWorkflow';
      if (!isRollOver || attempt >= MOST_ATTEMPTS) throw error;
      await delay(ATTEMPT_PAUSE_MS);
    }
  }
}

/** Its own words, where nothing else explains it. */
function refusal(error: unknown, subject: string): unknown {
  const failure = applicationFailureOf(error);
  return failure === undefined ? error : new InvalidCallError(`Cannot decide in ${subject}: ${failure.message}`);
}

/** Looks at what waits, and at what was decided. */
async function whyRefused(
  context: ClientContext,
  workflowId: string,
  subject: string,
  approvalId: string | undefined,
): Promise<Error | undefined> {
  const run = await runOf(context, workflowId);
  if (run === undefined) {
    return new AutomationNotFoundError(workflowId, context.client.options.namespace, subject);
  }
  const { approvals, decisions } = await approvalsOf(context, workflowId, run);
  const waiting = approvals.map((approval) => approval.approvalId);
  if (run.status === 'running' && approvalId === undefined && waiting.length > 1) {
    return new SeveralApprovalsError(subject, waiting);
  }
  if (approvalId !== undefined && waiting.includes(approvalId) && run.status === 'running') return undefined;
  const answer = decisions.findLast((known) => known.approvalId === approvalId);
  if (answer !== undefined) return new AlreadyDecidedError(subject, answer);
  if (approvalId === undefined && waiting.length === 1 && run.status === 'running') return undefined;
  return new NothingToDecideError(subject, approvalId, waiting, run.status);
}

async function runOf(
  { client }: ClientContext,
  workflowId: string,
): Promise<{ status: EndStatus | 'running'; isAutomation: boolean } | undefined> {
  try {
    const description = await client.workflow.getHandle(workflowId).describe();
    return { status: runStatus(description), isAutomation: description.type === WORKFLOW_TYPES.automation };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** A workflow of a user's own keeps no list of what was decided. */
async function approvalsOf(
  context: ClientContext,
  workflowId: string,
  { isAutomation }: { isAutomation: boolean },
): Promise<{ approvals: ApprovalStatus[]; decisions: ApprovalAnswer[] }> {
  try {
    if (isAutomation) {
      return await queryWorker(context, workflowId, DECIDE_TIMEOUT_MS, (handle) => handle.query(automationStatusQuery));
    }
    const approvals = await queryWorker(context, workflowId, DECIDE_TIMEOUT_MS, (handle) =>
      handle.query(approvalsQuery),
    );
    return { approvals, decisions: [] };
  } catch {
    // The refusal's own words will do.
    return { approvals: [], decisions: [] };
  }
}
