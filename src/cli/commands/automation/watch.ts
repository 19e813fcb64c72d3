import { withAipClient } from '../../aip-client.js';
import { command, EXIT, JSON_OPTION, TEMPORAL_SETTINGS } from '../../command.js';
import { durationOption } from '../../option-values.js';
import { programName } from '../../output.js';
import { ID_ARGUMENT } from './automation-options.js';
import { follow } from './follow.js';

export const watchCommand = command<{ interval?: number }>({
  name: 'watch',
  summary: 'follow the steps of an automation until it has ended, from anywhere',
  description:
    'A live tree in a terminal; where stdout is piped, or with --json, a line of JSON whenever something has changed. Ctrl-C ' +
    'stops watching: the automation goes on.\n' +
    'Exit code: 0 it has completed, 1 it ended otherwise, or is not there.',
  args: [ID_ARGUMENT],
  options: [
    { flags: '--interval <duration>', about: 'between two looks (1s)', parse: durationOption('--interval') },
    JSON_OPTION,
  ],
  settings: TEMPORAL_SETTINGS,
  examples: [
    ['aip-temporal automation watch nightly-2026-03-01T06:00:00Z', 'steps, times, tokens, what it waits for'],
    ['aip-temporal automation watch release-7 --interval 30s >> release.log', 'as JSON, on change'],
  ],
  async run({ args: [automationId = ''], options: { interval }, sources, output, io, signal }) {
    return withAipClient({ sources, output, signal }, async (aip) => {
      const isJson = output.isJson || io.stdout.isTTY !== true;
      let told: string | undefined;
      const last = await follow({
        ...{ aip, automationId, output, io, signal },
        ...(interval !== undefined && { intervalMs: interval }),
        ...(isJson && {
          tell: (description) => {
            const now = JSON.stringify(description);
            if (now !== told) output.json(description);
            told = now;
          },
        }),
      });
      if (!isJson && last?.result?.output !== undefined) {
        output.note(`Its output: ${programName(io.env)} automation show ${automationId}`);
      }
      return last?.status === 'completed' ? EXIT.ok : EXIT.failed;
    });
  },
});
