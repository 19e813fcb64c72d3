import type { CommandDefinition } from '../command.js';
import { askCommand } from './ask.js';
import { chatCommand } from './chat.js';
import { conversationCommand } from './conversation.js';
import { simulatorCommand } from './simulator.js';

/** All commands, in the order of the help. */
export const commands: readonly CommandDefinition[] = [askCommand, chatCommand, conversationCommand, simulatorCommand];
