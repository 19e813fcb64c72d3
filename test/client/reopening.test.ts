import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AipClient } from '../../src/client/index.js';
import { connectToTemporal } from '../../src/client/connection.js';
import { startRig, type Rig } from '../support/rig.js';
import { temporalServer } from '../support/temporal-server.js';

/**
 * Two callers find a conversation ended. One of them begins it again, is answered, and closes it; only then does the other, who
 * has looked before, go on.
 */
describe('a conversation that two callers begin again with the same message', () => {
  let rig: Rig;
  let late: AipClient;
  /** What happens before the late caller starts anything. */
  let meanwhile: () => Promise<void>;
  beforeAll(async () => {
    rig = await startRig();
    const { address, namespace } = await temporalServer();
    const client = await connectToTemporal({ connection: { address }, namespace });
    late = new AipClient({ client, taskQueue: rig.taskQueue, agentRid: rig.simulator.agentRid });
    const { workflow } = client;
    for (const name of ['start', 'startUpdateWithStart', 'signalWithStart'] as const) {
      const call = workflow[name].bind(workflow) as (...given: unknown[]) => Promise<unknown>;
      const delayed = async (...given: unknown[]) => {
        await meanwhile();
        return call(...given);
      };
      Object.assign(workflow, { [name]: delayed });
    }
  });
  afterAll(async () => {
    await late.close();
    await rig.close();
  });

  const once = (work: () => Promise<void>) => {
    let done: Promise<void> | undefined;
    return () => (done ??= work());
  };

  async function begunAgain(hadRun: boolean): Promise<{ id: string; messageId: string; text: string }> {
    const [id, messageId] = [`test/${randomUUID()}`, randomUUID()];
    const text = `Again? ${messageId}`;
    const early = rig.client.conversation(id);
    if (hadRun) {
      await early.ask('First?');
      await early.close();
      await early.result();
    }
    meanwhile = once(async () => {
      await early.ask({ text, messageId });
      await early.close();
      await early.result();
    });
    return { id, messageId, text };
  }

  const landed = (text: string) =>
    rig.simulator.ledger().exchanges.filter((exchange) => exchange.text === text && exchange.status === 'landed');

  test.each([[true], [false]])('is asked it once by ask (it had run before: %p)', async (hadRun) => {
    const { id, messageId, text } = await begunAgain(hadRun);
    const answer = await late.conversation(id).ask({ text, messageId });
    expect(answer.messageId).toBe(messageId);
    expect(landed(text)).toHaveLength(1);
  });

  test.each([[true], [false]])('is asked it once by submit (it had run before: %p)', async (hadRun) => {
    const { id, messageId, text } = await begunAgain(hadRun);
    await late.conversation(id).submit({ text, messageId });
    await rig.client.conversation(id).ask('Last?');
    expect(landed(text)).toHaveLength(1);
  });
});
