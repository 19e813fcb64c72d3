import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { errorCode, errorMessage } from './system-errors.js';

/** Who holds a lock. */
export interface LockHolder {
  pid: number;
  host: string;
  token: string;
}

/** A lock that is ours until released (or until this process dies). */
export interface HeldLock {
  release(): Promise<void>;
}

/** The outcome of one try: ours, or the holder who has it. */
export type LockAttempt = { held: HeldLock } | { holder: LockHolder };

const TOUCH_EVERY_MS = 5_000;
const STALE_AFTER_MS = 30_000;

/**
 * Tries once to take a lock that excludes other processes, as a file.
 *
 * The holder touches the file every 5 s. A file untouched for 30 s, or of a process of this host that is gone, is taken
 * over: the time alone guards against process ids used again after a reboot, and works across containers.
 *
 * @param path  The lock file; its folder is made when missing.
 */
export async function tryLock(path: string): Promise<LockAttempt> {
  await mkdir(dirname(path), { recursive: true });
  const mine: LockHolder = { pid: process.pid, host: hostname(), token: randomUUID() };
  for (;;) {
    if (await createWhole(path, mine)) return { held: hold(path, mine) };
    const current = await readHolder(path);
    if (current === undefined) continue;
    if (isLive(current)) return { holder: current.holder };
    await removeStale(path, current.holder);
  }
}

/** By a link, so that the lock never exists without its holder's name. */
async function createWhole(path: string, mine: LockHolder): Promise<boolean> {
  const draft = `${path}.draft-${mine.token}`;
  await writeFile(draft, JSON.stringify(mine));
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

function hold(path: string, mine: LockHolder): HeldLock {
  const touch = setInterval(() => {
    const now = new Date();
    // Swallowed: the folder may have been deleted under us; then there is nothing left to guard.
    utimes(path, now, now).catch(() => undefined);
  }, TOUCH_EVERY_MS);
  touch.unref();
  return {
    async release() {
      clearInterval(touch);
      const current = await readHolder(path);
      if (current?.holder.token === mine.token) await rm(path, { force: true });
    },
  };
}

interface ReadLock {
  holder: LockHolder;
  touchedMs: number;
}

/** The lock as it stands, or undefined when there is none (any more). */
async function readHolder(path: string): Promise<ReadLock | undefined> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    return { holder: JSON.parse(text) as LockHolder, touchedMs: mtimeMs };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new Error(`Cannot read the lock ${path} (${errorMessage(error)}): remove it when no other process uses it.`, {
      cause: error,
    });
  }
}

function isLive({ holder, touchedMs }: ReadLock): boolean {
  if (Date.now() - touchedMs > STALE_AFTER_MS) return false;
  return holder.host !== hostname() || isProcessAlive(holder.pid);
}

/** Two processes may see the same stale file: whoever moves away a lock that is not the stale one puts it back. */
async function removeStale(path: string, stale: LockHolder): Promise<void> {
  const moved = `${path}.stale-${randomUUID()}`;
  try {
    await rename(path, moved);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  const taken = await readHolder(moved);
  if (taken !== undefined && taken.holder.token !== stale.token) {
    // Swallowed: a third process has taken the lock in this instant, and its lock stands.
    await link(moved, path).catch(() => undefined);
  }
  await rm(moved, { force: true });
}

/** Whether a process of this host with that id exists, also one of another user. */
export function isProcessAlive(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}
