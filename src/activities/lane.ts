import type { Context } from '@temporalio/activity';
import type { LaneInput, LaneProgress, LaneResult } from '../protocol/activities.js';
import { DEFAULTS } from '../protocol/defaults.js';
import { type BatchWatches, type JoinedWatch, tellBatchOfLostShard } from './batch-watch.js';
import { startHeartbeat } from './heartbeat.js';
import type { LaneDependencies } from './lane-activities.js';
import { LanePool } from './lane-pool.js';
import type { LaneTurns } from './lane-turns.js';
import { handedBack, isFirstAttempt, stopAction } from './stop-action.js';

/** The body of `runLane`: the pool runs until it is done or the activity is stopped, and then the reason decides. */
export async function runLane(
  {
    exchangeProtocol,
    watches,
    turns,
  }: Pick<LaneDependencies, 'exchangeProtocol'> & { watches: BatchWatches; turns: LaneTurns },
  input: LaneInput,
  context: Context,
): Promise<LaneResult> {
  const { info, cancellationSignal } = context;
  const traceNumbers = (info.heartbeatDetails as LaneProgress | undefined)?.traceNumbers ?? {};
  let watch: JoinedWatch | undefined;
  const pool = new LanePool(
    exchangeProtocol,
    input,
    { mayHaveRun: !isFirstAttempt(info), traceNumbers },
    () => watch?.reached() !== undefined,
  );
  const stop = new AbortController();
  const heartbeat = startHeartbeat(context, DEFAULTS.heartbeatThrottleMs.batch, () => pool.progress());
  const leaveTurns = turns.join(context, pool);
  try {
    const stopped = whenAborted(cancellationSignal);
    watch = await watches.join(context, input, pool);
    // An attempt may start already cancelled: then nothing may be sent.
    const work = cancellationSignal.aborted ? Promise.resolve() : pool.run(stop.signal, watch.places);
    await Promise.race([work, stopped]);
    if (!cancellationSignal.aborted) {
      // Before the batch knows, it would only begin another lane.
      if (watch.reached() !== undefined) await watch.untilStopIsHeard();
      return pool.result();
    }
    const action = await stopAction(context);
    stop.abort(cancellationSignal.reason);
    await work;
    switch (action) {
      case 'cancelAtAgent':
        await pool.cancelAtAgent();
        return pool.result();
      case 'cancelUnheard':
        await pool.cancelAtAgent();
        await tellBatchOfLostShard(context, input);
        break;
      case 'cancelAndRestart':
        await pool.cancelAtAgent();
        break;
      case 'leaveRunning':
      case 'stopQuietly':
        break;
    }
    heartbeat.beat();
    throw handedBack(`Stopped (${action}): the next attempt goes on with the rows in flight`);
  } finally {
    leaveTurns();
    watch?.leave();
    heartbeat.stop();
  }
}

/**
 * The body of `cancelLane`, the shard's own clean-up after a lane that could not end its rows itself: ends at the agent whatever
 * it may have begun, and tells how its rows ended. Safe to run twice, and beside the lane.
 */
export async function cancelLane(
  { exchangeProtocol }: Pick<LaneDependencies, 'exchangeProtocol'>,
  input: LaneInput,
  context: Context,
): Promise<LaneResult> {
  const pool = new LanePool(exchangeProtocol, input, { mayHaveRun: true, traceNumbers: {} });
  const heartbeat = startHeartbeat(context, DEFAULTS.heartbeatThrottleMs.batch, () => pool.progress());
  try {
    await pool.cancelAtAgent();
    return pool.result();
  } finally {
    heartbeat.stop();
  }
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
