import type { BatchSubmission, SubmittedBatch } from '../../../client/index.js';
import type { Output } from '../../output.js';
import { localTime } from '../../output.js';

/** Says when the batch ends at the latest, and where one that was there already does otherwise than is asked now. */
export function noteSubmitted(
  { batchId, attached, concurrency, bounds = {} }: SubmittedBatch,
  asked: BatchSubmission,
  output: Output,
): void {
  if (attached) {
    const there = `Batch ${batchId} was there already`;
    if (asked.concurrency !== undefined && asked.concurrency !== concurrency) {
      output.note(`${there}, submitted with ${concurrency} rows at once; \`batch set\` changes that`);
    }
    for (const bound of ['maxTokens', 'maxFailures'] as const) {
      const value = asked.bounds?.[bound];
      if (value === undefined || value === bounds[bound]) continue;
      output.note(`${there}, with ${bounds[bound] ?? 'no'} as its ${bound}; that stays`);
    }
  }
  if (bounds.deadline !== undefined) output.note(`Batch ${batchId} ends by ${localTime(bounds.deadline)}`);
}
