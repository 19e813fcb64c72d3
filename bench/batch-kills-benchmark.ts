import { setTimeout as delay } from 'node:timers/promises';
import { type Figure, promisedNone } from './figure.js';
import type { Installation } from './installation.js';
import { checkLedger } from './ledger-check.js';
import { measureBatch } from './measured-batch.js';
import { madeQuestions } from './questions.js';

/** One batch under whose work workers are killed. */
interface Case {
  rows: number;
  latencyMs: number;
  concurrency: number;
  /** Most that it may take, of the time without kills. */
  atMost?: number;
}

const CASES: readonly Case[] = [
  { rows: 1_000, latencyMs: 500, concurrency: 50, atMost: 1.4 },
  { rows: 300, latencyMs: 5_000, concurrency: 50 },
];
const KILLS = 3;

/** A batch left alone, and the same with three `kill -9` of its worker, each of which is started again at once. */
export async function batchKillsBenchmark(
  installation: Installation,
  { say }: { say: (text: string) => void },
): Promise<Figure[]> {
  const { simulator } = installation;
  // Warms up the worker and this process.
  await simulator.change({ answerLatencyMs: 0 });
  await measureBatch(installation, madeQuestions(500), { concurrency: 50, mode: 'streaming' });
  const figures: Figure[] = [];
  for (const one of CASES) {
    const { rows, latencyMs, concurrency } = one;
    const subject = `${rows} rows of ${latencyMs} ms, ${concurrency} at once, ${KILLS} kills -9 of the worker`;
    say(`${subject} ...`);
    await simulator.reset();
    await simulator.change({ answerLatencyMs: latencyMs });
    const questions = madeQuestions(rows);
    const undisturbed = await measureBatch(installation, questions, { concurrency, mode: 'streaming' });
    await simulator.reset();
    const killing = killInTheMidst(installation, undisturbed.wallMs);
    const killed = await measureBatch(installation, questions, { concurrency, mode: 'streaming' });
    await killing;
    const { tooOften, missing } = await checkLedger(simulator, questions);
    figures.push(
      promisedNone(subject, 'questions asked twice, by the ledger', tooOften),
      promisedNone(subject, 'questions lost, by the ledger', missing),
      { subject, name: 'time without kills', value: undisturbed.wallMs / 1000, unit: 's' },
      { subject, name: 'time with kills', value: killed.wallMs / 1000, unit: 's' },
      {
        ...{ subject, name: 'time with kills, of that without', value: killed.wallMs / undisturbed.wallMs, unit: '' },
        ...(one.atMost !== undefined && { aim: { atMost: one.atMost } }),
      },
    );
  }
  return figures;
}

/** Kills, spread evenly over the time that the batch takes when left alone. */
async function killInTheMidst(installation: Installation, wallMs: number): Promise<void> {
  for (let kill = 1; kill <= KILLS; kill++) {
    await delay(wallMs / (KILLS + 1));
    await installation.killWorker('same');
  }
}
