/** `npm run bench`: measures what the project promises about its speed and size (docs/benchmarks.md). */
import { Command, InvalidArgumentError } from 'commander';
import { askBenchmark } from './ask-benchmark.js';
import { automationBenchmark } from './automation-benchmark.js';
import { batchBenchmark } from './batch-benchmark.js';
import { batchKillsBenchmark } from './batch-kills-benchmark.js';
import { batchSizeBenchmark } from './batch-size-benchmark.js';
import { clientKillsBenchmark } from './client-kills-benchmark.js';
import { type Figure, figureTable, isMet } from './figure.js';
import { type Installation, startInstallation } from './installation.js';
import { limitsBenchmark } from './limits-benchmark.js';
import { memoryBenchmark } from './memory-benchmark.js';
import { realDataBenchmark } from './real-data-benchmark.js';
import { recoveryBenchmark } from './recovery-benchmark.js';
import { isBusy, machine, writeResults } from './results-file.js';
import { sharingBenchmark } from './sharing-benchmark.js';

interface Options {
  exchanges: number;
  latency: number;
  rows: number;
  repeat: number;
  memoryRows: number;
  sizeRows: number;
  limitsOnly?: string;
  json?: boolean;
  strict?: boolean;
  cpuProf?: string;
}

type Benchmark = (installation: Installation, options: Options) => Promise<Figure[]>;

const say = (text: string) => void process.stderr.write(`${text}\n`);

const BENCHMARKS: Record<string, { about: string; run: Benchmark }> = {
  ask: {
    about: 'overhead of an exchange by update, by signal and as a batch row; history events',
    run: (installation, { exchanges, latency }) => askBenchmark(installation, { exchanges, latencyMs: latency }),
  },
  batch: {
    about: 'questions per second and CPU time, beside a plain script; against the ideal time',
    run: (installation, { rows, repeat }) => batchBenchmark(installation, { rows, repeat, say }),
  },
  memory: {
    about: 'resident memory after many rows',
    run: (installation, { memoryRows }) => memoryBenchmark(installation, { rows: memoryRows }),
  },
  recovery: {
    about: 'how soon work goes on after a kill -9 of its worker',
    run: (installation, { repeat }) => recoveryBenchmark(installation, { repeat, say }),
  },
  kills: {
    about: 'a batch whose worker is killed three times, beside one left alone; nothing asked twice, nothing lost',
    run: (installation) => batchKillsBenchmark(installation, { say }),
  },
  'client-kills': {
    about: '`batch run` killed at ten random moments and started again; every row once in the output',
    run: (installation) => clientKillsBenchmark(installation, { say }),
  },
  size: {
    about: 'a large batch: histories, storage, memory of client and worker, and the pace at its end',
    run: (installation, { sizeRows }) => batchSizeBenchmark(installation, { rows: sizeRows, say }),
  },
  'real-data': {
    about: 'every question of ../shared/data, or of the shipped example, answered exactly once',
    run: (installation) => realDataBenchmark(installation, say),
  },
  automation: {
    about:
      'plans: conversations under kills of the worker, what a step costs beside a plain ask, a plan of 1,000 steps',
    run: (installation) => automationBenchmark(installation, { say }),
  },
  limits: {
    about: 'limits of the agent that the worker is not told: how much of them it uses, how often it is refused',
    run: (installation, { limitsOnly }) => limitsBenchmark(installation, { only: limitsOnly, say }),
  },
  sharing: {
    about: 'ways in which processes can share a limit through Temporal: what a permit or a report costs',
    run: (installation) => sharingBenchmark(installation, say),
  },
};

async function main(): Promise<void> {
  const program = new Command('npm run bench --')
    .description(
      'Measures a whole installation on this machine: Temporal on a file database, simulator, worker, client.',
    )
    .option('--exchanges <n>', 'ask: exchanges of each way', wholeNumber, 100)
    .option('--latency <ms>', 'ask: time that the agent takes for an answer', wholeNumber, 100)
    .option('--rows <n>', 'batch: questions of each run', wholeNumber, 2_000)
    .option('--repeat <n>', 'batch, recovery: runs of each kind; the median counts', wholeNumber, 3)
    .option('--memory-rows <n>', 'memory: rows', wholeNumber, 5_000)
    .option('--size-rows <n>', 'size: rows', wholeNumber, 50_000)
    .option('--limits-only <words>', 'limits: only the cases in whose name these words occur')
    .option('--json', 'also write the figures to bench/results')
    .option('--strict', 'exit with 1 when any aim is missed; without it only when a promise is broken')
    .option('--cpu-prof <folder>', 'write a CPU profile of the worker there');
  for (const [name, { about }] of Object.entries(BENCHMARKS)) {
    program
      .command(name)
      .description(about)
      .action(() => measure(name, [name], program.opts<Options>()));
  }
  program
    .command('all')
    .description('all of them, in one installation')
    .action(() => measure('all', Object.keys(BENCHMARKS), program.opts<Options>()));
  await program.parseAsync();
}

async function measure(command: string, names: readonly string[], options: Options): Promise<void> {
  const start = { at: new Date(), machine: machine() };
  const stops: (() => Promise<void>)[] = [];
  const stopOnSignal = (signal: NodeJS.Signals) => {
    say(`Stopping (${signal}) ...`);
    // What is only just being started is killed at the exit of this process.
    void Promise.all(stops.map((stop) => stop())).finally(() => process.exit(130));
  };
  process.once('SIGINT', stopOnSignal).once('SIGTERM', stopOnSignal);
  const installation = await startInstallation({ say, profileDir: options.cpuProf });
  stops.push(() => installation.stop());
  const figures: Figure[] = [];
  try {
    for (const name of names) figures.push(...((await BENCHMARKS[name]?.run(installation, options)) ?? []));
  } finally {
    await installation.stop();
  }
  const { cpu, cores, memoryGiB, node, loadAverage } = start.machine;
  process.stdout.write(`\n${figureTable(figures)}\n\n`);
  process.stdout.write(
    `${cores} cores (${cpu}), ${memoryGiB} GiB, Node ${node}, load at the start ${loadAverage[0]}\n`,
  );
  if (isBusy(start.machine)) {
    process.stdout.write(
      'The machine was busy with other things: times are too long; compare with the plain script.\n',
    );
  }
  if (options.json === true) say(`Written to ${writeResults(command, start, figures)}`);
  const missed = figures.filter((figure) => isMet(figure) === false);
  const failing = options.strict === true ? missed : missed.filter(({ isPromise }) => isPromise === true);
  if (failing.length > 0) process.exitCode = 1;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('is not a whole number');
  return Number(text);
}

try {
  await main();
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
}
