import type { ExchangeMode } from '../src/protocol/exchange.js';
import { median } from './distribution.js';
import type { Figure } from './figure.js';
import type { Installation } from './installation.js';
import { checkLedger } from './ledger-check.js';
import { type MeasuredBatch, measureBatch } from './measured-batch.js';
import type { ScriptResult } from './plain-script.js';
import { madeQuestions } from './questions.js';
import { runPlainScript } from './run-plain-script.js';

/** Settings of `batch`. */
export interface BatchOptions {
  /** Questions of each run. */
  rows: number;
  /** How often each is measured; figures are medians. */
  repeat: number;
  say: (text: string) => void;
}

/** One way of running a batch that is measured. */
interface Way {
  mode: ExchangeMode;
  concurrency: number;
  latencyMs: number;
  aims: { ofScript?: number; ofIdeal?: number };
}

const WAYS: readonly Way[] = [
  { mode: 'streaming', concurrency: 50, latencyMs: 0, aims: { ofScript: 0.6 } },
  { mode: 'blocking', concurrency: 50, latencyMs: 0, aims: { ofScript: 0.6 } },
  { mode: 'streaming', concurrency: 100, latencyMs: 300, aims: { ofIdeal: 0.85 } },
];

/** One pair: the plain script and, right after it, the batch. Only within a pair do times compare on a shared machine. */
interface Pair {
  script: ScriptResult;
  batch: MeasuredBatch;
}

/** Throughput of a batch, against the plain script in the same minute and against the ideal. */
export async function batchBenchmark(installation: Installation, options: BatchOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  await installation.simulator.change({ answerLatencyMs: 0 });
  // Warms up the worker and this process; also, the governor has then met this agent.
  await measureBatch(installation, madeQuestions(Math.min(500, options.rows)), { concurrency: 50, mode: 'streaming' });
  for (const way of WAYS) {
    const pairs: Pair[] = [];
    for (let round = 1; round <= options.repeat; round++) {
      options.say(`${subjectOf(way)}: run ${round} of ${options.repeat} ...`);
      pairs.push(await measurePair(installation, way, options.rows));
    }
    figures.push(...wayFigures(way, options.rows, pairs));
  }
  return figures;
}

function subjectOf({ mode, concurrency, latencyMs }: Way): string {
  return `batch, ${mode}, ${concurrency} at once, answers after ${latencyMs} ms`;
}

async function measurePair(installation: Installation, way: Way, rows: number): Promise<Pair> {
  const { simulator } = installation;
  const { mode, concurrency, latencyMs } = way;
  await simulator.reset();
  await simulator.change({ answerLatencyMs: latencyMs });
  const script = await runPlainScript(installation, { mode, concurrency, questions: rows, warmUp: 100 });
  await simulator.reset();
  const questions = madeQuestions(rows);
  const batch = await measureBatch(installation, questions, { mode, concurrency });
  const { tooOften, missing } = await checkLedger(simulator, questions);
  if (tooOften + missing > 0) throw new Error(`${tooOften} questions were asked too often, ${missing} not at all`);
  return { script, batch };
}

function wayFigures(way: Way, rows: number, pairs: readonly Pair[]): Figure[] {
  const subject = subjectOf(way);
  const of = (measure: (pair: Pair) => number) => median(pairs.map(measure));
  const figure = (name: string, unit: string, measure: (pair: Pair) => number): Figure => ({
    ...{ subject, name, unit, value: of(measure) },
  });
  const perSecond = ({ wallMs }: { wallMs: number }) => (rows * 1000) / wallMs;
  const idealMs = Math.ceil(rows / way.concurrency) * way.latencyMs;
  const { aims } = way;
  return [
    figure('questions per second', '/s', ({ batch }) => perSecond(batch)),
    figure('plain script, questions per second', '/s', ({ script }) => perSecond(script)),
    {
      ...figure('throughput, of the plain script', '', ({ batch, script }) => script.wallMs / batch.wallMs),
      ...(aims.ofScript === undefined ? {} : { aim: { atLeast: aims.ofScript } }),
    },
    ...(way.latencyMs === 0
      ? []
      : [
          {
            ...figure('ideal time, of the time taken', '', ({ batch }) => idealMs / batch.wallMs),
            ...(aims.ofIdeal === undefined ? {} : { aim: { atLeast: aims.ofIdeal } }),
          },
          figure('plain script, ideal time of the time taken', '', ({ script }) => idealMs / script.wallMs),
        ]),
    { ...figure('first results after', 'ms', ({ batch }) => batch.firstResultMs), aim: { atMost: 2_000 } },
    ...cpuFigures(figure, rows),
    { ...figure('history events per row', '', ({ batch }) => batch.events / rows), aim: { atMost: 0.5 } },
  ];
}

function cpuFigures(
  figure: (name: string, unit: string, of: (pair: Pair) => number) => Figure,
  rows: number,
): Figure[] {
  const ours = ['client', 'worker', 'server'] as const;
  const name = (of: string) => `CPU per question, ${of}`;
  return [
    ...ours.map((part) => figure(name(part), 'ms', ({ batch }) => batch.cpuMs[part] / rows)),
    {
      ...figure(name('client + worker + server'), 'ms', ({ batch: { cpuMs } }) => {
        return ours.reduce((sum, part) => sum + cpuMs[part], 0) / rows;
      }),
      aim: { atMost: 3 },
    },
    figure(name('plain script'), 'ms', ({ script }) => script.cpuMs / rows),
    figure(name('simulator'), 'ms', ({ batch }) => batch.cpuMs.simulator / rows),
  ];
}
