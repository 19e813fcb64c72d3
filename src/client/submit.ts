import { WorkflowNotFoundError } from '@temporalio/client';
import type { ConversationMessage } from '../protocol/conversation.js';
import { submitSignal } from '../protocol/conversation.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import type { ClientContext } from './connection.js';
import { ConversationNotFoundError } from './errors.js';
import type { ConversationTarget } from './start-conversation.js';
import { beforeReopening, beginOnce, startOptions } from './start-conversation.js';
import { translateError } from './translate-error.js';

/** Submits without waiting: signals the conversation that runs, else one that it starts. */
export async function submit(
  context: ClientContext,
  target: ConversationTarget,
  message: ConversationMessage,
): Promise<void> {
  const { conversationId, start, isNew } = target;
  const { workflow } = context.client;
  try {
    if (!isNew) {
      try {
        return await workflow.getHandle(conversationId).signal(submitSignal, message);
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError) || start === undefined) throw error;
      }
    }
    if (start === undefined) throw new ConversationNotFoundError(conversationId, context.client.options.namespace);
    const before = isNew ? {} : await beforeReopening(context, conversationId, message.messageId);
    if (before === 'running') return await submit(context, target, message);
    if (before.outcome !== undefined) return;
    const options = startOptions(context, conversationId, { ...start, ...before.input }, message.text);
    if (isNew) {
      await workflow.signalWithStart(WORKFLOW_TYPES.conversation, {
        ...options,
        signal: submitSignal,
        signalArgs: [message],
      });
      return;
    }
    await beginOnce(context, conversationId, before, options);
    return await submit(context, target, message);
  } catch (error) {
    throw translateError(error, context, conversationId);
  }
}
