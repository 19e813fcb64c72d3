import { PassThrough, Readable, Writable } from 'node:stream';
import type { CliIo } from '../../src/cli/command.js';
import { runCli } from '../../src/cli/run-cli.js';
import { addressOf } from '../../src/client/index.js';
import type { Environment } from '../../src/settings.js';
import type { Rig } from './rig.js';

/** A command line that runs in this process. */
export interface CliRun {
  /** Resolves with the exit code. */
  exited: Promise<number>;
  /** All that was written so far. */
  stdout(): string;
  stderr(): string;
  /** As Ctrl-C or a supervisor would. */
  signal(name: 'SIGINT' | 'SIGTERM'): void;
  /** Feeds stdin. */
  type(text: string): void;
}

/** A finished command line. */
export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

class Collected extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    done();
  }
}

/**
 * Starts a command line with streams of its own.
 *
 * @param options.env The whole environment; nothing of the real one is seen.
 * @param options.stdin Text, then the end. Default: open until the test types.
 * @param options.isTTY Stdout is a terminal. Default false.
 */
export function startCli(args: string[], options: { env?: Environment; stdin?: string; isTTY?: boolean } = {}): CliRun {
  const stdout = Object.assign(new Collected(), { isTTY: options.isTTY === true });
  const stderr = new Collected();
  const typed = new PassThrough();
  const handlers = new Set<(name: 'SIGINT' | 'SIGTERM') => void>();
  const io: CliIo = {
    stdin: options.stdin === undefined ? typed : Readable.from([Buffer.from(options.stdin)]),
    stdout,
    stderr,
    // Keeps away from the real settings of whoever runs the tests.
    env: { XDG_CONFIG_HOME: '/nonexistent', AIP_DATA_DIR: '/nonexistent', ...options.env },
    onSignal(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
  };
  return {
    exited: runCli(args, io),
    stdout: () => stdout.text,
    stderr: () => stderr.text,
    signal: (name) => handlers.forEach((handler) => handler(name)),
    type: (text) => void typed.write(text),
  };
}

/** Settings that lead a command line to the rig. */
export const environmentOf = ({ client, taskQueue, simulator }: Rig): Environment => ({
  TEMPORAL_ADDRESS: addressOf(client.client),
  AIP_TASK_QUEUE: taskQueue,
  AIP_AGENT_RID: simulator.agentRid,
});

/** Runs a command line to its end. */
export async function cli(args: string[], options: { env?: Environment; stdin?: string } = {}): Promise<CliResult> {
  const run = startCli(args, options);
  const code = await run.exited;
  return { code, stdout: run.stdout(), stderr: run.stderr() };
}
