import { createInterface, type Interface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConversationHandle } from '../../client/index.js';
import { AipClientError, ConversationNotFoundError, ConversationNotRunningError } from '../../client/index.js';
import { findAgentRid, loadAgentRid } from '../../config.js';
import { withAipClient } from '../aip-client.js';
import type { CliIo } from '../command.js';
import { command, EXIT, TEMPORAL_SETTINGS } from '../command.js';
import { descriptionLines } from '../conversation-text.js';
import { exitCodeOf, showExchange } from '../exchange-output.js';
import type { MessageOptions } from '../message-options.js';
import { conversationSettings, MESSAGE_OPTIONS, messageChoices } from '../message-options.js';
import type { Output } from '../output.js';
import { programName } from '../output.js';

const HELP = 'Ctrl-C cancels the answer that is being written, twice leaves; /status, /close, /quit';

/** How long somebody who wants to leave is kept while the cancellation is sent (milliseconds). */
const LEAVE_TIMEOUT_MS = 2_000;

/** `aip-temporal chat` */
export const chatCommand = command<MessageOptions & { conversation?: string }>({
  name: 'chat',
  summary: 'converse with an agent in the terminal, with live text',
  description: `${HELP}.\nWith piped input each line is a message. Left, the conversation goes on and can be continued.`,
  options: [
    { flags: '-c, --conversation <id>', about: 'continue or begin this conversation (the workflow’s id)' },
    ...MESSAGE_OPTIONS,
    { flags: '--json', about: 'events as JSON, one object a line' },
  ],
  settings: ['agentRid', ...TEMPORAL_SETTINGS],
  examples: [
    ['aip-temporal chat', 'a new conversation'],
    ['aip-temporal chat -c support-17', 'go on with one'],
  ],
  takesSignals: true,
  async run({ options, sources, output, io }) {
    const { conversation: id } = options;
    const agentRid = id === undefined ? loadAgentRid(sources) : findAgentRid(sources);
    return withAipClient({ sources, output }, async (aip) => {
      const conversation = aip.conversation(id, conversationSettings(options, agentRid));
      return new ChatSession(conversation, options, output, io).run();
    });
  },
});

/** An exchange that the person may cancel. */
interface Running {
  messageId: string;
  /** Resolves when the conversation has it: only then it can be cancelled. */
  accepted: Promise<void>;
  /** Resolves when its cancellation was asked for, or that failed; absent until Ctrl-C. */
  cancelling?: Promise<void>;
  leave: AbortController;
}

/** A conversation at a terminal: lines in, live text out, Ctrl-C between them. */
class ChatSession {
  private readonly isTerminal: boolean;
  private running: Running | undefined;
  private hasLeft = false;
  private isClosed = false;
  /** True after a Ctrl-C at the prompt, until the next line. */
  private isLeaving = false;
  private lines: Interface | undefined;

  constructor(
    private readonly conversation: ConversationHandle,
    private readonly options: MessageOptions,
    private readonly output: Output,
    private readonly io: CliIo,
  ) {
    this.isTerminal = io.stdin.isTTY === true && io.stdout.isTTY === true && !output.isJson;
  }

  /** Reads lines until they end, `/quit` or Ctrl-C. @returns The exit code. */
  async run(): Promise<number> {
    const { io, output, isTerminal } = this;
    const lines = createInterface({
      input: io.stdin,
      ...(isTerminal ? { output: io.stdout, terminal: true, prompt: 'you> ' } : { terminal: false }),
    });
    this.lines = lines;
    const interrupt = () => this.interrupt();
    const release = io.onSignal(interrupt);
    lines.on('SIGINT', interrupt);
    if (isTerminal) output.note(`${this.conversation.id}\n${HELP}`);
    let exitCode: number = EXIT.ok;
    try {
      this.prompt();
      for await (const line of lines) {
        const code = await this.handle(line.trim());
        if (this.hasLeft) break;
        if (code !== EXIT.ok) exitCode = code;
        this.prompt();
      }
    } finally {
      lines.close();
      release();
    }
    if (isTerminal && !this.isClosed)
      output.note(`Left; go on with: ${programName(io.env)} chat -c ${this.conversation.id}`);
    return isTerminal ? EXIT.ok : this.hasLeft ? EXIT.interrupted : exitCode;
  }

  private prompt(): void {
    if (this.isTerminal && !this.hasLeft) this.lines?.prompt();
  }

  /** One line: a command or a message. */
  private async handle(line: string): Promise<number> {
    this.isLeaving = false;
    if (line === '') return EXIT.ok;
    try {
      switch (line) {
        case '/quit':
        case '/exit':
          this.hasLeft = true;
          return EXIT.ok;
        case '/help':
          this.output.note(HELP);
          return EXIT.ok;
        case '/status':
          this.output.note(await this.statusText());
          return EXIT.ok;
        case '/close':
          return await this.close();
        default:
          if (/^\/[\w-]+$/.test(line) && this.isTerminal) {
            this.output.note(`There is no ${line}, and it was not sent; there are /status, /close, /quit`);
            return EXIT.ok;
          }
          return await this.ask(line);
      }
    } catch (error) {
      if (this.hasLeft) return EXIT.interrupted;
      if (!(error instanceof AipClientError)) throw error;
      this.output.error(error.message);
      return EXIT.failed;
    }
  }

  private async statusText(): Promise<string> {
    const [description, status] = await Promise.all([this.conversation.describe(), this.conversation.status()]);
    return descriptionLines(description, status).join('\n');
  }

  private async close(): Promise<number> {
    try {
      await this.conversation.close();
      this.output.note('Closed: it finishes what is queued, then ends');
    } catch (error) {
      // Nothing was said yet, or it has ended meanwhile: either way nothing is left open.
      if (!(error instanceof ConversationNotFoundError || error instanceof ConversationNotRunningError)) throw error;
      this.output.note('Nothing is open here');
    }
    this.hasLeft = true;
    this.isClosed = true;
    return EXIT.ok;
  }

  private async ask(text: string): Promise<number> {
    const leave = new AbortController();
    const messageId = crypto.randomUUID();
    const { promise: accepted, resolve: onAccepted } = deferred();
    const running: Running = { messageId, accepted, leave };
    this.running = running;
    const message = { text, messageId, ...messageChoices(this.options) };
    try {
      if (this.isTerminal) this.output.piece('agent> ');
      const events = this.conversation.stream(message, { signal: leave.signal, onAccepted });
      const show = { stream: true, isConversing: this.isTerminal, isMuted: () => running.cancelling !== undefined };
      return exitCodeOf(await showExchange(events, this.output, show));
    } finally {
      this.running = undefined;
    }
  }

  /** Ctrl-C: cancels what runs, or drops the line that is being typed; a second time leaves. */
  private interrupt(): void {
    const { running, output } = this;
    if (running !== undefined && running.cancelling === undefined) {
      output.note('\nCancelling (Ctrl-C again leaves) …');
      running.cancelling = this.cancel(running);
      return;
    }
    // The answer may have ended the moment before: nobody is thrown out by a Ctrl-C that was meant for it.
    if (running === undefined && this.isTerminal && !this.isLeaving) {
      this.isLeaving = true;
      output.note('\n(Ctrl-C again leaves)');
      this.lines?.write(null, { ctrl: true, name: 'e' });
      this.lines?.write(null, { ctrl: true, name: 'u' });
      this.prompt();
      return;
    }
    this.hasLeft = true;
    if (this.isTerminal) output.piece('\n');
    this.lines?.close();
    if (running !== undefined) void leaveAfterCancelling(running);
  }

  private async cancel({ accepted, messageId }: Running): Promise<void> {
    try {
      await accepted;
      await this.conversation.cancelExchange({ messageId });
    } catch (error) {
      this.output.error(error instanceof Error ? error.message : String(error));
    }
  }
}

/** Leaves when the agent is about to hear of the cancellation; soon in any case. */
async function leaveAfterCancelling({ cancelling, leave }: Running): Promise<void> {
  await Promise.race([cancelling, delay(LEAVE_TIMEOUT_MS)]);
  leave.abort(new Error('Left by Ctrl-C'));
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
