import {
  type AutomationScheduleSummary,
  describeAutomationSchedule,
  listAutomationSchedules,
} from '../../../client/index.js';
import { withAipClient } from '../../aip-client.js';
import { command, JSON_OPTION, TEMPORAL_SETTINGS } from '../../command.js';
import { scheduleLines, scheduleTable } from '../../schedule-text.js';
import { NAME_ARGUMENT } from './schedule-options.js';

export const listCommand = command({
  name: 'list',
  summary: 'list the schedules that start plans, with their next and last runs',
  description: 'Needs no worker. A list is a second or so behind.',
  options: [JSON_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal automation schedule list', 'plan, next, last, when']],
  async run({ sources, output, io, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const schedules: AutomationScheduleSummary[] = [];
      for await (const schedule of listAutomationSchedules(aip)) {
        schedules.push(schedule);
        if (output.isJson) output.json(schedule);
      }
      if (output.isJson) return;
      const width = io.stdout.isTTY === true ? { width: io.stdout.columns ?? 80 } : {};
      if (schedules.length === 0) output.note('No schedules');
      else output.result(scheduleTable(schedules, { ...width, nowMs: Date.now() }));
    });
  },
});

export const showCommand = command({
  name: 'show',
  summary: 'show a schedule: times, policies, inputs, next and last runs',
  args: [NAME_ARGUMENT],
  options: [JSON_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal automation schedule show nightly', 'its last runs: automation show ID']],
  async run({ args: [name = ''], sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const schedule = await describeAutomationSchedule(aip, name);
      if (output.isJson) output.json(schedule);
      else output.result(scheduleLines(schedule).join('\n'));
    });
  },
});
