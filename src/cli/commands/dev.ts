import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { LogLevel } from '@temporalio/worker';
import type { FoundryConfig } from '../../config.js';
import type { Sources } from '../../settings.js';
import { findAgentRid, loadDataDir, loadFoundryConfig, loadTaskQueue, loadWorkerLimits } from '../../config.js';
import { PortTakenError, type ServerExit, startTemporalServer, type TemporalServer } from '../../embedded/index.js';
import { SEARCH_ATTRIBUTE_TYPES } from '../../protocol/search-attributes.js';
import { startSimulator, type Simulator, type SimulatorOptions } from '../../simulator/index.js';
import { command, EXIT, FOUNDRY_SETTINGS, JSON_OPTION, UsageError, wholeNumber } from '../command.js';
import type { DevState } from '../dev-state.js';
import { readDevState, removeDevState, writeDevState } from '../dev-state.js';
import { LOG_LEVEL_OPTION } from '../log-level.js';
import type { Output } from '../output.js';
import { programName } from '../output.js';

interface DevOptions {
  temporalPort?: number;
  uiPort?: number;
  simulatorPort?: number;
  /** `--no-simulator` makes it false. */
  simulator: boolean;
  logLevel?: string;
}

/** Ports that are tried first, so that what was exported once stays true after a restart. */
const USUAL_PORTS = { temporal: 7233, ui: 8233, simulator: 8300 } as const;

/** `aip-temporal dev` */
export const devCommand = command<DevOptions>({
  name: 'dev',
  summary: 'run everything on this machine: Temporal with its UI, a simulated Foundry, a worker',
  description:
    'Other commands in this directory find it by themselves. Ctrl-C stops it all; conversations are there again after the ' +
    'next start.',
  options: [
    portOption('temporal-port', 'port of Temporal', USUAL_PORTS.temporal),
    portOption('ui-port', 'port of the Temporal UI', USUAL_PORTS.ui),
    portOption('simulator-port', 'port of the simulator', USUAL_PORTS.simulator),
    { flags: '--no-simulator', about: 'work with the real Foundry of FOUNDRY_URL' },
    LOG_LEVEL_OPTION,
    JSON_OPTION,
  ],
  settings: [
    'dataDir',
    'taskQueue',
    'agentRid',
    ...FOUNDRY_SETTINGS,
    'maxConcurrentExchanges',
    'maxConcurrentLanes',
    'shutdownGraceMs',
  ],
  examples: [
    ['aip-temporal dev', 'then, in another terminal: aip-temporal ask "Where is order 4711?"'],
    ['aip-temporal dev --no-simulator', 'a Temporal of one’s own, with agents of FOUNDRY_URL'],
  ],
  async run({ options, sources, output, io, signal }) {
    const dataDir = loadDataDir(sources);
    const running = readDevState(dataDir);
    if (running !== undefined) {
      throw new UsageError(
        `Another \`aip-temporal dev\` (process ${running.pid}) runs on ${dataDir}: use it (UI at ${running.uiUrl}), stop it, or name another --data-dir`,
      );
    }
    const stack = new Stack(output);
    let isReady = false;
    try {
      const state = await startAll(options, sources, dataDir, output, stack);
      if (output.isJson) output.json(state);
      else output.result(readyText(state, dataDir, programName(io.env)));
      isReady = true;
      const stopped = signal.aborted ? Promise.resolve('signal') : once(signal, 'abort').then(() => 'signal');
      await Promise.race([stopped, ...stack.failures]);
      output.note('\nStopping …');
    } catch (error) {
      if (isReady) output.note('\nStopping, as it cannot go on …');
      await stack.stopAll(FAILED_PATIENCE_MS);
      throw error;
    }
    await stack.stopAll();
    return EXIT.ok;
  },
});

function portOption(flag: string, about: string, usual: number) {
  return {
    flags: `--${flag} <n>`,
    about: `${about} (${usual}, or a free one)`,
    parse: wholeNumber(`--${flag}`, 0, 65_535),
  };
}

/** How long each part may take to stop when one of them has failed (milliseconds). */
const FAILED_PATIENCE_MS = 5_000;

const howItEnded = ({ code, signal, lastLog }: ServerExit): string =>
  signal ?? [`exit code ${code}`, ...lastLog.slice(-1)].join(': ');

/** What runs, to be stopped in the reverse order of its start. */
class Stack {
  private readonly stops: { what: string; stop: () => Promise<void> }[] = [];
  /** Each rejects when something ends that should not. */
  readonly failures: Promise<never>[] = [];

  constructor(private readonly output: Output) {}

  /** @param ended When it ends by itself: how, in words. */
  push(what: string, stop: () => Promise<void>, ended?: Promise<string | void>): void {
    this.stops.push({ what, stop });
    if (ended === undefined) return;
    const failure = ended.then((how): never => {
      const reason = how === undefined ? '' : ` (${how})`;
      throw new Error(
        `The ${what} ended by itself${reason}; start \`aip-temporal dev\` again, it goes on with what there is`,
      );
    });
    failure.catch(() => undefined); // It ends for good when we stop it.
    this.failures.push(failure);
  }

  /** @param patienceMs For each: without Temporal, a worker does not come to its end. */
  async stopAll(patienceMs?: number): Promise<void> {
    for (const { what, stop } of this.stops.reverse()) {
      try {
        const stopped = stop();
        await (patienceMs === undefined ? stopped : Promise.race([stopped, delay(patienceMs)]));
      } catch (error) {
        this.output.error(`Could not stop the ${what}: ${String(error)}`);
      }
    }
  }
}

async function startAll(
  options: DevOptions,
  sources: Sources,
  dataDir: string,
  output: Output,
  stack: Stack,
): Promise<DevState> {
  const taskQueue = loadTaskQueue(sources);
  const limits = loadWorkerLimits(sources);
  const foundryConfig = options.simulator ? undefined : loadFoundryConfig(sources);
  if (options.simulator && sources.env['FOUNDRY_URL']) {
    output.note(
      'FOUNDRY_URL is set, and the simulator is used all the same: --no-simulator works with Foundry itself.',
    );
  }
  const server = await startServer(options, dataDir, output);
  stack.push('Temporal server', () => server.stop(), server.exited.then(howItEnded));
  const simulator = options.simulator ? await startOnUsualPort(options) : undefined;
  if (simulator !== undefined) stack.push('simulator', () => simulator.close());
  const foundry: FoundryConfig = foundryConfig ?? simulatorConfig(simulator);
  const config = { foundry, temporal: { address: server.address }, namespace: server.namespace, taskQueue, limits };
  // Loaded here: the worker's native part is slow to load, and other commands do without.
  const { startWorker } = await import('../run-worker.js');
  const worker = await startWorker(config, output, (options.logLevel ?? 'WARN') as LogLevel);
  stack.push('worker', () => worker.stop(), worker.ended);
  const agentRid = simulator?.agentRid ?? findAgentRid(sources);
  const state: DevState = {
    pid: process.pid,
    temporalAddress: server.address,
    uiUrl: server.uiUrl,
    taskQueue,
    ...(simulator === undefined ? {} : { foundry: { url: simulator.url, token: simulator.token } }),
    ...(agentRid === undefined ? {} : { agentRid }),
  };
  writeDevState(dataDir, state);
  stack.push('note of it', () => Promise.resolve(removeDevState(dataDir)));
  return state;
}

function simulatorConfig(simulator: Simulator | undefined): FoundryConfig {
  if (simulator === undefined) throw new Error('Neither Foundry nor a simulator is configured');
  return { url: simulator.url, credentials: { kind: 'static', token: simulator.token }, allowInsecureHttp: false };
}

/** The usual ports where they are free, else any; ports that were asked for, or an error. */
async function startServer(options: DevOptions, dataDir: string, output: Output): Promise<TemporalServer> {
  const start = (ports: { port: number; uiPort: number }) =>
    startTemporalServer({
      dataDir,
      ...ports,
      searchAttributes: SEARCH_ATTRIBUTE_TYPES,
      onProgress: (text) => output.note(text),
      onLog: (line) => output.detail(line),
    });
  const { temporalPort, uiPort } = options;
  try {
    return await start({ port: temporalPort ?? USUAL_PORTS.temporal, uiPort: uiPort ?? USUAL_PORTS.ui });
  } catch (error) {
    const wanted = error instanceof PortTakenError ? error.port : undefined;
    if (wanted === undefined || wanted === temporalPort || wanted === uiPort) throw error;
    output.note(`Port ${wanted} is taken; choosing free ones`);
    return start({ port: temporalPort ?? 0, uiPort: uiPort ?? 0 });
  }
}

async function startOnUsualPort({ simulatorPort }: DevOptions): Promise<Simulator> {
  const options = (port: number): SimulatorOptions => ({ port, answerLatencyMs: 400, streamingPaceMs: 30 });
  try {
    return await startSimulator(options(simulatorPort ?? USUAL_PORTS.simulator));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || simulatorPort !== undefined) throw error;
    return startSimulator(options(0));
  }
}

function readyText(state: DevState, dataDir: string, program: string): string {
  const { foundry, agentRid } = state;
  return [
    'Ready. Ctrl-C stops it all.',
    '',
    `  Temporal UI  ${state.uiUrl}`,
    `  Temporal     ${state.temporalAddress}`,
    `  Agents       ${foundry === undefined ? 'of FOUNDRY_URL' : `${foundry.url} (simulated)`}`,
    ...(agentRid === undefined ? [] : [`  Agent        ${agentRid}`]),
    `  Data         ${dataDir}`,
    '',
    'In another terminal, in this directory:',
    `  ${program} ask "Where is order 4711?"`,
    `  ${program} chat`,
    `  ${program} automation run plan.yaml`,
    '',
    'Elsewhere, first:',
    `  export TEMPORAL_ADDRESS=${state.temporalAddress}`,
    ...(agentRid === undefined ? [] : [`  export AIP_AGENT_RID=${agentRid}`]),
    ...(foundry === undefined ? [] : [`  export FOUNDRY_URL=${foundry.url} FOUNDRY_TOKEN=${foundry.token}`]),
    '',
  ].join('\n');
}
