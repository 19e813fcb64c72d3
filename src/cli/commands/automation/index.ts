import type { CommandDefinition } from '../../command.js';
import { approveCommand, cancelCommand, rejectCommand } from './decide.js';
import { runCommand } from './run.js';
import { scheduleCommand } from './schedule.js';
import { listCommand, showCommand } from './show.js';
import { validateCommand } from './validate.js';
import { watchCommand } from './watch.js';

/** `aip-temporal automation …` */
export const automationCommand: CommandDefinition = {
  name: 'automation',
  summary: 'run plans: long pieces of work of many steps, with approvals, at set times',
  subcommands: [
    validateCommand,
    runCommand,
    watchCommand,
    listCommand,
    showCommand,
    approveCommand,
    rejectCommand,
    cancelCommand,
    scheduleCommand,
  ],
};
