import type { Figure } from './figure.js';
import type { Installation } from './installation.js';
import { checkLedger } from './ledger-check.js';
import { measureBatch } from './measured-batch.js';
import { type RealData, realData, rowsOf } from './questions.js';

/** Puts every row of the real input through a batch; the simulator's ledger says how often each turn was answered. */
export async function realDataBenchmark(installation: Installation, say: (text: string) => void): Promise<Figure[]> {
  await installation.simulator.change({ answerLatencyMs: 0 });
  const figures: Figure[] = [];
  for (const data of realData()) {
    say(`${data.name} ...`);
    figures.push(...(await oneFile(installation, data)));
  }
  return figures;
}

async function oneFile(installation: Installation, data: RealData): Promise<Figure[]> {
  const { simulator } = installation;
  await simulator.reset();
  const rows = await rowsOf(data);
  const { wallMs, outcomes, events } = await measureBatch(installation, rows, { concurrency: 50, mode: 'streaming' });
  const { expected, tooOften, missing } = await checkLedger(simulator, rows);
  const turns = outcomes.reduce((sum, { result }) => sum + result.exchanges.length, 0);
  const subject = `real data, ${data.name}`;
  return [
    { subject, name: 'rows with a result', value: outcomes.length, unit: '', aim: { atLeast: rows.length } },
    { subject, name: 'turns answered, by the results', value: turns, unit: '', aim: { atLeast: expected } },
    { subject, name: 'turns asked too often, by the ledger', value: tooOften, unit: '', aim: { atMost: 0 } },
    { subject, name: 'turns not asked, by the ledger', value: missing, unit: '', aim: { atMost: 0 } },
    { subject, name: 'rows per second', value: (rows.length * 1000) / wallMs, unit: '/s' },
    { subject, name: 'history events per row', value: events / rows.length, unit: '' },
  ];
}
