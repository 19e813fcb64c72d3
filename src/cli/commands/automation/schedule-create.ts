import { createAutomationSchedule, describeAutomationSchedule, type ScheduleOverlap } from '../../../client/index.js';
import { findAgentRid } from '../../../config.js';
import { withAipClient } from '../../aip-client.js';
import { command, JSON_OPTION, TEMPORAL_SETTINGS, UsageError } from '../../command.js';
import { durationOption, repeated } from '../../option-values.js';
import { scheduleLine } from '../../schedule-text.js';
import { FILE_ARGUMENT, INPUT_OPTIONS, type InputOptions } from './automation-options.js';
import { planToRun } from './plan-files.js';
import { NAME_ARGUMENT, overlapOption } from './schedule-options.js';

interface CreateOptions extends InputOptions {
  cron?: string[];
  every?: number;
  timeZone?: string;
  overlap?: ScheduleOverlap;
  jitter?: number;
  catchup?: number;
  paused?: boolean;
  note?: string;
}

export const createCommand = command<CreateOptions>({
  name: 'create',
  summary: 'start a plan at set times',
  description:
    'Plan and inputs are checked, and kept by Temporal as they are now: `schedule update` puts a changed file in their place. ' +
    'Each run is an automation of its own, called <name>-<time>.\n' +
    'Exit code: 0 it is created, 1 Temporal cannot be reached, 2 plan, inputs, times or usage must be mended, or the name is taken.',
  args: [NAME_ARGUMENT, FILE_ARGUMENT],
  options: [
    {
      flags: '--cron <expression>',
      about: 'minute, hour, day of month, month, day of week, such as "0 6 * * 1-5"; may be repeated',
      parse: repeated,
    },
    { flags: '--every <duration>', about: 'every so often, such as 1h or 30m', parse: durationOption('--every') },
    { flags: '--time-zone <name>', about: 'of --cron alone, such as Europe/Berlin (UTC)' },
    overlapOption('skip'),
    {
      flags: '--jitter <duration>',
      about: 'put each start off by up to so much (none)',
      parse: durationOption('--jitter'),
    },
    {
      flags: '--catchup <duration>',
      about: 'make up for starts missed while Temporal was down, so far back (365d)',
      parse: durationOption('--catchup'),
    },
    ...INPUT_OPTIONS,
    { flags: '--paused', about: 'start nothing until `schedule resume`' },
    { flags: '--note <text>', about: 'for whoever looks at it' },
    JSON_OPTION,
  ],
  settings: ['agentRid', ...TEMPORAL_SETTINGS],
  examples: [
    [
      "aip-temporal automation schedule create nightly nightly.yaml --cron '0 6 * * *' --time-zone Europe/Berlin",
      'at six',
    ],
    ['aip-temporal automation schedule create watch watch.yaml --every 30m --input region=north', 'every half hour'],
  ],
  async run({ args: [name = '', path = ''], options, sources, output, io, signal }) {
    const { cron, every, timeZone, overlap, jitter, catchup, paused, note } = options;
    if (cron === undefined && every === undefined) {
      throw new UsageError("Say when to start it: --cron '0 6 * * *', or --every 1h");
    }
    if (timeZone !== undefined && cron === undefined) {
      throw new UsageError(
        `Leave --time-zone ${timeZone} out, or say when by --cron: --every has no time zone, it counts from midnight UTC`,
      );
    }
    const start = await planToRun(path, options, { io, output });
    const agentRid = findAgentRid(sources);
    await withAipClient({ sources, output, signal }, async (aip) => {
      await createAutomationSchedule(aip, {
        ...start,
        name,
        ...(agentRid !== undefined && { agentRid }),
        ...(cron !== undefined && { cron }),
        ...(every !== undefined && { everyMs: every }),
        ...(timeZone !== undefined && { timeZone }),
        ...(overlap !== undefined && { overlap }),
        ...(jitter !== undefined && { jitterMs: jitter }),
        ...(catchup !== undefined && { catchupWindowMs: catchup }),
        ...(paused !== undefined && { paused }),
        ...(note !== undefined && { note }),
      });
      const schedule = await describeAutomationSchedule(aip, name);
      if (output.isJson) output.json(schedule);
      else output.note(scheduleLine(schedule));
    });
  },
});
