import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A program of ours that runs beside the benchmark, as a process of its own. */
export interface ChildProgram {
  pid: number;
  /** The line of its standard output that said it is ready. */
  readyLine: string;
  /** Asks it to end (SIGTERM) and waits; after 20 s it is killed. May be called again. */
  stop(): Promise<void>;
  /** Sends it a signal. */
  kill(signal: NodeJS.Signals): void;
  /** Resolves when it has ended, with how. */
  exited: Promise<string>;
}

/** What to run, and how. */
export interface ChildProgramOptions {
  /** Shown in messages. */
  name: string;
  /** Arguments of Node: switches, script, its arguments. */
  args: readonly string[];
  /** The whole environment. */
  env: NodeJS.ProcessEnv;
  /** Which line of its standard output says that it is ready. */
  isReady: (line: string) => boolean;
  /** What becomes of its standard error. Default: it comes out on ours. */
  stderr?: 'inherit' | 'ignore';
}

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;

/** Starts a Node program and resolves when it is ready. @throws Error */
export async function startProgram(options: ChildProgramOptions): Promise<ChildProgram> {
  const { name, args, env, isReady } = options;
  // Its own process group, so that Ctrl-C in a terminal leaves it to us to stop things in their order.
  const child = spawn(process.execPath, args, {
    env,
    stdio: ['ignore', 'pipe', options.stderr ?? 'inherit'],
    detached: true,
  });
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  void exited.then(() => process.off('exit', killAtExit));
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  };
  try {
    const readyLine = await untilReady();
    if (child.pid === undefined) throw new Error(`Cannot start the ${name}`);
    return { pid: child.pid, readyLine, stop, kill: (signal) => void child.kill(signal), exited };
  } catch (error) {
    await stop();
    throw error;
  }

  function untilReady(): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`The ${name} was not ready within ${READY_TIMEOUT_MS / 1000} s`)),
        READY_TIMEOUT_MS,
      );
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (!isReady(line)) return;
        clearTimeout(timer);
        resolve(line);
      });
      void exited.then((end) => {
        clearTimeout(timer);
        reject(new Error(`The ${name} ended before it was ready (${end})`));
      });
    });
  }
}
