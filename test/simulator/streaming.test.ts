import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { simulatedAnswer, startSimulator } from '../../src/simulator/index.js';
import type { Simulator } from '../../src/simulator/index.js';
import { pieceEnds } from '../../src/simulator/stream.js';
import { openSession, readContent, stream, until } from './support.js';

describe('streamingContinue', () => {
  let simulator: Simulator;
  let sessionRid: string;

  beforeAll(async () => {
    simulator = await startSimulator();
  });
  afterAll(() => simulator.close());
  beforeEach(async () => {
    simulator.reset();
    simulator.changeSettings({ answerLatencyMs: 0, streamingPaceMs: 0, contentLagMs: 0 });
    sessionRid = await openSession(simulator);
  });

  /** The pieces of an answer as they come off the wire: fetch would join those of one packet. */
  function pieces(text: string): Promise<Buffer[]> {
    return new Promise((resolve, reject) => {
      const path = `/api/v2/aipAgents/agents/${simulator.agentRid}/sessions/${sessionRid}/streamingContinue?preview=true`;
      const headers = { authorization: `Bearer ${simulator.token}`, 'content-type': 'application/json' };
      const sent = request(`${simulator.url}${path}`, { method: 'POST', headers }, (response) => {
        const received: Buffer[] = [];
        response.on('data', (piece: Buffer) => received.push(piece));
        response.on('end', () => resolve(received));
        response.on('error', reject);
      });
      sent.on('error', reject);
      sent.end(JSON.stringify({ userInput: { text } }));
    });
  }

  test('streams the answer that simulatedAnswer() computes, as application/octet-stream', async () => {
    const response = await stream(simulator, sessionRid, 'Where is my order?');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(await response.text()).toBe(simulatedAnswer({ text: 'Where is my order?', agentVersion: '2.0', turn: 1 }));
  });

  test.each([0, 250])('cuts inside characters when an answer takes %d ms', async (answerLatencyMs) => {
    simulator.changeSettings({ answerLatencyMs });
    const received = await pieces('Where is 漢字?');
    expect(received.length).toBeGreaterThan(1);
    const decodedOneByOne = received.map((piece) => new TextDecoder().decode(piece)).join('');
    expect(decodedOneByOne).toContain('\ufffd');
    expect(Buffer.concat(received).toString()).toBe(
      simulatedAnswer({ text: 'Where is 漢字?', agentVersion: '2.0', turn: 1 }),
    );
  });

  test('pieceEnds() covers every byte once, in order, for any number of pieces', () => {
    const bytes = Buffer.from(simulatedAnswer({ text: 'x [long 500]', agentVersion: '1.0', turn: 2 }));
    for (let count = 1; count < 200; count++) {
      const ends = pieceEnds(bytes, count);
      expect(ends.at(-1)).toBe(bytes.length);
      expect(Math.min(...ends)).toBeGreaterThan(0);
    }
  });

  test('paces long answers by their bytes', async () => {
    simulator.changeSettings({ streamingPaceMs: 5, streamingChunkBytes: 16 });
    const received = await pieces('Tell me [long 400]');
    expect(received.length).toBeGreaterThan(5);
    const [exchange] = simulator.ledger().exchanges;
    expect(Date.parse(exchange?.endedAt ?? '') - Date.parse(exchange?.startedAt ?? '')).toBeGreaterThanOrEqual(100);
  });

  test('lets an exchange go on and land when its client leaves', async () => {
    const leaving = new AbortController();
    await stream(simulator, sessionRid, 'Where? [takes 1s]', {}, leaving.signal);
    leaving.abort();
    await until('the client is gone', () => simulator.ledger().totals.clientsLeft === 1);
    expect(simulator.ledger().running).toHaveLength(1);
    await until('the exchange landed', () => simulator.ledger().totals.landed === 1);
    expect(await readContent(simulator, sessionRid)).toHaveLength(1);
  });

  test('shows an exchange in the content only after the lag', async () => {
    simulator.changeSettings({ contentLagMs: 1000 });
    await (await stream(simulator, sessionRid, 'Where?')).text();
    expect(simulator.ledger().totals.landed).toBe(1);
    expect(await readContent(simulator, sessionRid)).toEqual([]);
    await until('the exchange shows', async () => (await readContent(simulator, sessionRid)).length === 1);
  });

  test('takes the time that the text picks from a range, and creating a session its own', async () => {
    simulator.changeSettings({ answerLatencyMs: [100, 200], createLatencyMs: 100 });
    const started = Date.now();
    sessionRid = await openSession(simulator);
    expect(Date.now() - started).toBeGreaterThanOrEqual(95);
    await (await stream(simulator, sessionRid, 'Where?')).text();
    const [exchange] = simulator.ledger().exchanges;
    expect(Date.parse(exchange?.endedAt ?? '') - Date.parse(exchange?.startedAt ?? '')).toBeGreaterThanOrEqual(95);
    simulator.changeSettings({ createLatencyMs: 0 });
  });

  test('streams a text of directives for as long as it says, and of the length it says', async () => {
    const started = Date.now();
    const text = await (await stream(simulator, sessionRid, 'Report [takes 0.4s] [long 20000]')).text();
    expect(text.length).toBeGreaterThanOrEqual(20_000);
    expect(Date.now() - started).toBeGreaterThanOrEqual(390);
  });
});
