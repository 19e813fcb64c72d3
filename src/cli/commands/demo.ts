import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { command, EXIT, wholeNumber } from '../command.js';
import { DemoStage, type DevReady } from '../demo-stage.js';
import type { Output } from '../output.js';

interface DemoOptions {
  questions?: string;
  concurrency?: number;
  keepRunning?: boolean;
}

/** The shipped questions; four levels up from dist/src/cli/commands. */
const QUESTIONS = fileURLToPath(new URL('../../../../examples/questions.jsonl', import.meta.url));
const CONVERSATION = [
  'Which open orders for Hansen & Søn are late?',
  'Draft a short mail to them about the latest one.',
  'Shorter, please, and offer a partial delivery.',
];

/** `aip-temporal demo` */
export const demoCommand = command<DemoOptions>({
  name: 'demo',
  summary: 'see it all at work on this machine: a batch, a conversation, a cancel',
  description:
    'Starts what `dev` starts, runs commands that you could type yourself, shows what the agent was told, and ends by itself.',
  options: [
    { flags: '--questions <file>', about: 'questions to put through the agent (the shipped examples)' },
    {
      flags: '--concurrency <n>',
      about: 'questions at once (40)',
      parse: wholeNumber('--concurrency', 1, 1_000),
    },
    { flags: '--keep-running', about: 'leave everything running for a look around, until Ctrl-C' },
  ],
  settings: ['dataDir'],
  examples: [['aip-temporal demo --keep-running', 'and then look at the Temporal UI']],
  async run({ options, sources, output, signal }) {
    const dataDir = sources.flags.dataDir ?? join('.aip-temporal', 'demo');
    const stage = await DemoStage.open(String(dataDir), output, signal);
    try {
      const isAsPromised = await show(stage, options, output);
      output.note(`\nTemporal UI: ${stage.ready.uiUrl}`);
      if (options.keepRunning === true) {
        output.note('Everything keeps running; Ctrl-C stops it.');
        await stage.untilStopped();
      } else output.note('It stops with this demo; `aip-temporal dev` or --keep-running leaves it up.');
      return isAsPromised ? EXIT.ok : EXIT.failed;
    } finally {
      await stage.close();
    }
  },
});

async function show(stage: DemoStage, options: DemoOptions, output: Output): Promise<boolean> {
  // Unique to this demo, so that a second one on the same data starts anew.
  const run = Date.now().toString(36);
  output.note('\n1. A queue of questions, through the agent');
  const answers = join(stage.directory, `answers-${run}.jsonl`);
  const errors = join(stage.directory, `errors-${run}.jsonl`);
  const questions = options.questions ?? relative(process.cwd(), QUESTIONS);
  const batchExit = await stage.run([
    ...['batch', 'run', questions, '--out', answers, '--errors', errors],
    ...['--concurrency', String(options.concurrency ?? 40), '--id', `demo-${run}`],
  ]);

  output.note('\n2. A conversation of several turns, with live text');
  const askExits = [];
  for (const text of CONVERSATION) {
    askExits.push(await stage.run(['ask', '-c', `demo-conversation-${run}`, '--stream', text]));
    if (stage.isStopped) return false;
  }

  output.note('\n3. A cancel: the conversation is cancelled while the agent writes');
  const cancelled = await cancelInTheMiddle(stage, `demo-cancel-${run}`, output);
  return summary(stage.ready, { batchExit, askExits, cancelled, answers }, output);
}

/** Starts a long exchange, cancels its conversation, and tells what the agent heard of it. */
async function cancelInTheMiddle(stage: DemoStage, conversationId: string, output: Output): Promise<boolean> {
  const { ledger } = stage;
  const before = await ledger();
  const asking = stage.run(['ask', '-c', conversationId, stage.slowText]);
  await stage.until('the agent is writing', async () => (await ledger()).running.length > 0);
  await stage.run(['conversation', 'cancel', conversationId]);
  await asking;
  const after = await ledger();
  const told = after.cancels.slice(before.cancels.length);
  for (const { at, sessionRid, messageId, outcome } of told) {
    output.note(`The agent was told: cancel ${messageId} in ${sessionRid} at ${at} → ${outcome}`);
  }
  output.note(`Exchanges still running at the agent: ${after.running.length}`);
  return told.length > 0 && after.running.length === 0;
}

interface Shown {
  batchExit: number;
  askExits: number[];
  cancelled: boolean;
  answers: string;
}

async function summary(ready: DevReady, shown: Shown, output: Output): Promise<boolean> {
  const { totals, duplicateCounts } = await ready.summary();
  const lines = [
    ['questions answered', shown.batchExit === 0 ? `all, in ${shown.answers}` : `not all (exit ${shown.batchExit})`],
    ['conversation', shown.askExits.every((code) => code === 0) ? `${shown.askExits.length} turns` : 'failed'],
    ['cancel', shown.cancelled ? 'the agent was told, and nothing runs' : 'failed'],
    [
      'the agent’s ledger',
      `${totals.landed} landed, ${duplicateCounts.messageId} of them twice, ${totals.inFlight} running`,
    ],
  ];
  output.result(['', 'Summary', ...lines.map(([what, how]) => `  ${(what ?? '').padEnd(20)}${how}`)].join('\n'));
  return (
    shown.batchExit === 0 &&
    shown.askExits.every((code) => code === 0) &&
    shown.cancelled &&
    duplicateCounts.messageId === 0
  );
}
