import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkOutput, newCliBatch, startCli } from './cli-batch.js';
import { type Figure, promisedNone } from './figure.js';
import { batchCost } from './history-cost.js';
import type { Installation } from './installation.js';
import { checkLedger } from './ledger-check.js';
import { memoryUse } from './process-usage.js';
import { madeQuestions } from './questions.js';
import type { SimulatorControl } from './simulator-control.js';

/** Settings of `size`. */
export interface BatchSizeOptions {
  rows: number;
  say: (text: string) => void;
}

const CONCURRENCY = 50;
const SAMPLE_EVERY_MS = 500;
/** Rows at the beginning and at the end of which the throughput is compared, as a part of all. */
const PART = 0.1;

/** A large batch by the command line: what it costs in Temporal, in memory, and whether it stays as fast as it was. */
export async function batchSizeBenchmark(
  installation: Installation,
  { rows: count, say }: BatchSizeOptions,
): Promise<Figure[]> {
  const { client, simulator, pids, dataDir } = installation;
  await simulator.reset();
  await simulator.change({ answerLatencyMs: 0 });
  const folder = mkdtempSync(join(tmpdir(), 'aip-temporal-bench-size-'));
  try {
    const rows = madeQuestions(count);
    const batch = newCliBatch(folder, `size-${randomUUID()}`, rows, CONCURRENCY);
    const diskBefore = bytesIn(dataDir);
    const startedMs = Date.now();
    const { child, ended } = startCli(installation, batch);
    const clientMiB: number[] = [];
    const timer = setInterval(() => void clientMiB.push(residentMiB(child.pid)), SAMPLE_EVERY_MS);
    await ended.finally(() => clearInterval(timer));
    const wallMs = Date.now() - startedMs;
    say(`size: ${count} rows in ${Math.round(wallMs / 1000)} s; reading histories and the ledger ...`);
    const disk = bytesIn(dataDir) - diskBefore;
    const workerMiB = memoryUse(pids.worker).peakMiB;
    const { twice, missing, notAnswered } = await checkOutput(batch, rows);
    const ledger = await checkLedger(simulator, rows);
    const pace = await paceOf(simulator, count, startedMs);
    const cost = await batchCost(client, batch.id);
    const subject = `${count} rows by \`batch run\`, ${CONCURRENCY} at once, no latency`;
    const half = Math.floor(clientMiB.length / 2);
    const [early, late] = [Math.max(...clientMiB.slice(0, half)), Math.max(...clientMiB.slice(half))];
    const figure = (name: string, value: number, unit: string, aim?: Figure['aim']): Figure => ({
      ...{ subject, name, value, unit },
      ...(aim !== undefined && { aim }),
    });
    return [
      promisedNone(subject, 'lines twice, missing or without an answer', twice + missing + notAnswered),
      promisedNone(subject, 'questions asked twice or lost, by the ledger', ledger.tooOften + ledger.missing),
      figure('rows per second', (count * 1000) / wallMs, '/s'),
      figure('first question asked after', pace.firstMs / 1000, 's'),
      figure('rows per second, first tenth', pace.first, '/s'),
      figure('rows per second, last tenth', pace.last, '/s'),
      figure('pace of the last tenth, of that of the first', pace.last / pace.first, '', { atLeast: 0.8 }),
      figure('client, most memory in the first half', early, 'MiB', { atMost: 200 }),
      figure('client, most memory in the second half', late, 'MiB', { atMost: 200 }),
      figure('worker, most memory ever', workerMiB, 'MiB', { atMost: 450 }),
      figure('runs (shards, and the batch)', cost.runs, ''),
      figure('history events of the longest run', cost.mostEvents, '', { atMost: 4_096 }),
      figure('history events per row', cost.events / count, '', { atMost: 0.5 }),
      figure('bytes of histories per row', cost.bytes / count, 'B'),
      figure('bytes on disk per row', disk / count, 'B'),
      figure('actions per row, without heartbeats', cost.actions / count, ''),
      figure('heartbeats per row', cost.activitySeconds / count, ''),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Rows per second in the first and in the last tenth, by the simulator's ledger. */
async function paceOf(
  simulator: SimulatorControl,
  count: number,
  startedMs: number,
): Promise<{ first: number; last: number; firstMs: number }> {
  const { exchanges } = await simulator.ledger();
  const ends = exchanges.map(({ endedAt }) => Date.parse(endedAt ?? '')).sort((a, b) => a - b);
  const beginMs = Math.min(...exchanges.slice(0, CONCURRENCY).map(({ startedAt }) => Date.parse(startedAt)));
  const part = Math.floor(count * PART);
  const at = (index: number) => ends[index] ?? NaN;
  return {
    first: (part * 1000) / (at(part - 1) - beginMs),
    last: (part * 1000) / (at(count - 1) - at(count - 1 - part)),
    firstMs: beginMs - startedMs,
  };
}

function bytesIn(folder: string): number {
  return readdirSync(folder)
    .map((name) => statSync(join(folder, name)).size)
    .reduce((sum, size) => sum + size, 0);
}

/** 0 when the process has just ended. */
function residentMiB(pid: number | undefined): number {
  try {
    return memoryUse(pid ?? NaN).nowMiB;
  } catch {
    return 0;
  }
}
