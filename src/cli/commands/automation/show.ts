import { type AutomationSummary, describeAutomation, listAutomations } from '../../../client/index.js';
import { withAipClient } from '../../aip-client.js';
import { automationLines, automationTable } from '../../automation-text.js';
import { command, JSON_OPTION, TEMPORAL_SETTINGS, wholeNumber } from '../../command.js';
import { programName } from '../../output.js';
import { ID_ARGUMENT } from './automation-options.js';

export const showCommand = command({
  name: 'show',
  summary: 'show where an automation stands, each step of it, what it waits for, and its output',
  description: 'Its steps need a worker; whether it runs, how it ended and its output do not.',
  args: [ID_ARGUMENT],
  options: [JSON_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [
    ['aip-temporal automation show release-7', 'steps, approvals and how to answer them, decisions'],
    ['aip-temporal automation show release-7 --json', 'the same for programs: live.steps, live.approvals, result'],
  ],
  async run({ args: [id = ''], sources, output, io, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const description = await describeAutomation(aip, id);
      if (output.isJson) return output.json(description);
      const width = io.stdout.isTTY === true ? { width: io.stdout.columns ?? 80 } : {};
      const place = { ...width, nowMs: Date.now(), program: programName(io.env) };
      output.result(automationLines(description, place).join('\n'));
    });
  },
});

export const listCommand = command<{ running?: boolean; needsAttention?: boolean; plan?: string; limit?: number }>({
  name: 'list',
  summary: 'list automations, newest first',
  description:
    'Needs no worker. A list is a second or so behind. --needs-attention lists plans alone; conversations, closed agents and workflows ' +
    'of your own code as well: temporal workflow list --query \'AipNeedsAttention=true AND ExecutionStatus="Running"\'',
  options: [
    { flags: '--running', about: 'those that run' },
    { flags: '--needs-attention', about: 'those that wait for somebody’s decision' },
    { flags: '--plan <name>', about: 'runs of this plan' },
    { flags: '--limit <n>', about: 'at most this many (50)', parse: wholeNumber('--limit', 1, 100_000) },
    JSON_OPTION,
  ],
  settings: TEMPORAL_SETTINGS,
  examples: [
    ['aip-temporal automation list --needs-attention', 'what waits for me'],
    ['aip-temporal automation list --plan nightly --json', 'one run a line'],
  ],
  async run({ options: { running, needsAttention, plan, limit = 50 }, sources, output, io, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const rows: AutomationSummary[] = [];
      const filter = {
        running: running === true,
        needsAttention: needsAttention === true,
        ...(plan !== undefined && { plan }),
      };
      for await (const summary of listAutomations(aip, filter)) {
        if (rows.length === limit) {
          output.note(`There are more: --limit ${limit * 10}`);
          break;
        }
        rows.push(summary);
        if (output.isJson) output.json(summary);
      }
      if (output.isJson) return;
      if (rows.length === 0) output.note('No automations');
      else output.result(automationTable(rows, io.stdout.isTTY === true ? (io.stdout.columns ?? 80) : undefined));
    });
  },
});
