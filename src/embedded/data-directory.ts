import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type HeldLock, isProcessAlive, type LockHolder, tryLock } from './process-lock.js';
import { errorCode } from './system-errors.js';

/** A data directory that another live server uses. */
export class DataDirectoryInUseError extends Error {
  override readonly name = 'DataDirectoryInUseError';

  constructor(dataDir: string, holder: LockHolder, server: RunningServer | undefined) {
    const where = server === undefined ? '' : ` (server at ${server.address}, UI at ${server.uiUrl})`;
    super(
      `Cannot start the Temporal server: the data directory ${dataDir} is in use by process ${holder.pid} ` +
        `on ${holder.host}${where}. Use that server, stop that process, or choose another data directory.`,
    );
  }
}

/** What we note in the data directory about the server that runs on it. */
export interface RunningServer {
  pid: number;
  address: string;
  uiUrl: string;
}

/** A data directory that is ours alone until released. */
export interface DataDirectory {
  /** The server's database file. */
  dbFilename: string;
  /** Notes the server, so that others can name it, and a later start can end it if it was left over. */
  note(server: RunningServer): Promise<void>;
  release(): Promise<void>;
}

/**
 * Takes a data directory, made when missing, for one server.
 *
 * A server left over there by a process that is gone is ended first: two on one database file would spoil it.
 *
 * @throws DataDirectoryInUseError
 */
export async function takeDataDirectory(path: string): Promise<DataDirectory> {
  const dataDir = resolve(path);
  await mkdir(dataDir, { recursive: true });
  const dbFilename = join(dataDir, 'temporal.db');
  const notePath = join(dataDir, 'server.json');
  const attempt = await tryLock(join(dataDir, 'server.lock'));
  const former = await readNote(notePath);
  if ('holder' in attempt) throw new DataDirectoryInUseError(dataDir, attempt.holder, former);
  if (former !== undefined) await endLeftover(former.pid, dbFilename, attempt.held);
  return {
    dbFilename,
    note: (server) => writeFile(notePath, JSON.stringify(server)),
    async release() {
      await rm(notePath, { force: true });
      await attempt.held.release();
    },
  };
}

async function readNote(path: string): Promise<RunningServer | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as RunningServer;
  } catch (error) {
    // A note that was cut off while it was written names no server: as if there were none.
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function endLeftover(pid: number, dbFilename: string, lock: HeldLock): Promise<void> {
  if (!(await isServerOn(pid, dbFilename))) return;
  const deadline = Date.now() + 20_000;
  process.kill(pid, 'SIGTERM');
  while (isProcessAlive(pid)) {
    if (Date.now() > deadline) {
      await lock.release();
      throw new Error(`Cannot start the Temporal server: process ${pid}, left over on ${dbFilename}, does not end.`);
    }
    if (Date.now() > deadline - 10_000) process.kill(pid, 'SIGKILL');
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** Process ids are used again: only one whose command line names our database is a server of ours. */
async function isServerOn(pid: number, dbFilename: string): Promise<boolean> {
  if (!isProcessAlive(pid)) return false;
  try {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    return commandLine.split('\0').includes(dbFilename);
  } catch {
    // No /proc on macOS: its `ps` tells the same.
    return promisify(execFile)('ps', ['-o', 'args=', '-p', String(pid)]).then(
      ({ stdout }) => stdout.includes(dbFilename),
      () => false,
    );
  }
}
