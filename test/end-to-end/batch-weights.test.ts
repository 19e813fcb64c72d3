import { afterEach, expect, test } from '@jest/globals';
import {
  type BatchSubmission,
  cancelBatch,
  closeAgent,
  describeBatch,
  describeLimits,
  openAgent,
  rerunBatch,
  setBatchWeight,
  setLimits,
  submitBatch,
} from '../../src/client/index.js';
import type { BatchRow } from '../../src/protocol/batch.js';
import { batchStage } from '../support/batch-stage.js';
import { until } from '../support/rig.js';

const ROWS = 100;
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

/**
 * Of the next 20 exchanges of two batches, how many are of the heavy one. The agent is closed until each has many rows waiting:
 * what is let in next is then a matter of weights alone.
 */
async function heavyOnesNext(): Promise<number> {
  const { client, simulator } = stage.rig;
  await closeAgent(client, simulator.agentRid);
  await until('many rows of both wait', async () => {
    const { inFlight, waiting } = (await describeLimits(client, simulator.agentRid)).totals;
    return inFlight === 0 && waiting >= 1.5 * ROWS_AT_ONCE;
  });
  const before = sent().length;
  await openAgent(client, simulator.agentRid);
  await until('some were let in', () => sent().length >= before + 20);
  return countOf('heavy', sent().slice(before, before + 20));
}

afterEach(async () => {
  const { client, simulator } = stage.rig;
  await openAgent(client, simulator.agentRid);
});

test.each([
  ['lanes', {}],
  ['rows that are runs of their own', { isolation: 'workflow' }],
] as const)('two batches of one agent share what it lets in by their weights: %s', async (isolation, more) => {
  const { rig, submission } = stage;
  const { client, simulator } = rig;
  const { agentRid } = simulator;
  simulator.changeSettings({ answerLatencyMs: 400 });
  await setLimits(client, agentRid, { maxConcurrency: 4 });
  const begin = async (name: string, settings: Partial<BatchSubmission>): Promise<string> => {
    const { batchId } = await submitBatch(client, submission(rowsOf(name, ROWS), { ...more, ...settings }));
    await until(`the ${name} one runs`, () => countOf(name, sent()) >= 4);
    return batchId;
  };
  const light = await begin('light', {});
  const heavy = await begin('heavy', { weight: 3 });
  // Rows that are runs of their own open theirs when they begin; the others all at first, which a closed agent would keep them from.
  if (isolation === 'lanes') await until('all sessions are open', () => stage.totals().sessionsCreated === 2 * ROWS);

  expect(Math.abs((await heavyOnesNext()) - 15)).toBeLessThanOrEqual(2);
  if (isolation === 'lanes') {
    await setBatchWeight(client, light, 9);
    await until('the light one gets three times as much', async () => Math.abs((await heavyOnesNext()) - 5) <= 2);
  } else await expect(setBatchWeight(client, light, 9)).rejects.toThrow('workflows of their own');

  for (const batchId of [light, heavy]) await cancelBatch(client, batchId);
  const { settings, control } = await describeBatch(client, light);
  expect([settings?.weight, control.weight]).toEqual([1, isolation === 'lanes' ? 9 : undefined]);
  expect((await describeBatch(client, heavy)).settings).toMatchObject({ weight: 3 });
  await until('the heavy one has ended', async () => {
    const { state } = (await describeBatch(client, heavy)).progress;
    return state === 'cancelled';
  });
  const again = await rerunBatch(client, heavy);
  expect((await describeBatch(client, again!.batchId)).settings).toMatchObject({ weight: 3 });
  await cancelBatch(client, again!.batchId);
});
