import { afterEach, expect, test } from '@jest/globals';
import {
  type BatchSubmission,
  cancelBatch,
  closeAgent,
  describeBatch,
  describeLimits,
  openAgent,
  rerunBatch,
  setLimits,
  submitBatch,
} from '../../src/client/index.js';
import type { BatchRow } from '../../src/protocol/batch.js';
import { batchStage } from '../support/batch-stage.js';
import { until } from '../support/rig.js';

const ROWS_AT_ONCE = 20;
const stage = batchStage({ concurrency: ROWS_AT_ONCE });

const rowsOf = (name: string, count: number): BatchRow[] =>
  Array.from({ length: count }, (_, n) => ({ id: `${name}-${n}`, turns: [`${name}: question ${n}?`] }));

/** Of which batch each exchange is, in the order of their beginnings. */
const sent = (): string[] => {
  const { exchanges, running } = stage.rig.simulator.ledger();
  return [...exchanges, ...running]
    .sort((one, other) => Date.parse(one.startedAt) - Date.parse(other.startedAt))
    .map(({ text }) => text.split(':')[0] ?? '');
};

const countOf = (name: string, names: readonly string[]): number => names.filter((one) => one === name).length;

afterEach(async () => {
  const { client, simulator } = stage.rig;
  await openAgent(client, simulator.agentRid);
});

test.each([
  ['lanes', {}],
  ['rows that are runs of their own', { isolation: 'workflow' }],
] as const)('two batches of one agent share what it lets in by their weights: %s', async (_, more) => {
  const { rig, submission } = stage;
  const { client, simulator } = rig;
  const { agentRid } = simulator;
  simulator.changeSettings({ answerLatencyMs: 400 });
  await setLimits(client, agentRid, { maxConcurrency: 4 });
  const begin = async (name: string, settings: Partial<BatchSubmission>): Promise<string> => {
    const { batchId } = await submitBatch(client, submission(rowsOf(name, 100), { ...more, ...settings }));
    await until(`the ${name} one runs`, () => countOf(name, sent()) >= 4);
    return batchId;
  };
  const light = await begin('light', {});
  const heavy = await begin('heavy', { weight: 3 });

  // Closed until each has as many rows waiting as it may have: what is let in next is then a matter of weights alone.
  await closeAgent(client, agentRid);
  await until('all that may wait, wait', async () => {
    const { inFlight, waiting } = (await describeLimits(client, agentRid)).totals;
    return inFlight === 0 && waiting === 2 * ROWS_AT_ONCE;
  });
  const before = sent().length;
  await openAgent(client, agentRid);
  await until('some were let in', () => sent().length >= before + ROWS_AT_ONCE);
  const heavyOnes = countOf('heavy', sent().slice(before, before + ROWS_AT_ONCE));
  expect(Math.abs(heavyOnes - 15)).toBeLessThanOrEqual(2);

  for (const batchId of [light, heavy]) await cancelBatch(client, batchId);
  expect((await describeBatch(client, light)).settings).toMatchObject({ weight: 1 });
  expect((await describeBatch(client, heavy)).settings).toMatchObject({ weight: 3 });
  await until('the heavy one has ended', async () => {
    const { state } = (await describeBatch(client, heavy)).progress;
    return state === 'cancelled';
  });
  const again = await rerunBatch(client, heavy);
  expect((await describeBatch(client, again!.batchId)).settings).toMatchObject({ weight: 3 });
  await cancelBatch(client, again!.batchId);
});
