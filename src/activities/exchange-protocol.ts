/**
 * The exchange protocol: one user message lands at most once, and an answer that landed is found again.
 *
 * 1. A send carries `sessionTraceId` n. While nothing definite is known of it, the same n is sent again: the server itself
 *    refuses a second landing (contract, fact 5).
 * 2. n goes up only after a definite failure, since a failed call may have used its id up; and never while another send of
 *    the same n is unaccounted for.
 * 3. What became of a send is said by the session's content, never by a stream's end (contract, fact 6).
 * 4. An abort by the caller's signal touches nothing at the agent: who aborts decides what happens there (`cancel`).
 */
import type { AgentsApi } from '../agents-api/client.js';
import type { Governor, Wait } from '../governor/index.js';
import type { CancelExchangeResult } from '../protocol/activities.js';
import { LIMITS } from '../protocol/defaults.js';
import { API_ERRORS, type FailureClass } from '../protocol/failures.js';
import { createExchangeCancel, EARLIER_SEND_TOO_EARLY_MS } from './exchange-cancel.js';
import {
  ExchangeFailure,
  exchangeErrorOf,
  failureClassOf,
  hasErrorName,
  isRefusedByLimit,
  mayPass,
  retryAfterOf,
  type ExchangeMemory,
} from './exchange-failure.js';
import { observedProtocol, type ExchangeObserver } from './exchange-observer.js';
import { ExchangeHeldBack, type ExchangeHooks, type ExchangeRequest, type FoundExchange } from './exchange-request.js';
import { createExchangeSearch, createPatientSearch } from './exchange-search.js';
import { createExchangeSend, UnreadContentError } from './exchange-send.js';
import { createFollowBounds } from './follow-bounds.js';
import { limitWords } from './limit-words.js';
import { unlessHeld } from './holdable.js';
import { ProgressReport } from './progress-report.js';
import { sleep } from './sleep.js';

export { ExchangeHeldBack } from './exchange-request.js';
export type { ExchangeHooks, ExchangeRequest, FoundExchange } from './exchange-request.js';

/** What runs, finds and ends exchanges. One for a worker. */
export interface ExchangeProtocol {
  /**
   * One try: sends the message (or looks for it first, when it may have been sent) and resolves with the exchange as the
   * session holds it, however it came there.
   *
   * @param memory What earlier tries know; `newExchangeMemory()` for the first.
   * @throws ExchangeFailure with the failure's class and the memory for the next try (see `retryDecision`).
   * @throws The signal's reason when it is aborted; `ExchangeHeldBack` when it waited for the limits as `hold` was aborted.
   */
  run(request: ExchangeRequest, memory: ExchangeMemory, hooks: ExchangeHooks): Promise<FoundExchange>;
  /**
   * Ends the exchange at the agent, whatever its state, and says how it ended. Safe to run twice.
   *
   * @param response When present, the exchange is kept in the session with this text.
   * @param tooEarlyMs How long to try again when nothing shows that the exchange has begun. Default 10 s; 3 s since the
   *   last send for one that an earlier attempt may have sent.
   */
  cancel(
    request: ExchangeRequest,
    memory: ExchangeMemory,
    response?: string,
    tooEarlyMs?: number,
  ): Promise<CancelExchangeResult>;
}

/** Where RECONCILE ended, if not with the exchange found. */
type Verdict = FoundExchange | 'send';

/** A send that decided nothing: its answer was lost, or the server refused it as if there were one already. */
type Undecided = { lost: true } | { refusedBy: unknown };

/** Pause between looks at an exchange that goes on without us (milliseconds). */
const FOLLOW_PAUSE_MS = { first: 100, most: 1_000 };

const nextPauseMs = (pauseMs: number): number => Math.min(pauseMs * 2, FOLLOW_PAUSE_MS.most);

/** Pause between sends that the server refuses as if there were one already (milliseconds). */
const REFUSED_PAUSE_MS = { first: 100, most: 2_000 };

/** Lost answers that one try looks after by itself before it hands back with a backoff. */
const MOST_LOST_IN_A_TRY = 2;

/** How long an aborted call keeps its place when nobody cancels it (milliseconds). */
const LEFT_BEHIND_MS = 5_000;

/** @param now Milliseconds since the epoch. */
export function createExchangeProtocol(deps: {
  api: AgentsApi;
  governor: Governor;
  now?: () => number;
  observer?: ExchangeObserver | undefined;
}): ExchangeProtocol {
  const { api, governor, now = Date.now, observer } = deps;
  const impatient = createExchangeSearch(api);
  const search = createPatientSearch(impatient);
  const bounds = createFollowBounds();
  const send = createExchangeSend({ api, search });
  // It tries again by itself, with more patience than a look has.
  const cancelAtAgent = createExchangeCancel({ api, search: impatient, now });
  /** Places at the agent of calls that were aborted, by message id: it goes on with them until they are cancelled. */
  const left = new Map<string, () => void>();
  const cancel: typeof cancelAtAgent = async (...args) => {
    try {
      return await cancelAtAgent(...args);
    } finally {
      left.get(args[0].ids.messageId)?.();
    }
  };

  const protocol = { run, cancel };
  return observer === undefined ? protocol : observedProtocol(protocol, observer, now);

  /** Keeps the place of an aborted call until it is cancelled; or for a while, as it may be left running instead. */
  function leaveBehind({ ids }: ExchangeRequest, release: () => void): void {
    const leave = (): void => {
      clearTimeout(timer);
      left.delete(ids.messageId);
      release();
    };
    const timer = setTimeout(leave, LEFT_BEHIND_MS).unref();
    left.set(ids.messageId, leave);
  }

  async function run(request: ExchangeRequest, earlier: ExchangeMemory, hooks: ExchangeHooks): Promise<FoundExchange> {
    const memory: ExchangeMemory = { ...earlier };
    const report = new ProgressReport(memory, hooks);
    let refusals: { sinceMs: number; pauseMs: number } | undefined;
    // What became of a send by this trace id is unknown, and it may arrive yet.
    let unaccountedFor = memory.mayBeSent ? memory.traceNumber : undefined;
    for (;;) {
      hooks.signal.throwIfAborted();
      if (memory.mayBeSent) {
        const verdict = await guarded(memory, hooks, () => reconcile(request, memory, report, hooks.signal));
        if (verdict !== 'send') return verdict;
      }
      const isUnaccounted = memory.earlierMayBeAhead === true || unaccountedFor === memory.traceNumber;
      const outcome = await sendOnce(request, memory, report, hooks, isUnaccounted);
      if ('result' in outcome) return outcome;
      unaccountedFor = memory.traceNumber;
      if ('lost' in outcome) {
        refusals = undefined;
        await sleep(FOLLOW_PAUSE_MS.first, hooks.signal);
        continue;
      }
      // Refused as used or busy, and nothing shows: look again, at growing intervals, until the bound.
      refusals ??= { sinceMs: now(), pauseMs: REFUSED_PAUSE_MS.first };
      if (now() - refusals.sinceMs > lookForMs(request)) throw stuck(outcome.refusedBy, request, memory);
      report.waiting('the session: it refuses as if it were answering already', undefined, 'following');
      await sleep(refusals.pauseMs, hooks.signal);
      refusals.pauseMs = Math.min(refusals.pauseMs * 2, REFUSED_PAUSE_MS.most);
    }
  }

  /** An exchange in the way may be one that nobody can stop: it has as long as a call may take. */
  function lookForMs({ agentRid, sessionMayBeBusy, callTimeoutMs }: ExchangeRequest): number {
    const lookMs = bounds.lookForMs(agentRid);
    return sessionMayBeBusy === true ? Math.max(lookMs, callTimeoutMs) : lookMs;
  }

  /** Sends once. `isUnaccounted`: what became of another send of the same trace id is unknown. */
  async function sendOnce(
    request: ExchangeRequest,
    memory: ExchangeMemory,
    report: ProgressReport,
    hooks: ExchangeHooks,
    isUnaccounted: boolean,
  ): Promise<FoundExchange | Undecided> {
    const { agentRid, priority, flow } = request;
    const onWait = (wait: Wait) => report.waiting(limitWords(wait), wait.untilMs);
    const permit = await unlessHeld(hooks.signal, hooks.hold, (signal) =>
      governor.acquire({ agentRid, priority, flow, signal, onWait }),
    );
    if (permit === 'held') throw new ExchangeHeldBack({ ...memory });
    let released = false;
    const release = (outcome: 'ok' | 'refused' | 'other', retryAfterMs?: number) => {
      if (!released) permit.release(outcome, retryAfterMs);
      released = true;
    };
    try {
      hooks.signal.throwIfAborted();
      const earlierSendMayRun = memory.mayBeSent || request.sessionMayBeBusy === true;
      const startedMs = now();
      memory.sends++;
      memory.mayBeSent = true;
      delete memory.lastSendMs;
      report.phase('sending');
      try {
        const result = await send(request, memory.traceNumber, report, hooks.signal, () => release('ok'));
        memory.lastSendMs = now();
        if (result === undefined) return lost(memory, notAddedFailure(request, memory));
        if (result.totalTokensUsed !== undefined) permit.used(result.totalTokensUsed);
        bounds.noteAnswer(agentRid, now() - startedMs);
        return { result, memory };
      } catch (error) {
        if (hooks.signal.aborted) throw hooks.signal.reason;
        memory.lastSendMs = now();
        if (error instanceof ExchangeFailure) throw error;
        if (error instanceof UnreadContentError) return unread(error.cause, memory);
        if (isRefusedByLimit(error)) release('refused', retryAfterOf(error));
        return whatNext(error, failureClassOf(error, earlierSendMayRun), memory, isUnaccounted);
      }
    } finally {
      if (hooks.signal.aborted && memory.mayBeSent) leaveBehind(request, () => release('other'));
      else release('other');
    }
  }

  /** Sorts a failed send: look for it, or fail with its class. */
  function whatNext(
    error: unknown,
    failureClass: FailureClass,
    memory: ExchangeMemory,
    isUnaccounted: boolean,
  ): Undecided {
    if (failureClass === 'reconcile') return { refusedBy: error };
    if (failureClass === 'ambiguous') return lost(memory, failureOf(error, failureClass, memory));
    count(memory, failureClass);
    // Definite: this send did not land, and its id may be used up. Another one of the same id may still land: then the
    // id must stay, since the server refuses a second landing by it.
    if (!isUnaccounted) {
      memory.traceNumber++;
      memory.mayBeSent = false;
    } else memory.refusedTraceNumber = memory.traceNumber;
    throw failureOf(error, failureClass, memory);
  }

  /** Nothing definite about the send: it is looked for again, unless no look can succeed. */
  function unread(error: unknown, memory: ExchangeMemory): Undecided {
    const failureClass = failureClassOf(error);
    const failure = failureOf(error, failureClass, memory);
    if (!mayPass(failureClass)) throw failure;
    return lost(memory, failure);
  }

  /** RECONCILE of docs/design.md: finds the exchange, follows it while it runs, or finds that it must be sent. */
  async function reconcile(
    request: ExchangeRequest,
    memory: ExchangeMemory,
    report: ProgressReport,
    signal: AbortSignal,
  ): Promise<Verdict> {
    report.phase('reconciling');
    for (;;) {
      const state = await search.trace(request, memory.traceNumber, signal);
      if (state === 'noTraces') return reconcileWithoutTraces(request, memory, report, signal);
      if (state === 'unknown') {
        const result = await search.inContent(request, memory.traceNumber, signal);
        return result === undefined ? 'send' : { result, memory };
      }
      if (state === 'inProgress') {
        // Its trace tells then whether the id is used up: a failed call may have set it free.
        if (await followToEnd(request, memory, report, signal)) continue;
        // What cannot be cancelled must not be sent again either: the next try follows it on.
        if (request.mode === 'blocking') throw lostFailure(memory, overdueFailure(request, memory));
        await cancel(request, memory, undefined, EARLIER_SEND_TOO_EARLY_MS, signal);
      }
      const result = await search.inLaggingContent(request, memory.traceNumber, signal);
      if (result !== undefined) return { result, memory };
      // It ran and did not land: a definite failure, so the next id. An earlier try may have used that one too.
      const isKnownFailure = memory.refusedTraceNumber === memory.traceNumber;
      memory.traceNumber++;
      if (isKnownFailure) continue;
      memory.transientFailures++;
      if (memory.transientFailures > LIMITS.transientFailures) throw notAddedFailure(request, memory);
    }
  }

  /** Waits for an exchange that goes on without us. False when it goes on beyond the call's own time limit. */
  async function followToEnd(
    request: ExchangeRequest,
    memory: ExchangeMemory,
    report: ProgressReport,
    signal: AbortSignal,
  ): Promise<boolean> {
    report.phase('following');
    const untilMs = now() + request.callTimeoutMs;
    // It takes a place at the agent as those do that we send.
    const leave = governor.occupy(request.agentRid);
    try {
      for (let pauseMs = FOLLOW_PAUSE_MS.first; now() < untilMs; pauseMs = nextPauseMs(pauseMs)) {
        await sleep(pauseMs, signal);
        if ((await search.trace(request, memory.traceNumber, signal)) !== 'inProgress') return true;
      }
      return false;
    } finally {
      leave();
    }
  }

  /** What is left of so much time since the last send. */
  function sinceLastSend(memory: ExchangeMemory, ms: number): number {
    return Math.max(0, Math.min(ms, (memory.lastSendMs ?? now()) + ms - now()));
  }

  /** The same for the five-page API: the content, then the cancel, which says whether it still ran. */
  async function reconcileWithoutTraces(
    request: ExchangeRequest,
    memory: ExchangeMemory,
    report: ProgressReport,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const found = await search.inContent(request, memory.traceNumber, signal);
    if (found !== undefined) return { result: found, memory };
    if (request.mode === 'streaming') {
      const patienceMs = sinceLastSend(memory, EARLIER_SEND_TOO_EARLY_MS);
      const ended = await cancel(request, memory, undefined, patienceMs, signal);
      return 'result' in ended ? { result: ended.result, memory } : 'send';
    }
    // A blocking exchange can't be cancelled, nor seen while it runs: wait for it to land.
    report.phase('following');
    const untilMs = now() + sinceLastSend(memory, bounds.lookForMs(request.agentRid));
    for (let pauseMs = FOLLOW_PAUSE_MS.first; now() < untilMs; pauseMs = nextPauseMs(pauseMs)) {
      await sleep(pauseMs, signal);
      const result = await search.inContent(request, memory.traceNumber, signal);
      if (result !== undefined) return { result, memory };
    }
    return 'send';
  }
}

/** A look that fails leaves the exchange as unknown as it was: the next try looks again. */
async function guarded<T>(memory: ExchangeMemory, hooks: ExchangeHooks, look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (hooks.signal.aborted) throw hooks.signal.reason;
    if (error instanceof ExchangeFailure) throw error;
    const failureClass = failureClassOf(error);
    count(memory, failureClass);
    throw failureOf(error, failureClass, memory);
  }
}

function count(memory: ExchangeMemory, failureClass: FailureClass): void {
  if (failureClass === 'wait') memory.waits++;
  if (failureClass === 'transient') memory.transientFailures++;
}

/** An answer that was lost is looked for at once, but a server that loses every answer must not be asked for ever. */
function lost(memory: ExchangeMemory, failure: ExchangeFailure): Undecided {
  const counted = lostFailure(memory, failure);
  if (memory.transientFailures > MOST_LOST_IN_A_TRY) throw counted;
  return { lost: true };
}

function lostFailure(memory: ExchangeMemory, { failureClass, error, retryAfterMs }: ExchangeFailure): ExchangeFailure {
  memory.transientFailures++;
  return new ExchangeFailure(failureClass, error, { ...memory }, retryAfterMs);
}

function failureOf(error: unknown, failureClass: FailureClass, memory: ExchangeMemory): ExchangeFailure {
  return new ExchangeFailure(failureClass, exchangeErrorOf(error), { ...memory }, retryAfterOf(error));
}

/** Looked for long enough: the next try, which looks at the content once more, uses the next id if this one is used up. */
function stuck(refusedBy: unknown, request: ExchangeRequest, memory: ExchangeMemory): ExchangeFailure {
  // A session that is only busy has not used the id up.
  const isUsedUp = hasErrorName(refusedBy, API_ERRORS.sessionTraceIdAlreadyExists);
  if (isUsedUp) memory.traceNumber++;
  memory.transientFailures++;
  const message =
    `Cannot continue session ${request.sessionRid}: the server refuses as if an exchange were running or this one had ` +
    `been sent, but neither its trace nor the content shows one; it is tried again${isUsedUp ? ' under the next trace id' : ''}`;
  return new ExchangeFailure('transient', { ...exchangeErrorOf(refusedBy), message }, { ...memory });
}

function notAddedFailure(request: ExchangeRequest, memory: ExchangeMemory): ExchangeFailure {
  const message = `Cannot find the exchange in session ${request.sessionRid}: it ended, but the content does not hold it`;
  return new ExchangeFailure('ambiguous', { errorName: 'ExchangeNotAdded', message }, { ...memory });
}

function overdueFailure(request: ExchangeRequest, memory: ExchangeMemory): ExchangeFailure {
  const message =
    `Cannot wait longer for the exchange in session ${request.sessionRid}: it goes on beyond ${request.callTimeoutMs} ms, ` +
    'and blockingContinue cannot be cancelled; use streaming, or raise callTimeoutMs';
  return new ExchangeFailure('ambiguous', { errorName: 'ExchangeOverdue', message }, { ...memory });
}
