import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { inputContextSchema, parameterValueSchema } from '../checks/exchange-schemas.js';
import type { ConversationMessage } from '../protocol/conversation.js';
import { LIMITS } from '../protocol/defaults.js';
import { InvalidMessageError } from './errors.js';

/** A message as callers give it: a text alone, or with its choices; the id is made when there is none. */
export type MessageInput = string | (Omit<ConversationMessage, 'messageId'> & { messageId?: string });

const message = z.strictObject({
  messageId: z
    .string()
    .min(1)
    .max(LIMITS.messageIdCharacters)
    .regex(/^[^\p{Cc}]+$/u, 'holds control characters'),
  text: z
    .string()
    .refine((text) => text.trim() !== '', 'is empty')
    .refine((text) => Buffer.byteLength(text) <= LIMITS.textBytes, `is longer than ${LIMITS.textBytes} bytes`),
  whenBusy: z.enum(['enqueue', 'reject', 'interrupt', 'rollback']).optional(),
  parameterInputs: z.record(z.string(), parameterValueSchema).optional(),
  contextsOverride: z.array(inputContextSchema).optional(),
  mode: z.enum(['streaming', 'blocking']).optional(),
});

/**
 * Checks a message before anything is sent, and gives it an id when it has none.
 *
 * @throws InvalidMessageError With every field that is wrong; never with the text.
 */
export function checkedMessage(input: MessageInput): ConversationMessage {
  const given = typeof input === 'string' ? { text: input } : input;
  const candidate: ConversationMessage = { ...given, messageId: given.messageId ?? randomUUID() };
  const result = message.safeParse(candidate);
  if (result.success) return candidate;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.') || 'message'}: ${issue.message}`);
  throw new InvalidMessageError(`Mend the message: ${problems.join('; ')}`);
}
