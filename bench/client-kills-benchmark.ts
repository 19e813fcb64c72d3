import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { checkOutput, type CliBatch, linesWritten, newCliBatch, startCli } from './cli-batch.js';
import { type Figure, promisedNone } from './figure.js';
import type { Installation } from './installation.js';
import { checkLedger } from './ledger-check.js';
import { madeQuestions } from './questions.js';

/** Settings of `client-kills`. */
export interface ClientKillsOptions {
  say: (text: string) => void;
}

/** So that the batch outlasts all kills, and answers come all the time. */
const ROWS = 3_000;
const LATENCY_MS = 100;
const CONCURRENCY = 10;
const KILLS = 10;
/** A client needs about a second to its first call; later ones meet it submitting, waiting and writing. */
const LIFE_MS = { least: 200, most: 3_500 };

/** `batch run`, killed -9 at ten random moments and started again each time. */
export async function clientKillsBenchmark(installation: Installation, { say }: ClientKillsOptions): Promise<Figure[]> {
  const { simulator } = installation;
  await simulator.reset();
  await simulator.change({ answerLatencyMs: LATENCY_MS });
  const folder = mkdtempSync(join(tmpdir(), 'aip-temporal-bench-clients-'));
  try {
    const rows = madeQuestions(ROWS);
    const batch = newCliBatch(folder, `killed-${randomUUID()}`, rows, CONCURRENCY);
    const kills: number[] = [];
    for (let kill = 1; kill <= KILLS; kill++) {
      const written = await lifeOf(installation, batch);
      if (written === undefined) break;
      kills.push(written);
    }
    say(`client-kills: killed with ${kills.join(', ')} of ${ROWS} lines written; one more runs to the end ...`);
    await startCli(installation, batch).ended;
    const { twice, missing, notAnswered } = await checkOutput(batch, rows);
    const ledger = await checkLedger(simulator, rows);
    const subject = `${ROWS} rows of ${LATENCY_MS} ms by \`batch run\`, killed -9 at ${KILLS} random moments`;
    return [
      { subject, name: 'kills before it had ended', value: kills.length, unit: '', aim: { atLeast: KILLS } },
      promisedNone(subject, 'lines that stand twice in the output', twice),
      promisedNone(subject, 'rows missing in the output', missing),
      promisedNone(subject, 'rows without an answer', notAnswered),
      promisedNone(subject, 'questions asked twice, by the ledger', ledger.tooOften),
      promisedNone(subject, 'questions lost, by the ledger', ledger.missing),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One life of the client; the lines written at its death, or nothing when it came to its end. */
async function lifeOf(installation: Installation, batch: CliBatch): Promise<number | undefined> {
  const { child, ended } = startCli(installation, batch);
  const lifeMs = LIFE_MS.least + Math.random() * (LIFE_MS.most - LIFE_MS.least);
  const death = delay(lifeMs).then(() => child.kill('SIGKILL'));
  const end = await ended;
  if (end === 'done') return undefined;
  await death;
  return linesWritten(batch);
}
