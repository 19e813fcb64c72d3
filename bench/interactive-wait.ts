import { setTimeout as delay } from 'node:timers/promises';
import type { ConversationHandle } from '../src/client/index.js';
import { median } from './distribution.js';
import type { Figure } from './figure.js';
import type { Installation } from './installation.js';
import { startCold, startLoad } from './limit-load.js';
import { madeQuestions } from './questions.js';
import { limitSettings, shareUsed, type UntoldLimit } from './untold-limit.js';

const ASKS = 20;
const CALL_MS = 1_000;
const WANTED = 100;
const ROWS = 2_000;
/** The batch has met the limit by then. */
const SETTLE_MS = 10_000;

/** What a full batch adds to the wait of an exchange in an open conversation, in units of one call's time. */
export async function interactiveFigures(
  installation: Installation,
  subject: string,
  limit: UntoldLimit,
): Promise<Figure[]> {
  await startCold(installation, {
    limits: limitSettings(limit),
    // As the batch's answers differ, they do not end all at once.
    answerLatencyMs: [0.7 * CALL_MS, 1.3 * CALL_MS],
  });
  const conversation = installation.client.conversation();
  // Opens the session.
  await askMs(conversation);
  const alone = await asks(conversation);
  const load = await startLoad(installation, { rows: madeQuestions(ROWS), wanted: WANTED });
  await delay(SETTLE_MS);
  const fromMs = Date.now();
  const beside = await asks(conversation);
  const span = { fromMs, toMs: Date.now() };
  const exchanges = await load.stop();
  await conversation.close();
  const added = (ms: number) => (ms - median(alone)) / CALL_MS;
  return [
    { subject, name: 'share of the limit used meanwhile', value: shareUsed(limit, exchanges, span, false), unit: '' },
    { subject, name: 'added wait, in calls, median', value: added(median(beside)), unit: '', aim: { atMost: 1 } },
    { subject, name: 'added wait, in calls, most', value: added(Math.max(...beside)), unit: '', aim: { atMost: 1 } },
  ];
}

async function asks(conversation: ConversationHandle): Promise<number[]> {
  const times: number[] = [];
  for (let ask = 0; ask < ASKS; ask++) times.push(await askMs(conversation));
  return times;
}

/** Time from handing a message in to having its answer. */
async function askMs(conversation: ConversationHandle): Promise<number> {
  const startedMs = performance.now();
  const { status } = await conversation.ask(`How far is it now? [takes ${CALL_MS}ms]`);
  if (status !== 'answered') throw new Error(`An exchange ended as ${status}`);
  return performance.now() - startedMs;
}
