import { rerunSubmission } from '../../../client/index.js';
import { withAipClient } from '../../aip-client.js';
import { command, EXIT, JSON_OPTION, TEMPORAL_SETTINGS, UsageError } from '../../command.js';
import type { OutputOptions, SubmitOptions } from './batch-options.js';
import { ID_ARGUMENT, OUTPUT_OPTIONS, settingsOf, SUBMIT_OPTIONS } from './batch-options.js';
import { collect } from './collect.js';

export const rerunCommand = command<SubmitOptions & OutputOptions & { failed?: boolean }>({
  name: 'rerun',
  summary: 'run the rows of a batch that did not succeed again, as a new batch',
  description:
    'The rows come from Temporal: the input file is not needed. All settings are those of the batch, but for its deadline, ' +
    'unless they are given anew; with another agent or version the rows of its canary are as the others again. The new batch ' +
    'is called <id>.2, its own rerun <id>.3; the same command again attaches to it. Its rows count from 0: give it output ' +
    'files of its own.\n' +
    'Exit code as `batch run`; 0 when there is nothing to run again, 1 while the batch goes on.',
  args: [ID_ARGUMENT],
  options: [
    { flags: '--failed', about: 'the rows that did not succeed, for whatever reason; has to be given' },
    ...OUTPUT_OPTIONS,
    { flags: '--id <id>', about: 'name of the new batch (the next of the family)' },
    ...SUBMIT_OPTIONS,
    JSON_OPTION,
  ],
  settings: ['agentRid', ...TEMPORAL_SETTINGS],
  examples: [
    ['aip-temporal batch rerun monday --failed --out more.jsonl --errors errors.jsonl', 'as monday.2'],
    ['aip-temporal batch rerun monday.2 --failed --agent-version 2.1 --out last.jsonl', 'as monday.3, a mended agent'],
  ],
  async run({ args: [id = ''], options, sources, output, io, signal }) {
    if (options.failed !== true) {
      throw new UsageError('Say which rows to run again: --failed takes those that did not succeed');
    }
    return withAipClient({ sources, output, signal }, async (aip) => {
      const submission = await rerunSubmission(aip, id, {
        ...settingsOf(options),
        // Of the flag alone: an agent that the environment names is not asked for here.
        ...(aip.agentRid !== undefined && { agentRid: aip.agentRid }),
        ...(options.id !== undefined && { batchId: options.id }),
      });
      if (submission === undefined) {
        output.note(`Nothing to run again: all rows of batch ${id} have succeeded`);
        return EXIT.ok;
      }
      const { batchId } = submission;
      output.note(`Batch ${batchId}: the rows of ${id} that did not succeed`);
      return collect({ aip, batchId, options, output, io, signal, submission });
    });
  },
});
