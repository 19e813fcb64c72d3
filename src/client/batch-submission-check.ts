import { checkCanary } from './batch-canary.js';
import { BATCH_WEIGHTS, isBatchWeight } from '../protocol/batch.js';
import type { BatchSubmission } from './batch-submit.js';
import { InvalidCallError } from './errors.js';
import { idProblem } from './id-check.js';

/** Sees that a submission can be meant, before its rows are read. @throws InvalidCallError */
export function checkSubmission(submission: BatchSubmission): void {
  const { batchId, agentRid, agentVersion, concurrency, bounds, canary, callTimeoutMs, weight } = submission;
  const problem = idProblem(batchId) ?? partProblem(batchId);
  if (problem !== undefined) throw new InvalidCallError(`Cannot submit a batch without a usable id: ${problem}`);
  if (agentRid === '') throw new InvalidCallError('Cannot submit a batch without an agent: give its agentRid');
  if (concurrency !== undefined) checkConcurrency(concurrency);
  if (weight !== undefined) checkWeight(weight);
  checkPositive('a call timeout of %s ms', callTimeoutMs);
  checkPositive('a budget of %s tokens', bounds?.maxTokens);
  checkPositive('a bound of %s failures', bounds?.maxFailures);
  if (bounds?.deadline !== undefined && Number.isNaN(Date.parse(bounds.deadline))) {
    throw new InvalidCallError(`Cannot run a batch until "${bounds.deadline}": give the deadline as an ISO 8601 time`);
  }
  if (canary !== undefined) checkCanary(canary, agentVersion);
}

/** An id that would be taken for one of a batch's parts. */
function partProblem(batchId: string): string | undefined {
  const own = /\/(?:shard|row)-\d+$/.exec(batchId);
  return own === null ? undefined : `it ends as the parts of a batch do (${own[0]}); give it another end`;
}

/** @throws InvalidCallError */
export function checkConcurrency(concurrency: number): void {
  if (Number.isInteger(concurrency) && concurrency >= 1) return;
  throw new InvalidCallError(`Cannot run ${concurrency} rows at once: give a whole number from 1`);
}

/** @throws InvalidCallError */
export function checkWeight(weight: number): void {
  if (isBatchWeight(weight)) return;
  throw new InvalidCallError(
    `Cannot give a batch a weight of ${weight}: give a number from ${BATCH_WEIGHTS.least} to ${BATCH_WEIGHTS.most}`,
  );
}

/** A batch that starts after its deadline would answer nothing. @throws InvalidCallError */
export function checkDeadline({ batchId, bounds }: BatchSubmission, nowMs: number): void {
  if (bounds?.deadline === undefined || Date.parse(bounds.deadline) > nowMs) return;
  throw new InvalidCallError(
    `Cannot start batch ${batchId}: its deadline ${bounds.deadline} has passed; give a later one`,
  );
}

function checkPositive(what: string, value: number | undefined): void {
  if (value === undefined || (Number.isInteger(value) && value >= 1)) return;
  throw new InvalidCallError(
    `Cannot submit a batch with ${what.replace('%s', String(value))}: give a whole number from 1`,
  );
}
