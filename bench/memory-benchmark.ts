import type { Figure } from './figure.js';
import type { Installation } from './installation.js';
import { measureBatch } from './measured-batch.js';
import { memoryUse } from './process-usage.js';
import { madeQuestions } from './questions.js';

/** Settings of `memory`. */
export interface MemoryOptions {
  rows: number;
}

/** Resident memory of each process before and after a batch of many rows. */
export async function memoryBenchmark(installation: Installation, { rows }: MemoryOptions): Promise<Figure[]> {
  const { pids, simulator } = installation;
  await simulator.reset();
  await simulator.change({ answerLatencyMs: 0 });
  const parts = ['worker', 'server', 'client'] as const;
  const before = Object.fromEntries(parts.map((part) => [part, memoryUse(pids[part]).nowMiB]));
  await measureBatch(installation, madeQuestions(rows), { concurrency: 50, mode: 'streaming' });
  return parts.flatMap((part) => {
    const subject = `memory, ${rows} rows`;
    const { nowMiB, peakMiB } = memoryUse(pids[part]);
    const peak: Figure = { subject, name: `${part}, most ever`, value: peakMiB, unit: 'MiB' };
    return [
      { subject, name: `${part}, before`, value: before[part] ?? NaN, unit: 'MiB' },
      { subject, name: `${part}, after`, value: nowMiB, unit: 'MiB' },
      part === 'worker' ? { ...peak, aim: { atMost: 400 } } : peak,
    ];
  });
}
