import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { endWithThisProcess } from './watchdog.js';

/** How the server's process ended. */
export interface ServerExit {
  /** The exit code; null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The last lines that it logged, oldest first. */
  lastLog: readonly string[];
}

/** A server's process that has been started, and may not serve yet. */
export interface ServerProcess {
  pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Asks it to end, and after 10 s makes it end. Resolves when it has. */
  stop(): Promise<void>;
  exited: Promise<ServerExit>;
}

const LOG_LINES_KEPT = 40;
const STOP_TIMEOUT_MS = 10_000;

/**
 * Starts the server's process, which ends with this one at the latest.
 *
 * @param onLog  Given each line that the server logs.
 * @throws Error when the program cannot be started.
 */
export async function startServerProcess(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  onLog: (line: string) => void,
): Promise<ServerProcess> {
  // A group of its own: on Ctrl-C the worker drains first, and needs the server for it.
  const child = spawn(command, args, {
    env,
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lastLog: string[] = [];
  const keep = (line: string) => {
    lastLog.push(line);
    if (lastLog.length > LOG_LINES_KEPT) lastLog.shift();
    onLog(line);
  };
  const exited = whenExited(child, lastLog);
  const pid = await started(child);
  readLines(child.stdout, keep);
  readLines(child.stderr, keep);

  const callOffWatchdog = endWithThisProcess(pid);
  const endWithUs = () => child.kill('SIGTERM');
  process.once('exit', endWithUs);
  void exited.then(() => {
    process.off('exit', endWithUs);
    callOffWatchdog();
  });
  return { pid, kill: (signal) => void child.kill(signal), stop: () => stop(child, exited), exited };
}

function started(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(child.pid ?? 0));
    child.once('error', reject);
  });
}

/** `close` rather than `exit`: by then the last lines of the log have been read. */
function whenExited(child: ChildProcess, lastLog: readonly string[]): Promise<ServerExit> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, lastLog: [...lastLog] }));
  });
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  createInterface({ input: stream, crlfDelay: Infinity }).on('line', onLine);
}

async function stop(child: ChildProcess, exited: Promise<ServerExit>): Promise<void> {
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(force);
}
