import {
  backfillAutomationSchedule,
  deleteAutomationSchedule,
  describeAutomationSchedule,
  pauseAutomationSchedule,
  resumeAutomationSchedule,
  type ScheduleOverlap,
  triggerAutomationSchedule,
  type TriggeredSchedule,
} from '../../../client/index.js';
import { withAipClient } from '../../aip-client.js';
import { command, EXIT, JSON_OPTION, TEMPORAL_SETTINGS, UsageError } from '../../command.js';
import { pastTimeOption } from '../../option-values.js';
import { programName } from '../../output.js';
import { zonedTime } from '../../schedule-text.js';
import { oneLine } from '../../terminal.js';
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
      const { wasPaused, noteBefore } = await pauseAutomationSchedule(aip, name, options);
      const why = noteBefore === undefined ? '' : ` (note: ${oneLine(noteBefore)})`;
      if (!wasPaused) output.note(`Schedule ${name} is paused; what it has started goes on`);
      else if (options.note === undefined) output.note(`Schedule ${name} was paused already${why}, and stays so`);
      else output.note(`Schedule ${name} was paused already${why}; its note is now: ${oneLine(options.note)}`);
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
      const { wasPaused } = await resumeAutomationSchedule(aip, name, options);
      const what = wasPaused ? 'starts its plan again' : 'was not paused: it starts its plan';
      output.note(`Schedule ${name} ${what} at its times`);
    });
  },
});

export const triggerCommand = command<{ overlap?: ScheduleOverlap }>({
  name: 'trigger',
  summary: 'start the plan now, also while the schedule is paused',
  description:
    'Exit code: 0 it has started, or waits for the end of the run before; 1 nothing has started, as with `skip` while a run goes on, ' +
    'or there is no such schedule.',
  args: [NAME_ARGUMENT],
  options: [overlapOption('as the schedule has it'), JSON_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal automation schedule trigger nightly', 'prints the id of the automation']],
  async run({ args: [name = ''], options: { overlap }, sources, output, io, signal }) {
    return withAipClient({ sources, output, signal }, async (aip) => {
      const triggered = await triggerAutomationSchedule(aip, name, overlap === undefined ? {} : { overlap });
      if (output.isJson) output.json(triggered);
      else if (triggered.automationId !== undefined) output.result(triggered.automationId);
      output.note(triggeredText(name, triggered, programName(io.env)));
      const isOnItsWay = triggered.automationId !== undefined || triggered.notStarted === 'waits';
      return isOnItsWay ? EXIT.ok : EXIT.failed;
    });
  },
});

/** What came of a start by hand, and what to do next. */
function triggeredText(name: string, triggered: TriggeredSchedule, program: string): string {
  if (triggered.automationId !== undefined) {
    return `Started; follow it with: ${program} automation watch ${triggered.automationId}`;
  }
  const { notStarted, overlap, running } = triggered;
  const runs = running.length === 0 ? 'a run of it still runs' : `${running.join(', ')} still runs`;
  switch (notStarted) {
    case 'skipped': {
      const isSkip = overlap === 'skip';
      const others = isSkip ? '--overlap bufferOne starts one after it, allowAll' : '--overlap allowAll starts one';
      const waits = isSkip ? '' : ', another start waits for its end already';
      return `Nothing was started: ${runs}${waits}, and this start was skipped (overlap: ${overlap}); ${others} beside it`;
    }
    case 'waits':
      return `Nothing has started yet: ${runs}, and this start waits for its end (overlap: ${overlap})`;
    case 'unknown':
      return (
        `Nothing has started within some seconds: Temporal is slow, or another run began in the same second, by which runs are named; ` +
        `look with: ${program} automation schedule show ${name}`
      );
  }
}

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
      const { timeZone } = await describeAutomationSchedule(aip, name);
      const [first, last] = [from, to].map((time) => zonedTime(time, timeZone));
      output.note(`Asked schedule ${name} for its runs from ${first} to ${last}`);
    });
  },
});
