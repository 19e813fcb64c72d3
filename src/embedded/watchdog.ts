import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/** Waits for the end of its input, which is the end of the parent, however it came; then ends the process it was given. */
const SCRIPT = `
while read -r _; do :; done
kill -TERM "$1" 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do
  sleep 1
  kill -0 "$1" 2>/dev/null || exit 0
done
kill -KILL "$1" 2>/dev/null
`;

/**
 * Sees to it that a process does not outlive this one, even when this one is killed with -9: a small shell holds the other
 * end of a pipe of ours. Needs no signal handlers here, which would be the application's own business.
 *
 * On Windows, which has no such shell, it does nothing.
 *
 * @returns Calls the watchdog off, once the process has ended by itself.
 */
export function endWithThisProcess(pid: number): () => void {
  if (process.platform === 'win32') return () => undefined;
  // A group of its own: Ctrl-C in the terminal must not end the watchdog before its work.
  const watchdog = spawn('/bin/sh', ['-c', SCRIPT, 'temporal-watchdog', String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Swallowed: without a shell the server is still stopped by every orderly end.
  watchdog.on('error', () => undefined);
  watchdog.stdin.on('error', () => undefined);
  watchdog.unref();
  (watchdog.stdin as Socket).unref();
  return () => watchdog.kill('SIGKILL');
}
