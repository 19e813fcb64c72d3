import type { StepState, StepStatus } from '../protocol/automation.js';
import { duration } from './batch-display.js';
import { localTime } from './output.js';
import { columnsOf, cut, oneLine } from './terminal.js';

/** Where steps are shown. */
export interface Room {
  /** Columns of the terminal; lines take less. Absent: any width will do, and nothing is cut. */
  width?: number;
  /** Most lines; what has ended is folded first. Absent: any number. */
  height?: number;
  nowMs: number;
}

const SIGNS: Record<StepState, string> = {
  pending: '·',
  running: '▶',
  waiting: '⏸',
  done: '✓',
  failed: '✗',
  skipped: '–',
  cancelled: '⊘',
};

/** Facts stand at most so far to the right. */
const MOST_COLUMNS = 110;
/** Of a label, at least so much is left beside the facts. */
const LEAST_LABEL = 16;

/** A step, or a branch of steps, as it is drawn. */
interface Node {
  state: StepState;
  text: string;
  /** Stands behind the text, also where that is cut: approvals and jumps are named by it. */
  id?: string;
  facts: string[];
  /** Why it waits, or has failed. */
  why: string[];
  nodes: Node[];
}

/** What is left out where there is no room, one after the other. */
const FOLDS = ['nothing', 'finished', 'pending', 'neighbours'] as const;

/**
 * A line for each step: its sign (`✓ ▶ ⏸ ✗ – ⊘ ·`), label and id, then counts, tokens and time; below it why it waits or has failed.
 * Where they are too many, what is in finished steps is left out first, then what is in steps to come; then neighbours that have
 * ended, or have not begun, become one line.
 */
export function stepTree(steps: readonly StepStatus[], room: Room): string[] {
  const nodes = steps.map((step) => nodeOf(step, room.nowMs));
  let lines: string[] = [];
  for (const [level] of FOLDS.entries()) {
    lines = drawn(folded(nodes, level), 0, room);
    if (room.height === undefined || lines.length <= room.height) return lines;
  }
  const kept = Math.max(1, (room.height ?? 0) - 1);
  return [...lines.slice(0, kept), `… ${lines.length - kept} more lines; \`show\` has them all`];
}

function nodeOf(step: StepStatus, nowMs: number): Node {
  const { label, id, state } = step;
  return {
    state,
    text: oneLine(label),
    ...(id !== undefined && { id: ` (${id})` }),
    facts: factsOf(step, nowMs),
    why: whyOf(step, nowMs),
    nodes: branchesOf(step, nowMs),
  };
}

function factsOf(step: StepStatus, nowMs: number): string[] {
  const { state, begun, failed, tries, items, itemsEnded, itemsFailed = 0, tokens, startedAt, finishedAt } = step;
  const isNotTaken = step.kind === 'if' && state === 'done' && isUntouched(step);
  const failures = (count: number): string => (count > 0 ? ` (${count} failed)` : '');
  const counts = [
    ...(begun > 1 ? [`${begun}×${failures(failed)}`] : []),
    ...(tries === undefined ? [] : [`${tries} tries`]),
    ...(items === undefined
      ? []
      : [itemsEnded === undefined ? `${items} items` : `${itemsEnded}/${items}${failures(itemsFailed)}`]),
  ];
  const isOver = isFinished(state) && finishedAt !== undefined;
  const endMs = isOver ? Date.parse(finishedAt) : nowMs;
  return [
    ...(state === 'cancelled' ? ['cancelled'] : []),
    ...(isNotTaken ? ['not taken'] : []),
    ...counts,
    ...(tokens > 0 ? [`${tokens} tokens`] : []),
    ...(startedAt === undefined ? [] : [duration((endMs - Date.parse(startedAt)) / 1_000)]),
  ];
}

function whyOf({ state, waitingFor, error, ...end }: StepStatus, nowMs: number): string[] {
  const isOver = isFinished(state) || state === 'pending';
  return [
    ...(waitingFor === undefined || isOver ? [] : [`… waits for ${oneLine(waitingFor)}${untilText(end, nowMs)}`]),
    ...(error === undefined || state === 'done' ? [] : [errorText(error)]),
  ];
}

/** Until when something waits, and what happens then. */
export function untilText(
  { waitingUntil, waitingThen }: Pick<StepStatus, 'waitingUntil' | 'waitingThen'>,
  nowMs: number,
): string {
  if (waitingUntil === undefined) return '';
  return `; until ${momentText(waitingUntil, nowMs)}${waitingThen === undefined ? '' : `, then ${waitingThen}`}`;
}

function errorText({ errorName, message }: { errorName: string; message: string }): string {
  return oneLine(message.includes(errorName) ? message : `${errorName}: ${message}`);
}

/** A time: of today the time of day alone. */
export function momentText(time: string | Date, nowMs: number): string {
  const text = localTime(time);
  return text.slice(0, 10) === localTime(new Date(nowMs)).slice(0, 10) ? text.slice(11) : text.slice(0, 16);
}

/** What is in a step: the steps of its `do` or `then` as they are, other blocks under their name. */
function branchesOf({ kind, begun, children = [] }: StepStatus, nowMs: number): Node[] {
  return children.flatMap(({ branch, steps }) => {
    if (steps.length === 0) return [];
    // The block that was not chosen is no news.
    if (kind === 'if' && begun > 0 && steps.every((step) => step.begun === 0)) return [];
    const nodes = steps.map((step) => nodeOf(step, nowMs));
    if (branch === 'do' || branch === 'then') return nodes;
    return [{ state: stateOf(nodes), text: `${branch}:`, facts: [], why: [], nodes }];
  });
}

/** Whether nothing in a step was begun, as in an `if` without `else` whose condition was not met. */
const isUntouched = ({ children = [] }: StepStatus): boolean =>
  children.every(({ steps }) => steps.every(({ begun }) => begun === 0));

/** Where a branch stands, by its steps. */
function stateOf(nodes: readonly Node[]): StepState {
  for (const state of ['failed', 'running', 'waiting', 'cancelled'] as const) {
    if (nodes.some((node) => node.state === state)) return state;
  }
  if (nodes.every(({ state }) => state === 'pending')) return 'pending';
  if (nodes.every(({ state }) => state === 'skipped')) return 'skipped';
  return nodes.some(({ state }) => state === 'pending') ? 'running' : 'done';
}

const isFinished = (state: StepState): boolean => ['done', 'failed', 'skipped', 'cancelled'].includes(state);

function folded(nodes: readonly Node[], level: number): Node[] {
  const own = nodes.map((node): Node => {
    const isFolded = (level >= 1 && isFinished(node.state)) || (level >= 2 && node.state === 'pending');
    return { ...node, nodes: isFolded ? [] : folded(node.nodes, level) };
  });
  return level < FOLDS.indexOf('neighbours') ? own : mergedNeighbours(own);
}

/** Neighbours that have ended well, and those to come, as one line each. */
function mergedNeighbours(nodes: readonly Node[]): Node[] {
  const runs: Node[][] = [];
  const kindOf = ({ state }: Node) => (state === 'done' || state === 'skipped' ? 'ended' : state);
  for (const node of nodes) {
    const run = runs.at(-1);
    const [first] = run ?? [];
    const isSame = first !== undefined && kindOf(first) === kindOf(node);
    if (isSame && (kindOf(node) === 'ended' || node.state === 'pending')) run?.push(node);
    else runs.push([node]);
  }
  return runs.flatMap((run) => {
    const [first] = run;
    if (first === undefined || run.length === 1) return run;
    const skipped = run.filter(({ state }) => state === 'skipped').length;
    const text =
      first.state === 'pending'
        ? `${run.length} steps to come`
        : `${run.length - skipped} steps done${skipped > 0 ? `, ${skipped} skipped` : ''}`;
    return [{ state: first.state === 'pending' ? 'pending' : 'done', text, facts: [], why: [], nodes: [] }];
  });
}

function drawn(nodes: readonly Node[], depth: number, room: Room): string[] {
  const indent = '  '.repeat(depth);
  return nodes.flatMap((node) => [
    lineOf({ ...node, text: `${indent}${SIGNS[node.state]} ${node.text}` }, room.width),
    ...node.why.map((text) => fit(`${indent}  ${text}`, room.width)),
    ...drawn(node.nodes, depth + 1, room),
  ]);
}

/** A text, and facts at the right of it. */
function lineOf({ text, id = '', facts }: Pick<Node, 'text' | 'id' | 'facts'>, width: number | undefined): string {
  if (width === undefined) return [`${text}${id}`, ...facts].join('  ');
  const columns = Math.min(width, MOST_COLUMNS);
  // The last facts go where the label would be lost.
  const left = [...facts];
  while (left.length > 0 && columns - left.join('  ').length - 3 < LEAST_LABEL) left.pop();
  if (left.length === 0) return labelOf(text, id, columns);
  const right = left.join('  ');
  const label = labelOf(text, id, columns - right.length - 2);
  return `${label}${' '.repeat(Math.max(2, columns - 1 - columnsOf(label) - right.length))}${right}`;
}

/** A text with the id behind it; what is too long of them is cut off the text, as long as something of it is left. */
function labelOf(text: string, id: string, width: number): string {
  const room = width - columnsOf(id);
  return room < LEAST_LABEL ? cut(`${text}${id}`, width) : `${cut(text, room)}${id}`;
}

/** Cuts a line to its room. */
export const fit = (line: string, width: number | undefined): string => (width === undefined ? line : cut(line, width));
