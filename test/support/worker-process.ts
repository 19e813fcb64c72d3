import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Rig } from './rig.js';
import { temporalServer, workflowBundle } from './temporal-server.js';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** A worker in a process of its own. */
export interface WorkerProcess {
  /** SIGKILL, as by the system's out-of-memory killer: nothing is handed back. */
  kill(): Promise<void>;
  /** SIGTERM, as by a deploy. */
  terminate(): Promise<void>;
}

/** A worker's process that is loaded, and begins when it is told to. */
export interface LoadedWorkerProcess extends WorkerProcess {
  begin(): void;
}

/**
 * Starts a worker for a rig in a process of its own. It polls some time later; kill it in the end.
 *
 * @param identity Default: the one of all workers of this rig.
 */
export async function startWorkerProcess(
  rig: Pick<Rig, 'simulator' | 'taskQueue'>,
  identity?: string,
): Promise<WorkerProcess> {
  const worker = await loadWorkerProcess(rig, identity);
  worker.begin();
  return worker;
}

/** As `startWorkerProcess`, for a worker that has to be there soon: to load it takes seconds on a busy machine. */
export async function loadWorkerProcess(
  rig: Pick<Rig, 'simulator' | 'taskQueue'>,
  identity: string = rig.taskQueue,
): Promise<LoadedWorkerProcess> {
  const { address, namespace } = await temporalServer();
  const { codePath } = await workflowBundle();
  const { url, token } = rig.simulator;
  const worker = spawn(
    process.execPath,
    [
      '--import',
      path('./register-typescript.mjs'),
      path('./worker-program.ts'),
      ...[address, namespace, codePath, url, token, rig.taskQueue, identity],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const ended = once(worker, 'exit');
  const end = async (signal: NodeJS.Signals) => {
    worker.kill(signal);
    await ended;
  };
  await Promise.race([once(worker.stdout, 'data'), ended]);
  return {
    begin: () => void worker.stdin.write('begin\n'),
    kill: () => end('SIGKILL'),
    terminate: () => end('SIGTERM'),
  };
}
