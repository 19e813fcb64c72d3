import { shown } from '../checks/shown-value.js';

import { durationMs, LONGEST_MS } from '../protocol/duration.js';

export const DURATION_EXAMPLE = '10m, 1h30m, 3d or PT10M';

/** What is wrong with a duration; absent when nothing is. */
export function durationProblem(value: unknown, { least = 1 }: { least?: number } = {}): string | undefined {
  const like = `write it like ${DURATION_EXAMPLE}`;
  if (typeof value === 'number') {
    return `is ${value}, a number without a unit; write "${value}s" for seconds or "${value}ms" for milliseconds`;
  }
  if (typeof value !== 'string') return `is ${shown(value)}, but must be a duration; ${like}`;
  const ms = durationMs(value);
  if (ms === undefined) {
    if (/^P(?=.*[YM])(?!T)[^T]*[YM]/.test(value))
      return `is ${shown(value)}, but months and years differ in length; write days, like P30D`;
    return `is ${shown(value)}, which is no duration; ${like}`;
  }
  if (ms < least) {
    return least === 1
      ? `is ${shown(value)}, which is no time at all; ${like}, or leave it out`
      : `is ${shown(value)}, but may not be shorter than ${least} ms; ${like}`;
  }
  if (ms > LONGEST_MS) return `is ${shown(value)}, more than ten years; write a shorter one, ${like.slice(9)}`;
  return undefined;
}
