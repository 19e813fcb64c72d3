/** A draft that a person approves, days later if need be; where they reject it, the agent mends it by their comment. */
import { approval, Conversation } from 'aip-temporal/workflows';

export interface HumanApprovalInput {
  agentRid: string;
  /** What is to be written. */
  task: string;
  /** Drafts at most. Default 3. */
  maxDrafts?: number;
  /** How long each waits for somebody (milliseconds). Default three days; then it counts as rejected. */
  waitMs?: number;
}

export interface HumanApprovalResult {
  approved: boolean;
  by?: string;
  draft: string;
  drafts: number;
}

const DAY_MS = 86_400_000;

export async function humanApproval(input: HumanApprovalInput): Promise<HumanApprovalResult> {
  const { agentRid, task, maxDrafts = 3, waitMs = 3 * DAY_MS } = input;
  const conversation = Conversation.open({ agentRid });
  let draft = await conversation.answer(task);
  for (let drafts = 1; ; drafts++) {
    // Answered by `aip-temporal automation approve --workflow <workflow id>`, or by a signal in the Temporal UI.
    const answer = await approval({
      message: draft,
      approvalId: `draft-${drafts}`,
      waitMs,
      default: 'reject',
      remindEveryMs: DAY_MS,
    });
    const approved = answer.decision === 'approve';
    if (approved || answer.byDefault === true || drafts >= maxDrafts) {
      await conversation.close();
      return { approved, draft, drafts, ...(answer.by !== undefined && { by: answer.by }) };
    }
    draft = await conversation.answer(`Mend it: ${answer.comment ?? 'it is not good enough'}`);
  }
}
