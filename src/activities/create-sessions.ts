import { setMaxListeners } from 'node:events';
import type { Context } from '@temporalio/activity';
import type { CreateSessionsInput, CreateSessionsProgress, CreateSessionsResult } from '../protocol/activities.js';
import { endOfLeftRows } from '../protocol/batch.js';
import { DEFAULTS } from '../protocol/defaults.js';
import type { AcquireInput, Wait } from '../governor/index.js';
import type { Flow } from '../protocol/limits.js';
import type { ExchangeError } from '../protocol/exchange.js';
import {
  ExchangeFailure,
  exchangeErrorOf,
  failureClassOf,
  isRefusedByLimit,
  newExchangeMemory,
  retryDecision,
} from './exchange-failure.js';
import { startHeartbeat } from './heartbeat.js';
import type { LaneDependencies } from './lane-activities.js';
import { limitWords } from './limit-words.js';
import { handedBack, stopAction } from './stop-action.js';
import { sleep } from './sleep.js';

type Opened = CreateSessionsResult['sessions'][number];
type Row = CreateSessionsInput['rows'][number];
/** What calls wait for at the governor. */
type Waits = Set<Wait>;
type SessionDependencies = Pick<LaneDependencies, 'api' | 'governor'>;

/** The body of `createSessions`: a pool that opens one session per row. */
export async function createSessions(
  dependencies: SessionDependencies,
  input: CreateSessionsInput,
  context: Context,
): Promise<CreateSessionsResult> {
  const earlier = context.info.heartbeatDetails as CreateSessionsProgress | undefined;
  const sessions: (Opened | null)[] = input.rows.map((_, position) => earlier?.sessions[position] ?? null);
  const beatMs = DEFAULTS.heartbeatThrottleMs.batch;
  const waits: Waits = new Set();
  const heartbeat = startHeartbeat(context, beatMs, (): CreateSessionsProgress => ({ sessions, ...toldOf(waits) }));
  // An agent that refuses one session for good refuses them all: asking 200 times helps nobody.
  const refusals = new Map<string, ExchangeError>();
  const rows = input.rows.entries();
  const flow: Flow = { key: input.batchId, weight: input.weight ?? 1 };
  const signal = context.cancellationSignal;
  // Every call in flight listens.
  setMaxListeners(0, signal);
  const openNext = async () => {
    for (const [position, row] of rows) {
      if (sessions[position] != null) continue;
      if (row.deadline !== undefined && Date.parse(row.deadline) <= Date.now()) {
        sessions[position] = { error: endOfLeftRows('deadline').error };
        continue;
      }
      const agent = `${row.agentRid} ${row.agentVersion ?? ''}`;
      const refusal = refusals.get(agent);
      if (refusal !== undefined) {
        sessions[position] = { error: refusal };
        continue;
      }
      const opened = await openSession(dependencies, row, flow, waits, signal);
      if ('sessionRid' in opened) {
        sessions[position] = opened;
      } else {
        sessions[position] = { error: opened.error };
        if (opened.isFinal) refusals.set(agent, opened.error);
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.max(1, input.concurrency) }, openNext));
    return { sessions: sessions.filter((opened) => opened !== null) };
  } catch (error) {
    if (!signal.aborted) throw error;
    const action = await stopAction(context);
    heartbeat.beat();
    // Open sessions hold nothing: whoever cancels leaves them to expire.
    throw action === 'cancelAtAgent'
      ? signal.reason
      : handedBack(`Stopped (${action}): the next attempt opens the missing sessions`);
  } finally {
    heartbeat.stop();
  }
}

/** Opens one session, trying again as failures ask for. `isFinal`: the agent, not this call, is at fault. */
async function openSession(
  dependencies: SessionDependencies,
  row: Row,
  flow: Flow,
  waits: Waits,
  signal: AbortSignal,
): Promise<{ sessionRid: string } | { error: ExchangeError; isFinal: boolean }> {
  const memory = newExchangeMemory();
  for (;;) {
    signal.throwIfAborted();
    try {
      const sessionRid = await openOnce(dependencies, row, flow, waits, signal);
      if (row.title !== undefined) await setTitle(dependencies, row.agentRid, sessionRid, row.title, signal);
      return { sessionRid };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const failureClass = failureClassOf(error);
      if (failureClass === 'wait') memory.waits++;
      else memory.transientFailures++;
      const failure = new ExchangeFailure(failureClass, exchangeErrorOf(error), memory, retryAfterMsOf(error));
      const decision = retryDecision(failure);
      if (decision === 'final') return { error: failure.error, isFinal: failureClass === 'giveUp' };
      await sleep(decision.retryAfterMs, signal);
    }
  }
}

async function openOnce(
  { api, governor }: SessionDependencies,
  row: Row,
  flow: Flow,
  waits: Waits,
  signal: AbortSignal,
): Promise<string> {
  const { agentRid, agentVersion } = row;
  const permit = await acquire(governor, { agentRid, flow, signal }, waits);
  try {
    const { rid } = await api.createSession({ agentRid, ...(agentVersion !== undefined && { agentVersion }), signal });
    permit.release('ok');
    return rid;
  } catch (error) {
    permit.release(isRefusedByLimit(error) ? 'refused' : 'other', retryAfterMsOf(error));
    throw error;
  }
}

/** Its wait for the governor is among `waits` meanwhile. */
async function acquire(
  governor: LaneDependencies['governor'],
  call: Pick<AcquireInput, 'agentRid' | 'flow' | 'signal'>,
  waits: Waits,
) {
  let told: Wait | undefined;
  const tell = (wait?: Wait) => {
    if (told !== undefined) waits.delete(told);
    if (wait !== undefined) waits.add(wait);
    told = wait;
  };
  try {
    return await governor.acquire({ ...call, kind: 'session', priority: 'batch', onWait: (wait) => tell({ ...wait }) });
  } finally {
    tell();
  }
}

/** Of several the first: one at a time is enough to tell why nothing moves. */
function toldOf([wait]: Waits): Pick<CreateSessionsProgress, 'waitingFor' | 'waitingUntil'> {
  if (wait === undefined) return {};
  const { untilMs } = wait;
  return {
    waitingFor: limitWords(wait),
    ...(untilMs !== undefined && { waitingUntil: new Date(untilMs).toISOString() }),
  };
}

async function setTitle(
  { api }: SessionDependencies,
  agentRid: string,
  sessionRid: string,
  title: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await api.updateTitle({ agentRid, sessionRid, title, signal });
  } catch {
    // A title is for people who browse; a session without one answers as well, and a server may not know titles.
    signal.throwIfAborted();
  }
}

function retryAfterMsOf(error: unknown): number | undefined {
  return error instanceof Error && 'retryAfterMs' in error && typeof error.retryAfterMs === 'number'
    ? error.retryAfterMs
    : undefined;
}
