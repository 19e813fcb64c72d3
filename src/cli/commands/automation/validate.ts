import { command, EXIT, JSON_OPTION } from '../../command.js';
import { checkPlanFile, countText, faultLine } from './plan-files.js';

export const validateCommand = command({
  name: 'validate',
  summary: 'check plans whole, without running anything',
  description:
    'Every fault is told in a line of its own, with file, line, column and where it stands in the plan, as editors read it. ' +
    'Needs neither Temporal nor Foundry.\n' +
    'Exit code: 0 all can be run, 1 one is broken, 2 a file cannot be read.',
  args: [['<file...>', 'plans, in YAML or JSON; - reads stdin']],
  options: [{ ...JSON_OPTION, about: 'a line of JSON for each file, with its faults and warnings' }],
  examples: [
    ['aip-temporal automation validate plans/*.yaml', 'nightly.yaml:4:11 steps[0].ask: …'],
    ['aip-temporal automation validate nightly.yaml --json', 'for programs'],
  ],
  async run({ args, output, io }) {
    let isBroken = false;
    for (const path of args) {
      const { file, plan, faults, warnings } = await checkPlanFile(path, io);
      isBroken ||= plan === undefined;
      if (output.isJson) {
        output.json({ file, valid: plan !== undefined, ...(plan && { plan: plan.name }), faults, warnings });
        continue;
      }
      for (const fault of faults) output.result(faultLine(file, fault));
      for (const warning of warnings) output.result(`${faultLine(file, warning)} (a warning)`);
      if (plan === undefined) output.note(`${file}: ${countText(faults.length)}`);
      else output.result(`${file}: plan ${plan.name} can be run`);
    }
    return isBroken ? EXIT.failed : EXIT.ok;
  },
});
