import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AipClient } from '../src/client/index.js';
import { startTemporalServer } from '../src/embedded/index.js';
import { SEARCH_ATTRIBUTE_TYPES } from '../src/protocol/search-attributes.js';
import { type ChildProgram, startProgram } from './child-program.js';
import { SimulatorControl } from './simulator-control.js';

/** What is measured: a whole installation in processes of its own, with this process as the client. */
export interface Installation {
  client: AipClient;
  simulator: SimulatorControl;
  agentRid: string;
  /** Process ids, by whose CPU time and memory are read. */
  pids: Record<'client' | 'worker' | 'server' | 'simulator', number>;
  /** Environment in which the command line reaches all this, as a client. */
  clientEnv: NodeJS.ProcessEnv;
  /** Where the server keeps its database. */
  dataDir: string;
  /**
   * Kills the worker (-9) and starts the next one, of the same identity or of another; resolves when that is ready, with the
   * time of its start (`performance.now()`). `between`: done before it is started.
   */
  killWorker(next: 'same' | 'another', between?: () => Promise<void>): Promise<number>;
  /** Starts one more worker, of an identity of its own; resolves when it is ready. Stop it, or it stops with all. */
  addWorker(args?: readonly string[]): Promise<ChildProgram>;
  /** Stops everything, in the reverse order of its start, and removes the data. */
  stop(): Promise<void>;
}

/** Settings of `startInstallation`. */
export interface InstallationOptions {
  /** Told in one line what is being done. */
  say: (text: string) => void;
  /** Folder for a CPU profile of the worker (`node --cpu-prof`). Default: none. */
  profileDir?: string | undefined;
}

/** The program `aip-temporal`. */
export const cli = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

/** Starts a Temporal server on a file database, a simulator and a worker, each a process, and a client here. */
export async function startInstallation({ say, profileDir }: InstallationOptions): Promise<Installation> {
  const stops: (() => unknown)[] = [];
  const stop = async () => {
    for (let next = stops.pop(); next !== undefined; next = stops.pop()) await next();
  };
  try {
    say('Starting a Temporal server (file database), a simulator and a worker ...');
    const dataDir = mkdtempSync(join(tmpdir(), 'aip-temporal-bench-'));
    stops.push(() => rmSync(dataDir, { recursive: true, force: true }));
    const server = await startTemporalServer({ dataDir, searchAttributes: SEARCH_ATTRIBUTE_TYPES, onProgress: say });
    stops.push(() => server.stop());
    const env = plainEnvironment();
    const simulator = await startProgram({
      ...{ name: 'simulator', env, args: [cli, 'simulator', '--port', '0'] },
      isReady: (line) => line.startsWith('{'),
    });
    stops.push(() => simulator.stop());
    const { url, token, agentRid } = JSON.parse(simulator.readyLine) as Record<'url' | 'token' | 'agentRid', string>;
    const profile = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
    const startWorker = (identity: number | string, args: readonly string[] = []) =>
      startProgram({
        ...{ name: 'worker', args: [...profile, cli, 'worker', '--identity', `bench-${identity}`, ...args] },
        env: { ...env, FOUNDRY_URL: url, FOUNDRY_TOKEN: token, TEMPORAL_ADDRESS: server.address },
        isReady: (line) => line.includes('ready'),
      });
    let identity = 1;
    let worker = await startWorker(identity);
    stops.push(() => worker.stop());
    const client = await AipClient.connect({ connection: { address: server.address }, agentRid });
    stops.push(() => client.close());
    const pids = { client: process.pid, worker: worker.pid, server: server.pid, simulator: simulator.pid };
    const killWorker = async (next: 'same' | 'another', between?: () => Promise<void>) => {
      worker.kill('SIGKILL');
      await worker.exited;
      await between?.();
      if (next === 'another') identity++;
      const startedMs = performance.now();
      worker = await startWorker(identity);
      pids.worker = worker.pid;
      return startedMs;
    };
    let added = 0;
    const addWorker = async (args: readonly string[] = []) => {
      const program = await startWorker(`added-${++added}`, args);
      stops.push(() => program.stop());
      return program;
    };
    const clientEnv = { ...env, TEMPORAL_ADDRESS: server.address, AIP_AGENT_RID: agentRid };
    return {
      ...{ client, simulator: new SimulatorControl(url, token), agentRid, pids },
      ...{ clientEnv, dataDir, killWorker, addWorker, stop },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The environment without settings of ours or of Temporal's: defaults are what is measured. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const isSetting = (name: string) => /^(AIP|FOUNDRY|TEMPORAL)_/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isSetting(name)));
}
