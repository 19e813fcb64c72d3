import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { type ChildProgram, startProgram } from './child-program.js';
import { type Installation, plainEnvironment } from './installation.js';
import { CpuClock } from './process-usage.js';
import type { SharingWorkerJob } from './sharing-worker.js';

const script = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const SETTLE_MS = 1_000;
const IDLE_SECONDS = 4;

/** What the ways of sharing are tried on. */
export interface SharingRig {
  installation: Installation;
  address: string;
  /** Starts a worker of the ways' workflows and activities; it is stopped with the rig. */
  startWorker(taskQueue: string, perSecond?: number): Promise<ChildProgram>;
  stop(): Promise<void>;
}

/** Bundles the ways' workflows for workers on the installation's server. */
export async function sharingRig(installation: Installation): Promise<SharingRig> {
  const address = installation.clientEnv.TEMPORAL_ADDRESS ?? '';
  const workflowBundlePath = join(installation.dataDir, 'sharing-workflows.js');
  const { code } = await bundleWorkflowCode({
    workflowsPath: script('./sharing-workflows.js'),
    logger: new DefaultLogger('ERROR'),
  });
  await writeFile(workflowBundlePath, code);
  const workers: ChildProgram[] = [];
  return {
    installation,
    address,
    async startWorker(taskQueue, perSecond) {
      const job: SharingWorkerJob = { address, workflowBundlePath, taskQueue, ...(perSecond && { perSecond }) };
      const args = [script('./sharing-worker.js'), JSON.stringify(job)];
      const worker = await startProgram({
        ...{ name: 'worker of shared limits', args, env: plainEnvironment() },
        isReady: (line) => line === 'ready',
      });
      workers.push(worker);
      return worker;
    },
    async stop() {
      await Promise.all(workers.map((worker) => worker.stop()));
    },
  };
}

/** CPU time of processes since a start, less what they use with nothing to do. */
export interface BusyCpu<Name extends string> {
  elapsedMs(): Record<Name, number>;
  /** What was deducted: milliseconds a second. */
  idle: Record<Name, number>;
}

/** Watches processes for some seconds in which they have nothing to do, and starts the clock. */
export async function busyCpu<Name extends string>(pids: Record<Name, number>): Promise<BusyCpu<Name>> {
  await delay(SETTLE_MS);
  const before = new CpuClock(pids);
  await delay(IDLE_SECONDS * 1000);
  const idle = mapped(before.elapsedMs(), (ms) => ms / IDLE_SECONDS);
  const [clock, startedMs] = [new CpuClock(pids), performance.now()];
  return {
    idle,
    elapsedMs() {
      const seconds = (performance.now() - startedMs) / 1000;
      return mapped(clock.elapsedMs(), (ms, name) => ms - idle[name] * seconds);
    },
  };
}

function mapped<Name extends string>(
  values: Record<Name, number>,
  change: (value: number, name: Name) => number,
): Record<Name, number> {
  const entries = Object.entries<number>(values).map(([name, value]) => [name, change(value, name as Name)]);
  return Object.fromEntries(entries) as Record<Name, number>;
}
