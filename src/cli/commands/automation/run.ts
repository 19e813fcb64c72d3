import { startAutomation } from '../../../client/index.js';
import { findAgentRid } from '../../../config.js';
import { withAipClient } from '../../aip-client.js';
import { command, EXIT, JSON_OPTION, TEMPORAL_SETTINGS } from '../../command.js';
import { programName } from '../../output.js';
import { FILE_ARGUMENT, INPUT_OPTIONS, type InputOptions } from './automation-options.js';
import { follow, tellEnd } from './follow.js';
import { planToRun } from './plan-files.js';

export const runCommand = command<InputOptions & { id?: string; detach?: boolean }>({
  name: 'run',
  summary: 'run a plan: check it, start it, watch its steps, print its output',
  description:
    'All of the plan and its inputs are checked before anything starts. The automation then lives in Temporal: it survives the ' +
    'end of this command, workers and servers. Ctrl-C stops watching, not the automation: `automation cancel` does that. An id is ' +
    'used once, so that the same command with the same --id starts nothing twice.\n' +
    'Exit code: 0 it has completed (with --detach: is started), 1 it ended otherwise, 2 plan, inputs or usage must be mended.',
  args: [FILE_ARGUMENT],
  options: [
    { flags: '--id <id>', about: 'name of the automation (a new one, of the plan and the time)' },
    ...INPUT_OPTIONS,
    { flags: '--detach', about: 'start it and leave; its id is printed' },
    JSON_OPTION,
  ],
  settings: ['agentRid', ...TEMPORAL_SETTINGS],
  examples: [
    ['aip-temporal automation run nightly.yaml', 'a live tree of its steps; its output on stdout'],
    ['aip-temporal automation run release.yaml --id release-7 --input version=7 --input dry=true', 'with inputs'],
    ['aip-temporal automation run nightly.yaml --input-file north.json --detach', 'then: automation watch ID'],
  ],
  async run({ args: [path = ''], options, sources, output, io, signal }) {
    // Before Temporal is asked for: a broken plan is refused wherever it is met.
    const start = await planToRun(path, options, { io, output });
    const agentRid = findAgentRid(sources);
    return withAipClient({ sources, output, signal }, async (aip) => {
      const started = await startAutomation(aip, {
        ...start,
        ...(options.id !== undefined && { automationId: options.id }),
        ...(agentRid !== undefined && { agentRid }),
      });
      const { automationId } = started;
      if (options.detach === true) {
        if (output.isJson) output.json(started);
        else output.result(automationId);
        output.note(`Started; follow it with: ${programName(io.env)} automation watch ${automationId}`);
        return EXIT.ok;
      }
      if (options.id === undefined) output.note(`Automation ${automationId}`);
      return tellEnd(await follow({ aip, automationId, output, io, signal }), output);
    });
  },
});
