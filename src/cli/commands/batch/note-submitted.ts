import type { BatchSubmission, SubmittedBatch } from '../../../client/index.js';
import type { Output } from '../../output.js';
import { localTime } from '../../output.js';

/** With which bound a batch was submitted. */
const BOUND_WORDS = {
  maxTokens: (value: number | undefined) =>
    value === undefined ? 'without a bound of tokens' : `with ${value} tokens as its bound`,
  maxFailures: (value: number | undefined) =>
    value === undefined ? 'without a bound of failures' : `with ${value} failures as its bound`,
} as const;

/** Says when the batch ends at the latest, and where one that was there already does otherwise than is asked now. */
export function noteSubmitted(
  { batchId, attached, concurrency, weight, bounds = {} }: SubmittedBatch,
  asked: BatchSubmission,
  output: Output,
): void {
  if (attached) {
    const there = `Batch ${batchId} was there already`;
    if (asked.concurrency !== undefined && asked.concurrency !== concurrency) {
      output.note(`${there}, submitted with ${concurrency} rows at once; \`batch set\` changes that`);
    }
    if (asked.weight !== undefined && asked.weight !== weight) {
      output.note(`${there}, with ${weight} as its weight; that stays`);
    }
    for (const bound of ['maxTokens', 'maxFailures'] as const) {
      const value = asked.bounds?.[bound];
      if (value === undefined || value === bounds[bound]) continue;
      output.note(`${there}, ${BOUND_WORDS[bound](bounds[bound])}; that stays`);
    }
    const { deadline } = asked.bounds ?? {};
    if (deadline !== undefined && deadline !== bounds.deadline) {
      const own = bounds.deadline === undefined ? 'without a deadline' : `with ${bounds.deadline} as its deadline`;
      output.note(`${there}, ${own}; that stays`);
    }
  }
  if (bounds.deadline !== undefined) output.note(`Batch ${batchId} ends by ${localTime(bounds.deadline)}`);
}
