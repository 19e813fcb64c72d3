import type { Readable, Writable } from 'node:stream';
import type { Environment, SettingName, Sources } from '../settings.js';
import type { Output } from './output.js';

/** What a command reads from and writes to; tests bring their own. */
export interface CliIo {
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  stderr: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  env: Environment;
  /** Calls the handler at each SIGINT and SIGTERM, which then do nothing else; the result takes the handler away. */
  onSignal(handler: (signal: 'SIGINT' | 'SIGTERM') => void): () => void;
}

/** Exit codes of the CLI. */
export const EXIT = {
  ok: 0,
  /** The work was begun, and failed in part or as a whole. */
  failed: 1,
  /** Nothing was begun: usage, settings or input must be mended. */
  usage: 2,
  interrupted: 130,
  terminated: 143,
} as const;

/** One option of a command, in commander's words. */
export interface OptionDefinition {
  /** `--mode <mode>`, `--json` */
  flags: string;
  about: string;
  choices?: readonly string[];
  /** Makes the value of the text given; throws `UsageError`. */
  parse?: (text: string, before: unknown) => unknown;
}

/** What a command is called with. */
export interface CommandCall<Options> {
  args: string[];
  options: Options;
  /** Flags, environment and a running `dev`, for the functions of `config.ts`. */
  sources: Sources;
  output: Output;
  io: CliIo;
  /** Aborted at the first Ctrl-C or SIGTERM, unless the command takes signals itself. */
  signal: AbortSignal;
}

/** A command as data; what it does lives in `client/` and the other sides. */
export interface CommandDefinition {
  name: string;
  /** Positional arguments: `[<text>, about]`. */
  args?: readonly (readonly [flags: string, about: string])[];
  summary: string;
  /** What the summary leaves out. */
  description?: string;
  options?: readonly OptionDefinition[];
  settings?: readonly SettingName[];
  /** Command lines with what they do. */
  examples?: readonly (readonly [line: string, does: string])[];
  /** The command listens for signals by `io.onSignal`. Default false. */
  takesSignals?: boolean;
  subcommands?: readonly CommandDefinition[];
  /** @returns The exit code; nothing is `EXIT.ok`. */
  run?: (call: CommandCall<Record<string, unknown>>) => Promise<number | void>;
}

/**
 * Ties a command's `run` to the shape of its options.
 *
 * `Options` must say what commander makes of the option definitions: that is the one thing not checked by types here.
 */
export function command<Options>(
  definition: Omit<CommandDefinition, 'run' | 'subcommands'> & {
    run: (call: CommandCall<Options>) => Promise<number | void>;
  },
): CommandDefinition {
  return { ...definition, run: (call) => definition.run(call as CommandCall<Options>) };
}

/** What was typed cannot be meant: told in one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Settings by which a command reaches Temporal. */
export const TEMPORAL_SETTINGS = [
  'temporalAddress',
  'temporalNamespace',
  'temporalProfile',
  'taskQueue',
  'dataDir',
] as const;

/** Settings by which a worker reaches Foundry; tokens and secrets come by the environment alone. */
export const FOUNDRY_SETTINGS = ['foundryUrl', 'foundryTokenFile', 'allowInsecureHttp'] as const;

/** `--json`, for commands with results. */
export const JSON_OPTION: OptionDefinition = { flags: '--json', about: 'results as JSON, one object a line' };

/** Reads a whole number of an option. */
export function wholeNumber(name: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new UsageError(`Mend ${name}: "${text}" is not a whole number from ${least} to ${most}`);
  };
}
