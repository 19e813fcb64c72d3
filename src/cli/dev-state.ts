import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { DevDefaults } from '../settings.js';

const devState = z.object({
  /** Process of the `dev` that wrote it. */
  pid: z.int().positive(),
  temporalAddress: z.string(),
  uiUrl: z.string(),
  taskQueue: z.string(),
  foundry: z.object({ url: z.string(), token: z.string() }).optional(),
  agentRid: z.string().optional(),
});

/** What a running `aip-temporal dev` tells the other commands of its directory. */
export interface DevState extends DevDefaults {
  pid: number;
  uiUrl: string;
}

const fileOf = (dataDir: string): string => join(dataDir, 'dev.json');

/** Notes a running `dev`; the simulator's token is for the owner's eyes. */
export function writeDevState(dataDir: string, state: DevState): void {
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(fileOf(dataDir), `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 });
}

/** Takes the note away; nothing happens when there is none. */
export function removeDevState(dataDir: string): void {
  rmSync(fileOf(dataDir), { force: true });
}

/** The `dev` that runs on this data directory; absent when there is none, or only the note of one that died. */
export function readDevState(dataDir: string): DevState | undefined {
  let text: string;
  try {
    text = readFileSync(fileOf(dataDir), 'utf8');
  } catch {
    return undefined; // No note, or one that is not for us.
  }
  const state = devState.safeParse(parsed(text));
  if (!state.success || !isAlive(state.data.pid)) return undefined;
  const { foundry, agentRid, ...rest } = state.data;
  return { ...rest, ...(foundry === undefined ? {} : { foundry }), ...(agentRid === undefined ? {} : { agentRid }) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Cut off by a crash: as good as none.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
