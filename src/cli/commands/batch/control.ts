import type { RowCancellation } from '../../../client/index.js';
import {
  cancelBatch,
  cancelRows,
  pauseBatch,
  resumeBatch,
  setBatchConcurrency,
  setBatchWeight,
} from '../../../client/index.js';
import { withAipClient } from '../../aip-client.js';
import { command, EXIT, JSON_OPTION, TEMPORAL_SETTINGS, UsageError, wholeNumber } from '../../command.js';
import { BATCH_WEIGHTS } from '../../../protocol/batch.js';
import { numberOption, repeated } from '../../option-values.js';
import type { Output } from '../../output.js';
import { ID_ARGUMENT } from './batch-options.js';

export const pauseCommand = command<{ reason?: string }>({
  name: 'pause',
  summary: 'begin no more rows until `batch resume`; what is in flight goes on to its end',
  description: 'Exit code: 0 it was asked to, 1 it has ended or is not there.',
  args: [ID_ARGUMENT],
  options: [{ flags: '--reason <text>', about: 'why, for whoever looks at it; at most 200 characters' }],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal batch pause monday --reason "agent is being mended"', 'shown by show, watch and the UI']],
  async run({ args: [id = ''], options, sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      await pauseBatch(aip, id, options.reason === undefined ? {} : { reason: options.reason });
      output.note(`Asked batch ${id} to pause; its rows in flight go on to their end`);
    });
  },
});

export const resumeCommand = command({
  name: 'resume',
  summary: 'go on after a pause',
  description: 'Exit code: 0 it was asked to, 1 it has ended or is not there.',
  args: [ID_ARGUMENT],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal batch resume monday', 'its rows are begun again']],
  async run({ args: [id = ''], sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      await resumeBatch(aip, id);
      output.note(`Asked batch ${id} to go on`);
    });
  },
});

export const setCommand = command<{ concurrency?: number; weight?: number }>({
  name: 'set',
  summary: 'change a running batch',
  description: 'Exit code: 0 it was asked to, 1 it has ended or is not there.',
  args: [ID_ARGUMENT],
  options: [
    {
      flags: '--concurrency <n>',
      about: 'rows at once from now on; those in flight beyond it go on to their end',
      parse: wholeNumber('--concurrency', 1, 10_000),
    },
    {
      flags: '--weight <n>',
      about: 'how much of its agent it gets beside other batches; not with --isolation workflow',
      parse: numberOption('--weight', BATCH_WEIGHTS.least, BATCH_WEIGHTS.most),
    },
  ],
  settings: TEMPORAL_SETTINGS,
  examples: [
    ['aip-temporal batch set monday --concurrency 5', 'slower, within seconds'],
    ['aip-temporal batch set monday --weight 3', 'three times as much of the agent as a batch of weight 1'],
  ],
  async run({ args: [id = ''], options: { concurrency, weight }, sources, output, signal }) {
    if (concurrency === undefined && weight === undefined)
      throw new UsageError('Say what to change: --concurrency, --weight');
    await withAipClient({ sources, output, signal }, async (aip) => {
      // First what may be refused.
      if (weight !== undefined) {
        await setBatchWeight(aip, id, weight);
        output.note(`Asked batch ${id} to have a weight of ${weight}`);
      }
      if (concurrency === undefined) return;
      await setBatchConcurrency(aip, id, concurrency);
      output.note(`Asked batch ${id} to run ${concurrency} rows at once`);
    });
  },
});

export const cancelCommand = command<{ row?: string[] }>({
  name: 'cancel',
  summary: 'cancel a batch, or single rows of it: what has ended is kept, what runs is cancelled at the agent',
  description:
    'Exit code: 0 it was asked to, or had ended before; 1 it is not there. With --row: 0 each was asked to, or had ended ' +
    'before; 1 the batch has no such row, or has ended.',
  args: [ID_ARGUMENT],
  options: [
    { flags: '--row <row id>', about: 'this row only, and the others go on; may be repeated', parse: repeated },
    { ...JSON_OPTION, about: 'with --row: a line of JSON for each' },
  ],
  settings: TEMPORAL_SETTINGS,
  examples: [
    ['aip-temporal batch cancel monday', 'its answers so far: aip-temporal batch results monday'],
    ['aip-temporal batch cancel monday --row q17 --row q18', 'these two'],
  ],
  async run({ args: [id = ''], options: { row }, sources, output, signal }) {
    return withAipClient({ sources, output, signal }, async (aip) => {
      if (row !== undefined) return tellRows(await cancelRows(aip, id, row), id, output);
      output.note((await cancelBatch(aip, id)) ? `Asked batch ${id} to cancel` : `Batch ${id} had ended before`);
      return EXIT.ok;
    });
  },
});

function tellRows(rows: readonly RowCancellation[], batchId: string, output: Output): number {
  for (const row of rows) {
    if (output.isJson) output.json(row);
    else if (row.state === 'unknown') output.error(`Cannot cancel row ${row.id}: batch ${batchId} has no such row`);
    else output.note(row.state === 'asked' ? `Asked row ${row.id} to cancel` : `Row ${row.id} had ended before`);
  }
  return rows.some(({ state }) => state === 'unknown') ? EXIT.failed : EXIT.ok;
}
