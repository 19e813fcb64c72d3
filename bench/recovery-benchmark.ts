import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { collectResults, submitBatch } from '../src/client/batch.js';
import { batchShardWorkflowId } from '../src/protocol/batch.js';
import { DEFAULTS } from '../src/protocol/defaults.js';
import { median } from './distribution.js';
import type { Figure } from './figure.js';
import type { Installation } from './installation.js';

/** Settings of `recovery`. */
export interface RecoveryOptions {
  /** How often each is measured; figures are medians. */
  repeat: number;
  say: (text: string) => void;
}

/** Answers last so long that they go on over the death of their worker and the start of the next. */
const ANSWER_MS = 25_000;
const TICK_MS = 10;

/** From the start of the next worker to the moment in which it looks after what goes on at the agent. */
export async function recoveryBenchmark(installation: Installation, options: RecoveryOptions): Promise<Figure[]> {
  const { heartbeatTimeoutMs } = DEFAULTS;
  const measure = async (name: string, way: Way, next: 'same' | 'another', atMost: number): Promise<Figure> => {
    const times: number[] = [];
    for (let round = 1; round <= options.repeat; round++) {
      options.say(`recovery, ${name}: run ${round} of ${options.repeat} ...`);
      times.push(await way(installation, next));
    }
    return { subject: 'after a kill -9 of the worker', name, unit: 's', value: median(times) / 1000, aim: { atMost } };
  };
  return [
    await measure('an exchange goes on, the worker restarted', killUnderExchange, 'same', 2),
    await measure('a lane goes on, the worker restarted', killUnderLane, 'same', 2),
    await measure(
      'an exchange goes on, on another worker',
      killUnderExchange,
      'another',
      heartbeatTimeoutMs.interactive / 1000 + 2,
    ),
    await measure('a lane goes on, on another worker', killUnderLane, 'another', heartbeatTimeoutMs.batch / 1000 + 2),
    await finishedMeanwhile(installation),
  ];
}

/** Begins some work, kills the worker under it, starts the next; resolves with what that took to go on (milliseconds). */
type Way = (installation: Installation, next: 'same' | 'another') => Promise<number>;

const killUnderExchange: Way = async (installation, next) => {
  const handle = installation.client.conversation(`recovery/${randomUUID()}`);
  const asked = handle.ask(`[takes ${ANSWER_MS}ms] Still there?`);
  const tookMs = await killUnder(installation, handle.id, next);
  await handle.cancel();
  await asked;
  return tookMs;
};

const killUnderLane: Way = async (installation, next) => {
  const { client, agentRid } = installation;
  const batchId = `recovery-${randomUUID()}`;
  const rows = [1, 2, 3].map((n) => ({ id: `q${n}`, turns: [`[takes ${ANSWER_MS}ms] Still there, ${n}?`] }));
  await submitBatch(client, { batchId, agentRid, rows, concurrency: 3 });
  const shardId = batchShardWorkflowId(batchId, 0);
  const tookMs = await killUnder(installation, shardId, next);
  await client.client.workflow.getHandle(shardId).cancel();
  await collectResults(client, batchId, { write: () => undefined });
  return tookMs;
};

async function killUnder(installation: Installation, workflowId: string, next: 'same' | 'another'): Promise<number> {
  const { simulator } = installation;
  await until('the agent answers', async () => (await simulator.summary()).totals.inFlight > 0);
  // Until its heartbeats are under way, as they are in any exchange that lasts.
  await delay(1_500);
  const looks = async () => (await simulator.summary()).totals.calls.getSessionTrace ?? 0;
  const before = await looks();
  const startedMs = await installation.killWorker(next);
  await until(`${workflowId} goes on`, async () => (await looks()) > before);
  return performance.now() - startedMs;
}

/** An answer that the agent has finished while no worker was there costs no second call. */
async function finishedMeanwhile(installation: Installation): Promise<Figure> {
  const { client, simulator } = installation;
  const sent = async () => (await simulator.summary()).totals.continuesReceived;
  const before = await sent();
  const asked = client.conversation(`recovery/${randomUUID()}`).ask('[takes 1500ms] Finished meanwhile?');
  await until('the agent answers', async () => (await simulator.summary()).totals.inFlight > 0);
  await installation.killWorker('same', () =>
    until('it has finished', async () => (await simulator.summary()).totals.inFlight === 0),
  );
  const { status } = await asked;
  if (status !== 'answered') throw new Error(`The exchange was recorded as ${status}`);
  const value = (await sent()) - before;
  return {
    subject: 'after a kill -9 of the worker',
    name: 'calls for an answer finished meanwhile',
    unit: '',
    value,
    aim: { atMost: 1 },
  };
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Waited 60 s in vain until ${what}`);
    await delay(TICK_MS);
  }
}
