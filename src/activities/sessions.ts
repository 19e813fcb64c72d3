import { Context } from '@temporalio/activity';
import type { AgentsApi } from '../agents-api/client.js';
import { AgentsApiError } from '../agents-api/errors.js';
import type { CreatedSession, CreateSessionInput, GetContentInput, UpdateTitleInput } from '../protocol/activities.js';
import { DEFAULTS } from '../protocol/defaults.js';
import { applicationFailure } from './application-failure.js';
import {
  ExchangeFailure,
  exchangeErrorOf,
  failureClassOf,
  newExchangeMemory,
  retryAfterOf,
  retryDecision,
  type ExchangeMemory,
} from './exchange-failure.js';
import { startHeartbeat } from './heartbeat.js';

/** The activities about sessions as such. A create whose answer was lost costs an empty session, never an exchange. */
export function createSessionActivities({ api }: { api: AgentsApi }) {
  return {
    /** Opens a session. AIP Agents v2: Create Session. */
    createSession: (input: CreateSessionInput): Promise<CreatedSession> =>
      withRetryCounts(async (signal) => {
        const { agentRid, agentVersion, title } = input;
        const session = await api.createSession({
          agentRid,
          ...(agentVersion !== undefined && { agentVersion }),
          signal,
        });
        if (title !== undefined) await setTitle(api, { agentRid, sessionRid: session.rid, title }, signal);
        const expires = session.metadata.estimatedExpiresTime;
        return {
          sessionRid: session.rid,
          ...(session.agentVersion !== undefined && { agentVersion: session.agentVersion }),
          ...(expires !== undefined && { estimatedExpiresTime: expires }),
        };
      }),
    /** How much a session holds. AIP Agents v2: Get Content. */
    getContent: (input: GetContentInput): Promise<{ exchangeCount: number }> =>
      withRetryCounts(async (signal) => {
        const exchanges = await api.getContent({ ...input, signal });
        return { exchangeCount: exchanges.length };
      }),
    /** Sets the title by which people recognise a session in AIP. AIP Agents v2: Update Session Title. */
    updateTitle: (input: UpdateTitleInput): Promise<void> => withRetryCounts((signal) => setTitle(api, input, signal)),
  };
}

/** A title is an extra: a server of the five-page API knows no such operation, and the session is worth more. */
async function setTitle(api: AgentsApi, input: UpdateTitleInput, signal: AbortSignal): Promise<void> {
  try {
    await api.updateTitle({ ...input, signal });
  } catch (error) {
    if (!(error instanceof AgentsApiError)) throw error;
    Context.current().log.warn('The title of a session could not be set', { error: error.message });
  }
}

/**
 * Runs a call, and hands a failure to Temporal with its class; the counts per class ride in the heartbeat details. It beats, so
 * that a dead worker's call is made again soon.
 */
async function withRetryCounts<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const context = Context.current();
  const memory: ExchangeMemory = {
    ...newExchangeMemory(),
    ...(context.info.heartbeatDetails as ExchangeMemory | undefined),
  };
  const heartbeat = startHeartbeat(context, DEFAULTS.heartbeatThrottleMs.interactive, () => memory);
  try {
    return await call(context.cancellationSignal);
  } catch (error) {
    if (context.cancellationSignal.aborted) throw context.cancellationSignal.reason;
    const failureClass = failureClassOf(error);
    if (failureClass === 'wait') memory.waits++;
    else memory.transientFailures++;
    heartbeat.beat();
    const failure = new ExchangeFailure(failureClass, exchangeErrorOf(error), memory, retryAfterOf(error));
    throw applicationFailure(failure, retryDecision(failure));
  } finally {
    heartbeat.stop();
  }
}
