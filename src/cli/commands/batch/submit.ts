import { openBatchInput } from '../../../batch-files/index.js';
import type { AipClient, BatchSubmission } from '../../../client/index.js';
import { submitBatch } from '../../../client/index.js';
import { loadAgentRid } from '../../../config.js';
import { withAipClient } from '../../aip-client.js';
import type { CommandCall } from '../../command.js';
import { command, EXIT, JSON_OPTION, TEMPORAL_SETTINGS } from '../../command.js';
import type { OutputOptions, SubmitOptions } from './batch-options.js';
import { OUTPUT_OPTIONS, settingsOf, SUBMIT_OPTIONS } from './batch-options.js';
import { collect } from './collect.js';
import { extraColumnsText, newBatchId, readThrough, sourceOf } from './input-files.js';
import { noteSubmitted } from './note-submitted.js';

const INPUT =
  'Input is JSON lines ({"id", "question"} or {"id", "turns": […]}), CSV (id,question), or lines of OpenAI’s Batch API. A row ' +
  'may also name "agentRid", "agentVersion", "parameterInputs", "contextsOverride", "mode" (streaming or blocking), "deadline" ' +
  '(a time with its zone, as 2026-11-22T18:00:00Z) and "metadata". ' +
  'All of it is checked before anything starts. The batch then lives in Temporal: it survives the end of this command, and the ' +
  'same command with the same --id goes on where it was. Sessions get a title only when one is given: it costs a call a row.\n';

const FILES_ARGUMENT = ['<in...>', 'files of questions, pipes too; - reads stdin'] as const;
const ID_OPTION = { flags: '--id <id>', about: 'name of the batch; the same again attaches to it (a new one)' };

export const runCommand = command<SubmitOptions & OutputOptions>({
  name: 'run',
  summary: 'put a file of questions through an agent: submit, watch, collect',
  description: `${INPUT}Exit code: 0 every row succeeded, 1 some did not, 2 bad input or usage.`,
  args: [FILES_ARGUMENT],
  options: [...OUTPUT_OPTIONS, ID_OPTION, ...SUBMIT_OPTIONS, JSON_OPTION],
  settings: ['agentRid', ...TEMPORAL_SETTINGS],
  examples: [
    ['aip-temporal batch run questions.jsonl --out answers.jsonl --errors errors.jsonl', 'with a progress bar'],
    ['aip-temporal batch run a.csv b.csv --id monday --concurrency 50 > answers.jsonl', 'under a name of its own'],
    ['aip-temporal batch run q.jsonl --out a.jsonl --deadline 6h --max-tokens 2000000', 'not too long, not too dear'],
    ['aip-temporal batch run q.jsonl --out a.jsonl --canary 2.1=10%', 'a tenth of the rows to version 2.1, compared'],
  ],
  run: (call) =>
    withSubmission(call, ({ aip, submission }) => {
      const { options, output, io, signal } = call;
      return collect({ aip, batchId: submission.batchId, options, output, io, signal, submission });
    }),
});

export const submitCommand = command<SubmitOptions>({
  name: 'submit',
  summary: 'hand a file of questions over and leave',
  description:
    `${INPUT}\`batch watch\` follows it, \`batch results\` collects, on any machine. ` +
    'Exit code: 0 it is handed over, or was there already, 1 it is not, 2 bad input or usage.',
  args: [FILES_ARGUMENT],
  options: [ID_OPTION, ...SUBMIT_OPTIONS, JSON_OPTION],
  settings: ['agentRid', ...TEMPORAL_SETTINGS],
  examples: [
    ['aip-temporal batch submit questions.jsonl --id nightly --concurrency 50', 'then: batch watch nightly'],
    ['aip-temporal batch submit questions.jsonl --json', '{"batchId":…,"rowCount":…,"attached":false,…}'],
  ],
  run: (call) =>
    withSubmission(call, async ({ aip, submission }) => {
      const { output } = call;
      const submitted = await submitBatch(aip, submission);
      const { batchId, rowCount, attached } = submitted;
      noteSubmitted(submitted, submission, output);
      if (output.isJson) output.json(submitted);
      else output.result(`Batch ${batchId} ${attached ? 'was there already' : 'is handed over'}: ${rowCount} rows`);
      return EXIT.ok;
    }),
});

/** Makes the submission of a command line, and sees that what it reads from is cleared away. */
async function withSubmission(
  { args, options, sources, output, io, signal }: CommandCall<SubmitOptions>,
  use: (made: { aip: AipClient; submission: BatchSubmission }) => Promise<number>,
): Promise<number> {
  const agentRid = loadAgentRid(sources);
  const batchId = options.id ?? newBatchId();
  const extraColumns = new Map<string, readonly string[]>();
  const onExtraColumns = extraColumns.set.bind(extraColumns);
  const input = await openBatchInput(args, { stdin: io.stdin, signal, onExtraColumns });
  try {
    // Before Temporal is asked for: bad input is refused wherever it is met.
    await readThrough(input.rows);
    for (const [file, columns] of extraColumns) output.note(extraColumnsText(file, columns));
    return await withAipClient({ sources, output, signal }, async (aip) => {
      if (options.id === undefined) output.note(`Batch ${batchId}`);
      const settings = { ...settingsOf(options), source: sourceOf(args) };
      return use({ aip, submission: { ...settings, rows: input.rows, batchId, agentRid } });
    });
  } finally {
    await input.remove();
  }
}
