/** The workflows as a worker had them that did not know the query `legacy` yet. */
import { setHandler } from '@temporalio/workflow';
import type { ConversationInput, ConversationResult } from '../../src/protocol/conversation.js';
import { legacyQuery } from '../../src/protocol/conversation.js';
import { conversationWorkflow as today } from '../../src/workflows/conversation.js';

export function conversationWorkflow(input: ConversationInput): Promise<ConversationResult> {
  const result = today(input);
  // It was set at once, before anything was waited for.
  setHandler(legacyQuery, undefined);
  return result;
}
