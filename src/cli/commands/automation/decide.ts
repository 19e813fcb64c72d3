import { cancelAutomation, decide, decideInWorkflow } from '../../../client/index.js';
import type { Decision } from '../../../protocol/automation.js';
import { withAipClient } from '../../aip-client.js';
import { decisionText } from '../../automation-text.js';
import { command, type CommandDefinition, JSON_OPTION, TEMPORAL_SETTINGS } from '../../command.js';
import { ID_ARGUMENT, userName } from './automation-options.js';

const APPROVAL_ARGUMENT = [
  '[approval]',
  'id of the approval, as `show` tells; where only one waits, that one',
] as const;

const EXIT_CODES =
  'The first decision stays. Needs a worker; without one, the signals `approve` and `reject` of the Temporal UI count as soon as ' +
  'one runs.\nExit code: 0 it is decided, 1 nothing waits by that id, or somebody was first.';

const decideCommand = (
  decision: Decision,
  { summary, examples }: Pick<CommandDefinition, 'summary' | 'examples'>,
): CommandDefinition =>
  command<{ by?: string; comment?: string; workflow?: boolean }>({
    name: decision,
    summary,
    description: EXIT_CODES,
    args: [ID_ARGUMENT, APPROVAL_ARGUMENT],
    options: [
      { flags: '--comment <text>', about: 'why; recorded, and told to the steps that follow' },
      { flags: '--by <name>', about: 'who decides (the user of this machine)' },
      { flags: '--workflow', about: 'the id is that of a workflow of your own code that waits in an approval' },
      JSON_OPTION,
    ],
    settings: TEMPORAL_SETTINGS,
    ...(examples !== undefined && { examples }),
    async run({ args: [id = '', approvalId], options, sources, output, io, signal }) {
      const by = options.by ?? userName(io.env);
      const { comment } = options;
      await withAipClient({ sources, output, signal }, async (aip) => {
        const decideThere = options.workflow === true ? decideInWorkflow : decide;
        const answer = await decideThere(aip, id, {
          decision,
          ...(approvalId !== undefined && { approvalId }),
          ...(by !== undefined && { by }),
          ...(comment !== undefined && { comment }),
        });
        if (output.isJson) output.json(answer);
        else output.note(decisionText(answer));
      });
    },
  });

export const approveCommand = decideCommand('approve', {
  summary: 'say yes to what an automation waits for',
  examples: [
    ['aip-temporal automation approve release-7', 'the only approval that waits in it'],
    ['aip-temporal automation approve release-7 send#3 --comment "looks good" --by ann', 'one of several'],
  ],
});

export const rejectCommand = decideCommand('reject', {
  summary: 'say no to what an automation waits for',
  examples: [
    ['aip-temporal automation reject release-7 --comment "figures are old"', 'its step fails, or goes on with no'],
  ],
});

export const cancelCommand = command({
  name: 'cancel',
  summary: 'cancel an automation: what runs at agents is cancelled there too, its batches with all their rows',
  description: 'Exit code: 0 it was asked to, or had ended before; 1 it is not there.',
  args: [ID_ARGUMENT],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal automation cancel release-7', 'ends it as Canceled']],
  async run({ args: [id = ''], sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const isAsked = await cancelAutomation(aip, id);
      output.note(isAsked ? `Asked automation ${id} to cancel` : `Automation ${id} had ended before`);
    });
  },
});
