import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { collectResults, submitBatch } from '../../src/client/batch.js';
import type { BatchRow, RowOutcome } from '../../src/protocol/batch.js';
import { startRig, until, type Rig } from '../support/rig.js';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.js';

let rig: Rig;
let worker: WorkerProcess | undefined;
beforeAll(async () => {
  rig = await startRig({ worker: false, simulator: { answerLatencyMs: [50, 1_500] } });
});
afterEach(() => worker?.kill());
afterAll(() => rig.close());

const landed = () => rig.simulator.summary().totals.landed;

describe('a batch whose worker is killed', () => {
  test.each([
    ['streaming', [0.2, 0.5]],
    ['blocking', [0.4]],
  ] as const)('while rows run has each answered once (%s)', async (mode, kills) => {
    rig.simulator.reset();
    const rows: BatchRow[] = Array.from({ length: 60 }, (_, n) => ({
      id: `q${n}`,
      turns: n % 4 === 0 ? [`${mode} ${n}?`, `And ${n}?`] : [`${mode} ${n}?`],
    }));
    const exchanges = rows.reduce((sum, { turns }) => sum + turns.length, 0);
    const batchId = `test-${randomUUID()}`;
    const { agentRid } = rig.simulator;
    await submitBatch(rig.client, { batchId, agentRid, rows, mode, concurrency: 20 });
    const outcomes: RowOutcome[] = [];
    const collecting = collectResults(rig.client, batchId, { write: (some) => void outcomes.push(...some) });
    for (const part of kills) {
      worker = await startWorkerProcess(rig);
      await until('a part is answered', () => landed() >= exchanges * part);
      await worker.kill();
    }
    worker = await startWorkerProcess(rig);
    await collecting;
    expect(outcomes.map(({ result }) => result.status)).toEqual(Array(60).fill('succeeded'));
    for (const { row, result } of outcomes) expect(result.exchanges).toHaveLength(row.turns.length);
    const { totals, duplicateCounts } = rig.simulator.summary();
    expect({ landed: totals.landed, running: totals.inFlight, ...duplicateCounts }).toEqual({
      landed: exchanges,
      running: 0,
      messageId: 0,
      text: 0,
    });
  });
});
