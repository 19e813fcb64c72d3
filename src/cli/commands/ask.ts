import { checkedMessage } from '../../client/index.js';
import { findAgentRid, loadAgentRid } from '../../config.js';
import { command, JSON_OPTION, TEMPORAL_SETTINGS } from '../command.js';
import { withAipClient } from '../aip-client.js';
import { exitCodeOf, showExchange } from '../exchange-output.js';
import type { MessageOptions } from '../message-options.js';
import { conversationSettings, MESSAGE_OPTIONS, messageChoices, textOf } from '../message-options.js';
import { programName } from '../output.js';

interface AskCommandOptions extends MessageOptions {
  conversation?: string;
  messageId?: string;
  stream?: boolean;
}

/** A conversation that was made for one question waits this long for a second one. */
const UNNAMED_IDLE_MS = 10 * 60 * 1000;

/** `aip-temporal ask TEXT` */
export const askCommand = command<AskCommandOptions>({
  name: 'ask',
  summary: 'ask an agent, wait for the answer and print it',
  description:
    'The question survives worker deaths, deploys and rate limits. A conversation that exists is continued. Ctrl-C stops the ' +
    'waiting, not the exchange: `conversation cancel` does that.\n' +
    'Exit code: 0 answered, 1 not answered, 2 usage or settings.',
  args: [['<text>', 'the question; - reads it from stdin']],
  options: [
    { flags: '-c, --conversation <id>', about: 'continue or begin this conversation (the workflow’s id)' },
    { flags: '--message-id <id>', about: 'name of the message: asked again, it gives its first outcome' },
    { flags: '--stream', about: 'print the text as it comes' },
    ...MESSAGE_OPTIONS,
    JSON_OPTION,
  ],
  settings: ['agentRid', ...TEMPORAL_SETTINGS],
  examples: [
    ['aip-temporal ask "Where is order 4711?"', 'a conversation of its own'],
    ['aip-temporal ask -c support-17 "And order 4712?" --stream', 'a conversation that is continued; live text'],
    ['cat question.md | aip-temporal ask - --json', 'the question from a file; the outcome as JSON'],
  ],
  async run({ args, options, sources, output, io, signal }) {
    const { conversation: id, messageId, stream = false } = options;
    const agentRid = id === undefined ? loadAgentRid(sources) : findAgentRid(sources);
    const message = checkedMessage({
      text: await textOf(args[0] ?? '', io),
      ...messageChoices(options),
      ...(messageId === undefined ? {} : { messageId }),
    });
    return withAipClient({ sources, output, signal }, async (aip) => {
      const conversation = aip.conversation(id, {
        ...conversationSettings(options, agentRid),
        ...(id === undefined ? { idleTimeoutMs: UNNAMED_IDLE_MS } : {}),
      });
      const onAccepted = () => output.detail(`Conversation ${conversation.id} accepted the message`);
      const events = conversation.stream(message, { signal, onAccepted });
      try {
        const outcome = await showExchange(events, output, { stream });
        if (id === undefined) output.note(`Continue with: ${programName(io.env)} ask -c ${conversation.id} "…"`);
        return exitCodeOf(outcome);
      } catch (error) {
        if (signal.aborted) {
          output.note(`Stopped waiting; the exchange goes on in ${conversation.id} (aip-temporal conversation show)`);
        }
        throw error;
      }
    });
  },
});
