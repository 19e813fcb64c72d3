import { once } from 'node:events';
import type { SimulatorOptions } from '../../simulator/index.js';
import { InvalidSettingsError, simulatorReadyLine, startSimulator } from '../../simulator/index.js';
import { command, UsageError, wholeNumber } from '../command.js';
import { readInput } from '../message-options.js';

interface SimulatorCommandOptions {
  port?: number;
  host?: string;
  token?: string;
  answerLatency?: number;
  requestsPerSecond?: number;
  concurrent?: number;
  settings?: string;
}

/** `aip-temporal simulator` */
export const simulatorCommand = command<SimulatorCommandOptions>({
  name: 'simulator',
  summary: 'run the AIP Agents API on this machine, with answers made up',
  description:
    'When it listens it prints one line of JSON: url, token, agentRid, slowText and more. Its ledger (what landed, what was ' +
    'refused, what runs) is at ledgerUrl.',
  options: [
    { flags: '--port <n>', about: 'port (any free one)', parse: wholeNumber('--port', 0, 65_535) },
    { flags: '--host <address>', about: 'address to listen on (127.0.0.1)' },
    { flags: '--token <token>', about: 'the bearer token that it accepts' },
    {
      flags: '--answer-latency <ms>',
      about: 'time that an answer takes (0)',
      parse: wholeNumber('--answer-latency', 0, 3_600_000),
    },
    {
      flags: '--requests-per-second <n>',
      about: 'rate limit per agent (none)',
      parse: wholeNumber('--requests-per-second', 1, 1_000_000),
    },
    {
      flags: '--concurrent <n>',
      about: 'exchanges at once per agent (any)',
      parse: wholeNumber('--concurrent', 1, 1_000_000),
    },
    { flags: '--settings <file>', about: 'JSON with all other settings: agents, faults, expiry, paces' },
  ],
  examples: [
    ['aip-temporal simulator --port 8300', 'on a port of one’s own'],
    ['aip-temporal simulator --answer-latency 800 --requests-per-second 5', 'slow, and soon at its limit'],
  ],
  async run({ options, output, signal }) {
    const simulator = await startChecked(simulatorOptions(options));
    output.result(simulatorReadyLine(simulator));
    if (!signal.aborted) await once(signal, 'abort');
    await simulator.close();
  },
});

async function startChecked(options: SimulatorOptions) {
  try {
    return await startSimulator(options);
  } catch (error) {
    if (error instanceof InvalidSettingsError) throw new UsageError(error.message);
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      throw new UsageError(
        `Cannot start the simulator: port ${options.port ?? 0} is taken; choose another with --port`,
      );
    }
    throw error;
  }
}

function simulatorOptions(options: SimulatorCommandOptions): SimulatorOptions {
  const { port, host, token, answerLatency, requestsPerSecond, concurrent, settings } = options;
  const fromFile = settings === undefined ? {} : parseSettingsFile(settings);
  const limits = {
    ...fromFile.limits,
    ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
    ...(concurrent === undefined ? {} : { concurrent }),
  };
  return {
    ...fromFile,
    ...(port === undefined ? {} : { port }),
    ...(host === undefined ? {} : { host }),
    ...(token === undefined ? {} : { token }),
    ...(answerLatency === undefined ? {} : { answerLatencyMs: answerLatency }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

function parseSettingsFile(path: string): SimulatorOptions {
  try {
    const value: unknown = JSON.parse(readInput(path));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    if (error instanceof UsageError) throw error;
  }
  throw new UsageError(`Mend ${path}: it must be a JSON object of simulator settings`);
}
