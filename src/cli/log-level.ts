import type { OptionDefinition } from './command.js';

/** `--log-level`, for commands that run a worker. */
export const LOG_LEVEL_OPTION: OptionDefinition = {
  flags: '--log-level <level>',
  about: 'what the worker logs to stderr (WARN)',
  choices: ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'],
};
