import { agentProblem } from './authored-steps.js';
import { didYouMean, type FaultList, listOf } from './fault-list.js';
import type { NameChecks } from './name-checks.js';
import { isObject, type PlanPath } from './plan-path.js';
import { ancestorsOf, type StepEntry } from './step-table.js';
import type { Reader } from './step-uses.js';
import { MAIN_CONVERSATION } from '../protocol/plan.js';

/** Checks what is in `conversations`, of the plan or of a `forEach`. */
export function checkConversations(
  conversations: unknown,
  path: PlanPath,
  reader: Reader,
  names: NameChecks,
  list: FaultList,
): void {
  if (!isObject(conversations)) return;
  for (const [name, conversation] of Object.entries(conversations)) {
    if (!isObject(conversation)) continue;
    const at = [...path, name];
    checkAgent(conversation, at, reader, names, list);
    for (const key of ['title', 'parameters']) names.templates(conversation[key], [...at, key], reader);
  }
}

/** Checks `agent` and `agentVersion` of a conversation or a batch. */
export function checkAgent(
  value: Record<string, unknown>,
  path: PlanPath,
  reader: Reader,
  names: NameChecks,
  list: FaultList,
): void {
  const { agent } = value;
  const problem = typeof agent === 'string' && agent.trim() !== '' ? agentProblem(agent) : undefined;
  if (problem !== undefined) list.fault([...path, 'agent'], problem);
  for (const key of ['agent', 'agentVersion']) names.templates(value[key], [...path, key], reader);
}

/** The names of the conversations that a step may ask in: those of each `forEach` around it, then the plan's. */
function visibleConversations(entry: StepEntry, plan: unknown): string[] {
  const around = [...ancestorsOf(entry).map(({ raw }) => raw['conversations']), plan];
  return [...new Set(around.flatMap((conversations) => (isObject(conversations) ? Object.keys(conversations) : [])))];
}

/** The conversation of a step: the one that it names, or the only one. Absent when it is not told. */
export function conversationOf(entry: StepEntry, plan: unknown): string | undefined {
  const named = entry.raw['in'];
  if (named !== undefined) return typeof named === 'string' ? named : undefined;
  const [only = MAIN_CONVERSATION, ...others] = visibleConversations(entry, plan);
  return others.length === 0 ? only : undefined;
}

/** Checks which conversation a step asks in. */
export function checkConversationOf(entry: StepEntry, plan: unknown, list: FaultList): void {
  const visible = visibleConversations(entry, plan);
  const named = entry.raw['in'];
  if (named === undefined && visible.length > 1) {
    const message = `does not say in which conversation it asks, and there are ${listOf(visible)}; add in: ${visible[0] ?? ''}`;
    return list.fault(entry.path, message);
  }
  const known = visible.length === 0 ? [MAIN_CONVERSATION] : visible;
  if (typeof named === 'string' && !known.includes(named)) {
    const { text, suggestion } = didYouMean(
      named,
      known,
      `declare it under conversations:, or use ${listOf(known, 'or')}`,
    );
    const message = `names conversation ${JSON.stringify(named)}, which there is not here; ${text}`;
    return list.fault([...entry.path, 'in'], message, {
      isOneFault: true,
      ...(suggestion !== undefined && { suggestion }),
    });
  }
  warnOfSharing(entry, conversationOf(entry, plan), list);
}

/** Items at once that ask in one conversation wait for each other, and see each other's answers. */
function warnOfSharing(entry: StepEntry, name: string | undefined, list: FaultList): void {
  if (name === undefined) return;
  const declares = ({ raw }: StepEntry) => isObject(raw['conversations']) && name in raw['conversations'];
  const around = ancestorsOf(entry);
  const owner = around.findIndex(declares);
  const loops = around.slice(0, owner === -1 ? undefined : owner);
  const loop = loops.find(({ raw }) => typeof raw['concurrency'] === 'number' && raw['concurrency'] > 1);
  if (loop === undefined) return;
  const message = `asks in conversation ${name}, which all items share: they wait for each other, and the agent sees all of them; declare conversations: in the forEach`;
  list.warn(entry.path, message);
}
