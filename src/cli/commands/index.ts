import type { CommandDefinition } from '../command.js';
import { askCommand } from './ask.js';
import { automationCommand } from './automation/index.js';
import { batchCommand } from './batch/index.js';
import { chatCommand } from './chat.js';
import { conversationCommand } from './conversation.js';
import { demoCommand } from './demo.js';
import { devCommand } from './dev.js';
import { limitsCommand } from './limits.js';
import { simulatorCommand } from './simulator.js';
import { workerCommand } from './worker.js';

/** All commands, in the order of the help. */
export const commands: readonly CommandDefinition[] = [
  devCommand,
  askCommand,
  chatCommand,
  conversationCommand,
  batchCommand,
  automationCommand,
  limitsCommand,
  workerCommand,
  simulatorCommand,
  demoCommand,
];
