import type { AipClient } from '../src/client/index.js';
import { isGrpcServiceError, type WorkflowHandle } from '@temporalio/client';
import { outcomeQuery, transcriptQuery, type TranscriptPage } from '../src/protocol/conversation.js';
import type { ExchangeOutcome } from '../src/protocol/exchange.js';
import { insist } from './clock.js';

/** What one life of a conversation has recorded, over all its runs: from a start to an end that is no roll-over. */
export interface Life {
  outcomes: ExchangeOutcome[];
}

/** What a conversation has recorded. */
export interface ConversationRecord {
  lives: Life[];
  /** Ids of messages that were submitted and refused. */
  rejected: Set<string>;
  /** Runs in all. */
  runs: number;
}

/** Reads what a conversation has recorded, from all its lives. Needs a worker. */
export async function readRecord(
  { client }: AipClient,
  id: string,
  messageIds: readonly string[],
): Promise<ConversationRecord> {
  const never = () => false;
  return insist(
    `read the record of ${id}`,
    async () => {
      const record: ConversationRecord = { lives: [], rejected: new Set(), runs: 0 };
      for await (const { runId, status } of client.workflow.list({ query: `WorkflowId = '${id}'` })) {
        record.runs++;
        if (status.name === 'CONTINUED_AS_NEW') continue;
        const handle = client.workflow.getHandle(id, runId);
        const outcomes = await transcriptOf(handle);
        record.lives.push({ outcomes });
        const known = new Set(outcomes.map(({ messageId }) => messageId));
        for (const messageId of outcomes.length === 0 ? [] : messageIds.filter((sent) => !known.has(sent))) {
          if ((await handle.query(outcomeQuery, { messageId })).state === 'rejected') record.rejected.add(messageId);
        }
      }
      return record;
    },
    never,
  );
}

/** All outcomes of a run; none of one that was terminated before a worker had seen it. */
async function transcriptOf(handle: WorkflowHandle): Promise<ExchangeOutcome[]> {
  const outcomes: ExchangeOutcome[] = [];
  try {
    for (let next: number | undefined = 0; next !== undefined;) {
      const page: TranscriptPage = await handle.query(transcriptQuery, { from: next, pageSize: 200 });
      outcomes.push(...page.exchanges.map(({ outcome }) => outcome));
      next = page.next;
    }
  } catch (error) {
    const isUnseen =
      error instanceof Error && isGrpcServiceError(error.cause) && /closed before/.test(error.cause.details);
    if (!isUnseen) throw error;
  }
  return outcomes;
}
