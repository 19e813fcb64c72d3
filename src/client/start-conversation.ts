import type { TypedSearchAttributes as SearchAttributes } from '@temporalio/common';
import { TypedSearchAttributes } from '@temporalio/common';
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import type { ConversationInput } from '../protocol/conversation.js';
import { outcomeQuery } from '../protocol/conversation.js';
import type { ExchangeOutcome } from '../protocol/exchange.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { summaryLine } from '../protocol/summary-line.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import type { ClientContext } from './connection.js';
import { ConversationExistsError } from './errors.js';
import { translateError } from './translate-error.js';
import { queryWorker } from './worker-query.js';

/** Which conversation, and how it starts when it does not run yet. */
export interface ConversationTarget {
  conversationId: string;
  /** Absent: only a running conversation is asked, none is started. */
  start?: ConversationInput;
  /** True when the id was made just now, so that nothing can be running under it. */
  isNew: boolean;
}

/** Time that an ended conversation has to tell what it has answered (milliseconds). */
const QUERY_TIMEOUT_MS = 10_000;

/**
 * What a conversation that has ended leaves to the one that follows it under the same id: its session, when it ended of itself
 * (closed or idle), and the outcome of a message that it had answered already.
 */
export async function beforeReopening(
  context: ClientContext,
  conversationId: string,
  messageId: string,
): Promise<{ input?: { sessionRid: string }; outcome?: ExchangeOutcome }> {
  const handle = context.client.workflow.getHandle(conversationId);
  try {
    const { status, typedSearchAttributes, type } = await handle.describe();
    if (type !== WORKFLOW_TYPES.conversation) return {};
    const known = await queryWorker(context, conversationId, QUERY_TIMEOUT_MS, (asked) =>
      asked.query(outcomeQuery, { messageId }),
    );
    if (known.state === 'finished') return { outcome: known.outcome };
    const sessionRid = typedSearchAttributes.get(searchAttributeKeys.session);
    return status.name === 'COMPLETED' && sessionRid !== undefined ? { input: { sessionRid } } : {};
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return {};
    throw error;
  }
}

/** How a conversation is started: its id, input, and what operators see of it. */
export function startOptions(
  context: ClientContext,
  conversationId: string,
  input: ConversationInput,
  firstText?: string,
): {
  workflowId: string;
  taskQueue: string;
  args: [ConversationInput];
  typedSearchAttributes: SearchAttributes;
  staticSummary: string;
} {
  const first = firstText ?? input.turns?.[0]?.text ?? '';
  return {
    workflowId: conversationId,
    taskQueue: context.taskQueue,
    args: [input],
    typedSearchAttributes: new TypedSearchAttributes([
      { key: searchAttributeKeys.agent, value: input.agentRid },
      { key: searchAttributeKeys.state, value: 'open' },
      ...(input.batchId === undefined ? [] : [{ key: searchAttributeKeys.batch, value: input.batchId }]),
    ]),
    staticSummary: summaryLine(input.title ?? first),
  };
}

/** Starts a conversation without a first message, or as a one-shot with `turns`. @throws ConversationExistsError */
export async function startConversation(
  context: ClientContext,
  conversationId: string,
  input: ConversationInput,
): Promise<void> {
  try {
    await context.client.workflow.start(WORKFLOW_TYPES.conversation, startOptions(context, conversationId, input));
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) throw new ConversationExistsError(conversationId);
    throw translateError(error, context, conversationId);
  }
}
