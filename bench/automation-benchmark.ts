import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { AipClient } from '../src/client/index.js';
import { startAutomation } from '../src/client/index.js';
import { type AutomationResult, automationWorkflowId } from '../src/protocol/automation.js';
import type { JsonObject, JsonValue, Plan } from '../src/protocol/plan.js';
import { readPlan } from '../src/plans/index.js';
import { median } from './distribution.js';
import { type Figure, promisedNone } from './figure.js';
import { historyEvents } from './history-events.js';
import type { Installation } from './installation.js';
import { questionText } from './questions.js';
import { agentMs } from './simulator-control.js';

/** Settings of `automation`. */
export interface AutomationOptions {
  say: (text: string) => void;
}

/** Exchanges of one conversation. A session that grows makes its content slower to read, for everybody. */
const PER_CONVERSATION = 25;
/** Exchanges by which the overhead of a step is told, of each kind and round; rounds of both kinds by turns. */
const ASKS = 50;
const ROUNDS = 3;
const LATENCY_MS = 100;
/** Steps of the long plan. */
const STEPS = 1_000;
/** Answers of the conversations whose worker is killed last so long, and so many kills there are. */
const ANSWER_MS = 1_500;
const KILLS = 3;
const SHARED = new URL('../../../shared/data/mt-bench-conversations.jsonl', import.meta.url);

/** Plans: conversations whose worker is killed, what a step costs beside a plain ask, and a plan of many steps. */
export async function automationBenchmark(installation: Installation, { say }: AutomationOptions): Promise<Figure[]> {
  say('automation: 80 conversations of two turns, the worker killed under them ...');
  const killed = await conversationsUnderKills(installation);
  say('automation: what a step costs, beside a plain ask ...');
  const overhead = await stepOverhead(installation);
  say(`automation: a plan of ${STEPS} steps ...`);
  return [...killed, ...overhead, ...(await manySteps(installation))];
}

const CONVERSATIONS = `
name: mt-bench
inputs: { conversations: array }
steps:
  - id: each
    forEach: inputs.conversations
    as: item
    concurrency: 10
    conversations: { judge: {} }
    do:
      - { id: first, ask: "{{ item.turns[0] }}", in: judge }
      - { id: second, ask: "{{ item.turns[1] }}", in: judge }
    collect: "{'id': item.id, 'answers': [steps.first.answer, steps.second.answer]}"
output: "$count(steps.each.results)"
`;

async function conversationsUnderKills(installation: Installation): Promise<Figure[]> {
  const { client, simulator } = installation;
  const conversations = twoTurnConversations();
  await simulator.reset();
  await simulator.change({ answerLatencyMs: ANSWER_MS });
  const subject = `${conversations.length} conversations of two turns as one plan, ${KILLS} kills of the worker`;
  const startedMs = performance.now();
  const { workflowId, ended } = await start(installation, CONVERSATIONS, { conversations });
  const killing = (async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      await delay(4_000);
      await installation.killWorker('same');
    }
  })();
  const { output } = await ended;
  const seconds = (performance.now() - startedMs) / 1000;
  await killing;
  const { exchanges, running } = await simulator.ledger();
  const landed = exchanges.filter(({ status }) => status === 'landed').map(({ text }) => text);
  const wanted = conversations.flatMap(({ turns }) => turns);
  return [
    { subject, name: 'exchanges', value: landed.length, unit: '' },
    promisedNone(subject, 'asked more than once', landed.length - new Set(landed).size),
    promisedNone(subject, 'missing', wanted.filter((text) => !landed.includes(text)).length),
    promisedNone(subject, 'items without a result', conversations.length - Number(output)),
    promisedNone(subject, 'left running', running.length),
    { subject, name: 'took', value: seconds, unit: 's' },
    { subject, name: 'history events of its newest run', value: await historyEvents(client, workflowId), unit: '' },
  ];
}

interface TwoTurns extends JsonObject {
  id: string;
  turns: string[];
}

/** Those of MT-Bench where they are there, else made ones. */
function twoTurnConversations(): TwoTurns[] {
  try {
    const lines = readFileSync(fileURLToPath(SHARED), 'utf8').trim().split('\n');
    return lines.map((line) => JSON.parse(line) as TwoTurns).map(({ id, turns }) => ({ id, turns }));
  } catch {
    return Array.from({ length: 80 }, (_, n) => ({
      id: `made-${n}`,
      turns: [questionText(2 * n), `${questionText(2 * n + 1)} And why?`],
    }));
  }
}

/** The time of a plan's ask and of a plain one (by update) over the agent's own, by turns. */
async function stepOverhead(installation: Installation): Promise<Figure[]> {
  const { simulator } = installation;
  const plain: number[] = [];
  const steps: number[] = [];
  await simulator.change({ answerLatencyMs: LATENCY_MS });
  await plainAsks(installation);
  await planAsks(installation);
  for (let round = 0; round < ROUNDS; round++) {
    plain.push(await plainAsks(installation));
    steps.push(await planAsks(installation));
  }
  const subject = `a step that asks, ${ASKS} one after the other`;
  const [ofPlain, ofSteps] = [median(plain), median(steps)];
  return [
    { subject, name: 'plain ask (update), over the agent’s own time', value: ofPlain, unit: 'ms' },
    { subject, name: 'step of a plan, over the agent’s own time', value: ofSteps, unit: 'ms' },
    { subject, name: 'step / plain ask', value: ofSteps / ofPlain, unit: '', aim: { atMost: 1.3 } },
  ];
}

/** Milliseconds of each over the agent's own time. */
async function plainAsks({ client, simulator }: Installation): Promise<number> {
  await simulator.reset();
  const startedMs = performance.now();
  for (let asked = 0; asked < ASKS;) {
    const conversation = client.conversation();
    for (let turn = 0; turn < PER_CONVERSATION; turn++) await conversation.ask(questionText(asked++));
    await conversation.close();
  }
  return overheadSince(simulator, startedMs);
}

async function planAsks(installation: Installation): Promise<number> {
  await installation.simulator.reset();
  const startedMs = performance.now();
  const { ended } = await start(installation, planOfAsks(ASKS), {});
  await ended;
  return overheadSince(installation.simulator, startedMs);
}

async function overheadSince(simulator: Installation['simulator'], startedMs: number): Promise<number> {
  const tookMs = performance.now() - startedMs;
  const { exchanges } = await simulator.ledger();
  if (exchanges.length !== ASKS) throw new Error(`${exchanges.length} exchanges instead of ${ASKS}`);
  return (tookMs - exchanges.reduce((sum, exchange) => sum + agentMs(exchange), 0)) / ASKS;
}

/** So many steps that ask, written out one by one, a conversation for every 25. */
function planOfAsks(count: number): string {
  const names = Array.from({ length: Math.ceil(count / PER_CONVERSATION) }, (_, n) => `c${n}`);
  const steps = Array.from({ length: count }, (_, n) => {
    const name = names[Math.floor(n / PER_CONVERSATION)] ?? '';
    return `  - { ask: ${JSON.stringify(questionText(n))}, in: ${name} }`;
  });
  return `name: many\nconversations: { ${names.map((name) => `${name}: {}`).join(', ')} }\nsteps:\n${steps.join('\n')}\n`;
}

async function manySteps(installation: Installation): Promise<Figure[]> {
  const { client, simulator } = installation;
  await simulator.reset();
  await simulator.change({ answerLatencyMs: 0 });
  const startedMs = performance.now();
  const { workflowId, ended } = await start(installation, planOfAsks(STEPS), {});
  const { totals } = await ended;
  const seconds = (performance.now() - startedMs) / 1000;
  const { exchanges } = await simulator.ledger();
  const landed = exchanges.filter(({ status }) => status === 'landed').length;
  const runs = await runsOf(client, workflowId);
  const subject = `a plan of ${STEPS} steps that ask, one after the other`;
  return [
    promisedNone(subject, 'steps without an answer', STEPS - totals.answered),
    promisedNone(subject, 'exchanges more or less than steps', Math.abs(landed - STEPS)),
    { subject, name: 'took for a step', value: (seconds / STEPS) * 1000, unit: 'ms' },
    { subject, name: 'runs', value: runs.length, unit: '' },
    {
      ...{ subject, name: 'history events of the longest run', unit: '', isPromise: true },
      ...{ value: Math.max(...runs.map(({ events }) => events)), aim: { atMost: 4_200 } },
    },
    {
      subject,
      name: 'bytes of its history',
      value: Math.max(...runs.map(({ bytes }) => bytes)) / 1024,
      unit: 'KiB',
    },
  ];
}

async function runsOf({ client }: AipClient, workflowId: string): Promise<{ events: number; bytes: number }[]> {
  const runs: { events: number; bytes: number }[] = [];
  // Lists are a second or so behind.
  await delay(2_000);
  for await (const { runId } of client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) {
    const { historyLength, historySize = 0 } = await client.workflow.getHandle(workflowId, runId).describe();
    runs.push({ events: historyLength, bytes: historySize });
  }
  return runs;
}

async function start(
  { client, agentRid }: Installation,
  text: string,
  inputs: Record<string, JsonValue>,
): Promise<{ workflowId: string; ended: Promise<AutomationResult> }> {
  const { plan }: { plan: Plan } = readPlan(text, { file: 'bench.yaml' });
  const { automationId } = await startAutomation(client, { plan, inputs, agentRid });
  const workflowId = automationWorkflowId(automationId);
  const ended = client.client.workflow.getHandle(workflowId).result() as Promise<AutomationResult>;
  return { workflowId, ended };
}
