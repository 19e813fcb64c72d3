import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** One line on stderr: stdout belongs to what a script runs in the end (`npm test -- --json`). */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/**
 * Runs a program in the project's folder and gives its exit code, 128 + n after signal n.
 *
 * Ctrl-C reaches the program by the terminal itself; we only wait for it to end. SIGTERM is handed on.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: Record<string, string | undefined>, stdout?: 'inherit' | 'stderr' }} options
 * @returns {Promise<number>}
 */
export function run(command, args, { env = {}, stdout = 'inherit' } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['inherit', stdout === 'stderr' ? 2 : 'inherit', 'inherit'],
    });
    const wait = () => undefined;
    const handOn = () => child.kill('SIGTERM');
    process.on('SIGINT', wait).on('SIGTERM', handOn);
    const settle = (end) => {
      process.off('SIGINT', wait).off('SIGTERM', handOn);
      end();
    };
    child.once('error', (error) => settle(() => reject(error)));
    child.once('close', (code, signal) => settle(() => resolve(code ?? 128 + (constants.signals[signal] ?? 0))));
  });
}

/** As `run`, for a step without which the next makes no sense. */
export async function mustRun(purpose, command, args, options) {
  const code = await run(command, args, options);
  if (code !== 0) throw new Error(`${purpose} failed (exit code ${code}).`);
}

/**
 * The work of a script that Node was asked to run: an error ends it with one line and exit code 1.
 *
 * @param {() => Promise<number | void>} work  Gives the exit code; nothing means 0.
 */
export async function main(work) {
  try {
    process.exitCode = (await work()) ?? 0;
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}

/** Whether this file is what Node was asked to run, and not only imported. */
export function isMain(url) {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(url);
}
