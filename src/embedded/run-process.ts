import { spawn } from 'node:child_process';

/** How a process ended, and all that it printed. */
export interface ProcessResult {
  /** The exit code; null when a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** The reason given to `stop` when we ended it ourselves, and undefined otherwise. */
  stoppedBecause: string | undefined;
}

/** Settings of `runProcess`. */
export interface RunProcessOptions {
  /** The child's whole environment. Default: that of this process. */
  env?: NodeJS.ProcessEnv;
  /** Ends the child with SIGKILL after so many milliseconds. */
  timeoutMs: number;
  /** Called every `watchEveryMs` milliseconds (default 5,000) while it runs; a returned text ends it, as the reason. */
  watch?: (elapsedMs: number) => string | undefined | void;
  watchEveryMs?: number;
}

/**
 * Runs a program to its end and collects what it prints.
 *
 * The child stays in our process group, so that Ctrl-C in a terminal ends both.
 *
 * @throws Error when the program cannot be started at all (not there, not executable).
 */
export function runProcess(
  command: string,
  args: readonly string[],
  options: RunProcessOptions,
): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const startedAt = Date.now();
    const child = spawn(command, args, { env: options.env ?? process.env, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));

    let stoppedBecause: string | undefined;
    const stop = (reason: string) => {
      stoppedBecause ??= reason;
      child.kill('SIGKILL');
    };
    const timeout = setTimeout(() => stop(`no end after ${options.timeoutMs / 1000} s`), options.timeoutMs);
    const watcher = setInterval(() => {
      const reason = options.watch?.(Date.now() - startedAt);
      if (typeof reason === 'string') stop(reason);
    }, options.watchEveryMs ?? 5_000);
    const stopWatching = () => {
      clearTimeout(timeout);
      clearInterval(watcher);
    };
    child.once('error', (error) => {
      stopWatching();
      reject(error);
    });
    child.once('close', (code) => {
      stopWatching();
      resolve({ code, ...output, stoppedBecause });
    });
  });
}

/**
 * The last lines of a text that say something, joined to one line: for error messages.
 *
 * @param lineCount  At most so many lines. Default 3.
 */
export function lastLines(text: string, lineCount = 3): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(-lineCount)
    .join(' | ');
}
