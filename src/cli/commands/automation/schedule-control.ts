import {
  backfillAutomationSchedule,
  deleteAutomationSchedule,
  pauseAutomationSchedule,
  resumeAutomationSchedule,
  type ScheduleOverlap,
  triggerAutomationSchedule,
} from '../../../client/index.js';
import { withAipClient } from '../../aip-client.js';
import { command, JSON_OPTION, TEMPORAL_SETTINGS, UsageError } from '../../command.js';
import { pastTimeOption } from '../../option-values.js';
import { localTime, programName } from '../../output.js';
import { NAME_ARGUMENT, overlapOption } from './schedule-options.js';

const EXIT_CODES = 'Exit code: 0 it is done, 1 there is no such schedule.';
const NOTE_OPTION = { flags: '--note <text>', about: 'why, for whoever looks at it' } as const;

export const pauseCommand = command<{ note?: string }>({
  name: 'pause',
  summary: 'start nothing until `schedule resume`; what runs goes on',
  description: EXIT_CODES,
  args: [NAME_ARGUMENT],
  options: [NOTE_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal automation schedule pause nightly --note holidays', 'shown by show and in the UI']],
  async run({ args: [name = ''], options, sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      await pauseAutomationSchedule(aip, name, options);
      output.note(`Schedule ${name} is paused; what it has started goes on`);
    });
  },
});

export const resumeCommand = command<{ note?: string }>({
  name: 'resume',
  summary: 'start again at the set times; what was missed meanwhile is not made up for: `schedule backfill` does that',
  description: EXIT_CODES,
  args: [NAME_ARGUMENT],
  options: [NOTE_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal automation schedule resume nightly', 'from its next time on']],
  async run({ args: [name = ''], options, sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      await resumeAutomationSchedule(aip, name, options);
      output.note(`Schedule ${name} starts its plan again at its times`);
    });
  },
});

export const triggerCommand = command<{ overlap?: ScheduleOverlap }>({
  name: 'trigger',
  summary: 'start the plan now, also while the schedule is paused',
  description: EXIT_CODES,
  args: [NAME_ARGUMENT],
  options: [overlapOption('as the schedule has it'), JSON_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal automation schedule trigger nightly', 'prints the id of the automation']],
  async run({ args: [name = ''], options: { overlap }, sources, output, io, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const started = await triggerAutomationSchedule(aip, name, overlap === undefined ? {} : { overlap });
      const { automationId } = started;
      if (output.isJson) output.json(started);
      else if (automationId !== undefined) output.result(automationId);
      if (automationId === undefined) {
        output.note(
          'Nothing has started yet: a run goes on, or Temporal is slow; --overlap allowAll starts another beside it',
        );
      } else output.note(`Started; follow it with: ${programName(io.env)} automation watch ${automationId}`);
    });
  },
});

export const deleteCommand = command({
  name: 'delete',
  summary: 'delete a schedule; what it has started goes on',
  description: EXIT_CODES,
  args: [NAME_ARGUMENT],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal automation schedule delete nightly', 'its runs stay in `automation list`']],
  async run({ args: [name = ''], sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      await deleteAutomationSchedule(aip, name);
      output.note(`Schedule ${name} is deleted; what it has started goes on`);
    });
  },
});

export const backfillCommand = command<{ from?: string; to?: string; overlap?: ScheduleOverlap }>({
  name: 'backfill',
  summary: 'start the plan for each time of the schedule in a span that has passed',
  description: EXIT_CODES,
  args: [NAME_ARGUMENT],
  options: [
    {
      flags: '--from <time>',
      about: 'beginning: 2026-03-01T00:00Z, or 7d before now; has to be given',
      parse: pastTimeOption('--from'),
    },
    { flags: '--to <time>', about: 'end, in the same way (now)', parse: pastTimeOption('--to') },
    overlapOption('bufferAll: one after the other'),
  ],
  settings: TEMPORAL_SETTINGS,
  examples: [
    ['aip-temporal automation schedule backfill nightly --from 7d', 'the runs of a week, one after the other'],
  ],
  async run({ args: [name = ''], options, sources, output, signal }) {
    if (options.from === undefined) throw new UsageError('Say from when on: --from 7d');
    const [from, to] = [new Date(options.from), new Date(options.to ?? Date.now())];
    await withAipClient({ sources, output, signal }, async (aip) => {
      await backfillAutomationSchedule(aip, name, {
        from,
        to,
        ...(options.overlap !== undefined && { overlap: options.overlap }),
      });
      output.note(`Asked schedule ${name} for its runs from ${localTime(from)} to ${localTime(to)}`);
    });
  },
});
