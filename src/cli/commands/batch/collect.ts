import { BatchOutput } from '../../../batch-files/index.js';
import type { AipClient, BatchSubmission, BatchSummary, ResultOrder } from '../../../client/index.js';
import { collectResults, runBatch, watchBatch } from '../../../client/index.js';
import { BatchDisplay } from '../../batch-display.js';
import { stopText, summaryText, versionsTable } from '../../batch-text.js';
import type { CliIo } from '../../command.js';
import { EXIT } from '../../command.js';
import type { Output } from '../../output.js';
import { programName } from '../../output.js';
import type { OutputOptions } from './batch-options.js';
import { noteSubmitted } from './note-submitted.js';

/** What is collected, and where to. */
export interface Collecting {
  aip: AipClient;
  batchId: string;
  options: OutputOptions;
  output: Output;
  io: CliIo;
  signal: AbortSignal;
  /** Absent: the batch is there, and nothing is submitted. */
  submission?: BatchSubmission;
}

/** Collects a batch's outcomes into its files until it has ended, and says how it went. @returns The exit code. */
export async function collect({ aip, batchId, options, output, io, signal, submission }: Collecting): Promise<number> {
  const { out = '-', errors, overwrite = false, order = 'completion' } = options;
  const files = await BatchOutput.open({
    out,
    overwrite,
    ...(errors === undefined ? {} : { errors }),
    stdout: io.stdout,
  });
  const display = new BatchDisplay(io.stderr, output.isJson);
  const watched = { signal, order, onProgress: display.update.bind(display) };
  try {
    if (submission !== undefined) await files.checkBelongsTo(submission.rows);
    const summary =
      submission === undefined
        ? await collectWatched(aip, batchId, files, watched)
        : await runBatch(aip, submission, files, {
            ...watched,
            onSubmitted: (submitted) => noteSubmitted(submitted, submission, output),
          });
    display.end();
    return tellSummary(summary, out, output, programName(io.env));
  } catch (error) {
    display.end();
    if (signal.aborted) {
      output.note(`Stopped watching; the batch goes on: ${programName(io.env)} batch watch ${batchId}`);
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
  watched: { signal: AbortSignal; order: ResultOrder; onProgress: BatchDisplay['update'] },
): Promise<BatchSummary> {
  const { onProgress, ...collecting } = watched;
  const stop = new AbortController();
  const watching = (async () => {
    for await (const progress of watchBatch(aip, batchId, { signal: stop.signal })) onProgress(progress);
  })();
  watching.catch(() => undefined); // Collecting fails by itself when Temporal is gone.
  try {
    return await collectResults(aip, batchId, files, collecting);
  } finally {
    stop.abort();
  }
}

function tellSummary(summary: BatchSummary, out: string, output: Output, program: string): number {
  const { batchId, rowCount, counts, stopped, versions } = summary;
  const isDone = counts.succeeded === rowCount;
  const exitCode = isDone ? EXIT.ok : EXIT.failed;
  if (output.isJson) {
    const told = { batchId, rowCount, ...counts, ...(stopped && { stopped }), ...(versions && { versions }) };
    // With the answers on stdout, the summary would be one of them.
    if (out === '-') output.note(JSON.stringify(told));
    else output.json(told);
    return exitCode;
  }
  output.note(summaryText(summary));
  if (stopped !== undefined) output.note(stopText(stopped));
  if (versions !== undefined) output.note(versionsTable(versions));
  if (!isDone) output.note(`Run the others again: ${program} batch rerun ${batchId} --failed`);
  return exitCode;
}
