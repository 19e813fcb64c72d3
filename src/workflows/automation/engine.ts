/**
 * Does the steps of a plan.
 *
 * 1. Frames say where the plan stands; they are changed here alone, and hold it whole whenever nothing runs.
 * 2. To roll over, no step is begun any more, exchanges in flight go on to their end, and then what waits comes to rest (`Rest`):
 *    `RollingOver` comes up through all blocks, and the next run goes on in the same frames.
 * 3. Everything that is done at once is waited for, also when one of it fails: nothing is left behind.
 */
import { CancellationScope, CancelledFailure, isCancellation } from '@temporalio/workflow';
import { FAILURE_TYPES } from '../../protocol/failures.js';
import { LONGEST_MS } from '../../protocol/duration.js';
import {
  blocksOf,
  type ForEachStep,
  type IfStep,
  type JsonValue,
  type ParallelStep,
  type PlanStep,
  type StepPath,
} from '../../protocol/plan.js';
import { withinDeadline } from './deadline.js';
import { evaluate, holds } from './expressions.js';
import { type BlockFrame, type ForEachFrame, newBlock, newScope, type StepFrame } from './frames.js';
import { itemsOf, LeafSteps, type LeafTools, type Work } from './leaf-steps.js';
import type { Scope } from './scope.js';
import { Jump, passesThrough, PlanEnd, RollingOver, stepErrorOf } from './step-error.js';

/** What the engine works with, beside the tools of the steps. */
export interface EngineTools extends LeafTools {
  maxSteps: number;
}

export class Engine {
  readonly #leaves: LeafSteps;

  constructor(private readonly tools: EngineTools) {
    this.#leaves = new LeafSteps(tools);
  }

  /** Does a block of steps, from where its frame stands. */
  async block(steps: readonly PlanStep[], frame: BlockFrame, prefix: string, scope: Scope): Promise<void> {
    for (let step = steps[frame.at]; step !== undefined; step = steps[frame.at]) {
      try {
        await this.#step(step, `${prefix}[${frame.at}]`, frame, scope);
        frame.at++;
      } catch (error) {
        const target = error instanceof Jump ? steps.findIndex(({ id }) => id === error.target) : -1;
        if (target < 0) throw error;
        frame.at = target;
      }
      delete frame.step;
    }
  }

  async #step(step: PlanStep, path: StepPath, block: BlockFrame, scope: Scope): Promise<void> {
    const { tools } = this;
    const { tree } = tools;
    const frame = (block.step ??= this.#begin(path));
    tools.onChange();
    const work: Work = { step, path, frame, scope };
    try {
      const result = await withinDeadline(step.deadlineMs, frame.startedMs, path, () =>
        blocksOf(step).length > 0 ? this.#tries(work) : this.#atWork(() => this.#tries(work)),
      );
      if (step.id !== undefined && result !== undefined && this.tools.isMentioned(step.id)) scope.keep(step.id, result);
      tree.end(path, 'done', Date.now());
    } catch (error) {
      if (error instanceof RollingOver) throw error;
      this.#leaveConversations(work);
      this.#ended(work, error);
    } finally {
      tools.onChange();
    }
  }

  /** @throws RollingOver, CancelledFailure, PlanEnd */
  #begin(path: StepPath): StepFrame {
    const { tree, totals, maxSteps } = this.tools;
    if (this.tools.rest.isRolling()) throw new RollingOver();
    if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('The plan was cancelled');
    if (totals.steps >= maxSteps) {
      const message = `The plan has begun ${maxSteps} steps, as many as it may (maxSteps); does it jump back for ever?`;
      throw new PlanEnd({ errorName: FAILURE_TYPES.tooManySteps, message });
    }
    totals.steps++;
    tree.begin(path, Date.now());
    return { startedMs: Date.now(), retries: 0 };
  }

  /** What becomes of a step that has not come to its end. Returns where the plan goes on after it. */
  #ended({ step, path, scope }: Work, error: unknown): void {
    const { tree } = this.tools;
    const nowMs = Date.now();
    if (error instanceof PlanEnd) {
      tree.end(path, 'failed', nowMs, error.error);
      throw error;
    }
    if (error instanceof Jump) {
      tree.end(path, 'done', nowMs);
      throw error;
    }
    if (passesThrough(error)) {
      tree.end(path, 'cancelled', nowMs);
      throw error;
    }
    const failure = stepErrorOf(error);
    failure.place ??= step.id === undefined ? path : `${path} (${step.id})`;
    const { errorName, message } = failure.error;
    const then = step.onError?.then ?? 'stop';
    tree.end(path, then === 'skip' ? 'skipped' : 'failed', nowMs, failure.error);
    if (then === 'stop') throw failure;
    scope.noteFailure({ errorName, message, step: failure.place });
    if (then !== 'skip') throw new Jump(then.goto);
    if (step.id !== undefined && this.tools.isMentioned(step.id)) {
      scope.keep(step.id, { status: 'skipped', error: { errorName, message } });
    }
  }

  async #tries(work: Work): Promise<JsonValue | undefined> {
    const { step, path, frame } = work;
    const { retries, delayMs, backoff } = step.onError ?? { retries: 0, delayMs: 0, backoff: 1 };
    for (;;) {
      if (frame.retryMs !== undefined) {
        const { retryMs } = frame;
        const pause = () => this.#leaves.pause(path, retryMs, `its next try (${frame.retries} of ${retries})`);
        await (blocksOf(step).length > 0 ? this.#atWork(pause) : pause());
        delete frame.retryMs;
        this.tools.tree.retry(path);
      }
      try {
        return await this.#once(work);
      } catch (error) {
        if (passesThrough(error)) throw error;
        const failure = stepErrorOf(error);
        if (frame.retries >= retries) throw failure;
        this.tools.tree.fail(path, failure.error);
        this.#leaveConversations(work);
        beginAgain(frame, Date.now() + Math.min(LONGEST_MS, delayMs * backoff ** frame.retries));
      }
    }
  }

  async #once(work: Work): Promise<JsonValue | undefined> {
    const { step, ...rest } = work;
    switch (step.kind) {
      case 'if':
        return this.#if({ step, ...rest });
      case 'parallel':
        return this.#parallel({ step, ...rest });
      case 'forEach':
        return this.#forEach({ step, ...rest });
      case 'ask':
      case 'askJson':
      case 'approve':
      case 'wait':
      case 'batch':
      case 'set':
      case 'fail':
        return this.#leaves.run({ step, ...rest });
    }
  }

  /** What is at work, and holds no other steps that are. */
  async #atWork<T>(work: () => Promise<T>): Promise<T> {
    const ceases = this.tools.tree.work();
    try {
      return await this.tools.rest.busy(work);
    } finally {
      ceases();
    }
  }

  /** Of items that were at rest when something else failed: another try is not to go on in their sessions. */
  #leaveConversations({ step, path, scope }: Work): void {
    if (blocksOf(step).length > 0) this.tools.conversations.drop(`${scope.key}${path}`);
  }

  async #if({ step, path, frame, scope }: Work<IfStep>): Promise<undefined> {
    const { rest } = this.tools;
    if (frame.branch === undefined) {
      const name = (await rest.busy(() => holds(step.if, scope.context()))) ? 'then' : 'else';
      frame.branch = { name, block: newBlock() };
    }
    const { name, block } = frame.branch;
    await this.block(step[name], block, `${path}.${name}`, scope);
  }

  async #parallel({ step, path, frame, scope }: Work<ParallelStep>): Promise<undefined> {
    const frames = (frame.branches ??= Object.fromEntries(step.branches.map(({ name }) => [name, newBlock()])));
    await together(
      step.branches.map(({ name, do: steps }) => () => {
        const block = (frames[name] ??= newBlock());
        return this.block(steps, block, `${path}.parallel.${name}`, scope);
      }),
    );
  }

  async #forEach(work: Work<ForEachStep>): Promise<JsonValue> {
    const { step, path, frame, scope } = work;
    const { kept, tree, rest } = this.tools;
    if (frame.forEach === undefined) {
      const items = await rest.busy(() => itemsOf(step.items, scope.context()));
      kept.add(items);
      frame.forEach = { items, next: 0, failed: 0, results: [], active: {} };
      tree.addItems(path, items.length);
    } else {
      for (const value of keptOf(frame.forEach)) kept.count(value);
    }
    const each = frame.forEach;
    const resumed = Object.keys(each.active).map(Number);
    const take = (): number | undefined => {
      const again = resumed.shift();
      if (again !== undefined) return again;
      if (each.next >= each.items.length) return undefined;
      if (this.tools.rest.isRolling()) throw new RollingOver();
      const index = each.next++;
      each.active[index] = { block: newBlock(), scope: newScope() };
      return index;
    };
    const lane = async () => {
      for (let index = take(); index !== undefined; index = take()) await this.#item(work, each, index);
    };
    const lanes = Math.max(1, Math.min(step.concurrency, resumed.length + each.items.length - each.next));
    let isAtRest = false;
    try {
      await together(Array.from({ length: lanes }, () => lane));
      const { results, failed, items } = each;
      return { results, failed, count: items.length };
    } catch (error) {
      isAtRest = error instanceof RollingOver;
      throw error;
    } finally {
      if (!isAtRest) {
        for (const value of keptOf(each)) kept.remove(value);
      }
    }
  }

  async #item({ step, path, scope }: Work<ForEachStep>, each: ForEachFrame, index: number): Promise<void> {
    const { kept, conversations, tree, rest } = this.tools;
    const frame = (each.active[index] ??= { block: newBlock(), scope: newScope() });
    const inner = scope.ofItem({
      ...{ path, index },
      memory: frame.scope,
      names: { [step.as]: each.items[index] ?? null, index },
      conversations: step.conversations,
    });
    let isAtRest = false;
    try {
      await this.block(step.do, frame.block, `${path}.do`, inner);
      const { collect } = step;
      if (collect !== undefined) {
        const result = (await rest.busy(() => evaluate(collect, inner.context()))) ?? null;
        if (result !== null) kept.add(result);
        put(each.results, index, result);
      }
      tree.endItem(path, false);
    } catch (error) {
      isAtRest = error instanceof RollingOver;
      if (passesThrough(error)) throw error;
      const failure = stepErrorOf(error);
      tree.endItem(path, true);
      if (step.onItemError === 'stop') throw failure;
      each.failed++;
      if (step.collect !== undefined) put(each.results, index, null);
    } finally {
      inner.drop();
      if (!isAtRest) {
        delete each.active[index];
        conversations.drop(inner.key);
      }
    }
  }
}

/** Nothing is left of a try that failed but that there was one. */
function beginAgain(frame: StepFrame, retryMs: number): void {
  const { startedMs, retries } = frame;
  for (const key of Object.keys(frame)) delete frame[key as keyof StepFrame];
  Object.assign(frame, { startedMs, retries: retries + 1, retryMs } satisfies StepFrame);
}

/** What of it is held against the plan's bytes. */
const keptOf = ({ items, results }: ForEachFrame): JsonValue[] => [
  items,
  ...results.filter((result) => result !== null),
];

function put(results: JsonValue[], index: number, value: JsonValue): void {
  while (results.length <= index) results.push(null);
  results[index] = value;
}

/** Does all at once, and waits for all: the first that fails cancels the others. @throws What counts most of what was thrown. */
async function together(runs: readonly (() => Promise<void>)[]): Promise<void> {
  const scope = new CancellationScope({ cancellable: true });
  let first: { error: unknown; rank: number } | undefined;
  await scope.run(() =>
    Promise.all(
      runs.map(async (run) => {
        try {
          await run();
        } catch (error) {
          const rank = rankOf(error);
          if (first === undefined || rank > first.rank) first = { error, rank };
          if (!(error instanceof RollingOver)) scope.cancel();
        }
      }),
    ),
  );
  if (first !== undefined) throw first.error;
}

/** A roll-over waits for what failed; cancelled is what the failure cancelled. */
function rankOf(error: unknown): number {
  if (error instanceof RollingOver) return 0;
  return isCancellation(error) ? 1 : 2;
}
