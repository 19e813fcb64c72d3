import { withAipClient } from '../../aip-client.js';
import { command, JSON_OPTION, TEMPORAL_SETTINGS } from '../../command.js';
import type { OutputOptions } from './batch-options.js';
import { ID_ARGUMENT, OUTPUT_OPTIONS } from './batch-options.js';
import { collect } from './collect.js';

export const resultsCommand = command<OutputOptions>({
  name: 'results',
  summary: 'collect the answers of a batch, until it has ended',
  description:
    'Needs neither the input nor a worker once the batch has ended; a cancelled or stopped one has an outcome for each of its ' +
    'rows, too. Exit code as `batch run`.',
  args: [ID_ARGUMENT],
  options: [...OUTPUT_OPTIONS, JSON_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [
    ['aip-temporal batch results monday --out answers.jsonl --errors errors.jsonl', 'on any machine'],
    ['aip-temporal batch results monday --order input > all.jsonl', 'as the rows stand in the input'],
  ],
  async run({ args: [batchId = ''], options, sources, output, io, signal }) {
    return withAipClient({ sources, output, signal }, (aip) => collect({ aip, batchId, options, output, io, signal }));
  },
});
