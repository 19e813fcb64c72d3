import type { BatchState } from '../../../client/index.js';
import { describeBatch, listBatches } from '../../../client/index.js';
import { withAipClient } from '../../aip-client.js';
import { batchLines, batchTable } from '../../batch-text.js';
import { command, JSON_OPTION, TEMPORAL_SETTINGS, wholeNumber } from '../../command.js';
import { ID_ARGUMENT } from './batch-options.js';

export const showCommand = command({
  name: 'show',
  summary: 'show all about a batch: settings, rows by state, what was asked of it, why it waits',
  description: 'Settings and state need no worker, counts do.',
  args: [ID_ARGUMENT],
  options: [JSON_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal batch show monday', 'state, rows, settings']],
  async run({ args: [id = ''], sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const description = await describeBatch(aip, id);
      if (output.isJson) output.json(description);
      else output.result(batchLines(description).join('\n'));
    });
  },
});

const STATES: readonly BatchState[] = [
  'running',
  'paused',
  'stopping',
  'cancelling',
  'completed',
  'cancelled',
  'failed',
  'terminated',
  'timedOut',
];

export const listCommand = command<{ state?: BatchState; limit?: number }>({
  name: 'list',
  summary: 'list batches, newest first',
  description: 'Needs no worker. A list is a second or so behind.',
  options: [
    { flags: '--state <state>', about: 'those in this state', choices: STATES },
    { flags: '--limit <n>', about: 'at most this many (50)', parse: wholeNumber('--limit', 1, 100_000) },
    JSON_OPTION,
  ],
  settings: ['agentRid', ...TEMPORAL_SETTINGS],
  examples: [
    ['aip-temporal batch list --state running', 'what runs now'],
    ['aip-temporal batch list --limit 1000 --json', 'one batch a line'],
  ],
  async run({ options: { state, limit = 50 }, sources, output, io, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const { agentRid } = aip;
      const found = await listBatches(aip, {
        limit: limit + 1,
        ...(state !== undefined && { state }),
        ...(agentRid !== undefined && { agentRid }),
      });
      const batches = found.slice(0, limit);
      if (found.length > limit) output.note(`There are more: --limit ${limit * 10}`);
      if (output.isJson) for (const batch of batches) output.json(batch);
      else if (batches.length === 0) output.note('No batches');
      else output.result(batchTable(batches, io.stdout.isTTY === true ? (io.stdout.columns ?? 80) : undefined));
    });
  },
});
