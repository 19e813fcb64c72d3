import { randomUUID } from 'node:crypto';
import { BatchOutput, readBatchRows, spoolToFile } from '../../batch-files/index.js';
import type { AipClient, BatchDescription, BatchSubmission, BatchSummary } from '../../client/index.js';
import { cancelBatch, collectResults, describeBatch, runBatch, submitBatch, watchBatch } from '../../client/index.js';
import { loadAgentRid } from '../../config.js';
import type { BatchRow } from '../../protocol/batch.js';
import type { ExchangeMode } from '../../protocol/exchange.js';
import { withAipClient } from '../aip-client.js';
import { BatchDisplay, progressText } from '../batch-display.js';
import type { CliIo, CommandDefinition } from '../command.js';
import { command, EXIT, JSON_OPTION, TEMPORAL_SETTINGS, wholeNumber } from '../command.js';
import type { Output } from '../output.js';
import { programName } from '../output.js';

const ID_ARGUMENT = ['<id>', 'id of the batch'] as const;

interface OutputOptions {
  out?: string;
  errors?: string;
  overwrite?: boolean;
}

const OUTPUT_OPTIONS = [
  { flags: '--out <file>', about: 'answers, as JSON lines (stdout)' },
  { flags: '--errors <file>', about: 'rows without an answer; valid input for a rerun (with the answers)' },
  { flags: '--overwrite', about: 'begin these files afresh, whatever they hold; else they are gone on with' },
] as const;

interface RunOptions extends OutputOptions {
  concurrency?: number;
  mode?: ExchangeMode;
  id?: string;
  agentVersion?: string;
  title?: string;
  detach?: boolean;
}

const run = command<RunOptions>({
  name: 'run',
  summary: 'put a file of questions through an agent',
  description:
    'Input is JSON lines ({"id", "question"} or {"id", "turns": […]}) or CSV (id,question). All of it is checked before ' +
    'anything starts. The batch then lives in Temporal: it survives the end of this command, and the same command with the ' +
    'same --id goes on where it was.\n' +
    'Exit code: 0 every row succeeded, 1 some did not, 2 bad input or usage.',
  args: [['<in...>', 'files of questions; - reads stdin']],
  options: [
    ...OUTPUT_OPTIONS,
    { flags: '--concurrency <n>', about: 'rows at once (20)', parse: wholeNumber('--concurrency', 1, 10_000) },
    {
      flags: '--mode <mode>',
      about: 'how exchanges are sent: only streamed ones can be cancelled (streaming)',
      choices: ['streaming', 'blocking'],
    },
    { flags: '--id <id>', about: 'name of the batch; the same again attaches to it (a new one)' },
    { flags: '--agent-version <version>', about: 'version of the agent (latest published)' },
    { flags: '--title <title>', about: 'title of the sessions in AIP; costs a call a row (none)' },
    { flags: '--detach', about: 'hand it over and leave; `batch results` collects' },
    JSON_OPTION,
  ],
  settings: ['agentRid', ...TEMPORAL_SETTINGS],
  examples: [
    ['aip-temporal batch run questions.jsonl --out answers.jsonl --errors errors.jsonl', 'with a progress bar'],
    ['aip-temporal batch run errors.jsonl --out more-answers.jsonl', 'what failed, again'],
    ['aip-temporal batch run a.csv b.csv --id monday --concurrency 50 > answers.jsonl', 'under a name of its own'],
  ],
  async run({ args, options, sources, output, io, signal }) {
    const agentRid = loadAgentRid(sources);
    const batchId = options.id ?? newBatchId();
    const input = await inputOf(args, io);
    try {
      // Before Temporal is asked for: bad input is refused wherever it is met.
      await readThrough(input.rows);
      return await withAipClient({ sources, output, signal }, async (aip) => {
        const submission = { ...submissionOf(options, input.rows, args), batchId, agentRid };
        if (options.id === undefined) output.note(`Batch ${batchId}`);
        if (options.detach === true) return detach(aip, submission, output);
        return collect({ aip, batchId, options, output, io, signal, submission });
      });
    } finally {
      await input.remove();
    }
  },
});

const newBatchId = (): string =>
  `${new Date().toISOString().slice(0, 16).replace(/[-:]/g, '')}-${randomUUID().slice(0, 8)}`;

/** The rows of the files named; stdin is put into a file, because a batch reads its rows twice. */
async function inputOf(
  paths: string[],
  io: CliIo,
): Promise<{ rows: AsyncIterable<BatchRow>; remove: () => Promise<void> }> {
  if (!paths.includes('-')) return { rows: readBatchRows(paths), remove: () => Promise.resolve() };
  const spooled = await spoolToFile(io.stdin);
  const files = paths.map((path) => (path === '-' ? spooled.path : path));
  const nameOf = (path: string) => (path === spooled.path ? 'stdin' : path);
  return { rows: readBatchRows(files, { nameOf }), remove: () => spooled.remove() };
}

async function readThrough(rows: AsyncIterable<BatchRow>): Promise<void> {
  for await (const _row of rows); // Reading checks; its errors name file, line and field.
}

function submissionOf(
  options: RunOptions,
  rows: AsyncIterable<BatchRow>,
  args: string[],
): Omit<BatchSubmission, 'batchId' | 'agentRid'> {
  const { concurrency, mode, agentVersion, title } = options;
  return {
    rows,
    source: args.map((path) => (path === '-' ? 'stdin' : path)).join(' '),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(mode === undefined ? {} : { mode }),
    ...(agentVersion === undefined ? {} : { agentVersion }),
    ...(title === undefined ? {} : { title }),
  };
}

async function detach(aip: AipClient, submission: BatchSubmission, output: Output): Promise<number> {
  const submitted = await submitBatch(aip, submission);
  const { batchId, rowCount, attached } = submitted;
  if (output.isJson) output.json(submitted);
  else output.result(`Batch ${batchId} ${attached ? 'was there already' : 'is handed over'}: ${rowCount} rows`);
  return EXIT.ok;
}

interface Collecting {
  aip: AipClient;
  batchId: string;
  options: OutputOptions;
  output: Output;
  io: CliIo;
  signal: AbortSignal;
  /** Absent: the batch is there, and nothing is submitted. */
  submission?: BatchSubmission;
}

/** Collects a batch's outcomes into its files until it has ended, and says how it went. */
async function collect({ aip, batchId, options, output, io, signal, submission }: Collecting): Promise<number> {
  const { out = '-', errors, overwrite = false } = options;
  const files = await BatchOutput.open({
    out,
    overwrite,
    ...(errors === undefined ? {} : { errors }),
    stdout: io.stdout,
  });
  const display = new BatchDisplay(io.stderr, output.isJson);
  const watched = { signal, onProgress: display.update.bind(display) };
  try {
    if (submission !== undefined) await files.checkBelongsTo(submission.rows);
    const summary =
      submission === undefined
        ? await collectWatched(aip, batchId, files, watched)
        : await runBatch(aip, submission, files, watched);
    display.end();
    return tellSummary(summary, out, output);
  } catch (error) {
    display.end();
    if (signal.aborted) {
      output.note(`Stopped watching; the batch goes on: ${programName(io.env)} batch status ${batchId}`);
    }
    if (signal.aborted && submission !== undefined) output.note(`Give the same command with --id ${batchId} to go on`);
    throw error;
  } finally {
    await files.close();
  }
}

async function collectWatched(
  aip: AipClient,
  batchId: string,
  files: BatchOutput,
  { signal, onProgress }: { signal: AbortSignal; onProgress: BatchDisplay['update'] },
): Promise<BatchSummary> {
  const stop = new AbortController();
  const watching = (async () => {
    for await (const progress of watchBatch(aip, batchId, { signal: stop.signal })) onProgress(progress);
  })();
  watching.catch(() => undefined); // Collecting fails by itself when Temporal is gone.
  try {
    return await collectResults(aip, batchId, files, { signal });
  } finally {
    stop.abort();
  }
}

function tellSummary({ batchId, rowCount, counts }: BatchSummary, out: string, output: Output): number {
  const { succeeded, failed, cancelled, expired, tokens } = counts;
  const isDone = succeeded === rowCount;
  // With the answers on stdout, the summary would be one of them.
  if (output.isJson && out !== '-') output.json({ batchId, rowCount, ...counts });
  else if (output.isJson) output.note(JSON.stringify({ batchId, rowCount, ...counts }));
  else {
    const others = Object.entries({ failed, cancelled, expired }).filter(([, count]) => count > 0);
    const parts = [`${succeeded} of ${rowCount} rows succeeded`, ...others.map(([name, count]) => `${count} ${name}`)];
    output.note(`Batch ${batchId}: ${parts.join(', ')}; ${tokens} tokens`);
  }
  return isDone ? EXIT.ok : EXIT.failed;
}

const status = command<{ watch?: boolean }>({
  name: 'status',
  summary: 'show how a batch stands',
  args: [ID_ARGUMENT],
  options: [{ flags: '--watch', about: 'until it has ended' }, JSON_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal batch status monday --watch', 'a progress bar, from anywhere']],
  async run({ args: [id = ''], options, sources, output, io, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const description = await describeBatch(aip, id);
      if (output.isJson && options.watch !== true) return output.json(description);
      if (!output.isJson) output.result(batchLines(description).join('\n'));
      if (options.watch !== true) return;
      const display = new BatchDisplay(io.stderr, false);
      for await (const progress of watchBatch(aip, id, { signal })) {
        if (output.isJson) output.json(progress);
        else display.update(progress);
      }
      display.end();
      signal.throwIfAborted();
    });
  },
});

function batchLines({ progress, ...memo }: BatchDescription): string[] {
  const fields: [string, string | undefined][] = [
    ['batch', memo.batchId],
    ['state', progress.state],
    ['rows', progressText(progress)],
    ['source', memo.source],
    ['shards', String(memo.shardCount)],
    ['rows at once', String(memo.concurrency)],
  ];
  return fields.filter(([, value]) => value !== undefined).map(([name, value]) => `${name.padEnd(14)}${value}`);
}

const results = command<OutputOptions>({
  name: 'results',
  summary: 'collect the answers of a batch, until it has ended',
  description: 'Needs neither the input nor a worker once the batch has ended. Exit code as `batch run`.',
  args: [ID_ARGUMENT],
  options: [...OUTPUT_OPTIONS, JSON_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal batch results monday --out answers.jsonl --errors errors.jsonl', 'on any machine']],
  async run({ args: [batchId = ''], options, sources, output, io, signal }) {
    return withAipClient({ sources, output, signal }, (aip) => collect({ aip, batchId, options, output, io, signal }));
  },
});

const cancel = command({
  name: 'cancel',
  summary: 'cancel a batch: what has ended is kept, what runs is cancelled at the agent',
  args: [ID_ARGUMENT],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal batch cancel monday', 'its answers so far: aip-temporal batch results monday']],
  async run({ args: [id = ''], sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      output.note((await cancelBatch(aip, id)) ? `Asked batch ${id} to cancel` : `Batch ${id} had ended before`);
    });
  },
});

/** `aip-temporal batch …` */
export const batchCommand: CommandDefinition = {
  name: 'batch',
  summary: 'put many questions through an agent',
  subcommands: [run, status, results, cancel],
};
