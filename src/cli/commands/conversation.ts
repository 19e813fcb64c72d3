import type { ConversationSummary } from '../../client/index.js';
import { UnansweredError } from '../../client/index.js';
import type { RecordedExchange } from '../../protocol/conversation.js';
import { withAipClient } from '../aip-client.js';
import type { CommandDefinition } from '../command.js';
import { command, JSON_OPTION, TEMPORAL_SETTINGS, wholeNumber } from '../command.js';
import { descriptionLines, listText } from '../conversation-text.js';
import { outcomeProblem } from '../exchange-output.js';

const ID_ARGUMENT = ['<id>', 'id of the conversation (the workflow’s id)'] as const;

const list = command<{ running?: boolean; agent?: string; needsAttention?: boolean; limit?: number }>({
  name: 'list',
  summary: 'list conversations, newest first',
  options: [
    { flags: '--running', about: 'those that run' },
    { flags: '--needs-attention', about: 'those where a person has to do something' },
    { flags: '--limit <n>', about: 'at most this many (50)', parse: wholeNumber('--limit', 1, 100_000) },
    JSON_OPTION,
  ],
  settings: ['agentRid', ...TEMPORAL_SETTINGS],
  examples: [['aip-temporal conversation list --running', 'what is open now']],
  async run({ options, sources, output, io, signal }) {
    const { limit = 50 } = options;
    await withAipClient({ sources, output, signal }, async (aip) => {
      const rows: ConversationSummary[] = [];
      const filter = {
        ...(aip.agentRid === undefined ? {} : { agentRid: aip.agentRid }),
        running: options.running === true,
        needsAttention: options.needsAttention === true,
      };
      for await (const summary of aip.listConversations(filter)) {
        if (rows.length === limit) {
          output.note(`There are more: --limit ${limit * 10}`);
          break;
        }
        rows.push(summary);
        if (output.isJson) output.json(summary);
      }
      if (output.isJson) return;
      if (rows.length === 0) output.note('No conversations');
      else output.result(listText(rows, io.stdout.isTTY === true ? (io.stdout.columns ?? 80) : undefined));
    });
  },
});

const show = command({
  name: 'show',
  summary: 'show where a conversation stands, what it does, and why it waits',
  args: [ID_ARGUMENT],
  options: [JSON_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal conversation show support-17', 'phase, queue, session, next try']],
  async run({ args: [id = ''], sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const conversation = aip.conversation(id);
      const description = await conversation.describe();
      const status = await conversation.status().catch((error: unknown) => {
        if (!(error instanceof UnansweredError)) throw error;
        output.note(error.message);
        return undefined;
      });
      if (output.isJson) output.json({ ...description, ...(status === undefined ? {} : { live: status }) });
      else output.result(descriptionLines(description, status).join('\n'));
    });
  },
});

const transcript = command<{ from?: number }>({
  name: 'transcript',
  summary: 'print what was said',
  args: [ID_ARGUMENT],
  options: [
    {
      flags: '--from <index>',
      about: 'begin with this exchange (0)',
      parse: wholeNumber('--from', 0, Number.MAX_SAFE_INTEGER),
    },
    JSON_OPTION,
  ],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal conversation transcript support-17 --json', 'one exchange a line']],
  async run({ args: [id = ''], options, sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const choice = options.from === undefined ? {} : { from: options.from };
      for await (const exchange of aip.conversation(id).transcript(choice)) {
        if (output.isJson) output.json(exchange);
        else output.result(exchangeText(exchange));
      }
    });
  },
});

function exchangeText({ text, outcome }: RecordedExchange): string {
  const answer = outcome.result?.agentMarkdownResponse ?? '';
  const problem = outcome.status === 'answered' ? '' : `(${outcomeProblem(outcome)})`;
  const said = [answer || (outcome.textDropped === true ? '(the text is no longer kept here)' : ''), problem];
  return `# ${outcome.index}\n> ${(text ?? '(no longer kept here)').replaceAll('\n', '\n> ')}\n\n${said.filter(Boolean).join('\n')}\n`;
}

const cancel = command<{ exchange?: boolean; messageId?: string; response?: string }>({
  name: 'cancel',
  summary: 'cancel a conversation, or one exchange of it',
  description: 'What runs at the agent is cancelled there too, and recorded.',
  args: [ID_ARGUMENT],
  options: [
    { flags: '--exchange', about: 'the exchange in flight only; the conversation goes on' },
    { flags: '--message-id <id>', about: 'this message only, running or queued; the conversation goes on' },
    { flags: '--response <text>', about: 'keep the exchange in the session with this text as the answer' },
  ],
  settings: TEMPORAL_SETTINGS,
  examples: [
    ['aip-temporal conversation cancel support-17', 'ends the conversation as Canceled'],
    ['aip-temporal conversation cancel support-17 --exchange', 'stops the answer that is being written'],
  ],
  async run({ args: [id = ''], options, sources, output, signal }) {
    const { messageId, response } = options;
    await withAipClient({ sources, output, signal }, async (aip) => {
      const conversation = aip.conversation(id);
      if (options.exchange === true || messageId !== undefined || response !== undefined) {
        await conversation.cancelExchange({
          ...(messageId === undefined ? {} : { messageId }),
          ...(response === undefined ? {} : { response }),
        });
        output.note(
          `Asked ${id} to cancel ${messageId === undefined ? 'the exchange in flight' : `message ${messageId}`}`,
        );
      } else {
        // Temporal takes a cancellation of a run that has ended, and does nothing.
        if ((await conversation.describe()).status !== 'running')
          return output.note(`Conversation ${id} had ended before`);
        await conversation.cancel();
        output.note(`Asked ${id} to cancel; it ends when its exchange is cancelled at the agent`);
      }
    });
  },
});

const close = command({
  name: 'close',
  summary: 'take no more messages, finish the queue, then end',
  args: [ID_ARGUMENT],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal conversation close support-17', 'ends it as Completed']],
  async run({ args: [id = ''], sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const conversation = aip.conversation(id);
      if ((await conversation.describe()).status !== 'running')
        return output.note(`Conversation ${id} had ended before`);
      await conversation.close();
      output.note(`Asked ${id} to close; it ends when its queue is finished`);
    });
  },
});

/** `aip-temporal conversation …` */
export const conversationCommand: CommandDefinition = {
  name: 'conversation',
  summary: 'look at conversations and end them',
  subcommands: [list, show, transcript, cancel, close],
};
