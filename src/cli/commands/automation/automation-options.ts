import { userInfo } from 'node:os';
import type { CliIo, OptionDefinition } from '../../command.js';
import { repeated } from '../../option-values.js';

export const ID_ARGUMENT = ['<id>', 'id of the automation'] as const;
export const FILE_ARGUMENT = ['<file>', 'the plan, in YAML or JSON; - reads stdin'] as const;

/** What the options below make. */
export interface InputOptions {
  input?: string[];
  inputFile?: string;
}

/** What a plan is given. */
export const INPUT_OPTIONS: readonly OptionDefinition[] = [
  {
    flags: '--input <key=value>',
    about: 'an input of the plan: a text, or JSON where the plan wants another type; may be repeated',
    parse: repeated,
  },
  { flags: '--input-file <file>', about: 'inputs by name, in YAML or JSON; those of --input count before them' },
];

/** Who sits here: the name of the operating system's user; absent when it has none. */
export function userName(env: CliIo['env']): string | undefined {
  try {
    return userInfo().username || env['USER'];
  } catch {
    return env['USER']; // A user without an entry, as in some containers.
  }
}
