/** What people see of a plan's steps: one record for each step of the plan, however often it is done. */
import type { StepState, StepStatus } from '../../protocol/automation.js';
import type { ExchangeError } from '../../protocol/exchange.js';
import { blocksOf, type Plan, type PlanStep, type StepPath } from '../../protocol/plan.js';
import { summaryLine } from '../../protocol/summary-line.js';

export interface StepRecord {
  begun: number;
  done: number;
  failed: number;
  skipped: number;
  cancelled: number;
  /** Tries beyond the first of each begin. */
  retries: number;
  tokens: number;
  /** Milliseconds since the epoch. */
  startedMs: number;
  finishedMs?: number;
  /** Items of a `forEach`, of all its begins. */
  items?: number;
  itemsEnded?: number;
  itemsFailed?: number;
  error?: ExchangeError;
}

/** As it is carried along for each step that was ever begun: without what is nought. */
export type SavedRecord = Partial<StepRecord> & Pick<StepRecord, 'startedMs'>;

/** What a step waits for. */
export interface StepWait {
  waitingFor: string;
  /** Milliseconds since the epoch. */
  untilMs?: number;
  /** In words: what happens then. */
  then?: string;
}

export type StepEnd = 'done' | 'failed' | 'skipped' | 'cancelled';

/** Characters of an error that are carried along, and of all errors together: the newest. The whole stands at the failed activity. */
const ERROR_CHARACTERS = { each: 300, all: 15_000 } as const;

const NOTHING_YET = { begun: 0, done: 0, failed: 0, skipped: 0, cancelled: 0, retries: 0, tokens: 0 };

export class StepTree {
  readonly #records: Map<StepPath, StepRecord>;
  /** By path, of those that wait now: the newest last. */
  readonly #waits = new Map<StepPath, StepWait[]>();
  /** By path, of steps that hold no others, until they change: a plan may have thousands, and is looked at with every step. */
  readonly #known = new Map<StepPath, StepStatus>();
  /** Steps at work that hold no others. */
  #activeLeaves = 0;

  constructor(
    private readonly plan: Plan,
    records: Record<StepPath, SavedRecord> = {},
  ) {
    this.#records = new Map(Object.entries(records).map(([path, record]) => [path, { ...NOTHING_YET, ...record }]));
  }

  snapshot(): Record<StepPath, SavedRecord> {
    const newestFirst = [...this.#records].sort(
      ([, one], [, other]) => (other.finishedMs ?? 0) - (one.finishedMs ?? 0),
    );
    let characters = 0;
    return Object.fromEntries(
      newestFirst.map(([path, { error, startedMs, ...record }]) => {
        const counts = Object.entries(record).filter(([, count]) => count !== 0);
        characters += error?.message.length ?? 0;
        const message = characters > ERROR_CHARACTERS.all ? '' : (error?.message ?? '');
        const saved = {
          startedMs,
          ...Object.fromEntries(counts),
          ...(error !== undefined && { error: { ...error, message } }),
        };
        return [path, saved];
      }),
    );
  }

  /** The plan has ended: what had come to rest for a new run goes on no more. */
  close(nowMs: number): void {
    this.#known.clear();
    for (const [path, record] of this.#records) {
      const active = this.#activeOf(path);
      if (active <= 0) continue;
      record.cancelled += active;
      record.finishedMs = nowMs;
    }
  }

  begin(path: StepPath, nowMs: number): void {
    this.#known.delete(path);
    const record = this.#records.get(path);
    if (record === undefined) {
      this.#records.set(path, { ...NOTHING_YET, begun: 1, startedMs: nowMs });
    } else record.begun++;
  }

  end(path: StepPath, end: StepEnd, nowMs: number, error?: ExchangeError): void {
    const record = this.#changing(path);
    if (record === undefined) return;
    record[end]++;
    record.finishedMs = nowMs;
    if (error !== undefined) this.fail(path, error);
  }

  /** A try failed; another may come. */
  fail(path: StepPath, { parameters: _, message, ...error }: ExchangeError): void {
    const record = this.#changing(path);
    if (record !== undefined) record.error = { ...error, message: message.slice(0, ERROR_CHARACTERS.each) };
  }

  /** It is tried again. */
  retry(path: StepPath): void {
    const record = this.#changing(path);
    if (record !== undefined) record.retries++;
  }

  addTokens(path: StepPath, tokens: number): void {
    const record = this.#changing(path);
    if (record !== undefined) record.tokens += tokens;
  }

  addItems(path: StepPath, items: number): void {
    const record = this.#changing(path);
    if (record !== undefined) record.items = (record.items ?? 0) + items;
  }

  endItem(path: StepPath, isFailed: boolean): void {
    const record = this.#changing(path);
    if (record === undefined) return;
    record.itemsEnded = (record.itemsEnded ?? 0) + 1;
    record.itemsFailed = (record.itemsFailed ?? 0) + (isFailed ? 1 : 0);
  }

  /** Counts a step that holds no others as at work, until the function that it gives is called. */
  work(): () => void {
    this.#activeLeaves++;
    return () => void this.#activeLeaves--;
  }

  /** Shows what a step waits for, until the function that it gives is called. */
  wait(path: StepPath, wait: StepWait): () => void {
    this.#known.delete(path);
    this.#waits.set(path, [...(this.#waits.get(path) ?? []), wait]);
    return () => {
      this.#known.delete(path);
      const left = (this.#waits.get(path) ?? []).filter((one) => one !== wait);
      if (left.length === 0) this.#waits.delete(path);
      else this.#waits.set(path, left);
    };
  }

  /** What is waited for, when all that runs waits. */
  get waitOfAll(): StepWait | undefined {
    const waits = [...this.#waits.values()].flat();
    const [first] = waits;
    if (first === undefined || waits.length < this.#activeLeaves) return undefined;
    if (waits.length === 1) return first;
    const untilMs = Math.min(...waits.map((wait) => wait.untilMs ?? Infinity));
    const waitingFor = `${first.waitingFor}, and ${waits.length - 1} more`;
    return { waitingFor, ...(untilMs !== Infinity && { untilMs }) };
  }

  status(): StepStatus[] {
    return this.#statusOf(this.plan.steps, 'steps');
  }

  #changing(path: StepPath): StepRecord | undefined {
    this.#known.delete(path);
    return this.#records.get(path);
  }

  #activeOf(path: StepPath): number {
    const record = this.#records.get(path);
    return record === undefined ? 0 : record.begun - record.done - record.failed - record.skipped - record.cancelled;
  }

  #statusOf(steps: readonly PlanStep[], prefix: string): StepStatus[] {
    return steps.map((step, index) => {
      const path = `${prefix}[${index}]`;
      const children = blocksOf(step).map(({ key, steps: inner }) => ({
        branch: key.replace(/^parallel\./, ''),
        steps: this.#statusOf(inner, `${path}.${key}`),
      }));
      if (children.length > 0) return this.#one(step, path, children);
      const status = this.#known.get(path) ?? this.#one(step, path, []);
      this.#known.set(path, status);
      return status;
    });
  }

  #one(step: PlanStep, path: StepPath, children: NonNullable<StepStatus['children']>): StepStatus {
    const { id, kind } = step;
    const record = this.#records.get(path);
    const [wait] = this.#waits.get(path) ?? [];
    const inner = children.flatMap(({ steps }) => steps).reduce((sum, { tokens }) => sum + tokens, 0);
    return {
      path,
      ...(id !== undefined && { id }),
      kind,
      label: labelOf(step),
      ...(step.title !== undefined && { title: labelOf(step) }),
      state: this.#stateOf(path),
      begun: record?.begun ?? 0,
      done: record?.done ?? 0,
      failed: record?.failed ?? 0,
      ...(record !== undefined && record.retries > 0 && { tries: record.begun + record.retries }),
      tokens: (record?.tokens ?? 0) + inner,
      ...(record !== undefined && { startedAt: new Date(record.startedMs).toISOString() }),
      ...(record?.finishedMs !== undefined && { finishedAt: new Date(record.finishedMs).toISOString() }),
      ...(record?.items !== undefined && {
        items: record.items,
        itemsEnded: record.itemsEnded ?? 0,
        itemsFailed: record.itemsFailed ?? 0,
      }),
      ...(record?.error !== undefined && { error: record.error }),
      ...(wait !== undefined && { waitingFor: wait.waitingFor }),
      ...(wait?.untilMs !== undefined && { waitingUntil: new Date(wait.untilMs).toISOString() }),
      ...(wait?.then !== undefined && { waitingThen: wait.then }),
      ...(children.length > 0 && { children }),
    };
  }

  #stateOf(path: StepPath): StepState {
    const record = this.#records.get(path);
    if (record === undefined) return 'pending';
    if (this.#activeOf(path) > 0) return this.#waits.has(path) ? 'waiting' : 'running';
    if (record.failed > 0) return 'failed';
    if (record.cancelled > 0) return 'cancelled';
    return record.done > 0 ? 'done' : 'skipped';
  }
}

/** A step in a line, from the plan alone. */
export function labelOf(step: PlanStep): string {
  if (step.title !== undefined) return summaryLine(step.title);
  switch (step.kind) {
    case 'ask':
    case 'askJson':
      return summaryLine(step.text);
    case 'approve':
    case 'fail':
      return summaryLine(step.message);
    case 'wait':
      return 'forMs' in step.wait
        ? `wait ${durationText(step.wait.forMs)}`
        : summaryLine('until' in step.wait ? `wait until ${step.wait.until}` : `wait ${step.wait.for}`);
    case 'forEach':
      return summaryLine(`for each ${step.as} of ${typeof step.items === 'string' ? step.items : step.items.length}`);
    case 'if':
      return summaryLine(`if ${step.if}`);
    case 'parallel':
      return `in parallel: ${step.branches.length} branches`;
    case 'batch':
      return summaryLine(typeof step.rows === 'string' ? `batch of ${step.rows}` : `batch of ${step.rows.length} rows`);
    case 'set':
      return summaryLine(`set ${Object.keys(step.set).join(', ')}`);
  }
}

/** `90 s`, `2 h`, `3 d`: in the largest unit that it is a whole number of. */
export function durationText(ms: number): string {
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1_000, 's'],
  ] as const;
  for (const [unitMs, unit] of units) if (ms >= unitMs && ms % unitMs === 0) return `${ms / unitMs} ${unit}`;
  return `${ms} ms`;
}
