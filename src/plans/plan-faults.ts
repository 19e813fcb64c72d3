import { listOf } from './fault-list.js';

/** Where something stands in a plan. */
export interface PlanPlace {
  /** As its author wrote it: `steps[2].ask.text`; empty when it is the file as a whole. */
  path: string;
  /** From 1. */
  line: number;
  /** From 1, in UTF-16 units, as editors count. */
  column: number;
}

/** What is wrong with a plan, or worth a second look, and where. */
export interface PlanFault extends PlanPlace {
  /** What was met; then, after a semicolon, what to do. */
  message: string;
  /** The word that was probably meant. */
  suggestion?: string;
  /** Where else the same name, which means nothing, is used, or lines are indented by tabs; the fault stands at the first. */
  others?: PlanPlace[];
}

/** Something that a plan may have, and its author hardly meant. */
export type PlanWarning = PlanFault;

/** Faults that a message lists; the others are counted. */
const MOST_LISTED = 50;

/** A plan that cannot be run as it is written. */
export class PlanError extends Error {
  override readonly name = 'PlanError';

  /**
   * @param file What the file is called in messages.
   * @param faults All of them, in the order of the file.
   */
  constructor(
    readonly file: string,
    readonly faults: readonly PlanFault[],
  ) {
    super(listed(faults.map((fault) => faultText(file, fault))));
  }
}

/** What is wrong with one input of a run. */
export interface PlanInputFault {
  /** Name of the input; absent when it is all of them together. */
  input?: string;
  /** What was met; then, after a semicolon, what to do. */
  message: string;
  /** The name that was probably meant. */
  suggestion?: string;
}

/** Inputs that do not fit a plan. */
export class PlanInputError extends Error {
  override readonly name = 'PlanInputError';

  /** @param faults All of them. */
  constructor(
    readonly plan: string,
    readonly faults: readonly PlanInputFault[],
  ) {
    super(listed(faults.map(({ input, message }) => (input === undefined ? message : `input ${input} ${message}`))));
  }
}

/** A fault in one line: `file:line:column path: message`, and in which lines it is met again. */
export function faultText(file: string, { path, line, column, message, others = [] }: PlanFault): string {
  return `${file}:${line}:${column} ${path === '' ? '' : `${path}: `}${message}${othersText(others)}`;
}

function othersText(others: readonly PlanPlace[]): string {
  if (others.length === 0) return '';
  const lines = [...new Set(others.map(({ line }) => String(line)))];
  return ` (${others.length} more, in ${lines.length === 1 ? 'line' : 'lines'} ${listOf(lines)})`;
}

function listed(lines: readonly string[]): string {
  if (lines.length <= MOST_LISTED) return lines.join('\n');
  return [...lines.slice(0, MOST_LISTED), `… and ${lines.length - MOST_LISTED} more`].join('\n');
}
