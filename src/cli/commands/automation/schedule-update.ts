import { describeAutomationSchedule, updateAutomationSchedule } from '../../../client/index.js';
import { findAgentRid } from '../../../config.js';
import { withAipClient } from '../../aip-client.js';
import { command, JSON_OPTION, TEMPORAL_SETTINGS } from '../../command.js';
import { scheduleLine } from '../../schedule-text.js';
import { FILE_ARGUMENT, INPUT_OPTIONS, type InputOptions } from './automation-options.js';
import { planToRun } from './plan-files.js';
import { NAME_ARGUMENT } from './schedule-options.js';

export const updateCommand = command<InputOptions>({
  name: 'update',
  summary: 'put a changed plan and its inputs in the place of those that a schedule has',
  description:
    'Plan and inputs are checked first. All inputs are replaced: one that is not given is what the plan has by default. Times, ' +
    'policies, pause and note stay, and so do the task queue, and the agent where none is named (--agent, AIP_AGENT_RID). What ' +
    'runs goes on as it was started.\n' +
    'Exit code: 0 it is updated, 1 there is no such schedule, 2 plan, inputs or usage must be mended, or the plan is another one.',
  args: [NAME_ARGUMENT, FILE_ARGUMENT],
  options: [...INPUT_OPTIONS, JSON_OPTION],
  settings: ['agentRid', ...TEMPORAL_SETTINGS],
  examples: [
    ['aip-temporal automation schedule update nightly nightly.yaml --input region=north', 'from its next time on'],
  ],
  async run({ args: [name = '', path = ''], options, sources, output, io, signal }) {
    const start = await planToRun(path, options, { io, output });
    const agentRid = findAgentRid(sources);
    await withAipClient({ sources, output, signal }, async (aip) => {
      const before = await describeAutomationSchedule(aip, name);
      await updateAutomationSchedule(aip, name, { ...start, ...(agentRid !== undefined && { agentRid }) });
      const schedule = await describeAutomationSchedule(aip, name);
      if (output.isJson) return output.json(schedule);
      output.note(scheduleLine(schedule));
      for (const what of ['inputs', 'agentRid'] as const) {
        const [was, is] = [before, schedule].map((one) => JSON.stringify(one[what]) ?? 'none');
        if (was !== is) output.note(`${what}: ${is}, where it had ${was}`);
      }
    });
  },
});
