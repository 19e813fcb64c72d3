import type { CommandDefinition } from '../../command.js';
import { cancelCommand, pauseCommand, resumeCommand, setCommand } from './control.js';
import { rerunCommand } from './rerun.js';
import { resultsCommand } from './results.js';
import { listCommand, showCommand } from './show.js';
import { runCommand, submitCommand } from './submit.js';
import { watchCommand } from './watch.js';

/** `aip-temporal batch …` */
export const batchCommand: CommandDefinition = {
  name: 'batch',
  summary: 'put many questions through an agent',
  subcommands: [
    runCommand,
    submitCommand,
    watchCommand,
    showCommand,
    listCommand,
    resultsCommand,
    pauseCommand,
    resumeCommand,
    setCommand,
    cancelCommand,
    rerunCommand,
  ],
};
