import { expect, test } from '@jest/globals';
import { type BatchSubmission, cancelBatch, describeBatch, rerunBatch, submitBatch } from '../../src/client/batch.js';
import type { BatchRow } from '../../src/protocol/batch.js';
import { batchStage } from '../support/batch-stage.js';
import { until } from '../support/rig.js';

const stage = batchStage({ concurrency: 20 });

const rowsOf = (name: string, count: number): BatchRow[] =>
  Array.from({ length: count }, (_, n) => ({ id: `${name}-${n}`, turns: [`${name}: question ${n}?`] }));

/** Of which batch each answer is, in the order of their landing. */
const landings = (): string[] =>
  stage.rig.simulator
    .ledger()
    .exchanges.filter(({ status }) => status === 'landed')
    .map(({ text }) => text.split(':')[0] ?? '');

const countOf = (name: string, names: readonly string[]): number => names.filter((one) => one === name).length;

// Runs of their own take Temporal a while: with short answers too few of them would wait.
test.each([
  ['lanes', {}, 400, 45],
  ['rows that are runs of their own', { isolation: 'workflow' }, 1_000, 24],
] as const)(
  'two batches of one agent share what it lets in by their weights: %s',
  async (_, more, answerLatencyMs, heavyLandings) => {
    const { rig, submission } = stage;
    rig.simulator.changeSettings({ answerLatencyMs, limits: { concurrent: 4 } });
    const begin = async (name: string, settings: Partial<BatchSubmission>): Promise<string> => {
      const { batchId } = await submitBatch(rig.client, submission(rowsOf(name, 100), { ...more, ...settings }));
      return batchId;
    };
    const light = await begin('light', {});
    await until('the light one runs', () => countOf('light', landings()) >= 4);
    const heavy = await begin('heavy', { weight: 3 });
    await until('the heavy one runs', () => countOf('heavy', landings()) >= 4, 20_000);
    const before = landings().length;
    await until('the heavy one is far', () => countOf('heavy', landings().slice(before)) >= heavyLandings, 60_000);
    const both = landings().slice(before);
    const ratio = countOf('heavy', both) / countOf('light', both);
    expect(ratio).toBeGreaterThanOrEqual(2);
    expect(ratio).toBeLessThanOrEqual(4.5);

    for (const batchId of [light, heavy]) await cancelBatch(rig.client, batchId);
    expect((await describeBatch(rig.client, light)).settings).toMatchObject({ weight: 1 });
    expect((await describeBatch(rig.client, heavy)).settings).toMatchObject({ weight: 3 });
    await until('the heavy one has ended', async () => {
      const { state } = (await describeBatch(rig.client, heavy)).progress;
      return state === 'cancelled';
    });
    const again = await rerunBatch(rig.client, heavy);
    expect((await describeBatch(rig.client, again!.batchId)).settings).toMatchObject({ weight: 3 });
    await cancelBatch(rig.client, again!.batchId);
  },
);
