import { randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { AipClient } from '../../src/client/index.js';
import { startTemporalServer } from '../../src/embedded/index.js';
import { SEARCH_ATTRIBUTE_TYPES } from '../../src/protocol/search-attributes.js';
import { startSimulator } from '../../src/simulator/index.js';
import { createAipWorker, type AipWorker } from '../../src/worker.js';
import type { Rig } from '../support/rig.js';
import { temporalServer, workflowBundle } from '../support/temporal-server.js';

/** Where a story is set, when an ordinary rig with a worker will not do. */
export interface Setting {
  /** False: the story starts its worker itself. Default true. */
  worker?: boolean;
  /** The server suggests continue-as-new from this many events on, and not from 4,096. */
  suggestContinueAsNewAt?: number;
  /**
   * Waits of the workflow code, by the names of their constants, that are too long to be recorded as they are. (How long a
   * timer runs is no matter for replay, only that it was started.)
   */
  waits?: Readonly<Record<string, string>>;
}

/** Sets up a rig of its own for a story. */
export async function startRecordingRig(setting: Setting = {}): Promise<Rig> {
  const { worker = true, suggestContinueAsNewAt, waits = {} } = setting;
  const ownServer =
    suggestContinueAsNewAt === undefined
      ? undefined
      : await startTemporalServer({
          searchAttributes: SEARCH_ATTRIBUTE_TYPES,
          dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': suggestContinueAsNewAt },
        });
  const { address, namespace } = ownServer ?? (await temporalServer());
  const bundle = await bundleWith(waits);
  const simulator = await startSimulator();
  const { url, token, agentRid } = simulator;
  const taskQueue = `recorded-${randomUUID()}`;
  const connection = await Connection.connect({ address });
  const client = new AipClient({ client: new Client({ connection, namespace }), taskQueue, agentRid });
  const running: { worker: AipWorker; ended: Promise<void> }[] = [];

  const startWorker = async () => {
    const started = await createAipWorker(
      {
        foundry: { url, credentials: { kind: 'static', token }, allowInsecureHttp: false },
        temporal: { address },
        namespace,
        taskQueue,
        identity: taskQueue,
        limits: { maxConcurrentLanes: 20, maxConcurrentExchanges: 100, shutdownGraceMs: 0 },
      },
      { workflowBundlePath: bundle.codePath },
    );
    const one = { worker: started, ended: started.run() };
    running.push(one);
    return {
      async stop() {
        running.splice(running.indexOf(one), 1);
        started.shutdown();
        await one.ended;
      },
    };
  };
  if (worker) await startWorker();

  return {
    simulator,
    client,
    taskQueue,
    startWorker,
    async close() {
      for (const { worker: one } of running) one.shutdown();
      await Promise.all(running.map(({ ended }) => ended));
      await connection.close();
      await simulator.close();
      await ownServer?.stop();
      await bundle.remove();
    },
  };
}

/** The bundle of the workflows with other waits; each must be found, exactly once. */
async function bundleWith(waits: Readonly<Record<string, string>>) {
  const { codePath } = await workflowBundle();
  if (Object.keys(waits).length === 0) return { codePath, remove: () => Promise.resolve() };
  let code = await readFile(codePath, 'utf8');
  for (const [name, wait] of Object.entries(waits)) {
    const parts = code.split(new RegExp(`(?<=\\bconst ${name} =\\s*)'[^']+'(?=;)`));
    if (parts.length !== 2) throw new Error(`Cannot change ${name}: it is in the bundle ${parts.length - 1} times`);
    code = parts.join(JSON.stringify(wait));
  }
  const changed = join(tmpdir(), `aip-temporal-workflows-${randomUUID()}.js`);
  await writeFile(changed, code);
  return { codePath: changed, remove: () => rm(changed) };
}
