import type { CommandDefinition } from '../../command.js';
import { createCommand } from './schedule-create.js';
import { backfillCommand, deleteCommand, pauseCommand, resumeCommand, triggerCommand } from './schedule-control.js';
import { listCommand, showCommand } from './schedule-show.js';
import { updateCommand } from './schedule-update.js';

/** `aip-temporal automation schedule …` */
export const scheduleCommand: CommandDefinition = {
  name: 'schedule',
  summary: 'start plans at set times, by Temporal itself',
  subcommands: [
    createCommand,
    updateCommand,
    listCommand,
    showCommand,
    pauseCommand,
    resumeCommand,
    triggerCommand,
    backfillCommand,
    deleteCommand,
  ],
};
