import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AipClient } from '../../src/client/index.js';
import { startTemporalServer, type TemporalServer } from '../../src/embedded/index.js';
import { SEARCH_ATTRIBUTE_TYPES } from '../../src/protocol/search-attributes.js';
import { startSimulator, type Simulator, type SimulatorOptions } from '../../src/simulator/index.js';
import { startWorkerOf } from './worker-of.js';

/** An installation with a Temporal server of its own, on a file, which can be killed and comes back at the same address. */
export interface OwnServerRig {
  readonly simulator: Simulator;
  /** Another client, with a connection of its own; the rig closes it. */
  client(): Promise<AipClient>;
  /** SIGKILL to the Temporal server; resolves when it is gone. */
  killServer(): Promise<void>;
  /** Starts it again on its file and its ports. */
  restartServer(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Sets it up, with a worker in this process. Start a rig of the shared server first: it quietens the worker's log.
 *
 * @param dynamicConfig The server's dynamic configuration, for limits lower than its own.
 */
export async function startOwnServerRig(
  options: SimulatorOptions = {},
  dynamicConfig: Readonly<Record<string, unknown>> = {},
): Promise<OwnServerRig> {
  const folder = await mkdtemp(join(tmpdir(), 'aip-temporal-own-server-'));
  const start = (ports: { port?: number; uiPort?: number }) =>
    startTemporalServer({ dataDir: folder, searchAttributes: SEARCH_ATTRIBUTE_TYPES, dynamicConfig, ...ports });
  let server: TemporalServer = await start({});
  const { address, namespace, port, uiPort } = server;
  const simulator = await startSimulator(options);
  const taskQueue = `test-${randomUUID()}`;
  const worker = await startWorkerOf({ simulator, taskQueue, address, namespace });
  const clients: AipClient[] = [];

  return {
    simulator,
    async client() {
      const { agentRid } = simulator;
      const client = await AipClient.connect({ connection: { address }, namespace, taskQueue, agentRid });
      clients.push(client);
      return client;
    },
    async killServer() {
      server.kill('SIGKILL');
      await server.exited;
    },
    async restartServer() {
      server = await start({ port, uiPort });
    },
    async close() {
      await worker.stop();
      await Promise.all(clients.map((client) => client.close()));
      await simulator.close();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
