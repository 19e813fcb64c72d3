import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import type { ClientContext } from './connection.js';
import type { ConversationSummary } from './describe-conversation.js';
import { summaryOf } from './describe-conversation.js';
import { translateError } from './translate-error.js';

/** Which conversations to list; all that is given must hold. */
export interface ConversationFilter {
  agentRid?: string;
  sessionRid?: string;
  batchId?: string;
  /** Where it stands: `open`, `closing`, … */
  state?: string;
  /** Running ones only. Default false. */
  running?: boolean;
  /** Those only where a person has to do something. Default false. */
  needsAttention?: boolean;
}

/** The filter as a list query of Temporal's. */
export function conversationQuery(filter: ConversationFilter): string {
  const { agentRid, sessionRid, batchId, state } = filter;
  const equal = { AipAgent: agentRid, AipSession: sessionRid, AipBatch: batchId, AipState: state };
  return [
    `WorkflowType = '${WORKFLOW_TYPES.conversation}'`,
    ...Object.entries(equal)
      .filter((entry): entry is [string, string] => entry[1] !== undefined)
      .map(([name, value]) => `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`),
    ...(filter.running === true ? [`ExecutionStatus = 'Running'`] : []),
    ...(filter.needsAttention === true ? [`AipNeedsAttention = true`] : []),
  ].join(' AND ');
}

/**
 * Lists conversations, newest first, reading pages as they are needed. A list is a second or so behind.
 *
 * @throws SearchAttributesMissingError, TemporalUnreachableError
 */
export async function* listConversations(
  context: ClientContext,
  filter: ConversationFilter = {},
): AsyncGenerator<ConversationSummary, void, void> {
  const query = conversationQuery(filter);
  try {
    for await (const info of context.client.workflow.list({ query, pageSize: 100 })) {
      // Runs that went on as a new run are the same conversation.
      if (info.status.name !== 'CONTINUED_AS_NEW') yield summaryOf(info);
    }
  } catch (error) {
    throw translateError(error, context, 'the list of conversations');
  }
}
