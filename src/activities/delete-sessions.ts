import { setMaxListeners } from 'node:events';
import type { Context } from '@temporalio/activity';
import type { DeleteSessionsInput } from '../protocol/activities.js';
import { DEFAULTS } from '../protocol/defaults.js';
import { failureClassOf, mayPass } from './exchange-failure.js';
import { startHeartbeat } from './heartbeat.js';
import type { LaneDependencies } from './lane-activities.js';

/** Heartbeat details: how many sessions, from the first, are done with. */
interface Progress {
  done: number;
}

/**
 * The body of `deleteSessions`. A failure that may pass ends the attempt, and the next one goes on from there; what is refused
 * for good is left. Deleting a session again changes nothing.
 */
export async function deleteSessions(
  { api }: Pick<LaneDependencies, 'api'>,
  { sessions, concurrency }: DeleteSessionsInput,
  context: Context,
): Promise<void> {
  const signal = context.cancellationSignal;
  setMaxListeners(0, signal);
  let done = (context.info.heartbeatDetails as Progress | undefined)?.done ?? 0;
  let refused = 0;
  const heartbeat = startHeartbeat(context, DEFAULTS.heartbeatThrottleMs.batch, (): Progress => ({ done }));
  const deleteOne = async ({ agentRid, sessionRid }: DeleteSessionsInput['sessions'][number]): Promise<void> => {
    try {
      await api.deleteSession({ agentRid, sessionRid, signal });
    } catch (error) {
      const failureClass = failureClassOf(error);
      if (signal.aborted || mayPass(failureClass)) throw error;
      if (failureClass !== 'expired') refused++;
    }
  };
  try {
    while (done < sessions.length) {
      const some = sessions.slice(done, done + concurrency);
      await Promise.all(some.map(deleteOne));
      done += some.length;
    }
  } finally {
    heartbeat.beat();
    heartbeat.stop();
  }
  if (refused > 0) context.log.warn('The agent refused to delete sessions', { refused, of: sessions.length });
}
