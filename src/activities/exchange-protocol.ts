/**
 * The exchange protocol: one user message lands at most once, and an answer that landed is found again.
 *
 * 1. A send carries `sessionTraceId` n. While nothing definite is known of it, the same n is sent again: the server itself
 *    refuses a second landing (contract, fact 5).
 * 2. n goes up only after a definite failure, since a failed call may have used its id up.
 * 3. What became of a send is said by the session's content, never by a stream's end (contract, fact 6).
 * 4. An abort by the caller's signal touches nothing at the agent: who aborts decides what happens there (`cancel`).
 */
import type { AgentsApi } from '../agents-api/client.js';
import type { Governor } from '../governor/governor.js';
import type { CancelExchangeResult } from '../protocol/activities.js';
import type { FailureClass } from '../protocol/failures.js';
import { createExchangeCancel } from './exchange-cancel.js';
import {
  ExchangeFailure,
  exchangeErrorOf,
  failureClassOf,
  isRefusedByLimit,
  type ExchangeMemory,
} from './exchange-failure.js';
import type { ExchangeHooks, ExchangeRequest, FoundExchange } from './exchange-request.js';
import { createExchangeSearch } from './exchange-search.js';
import { createExchangeSend } from './exchange-send.js';
import { createFollowBounds } from './follow-bounds.js';
import { ProgressReport } from './progress-report.js';
import { sleep } from './sleep.js';

export type { ExchangeHooks, ExchangeRequest, FoundExchange } from './exchange-request.js';

/** What runs, finds and ends exchanges. One for a worker. */
export interface ExchangeProtocol {
  /**
   * One try: sends the message (or looks for it first, when it may have been sent) and resolves with the exchange as the
   * session holds it, however it came there.
   *
   * @param memory What earlier tries know; `newExchangeMemory()` for the first.
   * @param mayHaveBeenSent True when an earlier try of which nothing definite is known may have sent it.
   * @throws ExchangeFailure with the failure's class and the memory for the next try (see `retryDecision`).
   * @throws The signal's reason when it is aborted.
   */
  run(
    request: ExchangeRequest,
    memory: ExchangeMemory,
    mayHaveBeenSent: boolean,
    hooks: ExchangeHooks,
  ): Promise<FoundExchange>;
  /**
   * Ends the exchange at the agent, whatever its state, and says how it ended. Safe to run twice.
   *
   * @param response When present, the exchange is kept in the session with this text.
   * @param tooEarlyMs How long to try again when the exchange has not begun yet. Default 10 s.
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

/** Pause between looks at an exchange that goes on without us (milliseconds). */
const FOLLOW_PAUSE_MS = { first: 100, most: 1_000 };

/** @param now Milliseconds since the epoch. */
export function createExchangeProtocol(deps: {
  api: AgentsApi;
  governor: Governor;
  now?: () => number;
}): ExchangeProtocol {
  const { api, governor, now = Date.now } = deps;
  const search = createExchangeSearch(api);
  const bounds = createFollowBounds();
  const send = createExchangeSend({ api, search });
  const cancel = createExchangeCancel({ api, search, now });

  return { run, cancel };

  async function run(
    request: ExchangeRequest,
    earlier: ExchangeMemory,
    mayHaveBeenSent: boolean,
    hooks: ExchangeHooks,
  ): Promise<FoundExchange> {
    const memory: ExchangeMemory = { ...earlier, mayBeSent: earlier.mayBeSent || mayHaveBeenSent };
    const report = new ProgressReport(memory, hooks);
    // How long to keep looking when the server says "there is one" and shows nothing; begun at the first such answer.
    let lookUntilMs: number | undefined;
    for (;;) {
      hooks.signal.throwIfAborted();
      if (memory.mayBeSent) {
        const verdict = await guarded(memory, hooks, () => reconcile(request, memory, report, hooks.signal));
        if (verdict !== 'send') return verdict;
      }
      const outcome = await sendOnce(request, memory, report, hooks);
      if (outcome !== 'look') return outcome;
      // Refused as used or busy, or cut: RECONCILE tells more. A pause, so that looking is not a busy loop.
      lookUntilMs ??= now() + bounds.lookForMs(request.agentRid);
      if (now() > lookUntilMs) {
        memory.traceNumber++;
        memory.mayBeSent = false;
        memory.transientFailures++;
        throw new ExchangeFailure('transient', stuckError(request), memory);
      }
      await sleep(FOLLOW_PAUSE_MS.first, hooks.signal);
    }
  }

  /** Sends once. `look`: it may have landed, or another send is in the way. */
  async function sendOnce(
    request: ExchangeRequest,
    memory: ExchangeMemory,
    report: ProgressReport,
    hooks: ExchangeHooks,
  ): Promise<FoundExchange | 'look'> {
    const permit = await governor.acquire({
      agentRid: request.agentRid,
      priority: request.priority,
      signal: hooks.signal,
      onWait: (wait) => report.waiting(wait.reason, wait.untilMs),
    });
    const earlierSendMayRun = memory.sends > 0 || memory.mayBeSent || request.sessionMayBeBusy === true;
    const startedMs = now();
    memory.sends++;
    memory.mayBeSent = true;
    report.phase('sending');
    let released = false;
    const release = (outcome: 'ok' | 'refused' | 'other', retryAfterMs?: number) => {
      if (!released) permit.release(outcome, retryAfterMs);
      released = true;
    };
    try {
      const result = await send(request, memory.traceNumber, report, hooks.signal, () => release('ok'));
      if (result === undefined) return 'look';
      bounds.noteAnswer(request.agentRid, now() - startedMs);
      return { result, memory };
    } catch (error) {
      if (hooks.signal.aborted) throw hooks.signal.reason;
      const failureClass = failureClassOf(error, earlierSendMayRun);
      if (isRefusedByLimit(error)) release('refused', retryAfterOf(error));
      return whatNext(error, failureClass, memory);
    } finally {
      release('other');
    }
  }

  /** Sorts a failed send: look for it, or fail with its class. */
  function whatNext(error: unknown, failureClass: FailureClass, memory: ExchangeMemory): 'look' {
    switch (failureClass) {
      case 'reconcile':
        return 'look';
      case 'ambiguous':
        // Bounded: a server that loses every answer must not be asked for ever.
        if (++memory.transientFailures > MOST_AMBIGUOUS_IN_A_TRY) throw failureOf(error, failureClass, memory);
        return 'look';
      case 'wait':
        memory.waits++;
        break;
      case 'transient':
        memory.transientFailures++;
        break;
      case 'overflow':
      case 'expired':
      case 'auth':
      case 'giveUp':
        break;
    }
    // Definite: nothing landed, and the id may be used up.
    memory.traceNumber++;
    memory.mayBeSent = false;
    throw failureOf(error, failureClass, memory);
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
      if (state === 'inProgress' && !(await followToEnd(request, memory, report, signal))) {
        await cancel(request, memory, undefined, RECONCILE_TOO_EARLY_MS);
      }
      const result = await search.inLaggingContent(request, memory.traceNumber, signal);
      if (result !== undefined) return { result, memory };
      // It ran and did not land: a definite failure, so the next id. An earlier try may have used that one too.
      memory.traceNumber++;
      memory.transientFailures++;
      if (memory.transientFailures > MOST_AMBIGUOUS_IN_A_TRY * 2) {
        memory.mayBeSent = false;
        throw new ExchangeFailure('transient', failedUnseenError(request), memory);
      }
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
    for (let pauseMs = FOLLOW_PAUSE_MS.first; now() < untilMs; pauseMs = Math.min(pauseMs * 2, FOLLOW_PAUSE_MS.most)) {
      await sleep(pauseMs, signal);
      if ((await search.trace(request, memory.traceNumber, signal)) !== 'inProgress') return true;
    }
    return false;
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
      const ended = await cancel(request, memory, undefined, RECONCILE_TOO_EARLY_MS);
      return 'result' in ended ? { result: ended.result, memory } : 'send';
    }
    // A blocking exchange can't be cancelled, nor seen while it runs: wait for it to land.
    report.phase('following');
    const untilMs = now() + bounds.lookForMs(request.agentRid);
    for (let pauseMs = FOLLOW_PAUSE_MS.first; now() < untilMs; pauseMs = Math.min(pauseMs * 2, FOLLOW_PAUSE_MS.most)) {
      await sleep(pauseMs, signal);
      const result = await search.inContent(request, memory.traceNumber, signal);
      if (result !== undefined) return { result, memory };
    }
    return 'send';
  }

  /** A look that fails leaves the exchange as unknown as it was: the next try looks again. */
  async function guarded<T>(memory: ExchangeMemory, hooks: ExchangeHooks, look: () => Promise<T>): Promise<T> {
    try {
      return await look();
    } catch (error) {
      if (hooks.signal.aborted) throw hooks.signal.reason;
      if (error instanceof ExchangeFailure) throw error;
      const failureClass = failureClassOf(error);
      if (failureClass === 'wait') memory.waits++;
      if (failureClass === 'transient') memory.transientFailures++;
      throw failureOf(error, failureClass, memory);
    }
  }
}

/** RECONCILE cancels a send that is at least a lost call old: it need not wait long for it to begin (milliseconds). */
const RECONCILE_TOO_EARLY_MS = 1_000;

/** Lost answers that one try looks after by itself before it hands back with a backoff. */
const MOST_AMBIGUOUS_IN_A_TRY = 2;

function failureOf(error: unknown, failureClass: FailureClass, memory: ExchangeMemory): ExchangeFailure {
  return new ExchangeFailure(failureClass, exchangeErrorOf(error), { ...memory }, retryAfterOf(error));
}

function retryAfterOf(error: unknown): number | undefined {
  return error instanceof Error && 'retryAfterMs' in error && typeof error.retryAfterMs === 'number'
    ? error.retryAfterMs
    : undefined;
}

function stuckError(request: ExchangeRequest) {
  return {
    errorName: 'SessionBusy',
    message:
      `Cannot continue session ${request.sessionRid}: the server refuses as if an exchange were running or this one had ` +
      'been sent, but neither its trace nor the content shows one; it is tried again under the next trace id',
  };
}

function failedUnseenError(request: ExchangeRequest) {
  return {
    errorName: 'ExchangeNotAdded',
    message: `Cannot find the exchange in session ${request.sessionRid}: its traces are complete, but the content does not hold it`,
  };
}
