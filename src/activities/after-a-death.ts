import { type Client, isGrpcServiceError } from '@temporalio/client';
import type { AgentsApi } from '../agents-api/client.js';
import type { Governor } from '../governor/governor.js';
import type { ExchangeObserver } from './exchange-observer.js';
import { createExchangeProtocol } from './exchange-protocol.js';
import { Orphanage } from './orphans.js';
import { sleep } from './sleep.js';
import { takeBack } from './take-back.js';

/** What a worker needs to look after the work of dead ones. */
export interface AfterADeath {
  client: Client;
  api: AgentsApi;
  governor: Governor;
  observer?: ExchangeObserver | undefined;
  /** Task queue of the workflows. */
  taskQueue: string;
  /** Identities of this worker, with how long without a heartbeat means that a process is dead (milliseconds). */
  silenceMs: ReadonlyMap<string, number>;
  log: {
    info(message: string, meta?: Record<string, unknown>): void;
    warn(message: string, meta?: Record<string, unknown>): void;
  };
}

/** How often orphans are looked for (milliseconds). */
const LOOK_EVERY_MS = 15_000;
/** Status of gRPC. */
const UNIMPLEMENTED = 12;

/**
 * What a worker does besides its tasks, until the signal is aborted: at its start it takes back what its predecessor held when
 * it died, and every 15 seconds it ends at the agent what runs have left there that were closed over a dead worker.
 *
 * Failures are logged and cost time only: heartbeats run out by themselves, and the next look comes soon. Where the server lists no
 * workflows, it ends. Does not throw.
 */
export async function lookAfterTheDead(parts: AfterADeath, signal: AbortSignal): Promise<void> {
  const { client, api, governor, observer, taskQueue, silenceMs, log } = parts;
  let isBlind = false;
  await guarded('what the predecessor of this worker held', async () => {
    const activities = await takeBack(client, { taskQueue, silenceMs, signal });
    if (activities > 0) log.info('Took back what the predecessor of this worker held', { activities });
  });
  const orphanage = new Orphanage({ client, protocol: createExchangeProtocol({ api, governor, observer }), taskQueue });
  while (!signal.aborted && !isBlind) {
    await guarded('what closed runs have left running', async () => {
      const activities = await orphanage.look(signal);
      if (activities > 0) log.warn('Ended at the agent what closed runs had left running', { activities });
    });
    await sleep(LOOK_EVERY_MS, signal).catch(() => undefined); // Aborted: the worker leaves.
  }

  async function guarded(what: string, look: () => Promise<void>): Promise<void> {
    try {
      await look();
    } catch (error) {
      isBlind ||= isUnimplemented(error);
      if (!signal.aborted && !isBlind) log.warn(`Could not look for ${what}`, { error });
    }
  }
}

/** As of the test server that skips time: it lists no workflows. */
function isUnimplemented(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return isGrpcServiceError(cause) && Number(cause.code) === UNIMPLEMENTED;
}
