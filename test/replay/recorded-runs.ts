import type { Rig } from '../support/rig.js';
import { automationRuns } from './automation-runs.js';
import { batchRuns } from './batch-runs.js';
import { conversationRuns } from './conversation-runs.js';
import { governorRuns } from './governor-runs.js';
import type { Setting } from './recording-rig.js';

/** How a story goes; resolves with the ids of the workflows whose histories tell it. */
export type Tell = (rig: Rig) => Promise<string[]>;

/** A story, on an ordinary rig with a worker or in a setting of its own. */
export type Story = Tell | { setting: Setting; tell: Tell };

/**
 * The stories whose histories later code must keep replaying, by name. They are told on real servers, by the client's own
 * means. One that is recorded stays as it is: another course of events is another story, with a name of its own.
 *
 * `odd-paths.ts` says which paths they have to take between them.
 */
export const recordedRuns: Readonly<Record<string, Story>> = {
  ...conversationRuns,
  ...batchRuns,
  ...governorRuns,
  ...automationRuns,
};
