/** `npm run chaos`: kills, faults and cancels at random, and holds the agent's ledger against every recorded outcome. */
import { randomUUID } from 'node:crypto';
import { Command, InvalidArgumentError, Option } from 'commander';
import { runChaos } from './chaos.js';
import type { ChaosOptions } from './options.js';
import { isClean, reportText } from './report.js';

const say = (text: string) => void process.stderr.write(`${text}\n`);

function number(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= least) return value;
    throw new InvalidArgumentError(`is not a number from ${least} on`);
  };
}

async function main(): Promise<void> {
  const program = new Command('npm run chaos --')
    .description(
      'Runs conversations and batches against a simulator while workers and the Temporal server are killed, calls go wrong, and ' +
        'users cancel, interrupt, pause, close and terminate at random. In the end it holds the ledger of the simulator ' +
        'against every recorded outcome. Exit code 0: nothing was doubled, lost, out of order, wrong or left running.',
    )
    .option('--seed <text>', 'what is done, when and to whom hangs on it; default: a new one')
    .option('--minutes <n>', 'stops beginning new work after this long', number(0.05), 2)
    .option('--exchanges <n>', 'stops earlier when so many exchanges have ended', number(1), Infinity)
    .addOption(
      new Option('--server-kind <kind>', 'the API with session traces, or as its five pages have it')
        .choices(['withTraces', 'fivePages'])
        .default('withTraces'),
    )
    .addOption(
      new Option('--mode <mode>', 'how exchanges are sent')
        .choices(['streaming', 'blocking', 'mixed'])
        .default('mixed'),
    )
    .option('--conversations <n>', 'conversations at once', number(0), 25)
    .option('--rows <n>', 'rows of each batch; 0: no batches', number(0), 300)
    .option('--items <n>', 'items of each automation; 0: no automations', number(0), 20)
    .option('--workers <n>', 'workers', number(1), 2)
    .option('--faults <share>', 'share of the calls that go wrong', number(0), 0.05)
    .option('--worker-kill-seconds <n>', 'mean time between two kills; 0: none', number(0), 10)
    .option('--server-kill-seconds <n>', 'mean time between two kills; 0: none', number(0), 60)
    .option('--keep <folder>', 'write the histories and the ledger of whatever is found there')
    .option('--json', 'print the result as JSON');
  program.parse();
  const {
    json,
    keep,
    seed = randomUUID().slice(0, 8),
    ...rest
  } = program.opts<Partial<ChaosOptions> & { json?: true; keep?: string }>();
  const options = { seed, ...rest } as ChaosOptions;
  say(`Seed ${seed}: the same one repeats this plan`);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort()).once('SIGTERM', () => stop.abort());
  const result = await runChaos(options, { say, signal: stop.signal, ...(keep !== undefined && { keep }) });
  process.stdout.write(`${json === true ? JSON.stringify(result) : reportText(result)}\n`);
  process.exitCode = isClean(result) ? 0 : 1;
}

try {
  await main();
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 2;
}
// Connections that were cut may leave timers behind.
process.exit();
