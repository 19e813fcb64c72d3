import { exchangeProgress } from '../src/client/index.js';
import { insist } from './clock.js';
import type { Stage } from './conversation-actor.js';
import { markerOf } from './conversation-plan.js';
import type { Random } from './random.js';

/** A conversation that was terminated in the middle of an answer which would go on for long. */
export interface TerminatedStory {
  marker: string;
  /** Milliseconds since the epoch. */
  terminatedMs: number;
}

const ANSWER_MS = 10 * 60_000;
const MOST_ATTEMPTS = 200;

/** Begins conversation number `n`, terminates it once its exchange is at the agent, and tells when. */
export async function playTerminated({ aip, clock, done }: Stage, random: Random, n: number): Promise<TerminatedStory> {
  const marker = markerOf(`t ${n}`);
  const handle = aip.conversation(`chaos/terminated-${n}`);
  const never = () => false;
  const text = `[takes ${ANSWER_MS}ms] Who ends this? ${marker}`;
  await insist('submit', () => handle.submit({ messageId: `t-${n}`, text, mode: 'streaming' }), never);
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const { pendingActivities } = await insist('describe', () => handle.describe(), never);
    if (pendingActivities.some((activity) => (exchangeProgress(activity)?.sends ?? 0) > 0)) break;
    if (!(await clock.wait(100))) break;
  }
  await clock.wait(random.whole(0, 2_000));
  await insist('terminate', () => handle.terminate('chaos'), never);
  done.terminates++;
  return { marker, terminatedMs: Date.now() };
}
