import type { Context } from '@temporalio/activity';
import { DEFAULTS } from '../protocol/defaults.js';

/**
 * Beats on a timer, so that a cancellation is heard of and a death noticed however silent the agent is. The first beat is
 * at once: it makes the details visible.
 *
 * @param details Read at each beat.
 * @returns Stops the timer; with one last beat, which is flushed when the activity then fails.
 */
export function startHeartbeat(context: Context, details: () => unknown): () => void {
  const everyMs = Math.min(1_000, (context.info.heartbeatTimeoutMs ?? DEFAULTS.heartbeatTimeoutMs.batch) / 2);
  const beat = () => context.heartbeat(details());
  beat();
  const timer = setInterval(beat, everyMs);
  return () => {
    clearInterval(timer);
    beat();
  };
}
