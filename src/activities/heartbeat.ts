import type { Context } from '@temporalio/activity';

/** A heartbeat that beats by itself. */
export interface Heartbeat {
  /** Beats now, besides the timer; right before a throw it carries the last word to the next attempt. */
  beat(): void;
  stop(): void;
}

/**
 * Beats on a timer, not on data: how soon an activity hears of a cancel, and how soon its death is noticed, must not hang
 * on what the agent sends.
 *
 * @param intervalMs At most the worker's throttle, or cancels come later than they could.
 * @param details Read at each beat.
 */
export function startHeartbeat(context: Context, intervalMs: number, details: () => unknown): Heartbeat {
  const beat = () => context.heartbeat(details());
  beat();
  const timer = setInterval(beat, intervalMs);
  return { beat, stop: () => clearInterval(timer) };
}
