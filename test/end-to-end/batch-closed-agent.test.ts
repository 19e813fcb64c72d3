import { afterEach, expect, test } from '@jest/globals';
import { cancelBatch, closeAgent, openAgent, submitBatch, watchBatch } from '../../src/client/index.js';
import { CLOSED_AGENT_WAIT } from '../../src/protocol/limits.js';
import { batchStage, questions } from '../support/batch-stage.js';

const stage = batchStage({ concurrency: 5 });

afterEach(async () => {
  const { client, simulator } = stage.rig;
  await openAgent(client, simulator.agentRid);
});

test.each(['lane', 'workflow'] as const)(
  'a batch promises no end while its agent is closed, and one again when it is open: isolation %s',
  async (isolation) => {
    const { client, simulator } = stage.rig;
    const { agentRid } = simulator;
    simulator.changeSettings({ answerLatencyMs: 100 });
    const { batchId } = await submitBatch(client, stage.submission(questions(2_000), { isolation }));
    let phase: 'before' | 'closed' | 'opened' = 'before';
    for await (const progress of watchBatch(client, batchId, { intervalMs: 50 })) {
      const { waitingFor, etaSeconds } = progress;
      if (phase === 'before' && etaSeconds !== undefined) {
        await closeAgent(client, agentRid);
        phase = 'closed';
      } else if (phase === 'closed' && waitingFor === CLOSED_AGENT_WAIT) {
        expect(progress).not.toHaveProperty('etaSeconds');
        await openAgent(client, agentRid);
        phase = 'opened';
      } else if (phase === 'opened' && waitingFor !== CLOSED_AGENT_WAIT && etaSeconds !== undefined) break;
    }
    expect(phase).toBe('opened');
    await cancelBatch(client, batchId);
  },
);
