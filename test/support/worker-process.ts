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

/**
 * Starts a worker for a rig in a process of its own. It polls some time later; kill it in the end.
 *
 * @param identity Default: the one of all workers of this rig.
 */
export async function startWorkerProcess(
  rig: Pick<Rig, 'simulator' | 'taskQueue'>,
  identity: string = rig.taskQueue,
): Promise<WorkerProcess> {
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
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const ended = once(worker, 'exit');
  const end = async (signal: NodeJS.Signals) => {
    worker.kill(signal);
    await ended;
  };
  return { kill: () => end('SIGKILL'), terminate: () => end('SIGTERM') };
}
