import { BatchNotFoundError, cancelBatch, collectResults, submitBatch } from '../src/client/index.js';
import type { BatchRow, RowOutcome } from '../src/protocol/batch.js';
import type { ExchangeMode } from '../src/protocol/exchange.js';
import { CALL_TIMEOUT_MS, questionText } from './conversation-plan.js';
import { insist } from './clock.js';
import type { Stage } from './conversation-actor.js';
import type { ChaosOptions } from './options.js';
import type { Random } from './random.js';

/** All that will happen in one batch, if nothing else disturbs it. */
export interface BatchPlan {
  batchId: string;
  rows: BatchRow[];
  mode: ExchangeMode;
  concurrency: number;
  /** It is cancelled then; absent: never (milliseconds). */
  cancelAfterMs?: number;
}

/** What came of a batch. */
export interface BatchStory {
  plan: BatchPlan;
  outcomes: RowOutcome[];
  errors: string[];
}

/** The plan of batch number `n`, which hangs on the seed and `n` alone. */
export function planBatch(seeded: Random, n: number, options: Pick<ChaosOptions, 'mode' | 'rows'>): BatchPlan {
  const random = seeded.fork(`batch ${n}`);
  const rows = Array.from({ length: options.rows }, (_, row) => ({
    id: `r${row}`,
    turns: Array.from({ length: random.chance(0.2) ? 3 : 1 }, (_, turn) =>
      questionText(random, `b ${n}-${row}-${turn}`),
    ),
  }));
  const mode = options.mode === 'mixed' ? (random.chance(0.8) ? 'streaming' : 'blocking') : options.mode;
  const plan: BatchPlan = { batchId: `chaos-${n}`, rows, mode, concurrency: random.pick([10, 20, 40]) };
  return random.chance(0.4) ? { ...plan, cancelAfterMs: random.whole(1_000, 10_000) } : plan;
}

/** Submits a batch, collects all its results, and cancels it in between if that is planned. */
export async function playBatch({ aip, simulator, clock, done }: Stage, plan: BatchPlan): Promise<BatchStory> {
  const { batchId, rows, mode, concurrency, cancelAfterMs } = plan;
  const story: BatchStory = { plan, outcomes: [], errors: [] };
  const { agentRid } = simulator;
  const submission = { batchId, agentRid, rows, mode, concurrency, callTimeoutMs: CALL_TIMEOUT_MS };
  const never = () => false;
  try {
    await insist('submit the batch', () => submitBatch(aip, submission), never);
    const ended = new AbortController();
    const cancelling = async () => {
      if (cancelAfterMs === undefined || !(await clock.wait(cancelAfterMs)) || ended.signal.aborted) return;
      if (await insist('cancel the batch', () => cancelBatch(aip, batchId), never)) done.batchCancels++;
    };
    const cancelled = cancelling();
    await insist(
      'collect the results',
      async () => {
        const outcomes: RowOutcome[] = [];
        await collectResults(aip, batchId, { write: (some) => void outcomes.push(...some) });
        story.outcomes = outcomes;
      },
      (error) => error instanceof BatchNotFoundError,
    );
    ended.abort();
    await cancelled;
  } catch (error) {
    story.errors.push(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  }
  return story;
}
