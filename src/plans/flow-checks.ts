import { PLAN_LIMITS } from '../protocol/plan.js';
import { isObject, pathText, type PlanPath } from './plan-path.js';
import { didYouMean, type FaultList } from './fault-list.js';
import { durationMs, LONGEST_MS } from '../protocol/duration.js';
import type { StepEntry } from './step-table.js';

/** Ids that two steps have. */
export function checkIds(steps: readonly StepEntry[], list: FaultList): void {
  const seen = new Map<string, StepEntry>();
  for (const entry of steps) {
    if (entry.id === undefined) continue;
    const other = seen.get(entry.id);
    if (other === undefined) seen.set(entry.id, entry);
    else
      list.fault(
        [...entry.path, 'id'],
        `is "${entry.id}", the id of ${pathText(other.path)}; give each step an id of its own`,
      );
  }
}

/** Checks where a step jumps to when it fails, and how long its retries take. */
export function checkOnError(entry: StepEntry, steps: readonly StepEntry[], list: FaultList): void {
  const { onError } = entry.raw;
  if (entry.kind === 'fail' && onError !== undefined) {
    list.warn([...entry.path, 'onError'], 'means nothing to a fail, which always ends the plan; take it out');
  }
  if (!isObject(onError)) return;
  const path = [...entry.path, 'onError'];
  checkJump(onError['goto'], [...path, 'goto'], entry, steps, list);
  if (isObject(onError['then'])) checkJump(onError['then']['goto'], [...path, 'then', 'goto'], entry, steps, list);
  const { retry, delay = '10s', backoff = 2 } = onError;
  const delayMs = typeof delay === 'string' ? durationMs(delay) : undefined;
  if (
    typeof retry !== 'number' ||
    retry > PLAN_LIMITS.retries ||
    typeof backoff !== 'number' ||
    delayMs === undefined ||
    backoff < 1
  )
    return;
  const totalMs = backoff === 1 ? delayMs * retry : (delayMs * (backoff ** retry - 1)) / (backoff - 1);
  if (totalMs > LONGEST_MS) {
    const message = `makes the last of ${retry} retries come after more than ten years; write a smaller backoff:, like 1, or fewer retries`;
    list.fault([...path, 'retry'], message);
  }
}

function checkJump(id: unknown, path: PlanPath, from: StepEntry, steps: readonly StepEntry[], list: FaultList): void {
  if (typeof id !== 'string') return;
  const reachable = steps.filter((step) => step.id !== undefined && isReachable(step, from));
  const target = reachable.find((step) => step.id === id);
  if (target === from) {
    const message = 'jumps to the step itself, again and again up to maxSteps; write { retry: 3 } to try it again';
    return list.warn(path, message);
  }
  if (target !== undefined) return;
  const elsewhere = steps.find((step) => step.id === id);
  if (elsewhere !== undefined) {
    const message = `jumps to ${id}, which stands in ${pathText(elsewhere.path.slice(0, -1))}; jump to a step of the same block, or of one around it`;
    return list.fault(path, message);
  }
  const ids = reachable.flatMap((step) => (step.id === undefined ? [] : [step.id]));
  const { text, suggestion } = didYouMean(id, ids, 'give the step that is meant this id');
  list.fault(
    path,
    `jumps to ${JSON.stringify(id)}, the id of no step; ${text}`,
    suggestion === undefined ? {} : { suggestion },
  );
}

/** Whether a step stands in the same block as another, or in one around it. */
function isReachable(target: StepEntry, from: StepEntry): boolean {
  for (let at: StepEntry | undefined = from; at !== undefined; at = at.parent) {
    if (target.parent === at.parent && target.branch === at.branch) return true;
  }
  return false;
}

/** Steps behind a `fail`, which nothing comes to. */
export function checkUnreached(steps: readonly StepEntry[], list: FaultList): void {
  const jumps = JSON.stringify(steps.map(({ raw }) => raw['onError'] ?? null));
  for (const entry of steps.filter(({ kind }) => kind === 'fail')) {
    const later = steps.filter(
      (step) => step.order > entry.lastOrder && step.parent === entry.parent && step.branch === entry.branch,
    );
    const [next] = later;
    const isJumpedTo = later.some(({ id }) => id !== undefined && jumps.includes(`"goto":${JSON.stringify(id)}`));
    if (next === undefined || isJumpedTo) continue;
    list.warn(
      next.path,
      `is never done: ${pathText(entry.path)} ends the plan before it; take it out, or put fail: into an if`,
    );
  }
}
