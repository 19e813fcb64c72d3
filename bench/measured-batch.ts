import { randomUUID } from 'node:crypto';
import { collectResults } from '../src/client/batch-results.js';
import { submitBatch } from '../src/client/batch-submit.js';
import { type BatchRow, batchWorkflowId, type RowOutcome } from '../src/protocol/batch.js';
import type { ExchangeMode } from '../src/protocol/exchange.js';
import { batchEvents } from './history-events.js';
import type { Installation } from './installation.js';
import { CpuClock } from './process-usage.js';

/** A batch from its submission to its last result, measured. */
export interface MeasuredBatch {
  batchId: string;
  wallMs: number;
  /** From the submission until the first results were in the client's hands. */
  firstResultMs: number;
  /** CPU time of each process meanwhile. */
  cpuMs: Record<keyof Installation['pids'], number>;
  /** History events of the batch and its shards. */
  events: number;
  outcomes: RowOutcome[];
}

/** Submits a batch, collects all its results and measures that. @throws Error when a row did not succeed. */
export async function measureBatch(
  installation: Installation,
  rows: readonly BatchRow[],
  { concurrency, mode }: { concurrency: number; mode: ExchangeMode },
): Promise<MeasuredBatch> {
  const { client, agentRid, pids } = installation;
  const batchId = `bench-${randomUUID()}`;
  const outcomes: RowOutcome[] = [];
  const cpu = new CpuClock(pids);
  const startedMs = performance.now();
  const { shardCount } = await submitBatch(client, { batchId, agentRid, rows, concurrency, mode });
  let firstResultMs = NaN;
  await collectResults(client, batchId, {
    write(some) {
      if (outcomes.length === 0) firstResultMs = performance.now() - startedMs;
      outcomes.push(...some);
    },
  });
  const wallMs = performance.now() - startedMs;
  const cpuMs = cpu.elapsedMs();
  checkOutcomes(rows, outcomes);
  // The batch itself hears of its last shard a moment later; its last events belong to the cost.
  await client.client.workflow.getHandle(batchWorkflowId(batchId)).result();
  const events = await batchEvents(client, batchId, shardCount);
  return { batchId, wallMs, firstResultMs, cpuMs, events, outcomes };
}

function checkOutcomes(rows: readonly BatchRow[], outcomes: readonly RowOutcome[]): void {
  const bad = outcomes.find(({ result }) => result.status !== 'succeeded');
  if (bad !== undefined)
    throw new Error(`Row ${bad.row.id} ended as ${bad.result.status}: ${bad.result.error?.message}`);
  const ids = new Set(outcomes.map(({ row }) => row.id));
  if (ids.size !== rows.length || outcomes.length !== rows.length) {
    throw new Error(`Of ${rows.length} rows, ${ids.size} came back, in ${outcomes.length} results`);
  }
}
