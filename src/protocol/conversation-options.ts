import type { ConversationInput } from './conversation.js';
import { LIMITS } from './defaults.js';
import { jsonBytes } from './json-size.js';

/** What is too large in what a conversation is started with; undefined when nothing is. Turns are judged as messages. */
export function optionsProblem({ snapshot: _, turns: __, ...options }: ConversationInput): string | undefined {
  for (const name of ['title', 'sessionRid'] as const) {
    const bytes = jsonBytes(options[name] ?? '');
    if (bytes > LIMITS.nameBytes) {
      return `Cannot start the conversation: its ${name} takes ${bytes} bytes of JSON, more than ${LIMITS.nameBytes}; give a shorter one`;
    }
  }
  const bytes = jsonBytes(options);
  if (bytes <= LIMITS.optionBytes) return undefined;
  return (
    `Cannot start the conversation: its options take ${bytes} bytes of JSON, more than ${LIMITS.optionBytes}; ` +
    `give shorter parameterInputs, or give them with the messages`
  );
}
