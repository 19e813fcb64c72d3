import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTemporalServer, type TemporalServer } from '../../src/embedded/index.js';
import { SEARCH_ATTRIBUTE_TYPES } from '../../src/protocol/search-attributes.js';
import { bundleWorkflows, workflowsEntry } from './bundle-workflows.js';
import { SERVICE_VARIABLE } from './temporal-server.js';

/** What a test file can ask for, by path. */
export interface TestEnvironment {
  '/temporal-server': { address: string; uiUrl: string; namespace: string };
  '/workflow-bundle': { codePath: string };
}

/**
 * Serves what a whole jest run shares, from jest's own process: one Temporal server and one bundle of the workflows.
 *
 * Each is made when first asked for, so that a run of unit tests alone waits for neither.
 */
export async function serveTestEnvironment(): Promise<{ close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'aip-temporal-test-'));
  let temporalServer: Promise<TemporalServer> | undefined;
  let bundle: Promise<string> | undefined;
  const answers: { [Path in keyof TestEnvironment]: () => Promise<TestEnvironment[Path]> } = {
    '/temporal-server': async () => {
      temporalServer ??= startTemporalServer({
        dataDir: join(folder, 'temporal'),
        searchAttributes: SEARCH_ATTRIBUTE_TYPES,
        onProgress: (text) => process.stderr.write(`${text}\n`),
      });
      const { address, uiUrl, namespace } = await temporalServer;
      return { address, uiUrl, namespace };
    },
    '/workflow-bundle': async () => {
      bundle ??= makeBundle(folder);
      return { codePath: await bundle };
    },
  };
  const service = await listen((path) => (path in answers ? answers[path as keyof TestEnvironment]() : undefined));
  process.env[SERVICE_VARIABLE] = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
  return {
    async close() {
      service.closeAllConnections();
      await new Promise((done) => service.close(done));
      // Swallowed: a server that did not start has failed the tests that asked for it, and has nothing to stop.
      await temporalServer?.then(
        (server) => server.stop(),
        () => undefined,
      );
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function makeBundle(folder: string): Promise<string> {
  const codePath = join(folder, 'workflow-bundle.js');
  await bundleWorkflows(workflowsEntry, codePath);
  return codePath;
}

async function listen(answer: (path: string) => Promise<unknown> | undefined): Promise<Server> {
  const server = createServer((request, response) => {
    const answered = answer(request.url ?? '') ?? Promise.reject(new Error(`nothing known as ${request.url}`));
    answered.then(
      (value) => response.end(JSON.stringify(value)),
      (error: unknown) => {
        response.statusCode = 500;
        response.end(error instanceof Error ? (error.stack ?? error.message) : String(error));
      },
    );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return server;
}
