import { readFileSync } from 'node:fs';
import type { ConversationSettings } from '../client/index.js';
import type { WhenBusy } from '../protocol/conversation.js';
import type { ExchangeMode, ParameterInputs, ParameterValue } from '../protocol/exchange.js';
import type { CliIo, OptionDefinition } from './command.js';
import { UsageError } from './command.js';

/** What the options below make. */
export interface MessageOptions {
  mode?: ExchangeMode;
  agentVersion?: string;
  title?: string;
  parameter?: ParameterInputs;
  whenBusy?: WhenBusy;
}

/** Options of commands that send messages. */
export const MESSAGE_OPTIONS: readonly OptionDefinition[] = [
  {
    flags: '--mode <mode>',
    about: 'how exchanges are sent: only streamed ones can be cancelled (streaming)',
    choices: ['streaming', 'blocking'],
  },
  {
    flags: '--agent-version <version>',
    about: 'version of the agent, for a conversation that starts (latest published)',
  },
  { flags: '--title <title>', about: 'title of the session in AIP, for a conversation that starts' },
  {
    flags: '--parameter <id=value>',
    about: 'application variable: a text, or a ParameterValue as JSON; may be repeated',
    parse: (text, before) => addParameter(text, before as ParameterInputs | undefined),
  },
  {
    flags: '--when-busy <choice>',
    about: 'when an exchange runs: wait, be refused, or cancel it with or without its text so far (enqueue)',
    choices: ['enqueue', 'reject', 'interrupt', 'rollback'],
  },
];

/** Adds one `id=value` to the parameters; a value that begins with `{` is a `ParameterValue` in JSON. */
export function addParameter(text: string, before: ParameterInputs = {}): ParameterInputs {
  const cut = text.indexOf('=');
  if (cut < 1) throw new UsageError(`Mend --parameter: "${text}" is not of the form id=value`);
  const [id, value] = [text.slice(0, cut), text.slice(cut + 1)];
  if (Object.hasOwn(before, id)) throw new UsageError(`Mend --parameter: ${id} is given twice`);
  return { ...before, [id]: parameterValue(id, value) };
}

function parameterValue(id: string, value: string): ParameterValue {
  if (!value.startsWith('{')) return { type: 'string', value };
  try {
    // Its shape is checked with the message's, at the client's door.
    return JSON.parse(value) as ParameterValue;
  } catch {
    throw new UsageError(`Mend --parameter: the value of ${id} begins with { and is not JSON`);
  }
}

/** How a conversation starts, by these options. */
export function conversationSettings(options: MessageOptions, agentRid: string | undefined): ConversationSettings {
  return {
    ...(agentRid === undefined ? {} : { agentRid }),
    ...(options.agentVersion === undefined ? {} : { agentVersion: options.agentVersion }),
    ...(options.title === undefined ? {} : { title: options.title }),
    ...(options.mode === undefined ? {} : { mode: options.mode }),
  };
}

/** The choices of one message, by these options. */
export function messageChoices(options: MessageOptions): Pick<MessageOptions, 'mode' | 'whenBusy'> & {
  parameterInputs?: ParameterInputs;
} {
  return {
    ...(options.mode === undefined ? {} : { mode: options.mode }),
    ...(options.whenBusy === undefined ? {} : { whenBusy: options.whenBusy }),
    ...(options.parameter === undefined ? {} : { parameterInputs: options.parameter }),
  };
}

/** The text of an argument; `-` reads stdin to its end. */
export async function textOf(argument: string, io: CliIo): Promise<string> {
  if (argument !== '-') return argument;
  const chunks: Buffer[] = [];
  for await (const chunk of io.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString('utf8').trimEnd();
}

const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'it may not be read by this user',
};

/** A file's text, for input errors in one line. @throws UsageError */
export function readInput(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw new UsageError(`Cannot read ${path}: ${UNREADABLE[code] ?? code}`);
  }
}
