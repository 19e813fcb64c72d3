import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { OutputFileError } from '../batch-files/index.js';
import {
  AipClientError,
  AutomationExistsError,
  AutomationScheduleExistsError,
  BatchExistsError,
  InvalidCallError,
  InvalidMessageError,
} from '../client/index.js';
import { BatchInputError } from '../protocol/batch.js';
import type { Flags, SettingName, Sources } from '../settings.js';
import { devInUse, loadDataDir } from '../config.js';
import { ConfigError, SETTINGS } from '../settings.js';
import { MetricsAddressError } from '../metrics/metrics-server.js';
import type { CliIo, CommandDefinition, OptionDefinition } from './command.js';
import { EXIT, UsageError } from './command.js';
import { commands } from './commands/index.js';
import { readDevState } from './dev-state.js';
import type { Output } from './output.js';
import { createOutput } from './output.js';

/**
 * Runs one command line.
 *
 * @param argv Without the program's name.
 * @returns The exit code; see `EXIT`.
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const verbose = argv.includes('--verbose');
  const plainOutput = createOutput(io, { json: false, verbose });
  let exitCode: number = EXIT.ok;
  const program = new Command('aip-temporal')
    .description('Durable conversations with Palantir Foundry AIP Agents, on Temporal.')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .configureHelp({ showGlobalOptions: false })
    .showHelpAfterError('(--help tells the usage)');
  for (const definition of commands) {
    program.addCommand(
      commanderCommand(definition, io, (code) => {
        exitCode = code;
      }),
    );
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    return tell(error, plainOutput, verbose);
  }
}

function packageVersion(): string {
  // Two levels up from src/cli, three from dist/src/cli.
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const { version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version?: unknown };
      if (typeof version === 'string') return version;
    } catch {
      continue; // Not there: it is at the other place.
    }
  }
  return 'unknown';
}

/** Makes commander's command of ours. */
function commanderCommand(definition: CommandDefinition, io: CliIo, exit: (code: number) => void): Command {
  const made = new Command(definition.name)
    .summary(definition.summary)
    .description([definition.summary, definition.description].filter(Boolean).join('\n\n'))
    .exitOverride()
    // The longest flags leave less than commander's least width on 80 columns, and then nothing would be wrapped.
    .configureHelp({ minWidthToWrap: 24 })
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .showHelpAfterError('(--help tells the usage)');
  for (const [flags, about] of definition.args ?? []) made.argument(flags, about);
  for (const option of definition.options ?? []) made.addOption(commanderOption(option));
  for (const name of definition.settings ?? []) made.addOption(settingOption(name));
  for (const sub of definition.subcommands ?? []) made.addCommand(commanderCommand(sub, io, exit));
  if (definition.examples !== undefined) made.addHelpText('after', examplesText(definition.examples));
  const { run } = definition;
  if (run === undefined) return made;
  made.option('--verbose', 'say more on stderr: settings in use, stack traces');
  return made.action(async () => exit(await runCommand(definition, run, made, io)));
}

function commanderOption(definition: OptionDefinition): Option {
  const option = new Option(definition.flags, definition.about);
  if (definition.choices !== undefined) option.choices(definition.choices);
  if (definition.parse !== undefined) option.argParser(definition.parse);
  return option;
}

function settingOption(name: SettingName): Option {
  const { flag, env, about } = SETTINGS[name];
  const value = name === 'allowInsecureHttp' ? '' : ' <value>';
  const group = name.startsWith('temporal') ? 'Temporal:' : 'Settings:';
  return new Option(`--${flag}${value}`, `${about} [${env}]`).helpGroup(group);
}

function examplesText(examples: NonNullable<CommandDefinition['examples']>): string {
  return ['', 'Examples:', ...examples.flatMap(([line, does]) => [`  $ ${line}`, `      ${does}`])].join('\n');
}

async function runCommand(
  definition: CommandDefinition,
  run: NonNullable<CommandDefinition['run']>,
  made: Command,
  io: CliIo,
): Promise<number> {
  const options: Record<string, unknown> = made.opts();
  const verbose = options['verbose'] === true;
  const output = createOutput(io, { json: options['json'] === true, verbose });
  const { signal, received, release } = abortAtSignals(definition, io);
  try {
    const sources = sourcesOf(definition, options, io, output);
    return (await run({ args: made.args, options, sources, output, io, signal })) ?? EXIT.ok;
  } catch (error) {
    if (signal.aborted) {
      output.detail(String(error));
      return received() === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
    }
    return tell(error, output, verbose);
  } finally {
    release();
  }
}

/** Flags, environment, and a `dev` that runs here: said aloud, because it replaces settings that nobody gave. */
function sourcesOf(
  definition: CommandDefinition,
  options: Record<string, unknown>,
  io: CliIo,
  output: Output,
): Sources {
  const flags: Flags = {};
  for (const name of definition.settings ?? []) {
    const key = SETTINGS[name].flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    const value = options[key];
    if (typeof value === 'string' || typeof value === 'boolean') flags[name] = value;
  }
  const given: Sources = { flags, env: io.env };
  if (definition.settings?.includes('temporalAddress') !== true) return given;
  const dataDir = loadDataDir(given);
  const dev = readDevState(dataDir);
  if (dev === undefined) return given;
  const sources: Sources = { ...given, dev };
  if (devInUse(sources) !== undefined) {
    output.note(`Using the \`aip-temporal dev\` that runs on ${dataDir} (Temporal at ${dev.temporalAddress}).`);
  }
  return sources;
}

/** Aborts at the first signal; at the second the process leaves at once. */
function abortAtSignals(
  definition: CommandDefinition,
  io: CliIo,
): { signal: AbortSignal; received: () => 'SIGINT' | 'SIGTERM' | undefined; release: () => void } {
  const controller = new AbortController();
  let first: 'SIGINT' | 'SIGTERM' | undefined;
  if (definition.takesSignals === true) {
    return { signal: controller.signal, received: () => undefined, release: () => undefined };
  }
  const release = io.onSignal((name) => {
    if (first !== undefined) process.exit(name === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted);
    first = name;
    controller.abort(new Error(`Stopped by ${name}`));
  });
  return { signal: controller.signal, received: () => first, release };
}

/** Says what went wrong in a line (with `--verbose` also where), and which exit code that is. */
function tell(error: unknown, output: Output, verbose: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const isUsage = USAGE_ERRORS.some((kind) => error instanceof kind);
  output.error(error instanceof Error ? error.message || error.name : String(error));
  if (verbose && error instanceof Error) output.note(error.stack ?? '');
  else if (!isUsage && !(error instanceof AipClientError)) output.note('(--verbose tells more)');
  return isUsage ? EXIT.usage : EXIT.failed;
}

/** What was typed, set or handed in must be mended: nothing was begun. */
const USAGE_ERRORS = [
  UsageError,
  ConfigError,
  MetricsAddressError,
  InvalidMessageError,
  InvalidCallError,
  BatchInputError,
  AutomationExistsError,
  AutomationScheduleExistsError,
  BatchExistsError,
  OutputFileError,
] as const;
