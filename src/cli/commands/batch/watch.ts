import type { BatchProgress } from '../../../client/index.js';
import { watchBatch } from '../../../client/index.js';
import { withAipClient } from '../../aip-client.js';
import { BatchDisplay } from '../../batch-display.js';
import { command, EXIT, JSON_OPTION, TEMPORAL_SETTINGS } from '../../command.js';
import { durationOption } from '../../option-values.js';
import { outageNews } from '../../outage-news.js';
import { programName } from '../../output.js';
import { ID_ARGUMENT } from './batch-options.js';

export const watchCommand = command<{ interval?: number }>({
  name: 'watch',
  summary: 'follow the progress of a batch until it has ended, from anywhere',
  description:
    'A bar in a terminal; where stdout is piped, or with --json, a line of JSON for each look. Collects nothing.\n' +
    'Exit code: 0 every row succeeded, 1 some did not.',
  args: [ID_ARGUMENT],
  options: [
    { flags: '--interval <duration>', about: 'between two looks (1s)', parse: durationOption('--interval') },
    JSON_OPTION,
  ],
  settings: TEMPORAL_SETTINGS,
  examples: [
    ['aip-temporal batch watch monday', 'a progress bar'],
    ['aip-temporal batch watch monday --interval 30s >> monday.log', 'rows by state, rate, tokens, time left, as JSON'],
  ],
  async run({ args: [id = ''], options, sources, output, io, signal }) {
    return withAipClient({ sources, output, signal }, async (aip) => {
      const isJson = output.isJson || io.stdout.isTTY !== true;
      const display = new BatchDisplay(io.stderr, false);
      let last: BatchProgress | undefined;
      try {
        const pauses = options.interval === undefined ? {} : { intervalMs: options.interval };
        for await (const progress of watchBatch(aip, id, { signal, ...pauses })) {
          const news = outageNews(last, progress);
          last = progress;
          if (!isJson) {
            display.update(progress);
            continue;
          }
          if (news !== undefined) output.note(news);
          output.json(progress);
        }
      } finally {
        display.end();
      }
      if (signal.aborted) {
        output.note(`Stopped watching; the batch goes on: ${programName(io.env)} batch watch ${id}`);
        signal.throwIfAborted();
      }
      return last?.succeeded === last?.rowCount ? EXIT.ok : EXIT.failed;
    });
  },
});
