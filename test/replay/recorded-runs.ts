import { randomUUID } from 'node:crypto';
import type { ConversationHandle, ConversationSettings } from '../../src/client/index.js';
import { batchWorkflowId, batchShardWorkflowId } from '../../src/protocol/batch.js';
import { collectResults, submitBatch } from '../../src/client/batch.js';
import { until, type Rig } from '../support/rig.js';

/** Runs one story against a rig; resolves with the ids of the workflows whose histories tell it. */
type Story = (rig: Rig) => Promise<string[]>;

const start = (rig: Rig, settings: ConversationSettings = {}): ConversationHandle =>
  rig.client.conversation(`recorded/${randomUUID()}`, settings);

/** Waits until a message of a conversation is at the agent, whose slow answers take two seconds. */
async function running(rig: Rig, text: string): Promise<void> {
  await until('it runs', () => rig.simulator.ledger().running.some((exchange) => exchange.text === text));
}

const slow = (what: string) => `[takes 2000ms] ${what}`;

/** The stories whose histories later code must keep replaying, by name. */
export const recordedRuns: Record<string, Story> = {
  async 'asked, submitted, titled, closed'(rig) {
    const handle = start(rig, { parameterInputs: { status: { type: 'string', value: 'open' } } });
    await handle.ask('Please [set status=shipped]');
    await handle.setTitle('Orders');
    const messageId = await handle.submit('By signal?');
    await until('it is answered', async () => (await handle.outcome(messageId)).state === 'finished');
    await handle.ask({ text: 'In one piece?', mode: 'blocking' });
    await handle.close();
    return [handle.id];
  },

  async 'rolled over'(rig) {
    const handle = start(rig, { maxExchangesPerRun: 2 });
    await handle.ask('One');
    await Promise.all(['two', 'three', 'four', 'five'].map((text) => handle.ask(text)));
    await handle.close();
    return [handle.id];
  },

  async 'cancelled, with an exchange that runs and one that waits'(rig) {
    const handle = start(rig);
    const text = slow('Cancelled?');
    const asked = [handle.ask(text)];
    await running(rig, text);
    asked.push(handle.ask('Never sent'));
    await until('it waits', async () => (await handle.status()).queue.length === 1);
    await handle.cancel();
    await Promise.all(asked);
    return [handle.id];
  },

  async 'interrupted, rolled back, cancelled with a response, refused'(rig) {
    const handle = start(rig);
    for (const whenBusy of ['interrupt', 'rollback'] as const) {
      const text = slow(`Before ${whenBusy}?`);
      const asked = handle.ask(text);
      await running(rig, text);
      await handle.submit({ messageId: `refused at ${whenBusy}`, text: 'Busy?', whenBusy: 'reject' });
      await handle.ask({ text: `After ${whenBusy}?`, whenBusy });
      await asked;
    }
    const text = slow('Cancelled with a response?');
    const asked = handle.ask(text);
    await running(rig, text);
    await handle.cancelExchange({ response: 'Never mind.' });
    await asked;
    await handle.close();
    return [handle.id];
  },

  async 'expired, and then too full for its session'(rig) {
    const handle = start(rig);
    const { sessionRid } = await handle.ask('Remember this.');
    rig.simulator.expireSession(sessionRid ?? '');
    await handle.ask('Do you remember?');
    rig.simulator.changeSettings({ contextSizeTokens: 400 });
    await handle.ask('word '.repeat(150));
    rig.simulator.changeSettings({ contextSizeTokens: 128_000 });
    await handle.close();
    return [handle.id];
  },

  async 'out of time, then failed for good, then idle'(rig) {
    const handle = start(rig, { exchangeTimeoutMs: 1_500, idleTimeoutMs: 1_000 });
    await handle.ask('[takes 9000ms] Too slow?');
    rig.simulator.setFaults([
      { operation: 'streamingContinue', times: 1, fault: { kind: 'error', errorName: 'AgentIterationsExceededLimit' } },
    ]);
    await handle.ask('Too hard?');
    return [handle.id];
  },

  async 'one shot of two turns'(rig) {
    const turns = ['a', 'b'].map((messageId) => ({ messageId, text: `Turn ${messageId}` }));
    const handle = await rig.client.startConversation({ id: `recorded/${randomUUID()}`, turns });
    return [handle.id];
  },

  async 'a batch'(rig) {
    const batchId = `recorded-${randomUUID()}`;
    const { agentRid } = rig.simulator;
    const rows = [
      { id: 'q1', turns: ['One?', 'And then?'] },
      { id: 'q2', turns: ['Two?'] },
      { id: 'q3', turns: ['3?'] },
    ];
    await submitBatch(rig.client, { batchId, agentRid, rows, mode: 'streaming', concurrency: 2 });
    await collectResults(rig.client, batchId, { write: () => undefined });
    return [batchWorkflowId(batchId), batchShardWorkflowId(batchId, 0)];
  },
};
