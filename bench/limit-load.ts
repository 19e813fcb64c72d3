import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { cancelBatch } from '../src/client/batch.js';
import { submitBatch } from '../src/client/batch-submit.js';
import { type BatchRow, batchWorkflowId } from '../src/protocol/batch.js';
import { governorWorkflowId } from '../src/protocol/limits.js';
import type { LedgerExchange, SimulatorSettings } from '../src/simulator/index.js';
import type { Installation } from './installation.js';

/** How often the simulator is asked whether the first question has come (milliseconds). */
const LOOK_EVERY_MS = 10;
const FIRST_QUESTION_WITHIN_MS = 60_000;

/** A batch that wants more than the agent's limit lets in. */
export interface LimitLoad {
  /** From the submission to the first question (milliseconds). */
  firstQuestionAfterMs: number;
  /** Refusals by a limit so far. */
  refused(): Promise<number>;
  /** Cancels the batch, waits for its end and resolves with all exchanges that were let in. */
  stop(): Promise<LedgerExchange[]>;
}

/**
 * Forgets everything, in the simulator, in the worker and in what the workers share: the next worker has another identity, and has
 * never met the agent.
 *
 * @param settings In force from then on, for a worker that is not told.
 */
export async function startCold(installation: Installation, settings: SimulatorSettings): Promise<void> {
  const { client, agentRid } = installation;
  await installation.killWorker('another', async () => {
    const shared = client.client.workflow.getHandle(governorWorkflowId(client.taskQueue, agentRid));
    await shared.terminate('the next case begins').catch(() => undefined); // There is none yet.
    await installation.simulator.reset();
    await installation.simulator.change(settings);
  });
}

/** Submits the batch and resolves when its first question has come to the agent. */
export async function startLoad(
  { client, simulator, agentRid }: Installation,
  { rows, wanted }: { rows: readonly BatchRow[]; wanted: number },
): Promise<LimitLoad> {
  const asked = async () => (await simulator.summary()).totals.calls.streamingContinue ?? 0;
  const before = await asked();
  const batchId = `limits-${randomUUID()}`;
  const submittedMs = Date.now();
  const submitted = submitBatch(client, { batchId, agentRid, rows, concurrency: wanted, mode: 'streaming' });
  // Shards run while others are being handed over.
  const firstQuestion = async () => {
    while ((await asked()) === before) {
      if (Date.now() - submittedMs > FIRST_QUESTION_WITHIN_MS) throw new Error('The batch asked nothing');
      await delay(LOOK_EVERY_MS);
    }
    return Date.now() - submittedMs;
  };
  const [firstQuestionAfterMs] = await Promise.all([firstQuestion(), submitted]);
  return {
    firstQuestionAfterMs,
    refused: async () => (await simulator.summary()).totals.refused['RateLimitExceeded'] ?? 0,
    async stop() {
      await cancelBatch(client, batchId);
      // It ends as cancelled.
      await client.client.workflow
        .getHandle(batchWorkflowId(batchId))
        .result()
        .catch(() => undefined);
      const { exchanges, running } = await simulator.ledger();
      return [...exchanges, ...running];
    },
  };
}
