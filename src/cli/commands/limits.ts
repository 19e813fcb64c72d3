import { setTimeout as delay } from 'node:timers/promises';
import { loadAgentRid } from '../../config.js';
import type { Sources } from '../../settings.js';
import { type AipClient, closeAgent, describeLimits, listLimits, openAgent, setLimits } from '../../client/index.js';
import { ALL_AGENTS } from '../../protocol/limits.js';
import { withAipClient } from '../aip-client.js';
import {
  type CliIo,
  command,
  type CommandDefinition,
  JSON_OPTION,
  type OptionDefinition,
  TEMPORAL_SETTINGS,
  UsageError,
} from '../command.js';
import { limitsText, listText, settingsText } from '../limits-text.js';
import { timeOption } from '../option-values.js';
import { localTime, type Output } from '../output.js';
import { cut, Redrawing } from '../terminal.js';

const SETTINGS = ['agentRid', ...TEMPORAL_SETTINGS] as const;
/** Between two looks of `show --watch` (milliseconds). */
const LOOK_EVERY_MS = 2_000;
const EXIT_CODES =
  'Says what is set, and which ceilings hold for all workers together. ' +
  'Exit code: 0 it is set, 1 Temporal cannot be reached, 2 the command line must be mended.';

const ALL_AGENTS_OPTION: OptionDefinition = {
  flags: '--all-agents',
  about: 'the ceilings over all agents, of workers with --max-concurrency, --max-per-minute or --foundry-account',
};

/** The agent that is meant, or all. */
const subjectOf = (options: { allAgents?: boolean }, sources: Sources): string =>
  options.allAgents === true ? ALL_AGENTS : loadAgentRid(sources);

/** Shown in messages. */
const nameOf = (agentRid: string): string => (agentRid === ALL_AGENTS ? 'all agents' : `agent ${agentRid}`);

/** A ceiling, or that there is to be none: commander makes an empty text of `null`. */
type CeilingOption = number | 'none';

/** Reads a ceiling: a whole number from 1, or `none`. */
const ceilingOption =
  (name: string) =>
  (text: string): CeilingOption => {
    if (text === 'none') return text;
    if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
    throw new UsageError(`Mend ${name}: "${text}" is neither a whole number from 1 to 9999999 nor "none"`);
  };

const ceilingOf = (option: CeilingOption): number | null => (option === 'none' ? null : option);

const showCommand = command<{ watch?: boolean; allAgents?: boolean }>({
  name: 'show',
  summary: 'show an agent’s limits: what is set, what was learned, which worker uses how much of it',
  description:
    'Needs no worker. What the workers tell is a second or so old. With --watch it is drawn anew in a terminal; where stdout is piped, ' +
    'or with --json, it is a line of JSON for each look.',
  options: [{ flags: '--watch', about: 'again every two seconds, until Ctrl-C' }, ALL_AGENTS_OPTION, JSON_OPTION],
  settings: SETTINGS,
  examples: [
    ['aip-temporal limits show', 'of the agent in AIP_AGENT_RID, or of that of `dev`'],
    ['aip-temporal limits show --watch >> limits.log', 'as JSON, every two seconds'],
  ],
  async run({ options, sources, output, io, signal }) {
    const agentRid = subjectOf(options, sources);
    await withAipClient({ sources, output, signal }, async (aip) => {
      if (options.watch === true) return watch(aip, agentRid, { output, stdout: io.stdout, signal });
      const description = await describeLimits(aip, agentRid);
      if (output.isJson) output.json(description);
      else output.result(limitsText(description));
    });
  },
});

/** Shows an agent's limits again and again, until Ctrl-C. */
async function watch(
  aip: AipClient,
  agentRid: string,
  { output, stdout, signal }: { output: Output; stdout: CliIo['stdout']; signal: AbortSignal },
): Promise<void> {
  const picture = output.isJson || stdout.isTTY !== true ? undefined : new Redrawing(stdout);
  try {
    for (;;) {
      const description = await describeLimits(aip, agentRid);
      if (picture === undefined) output.json(description);
      else {
        const { columns: width = 80, rows = 24 } = stdout;
        const lines = limitsText(description).split('\n');
        picture.draw(lines.slice(0, rows - 1).map((line) => cut(line, width)));
      }
      await delay(LOOK_EVERY_MS, undefined, { signal });
    }
  } finally {
    picture?.end();
  }
}

const listCommand = command({
  name: 'list',
  summary: 'list the agents that workers call now, or that something is set for',
  description: 'Needs no worker. A list is a second or so behind.',
  options: [JSON_OPTION],
  settings: TEMPORAL_SETTINGS,
  examples: [['aip-temporal limits list', 'agents, ceilings, which are closed']],
  async run({ sources, output, signal }) {
    await withAipClient({ sources, output, signal }, async (aip) => {
      const agents = await listLimits(aip);
      if (output.isJson) for (const agent of agents) output.json(agent);
      else if (agents.length === 0)
        output.note(`No agent is called by workers of task queue ${aip.taskQueue}, and none is set`);
      else output.result(listText(agents));
    });
  },
});

const setCommand = command<{ maxConcurrency?: CeilingOption; maxPerMinute?: CeilingOption; allAgents?: boolean }>({
  name: 'set',
  summary: 'set ceilings for an agent, for all workers of the task queue together',
  description:
    'They hold within two seconds or so, over restarts, until they are changed; exchanges in flight go on to their end. ' +
    EXIT_CODES,
  options: [
    {
      flags: '--max-concurrency <n>',
      about: 'exchanges at once; "none": no ceiling',
      parse: ceilingOption('--max-concurrency'),
    },
    {
      flags: '--max-per-minute <n>',
      about: 'exchanges per minute; "none": no ceiling',
      parse: ceilingOption('--max-per-minute'),
    },
    ALL_AGENTS_OPTION,
    JSON_OPTION,
  ],
  settings: SETTINGS,
  examples: [
    ['aip-temporal limits set --max-concurrency 10', 'at most 10 exchanges at once, whatever the agent would let in'],
    ['aip-temporal limits set --max-concurrency none', 'what is learned is all that holds again'],
  ],
  async run({ options, sources, output, signal }) {
    const { maxConcurrency, maxPerMinute } = options;
    if (maxConcurrency === undefined && maxPerMinute === undefined)
      throw new UsageError('Say what to set: --max-concurrency, --max-per-minute');
    const agentRid = subjectOf(options, sources);
    await withAipClient({ sources, output, signal }, async (aip) => {
      const isHeard = await setLimits(aip, agentRid, {
        ...(maxConcurrency !== undefined && { maxConcurrency: ceilingOf(maxConcurrency) }),
        ...(maxPerMinute !== undefined && { maxPerMinute: ceilingOf(maxPerMinute) }),
      });
      await tell(aip, agentRid, output, { isHeard, what: `Set the ceilings of ${nameOf(agentRid)}` });
    });
  },
});

const closeCommand = command<{ until?: string; reason?: string; allAgents?: boolean }>({
  name: 'close',
  summary: 'let no worker call an agent, until a time or `limits open`; what is in flight goes on to its end',
  description: `Messages and batches wait meanwhile, and say so. ${EXIT_CODES}`,
  options: [
    {
      flags: '--until <time>',
      about: 'open by itself then: 2h from now, or a time with its zone such as 2030-01-31T18:00Z',
      parse: timeOption('--until'),
    },
    { flags: '--reason <text>', about: 'why, for whoever wonders; at most 200 characters' },
    ALL_AGENTS_OPTION,
    JSON_OPTION,
  ],
  settings: SETTINGS,
  examples: [
    ['aip-temporal limits close --until 30m --reason "model is being changed"', 'shown by show and in the UI'],
  ],
  async run({ options, sources, output, signal }) {
    const agentRid = subjectOf(options, sources);
    await withAipClient({ sources, output, signal }, async (aip) => {
      const isHeard = await closeAgent(aip, agentRid, {
        ...(options.until !== undefined && { until: options.until }),
        ...(options.reason !== undefined && { reason: options.reason }),
      });
      const until = options.until === undefined ? 'until `limits open`' : `until ${localTime(options.until)}`;
      await tell(aip, agentRid, output, { isHeard, what: `Closed ${nameOf(agentRid)} ${until}` });
    });
  },
});

const openCommand = command<{ allAgents?: boolean }>({
  name: 'open',
  summary: 'let workers call an agent again that was closed',
  description: EXIT_CODES,
  options: [ALL_AGENTS_OPTION, JSON_OPTION],
  settings: SETTINGS,
  examples: [['aip-temporal limits open', 'what waits goes on']],
  async run({ options, sources, output, signal }) {
    const agentRid = subjectOf(options, sources);
    await withAipClient({ sources, output, signal }, async (aip) => {
      const isHeard = await openAgent(aip, agentRid);
      await tell(aip, agentRid, output, { isHeard, what: `Opened ${nameOf(agentRid)}` });
    });
  },
});

/** Says what was done, and what is set and holds now. */
async function tell(
  aip: AipClient,
  agentRid: string,
  output: Output,
  { isHeard, what }: { isHeard: boolean; what: string },
): Promise<void> {
  output.note(what);
  if (!isHeard) output.note('No worker has heard of it yet: it holds as soon as one runs');
  const description = await describeLimits(aip, agentRid);
  if (output.isJson) output.json({ isHeard, ...description });
  else output.result(settingsText(description));
}

/** `aip-temporal limits …` */
export const limitsCommand: CommandDefinition = {
  name: 'limits',
  summary: 'see and set the limits of agents, for all workers together',
  subcommands: [showCommand, listCommand, setCommand, closeCommand, openCommand],
};
