/**
 * One conversation that lives for weeks. Each week is a run of its own (continue-as-new), so that no history grows; the conversation goes
 * along as a snapshot. Its session at the agent expires in between: the next one is told the end of what was said before.
 */
import { Conversation, type ConversationSnapshot } from 'aip-temporal/workflows';
import { continueAsNew, sleep } from '@temporalio/workflow';

export interface LongConversationInput {
  agentRid: string;
  /** What is followed. */
  topic: string;
  weeks: number;
  /** Time between two questions (milliseconds). Default a week. */
  everyMs?: number;
  /** Of the run before; not given by callers. */
  soFar?: { week: number; snapshot: ConversationSnapshot };
}

export interface LongConversationResult {
  weeks: number;
  /** Sessions that it took at the agent. */
  sessions: number;
  lastAnswer: string;
}

const WEEK_MS = 7 * 86_400_000;

export async function longConversation(input: LongConversationInput): Promise<LongConversationResult> {
  const { agentRid, topic, weeks, everyMs = WEEK_MS, soFar } = input;
  const week = (soFar?.week ?? 0) + 1;
  const conversation = Conversation.open({ agentRid, name: 'case', onExpired: 'newSession' }, soFar?.snapshot);
  const lastAnswer = await conversation.answer(
    week === 1 ? `We will follow this for ${weeks} weeks: ${topic}` : `Week ${week}: what has changed?`,
  );
  if (week >= weeks) return { weeks, sessions: conversation.totals.sessions, lastAnswer };
  await sleep(everyMs);
  return continueAsNew<typeof longConversation>({ ...input, soFar: { week, snapshot: conversation.snapshot() } });
}
