import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll } from '@jest/globals';
import type { BatchSubmission } from '../../src/client/batch.js';
import type { BatchRow } from '../../src/protocol/batch.js';
import { startRig, type Rig } from './rig.js';

/** What the tests of batches in one file have in common. */
export interface BatchStage {
  /** Of the file; there from `beforeAll` on. */
  readonly rig: Rig;
  /** A batch of the simulator's agent, under an id of its own. */
  readonly submission: (rows: BatchRow[], more?: Partial<BatchSubmission>) => BatchSubmission;
  readonly totals: () => ReturnType<Rig['simulator']['summary']>['totals'];
}

/** Sets up a rig for a test file, and puts its simulator back into order after each test. */
export function batchStage(settings: Partial<BatchSubmission>): BatchStage {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig();
  });
  afterAll(() => rig.close());
  afterEach(() => {
    rig.simulator.changeSettings({ answerLatencyMs: 0, limits: {} });
    rig.simulator.setFaults([]);
    rig.simulator.reset();
  });
  return {
    get rig() {
      return rig;
    },
    submission: (rows, more = {}) => ({
      batchId: `test-${randomUUID()}`,
      agentRid: rig.simulator.agentRid,
      rows,
      ...settings,
      ...more,
    }),
    totals: () => rig.simulator.summary().totals,
  };
}

/** Rows of one question each. */
export const questions = (count: number): BatchRow[] =>
  Array.from({ length: count }, (_, n) => ({ id: `q${n}`, turns: [`Question ${n}: what is ${n} and one?`] }));
