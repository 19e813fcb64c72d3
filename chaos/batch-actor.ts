import {
  type AipClient,
  BatchEndedError,
  BatchNotFoundError,
  cancelBatch,
  cancelRows,
  collectResults,
  pauseBatch,
  resumeBatch,
  setBatchConcurrency,
  submitBatch,
} from '../src/client/index.js';
import type { BatchIsolation, BatchRow, RowOutcome } from '../src/protocol/batch.js';
import type { ExchangeMode } from '../src/protocol/exchange.js';
import { CALL_TIMEOUT_MS, questionText } from './conversation-plan.js';
import { insist } from './clock.js';
import type { Stage } from './conversation-actor.js';
import type { ChaosOptions } from './options.js';
import type { Random } from './random.js';

/** What an operator asks of a batch. A pause lasts for a while, then it is resumed. */
type Steer = { pauseMs: number } | { concurrency: number } | { rows: string[] };

/** Most rows of a batch whose rows are workflows of their own, which cost ten times as much. */
const MOST_RUNS = 60;

/** All that will happen in one batch, if nothing else disturbs it. */
export interface BatchPlan {
  batchId: string;
  rows: BatchRow[];
  mode: ExchangeMode;
  concurrency: number;
  /** It is cancelled then; absent: never (milliseconds). */
  cancelAfterMs?: number;
  isolation: BatchIsolation;
  /** One after the other, each so long after the one before (milliseconds). */
  steers: { afterMs: number; steer: Steer }[];
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
  const isolation = random.chance(0.25) ? 'workflow' : 'lane';
  const rowCount = isolation === 'workflow' ? Math.min(MOST_RUNS, options.rows) : options.rows;
  const rows = Array.from({ length: rowCount }, (_, row) => ({
    id: `r${row}`,
    turns: Array.from({ length: random.chance(0.2) ? 3 : 1 }, (_, turn) =>
      questionText(random, `b ${n}-${row}-${turn}`),
    ),
  }));
  const mode = options.mode === 'mixed' ? (random.chance(0.8) ? 'streaming' : 'blocking') : options.mode;
  const steers = Array.from({ length: random.whole(0, 4) }, () => ({
    afterMs: random.whole(300, 5_000),
    steer: planSteer(random, rows),
  }));
  const concurrency = random.pick([10, 20, 40]);
  const plan: BatchPlan = { batchId: `chaos-${n}`, rows, mode, concurrency, isolation, steers };
  return random.chance(0.4) ? { ...plan, cancelAfterMs: random.whole(1_000, 10_000) } : plan;
}

function planSteer(random: Random, rows: readonly BatchRow[]): Steer {
  const kind = random.pick(['pause', 'concurrency', 'rows'] as const);
  if (kind === 'pause') return { pauseMs: random.whole(200, 6_000) };
  if (kind === 'concurrency') return { concurrency: random.pick([1, 3, 15, 50]) };
  return { rows: Array.from({ length: random.whole(1, 5) }, () => random.pick(rows).id) };
}

/** Submits a batch, collects all its results, and steers and cancels it in between as planned. */
export async function playBatch({ aip, simulator, clock, done }: Stage, plan: BatchPlan): Promise<BatchStory> {
  const { batchId, rows, mode, concurrency, cancelAfterMs, isolation } = plan;
  const story: BatchStory = { plan, outcomes: [], errors: [] };
  const { agentRid } = simulator;
  const submission = { batchId, agentRid, rows, mode, concurrency, isolation, callTimeoutMs: CALL_TIMEOUT_MS };
  const never = () => false;
  try {
    await insist('submit the batch', () => submitBatch(aip, submission), never);
    const ended = new AbortController();
    const cancelling = async () => {
      if (cancelAfterMs === undefined || !(await clock.wait(cancelAfterMs)) || ended.signal.aborted) return;
      if (await insist('cancel the batch', () => cancelBatch(aip, batchId), never)) done.batchCancels++;
    };
    const steering = async () => {
      for (const { afterMs, steer } of plan.steers) {
        if (!(await clock.wait(afterMs)) || ended.signal.aborted) return;
        await steerBatch(aip, batchId, steer);
        done.batchSteers++;
        if (!('pauseMs' in steer)) continue;
        await clock.wait(steer.pauseMs);
        // Also when the chaos is over: a batch that stays paused has no end.
        await unlessEnded('resume the batch', () => resumeBatch(aip, batchId));
      }
    };
    const disturbed = Promise.all([cancelling(), steering()]);
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
    await disturbed;
  } catch (error) {
    story.errors.push(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  }
  return story;
}

function steerBatch(aip: AipClient, batchId: string, steer: Steer): Promise<void> {
  return unlessEnded('steer the batch', async () => {
    if ('pauseMs' in steer) await pauseBatch(aip, batchId, { reason: 'chaos' });
    else if ('concurrency' in steer) await setBatchConcurrency(aip, batchId, steer.concurrency);
    else await cancelRows(aip, batchId, steer.rows);
  });
}

async function unlessEnded(what: string, ask: () => Promise<void>): Promise<void> {
  try {
    await insist(what, ask, (error) => error instanceof BatchEndedError);
  } catch (error) {
    if (!(error instanceof BatchEndedError)) throw error;
  }
}
