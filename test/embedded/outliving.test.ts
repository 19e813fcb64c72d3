import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from '@jest/globals';
import { startTemporalServer } from '../../src/embedded/index.js';
import { temporaryFolder } from './fake-programs.js';

const support = (name: string) => fileURLToPath(new URL(name, import.meta.url));

let parent: ChildProcess | undefined;

afterEach(() => {
  parent?.kill('SIGKILL');
});

/** Starts a program that runs a server, and gives the server's process id once it serves. */
async function startParent(dataDir: string): Promise<{ program: ChildProcess; serverPid: number; port: number }> {
  const program = spawn(
    process.execPath,
    ['--import', support('../support/register-typescript.mjs'), support('./server-owner.ts'), dataDir],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  parent = program;
  const [line] = (await once(createInterface({ input: program.stdout }), 'line')) as [string];
  const { pid, port } = JSON.parse(line) as { pid: number; port: number };
  return { program, serverPid: pid, port };
}

/** Waits for the end of a process that is not a child of ours, and until the system has taken note of it. */
async function untilGone(pid: number): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    if (Date.now() > deadline) throw new Error(`process ${pid} is still there after a minute`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('the server of a program that ends', () => {
  test.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('ends with it on %s', async (signal) => {
    const { program, serverPid } = await startParent(await temporaryFolder());
    program.kill(signal);
    await untilGone(serverPid);
    expect(program.signalCode).toBe(signal);
  });

  test('is out of the way of a program that starts anew at once, on the same data directory and port', async () => {
    const dataDir = await temporaryFolder();
    const { program, serverPid, port } = await startParent(dataDir);
    program.kill('SIGKILL');
    await once(program, 'exit');
    const server = await startTemporalServer({ dataDir, port });
    expect(server.port).toBe(port);
    await untilGone(serverPid);
    await server.stop();
  });
});
