import type { AgentsApi } from '../agents-api/client.js';
import type { CancelExchangeResult } from '../protocol/activities.js';
import type { ExchangeResult } from '../protocol/exchange.js';
import { API_ERRORS } from '../protocol/failures.js';
import { failureClassOf, hasErrorName, mayPass, type ExchangeMemory } from './exchange-failure.js';
import type { ExchangeRequest } from './exchange-request.js';
import type { ExchangeSearch } from './exchange-search.js';
import { sleep } from './sleep.js';

/** How long a cancel that came too early is tried again, and how long the agent may be out of reach (milliseconds). */
const TOO_EARLY_MS = 10_000;
const UNREACHABLE_MS = 45_000;
/**
 * How long a cancel waits for a send of an earlier attempt, or of a lost call, to begin: it can be on its way still, though
 * nobody listens any more (milliseconds).
 */
export const EARLIER_SEND_TOO_EARLY_MS = 3_000;

const PAUSE_MS = { first: 50, most: 1_000 };

/** What was sent just now may begin yet; what an earlier attempt sent has had its time since. */
function tooEarly({ sends, lastSendMs }: ExchangeMemory, nowMs: number): number {
  if (sends > 0) return TOO_EARLY_MS;
  return Math.min(EARLIER_SEND_TOO_EARLY_MS, Math.max(0, (lastSendMs ?? nowMs) + EARLIER_SEND_TOO_EARLY_MS - nowMs));
}

/** What cannot be stopped may land later. */
const STILL_RUNNING: CancelExchangeResult = { status: 'cancelled', mayStillRun: true };

/** One request to cancel: `{}` means that it was not running. */
type CancelAnswer = { ended: CancelExchangeResult } | 'notInProgress';

/**
 * Makes the function that ends an exchange at the agent and says how it ended.
 *
 * A cancel misses when the exchange is over, and also when it has not started yet (contract, fact 4). The content, then
 * the trace, tell which; too early is tried again for ten seconds, or as long as the caller says where nothing shows that it
 * ever began.
 */
export function createExchangeCancel(deps: { api: AgentsApi; search: ExchangeSearch; now: () => number }) {
  const { api, search, now } = deps;

  return async function cancel(
    request: ExchangeRequest,
    memory: ExchangeMemory,
    response?: string,
    patienceMs?: number,
    signal?: AbortSignal,
  ): Promise<CancelExchangeResult> {
    if (memory.sends === 0 && !memory.mayBeSent) return { status: 'cancelled' };
    const startedMs = now();
    const tooEarlyMs = patienceMs ?? tooEarly(memory, startedMs);
    for (let pauseMs = PAUSE_MS.first; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS.most)) {
      signal?.throwIfAborted();
      const triedMs = now() - startedMs;
      const isLastTry = triedMs > tooEarlyMs;
      try {
        const ended = await tryOnce(request, memory, response, isLastTry);
        if (ended === 'tooEarly' && isLastTry) return { status: 'cancelled' };
        if (ended === 'running' && triedMs > Math.max(tooEarlyMs, TOO_EARLY_MS)) return STILL_RUNNING;
        if (typeof ended === 'object') return ended;
      } catch (error) {
        const failureClass = failureClassOf(error);
        if (failureClass === 'expired') return { status: 'cancelled' };
        if (!mayPass(failureClass) || now() - startedMs > UNREACHABLE_MS) throw error;
      }
      await sleep(pauseMs, signal);
    }
  };

  async function tryOnce(
    request: ExchangeRequest,
    memory: ExchangeMemory,
    response: string | undefined,
    isLastTry: boolean,
  ): Promise<CancelExchangeResult | 'tooEarly' | 'running'> {
    if (request.mode === 'streaming') {
      const answer = await askToCancel(request, response);
      if (answer !== 'notInProgress') return answer.ended;
    }
    const result = await search.inContent(request, memory.traceNumber);
    if (result !== undefined) return endedWith(result);
    const { state, traceNumber } = await search.newestTrace(request, memory.traceNumber);
    if (state === 'complete') return (await lateResult(request, traceNumber)) ?? { status: 'cancelled' };
    // A blocking exchange cannot be stopped, only waited for: who cancels stops waiting.
    if (request.mode === 'blocking') return STILL_RUNNING;
    // Seen, and still not to be reached: then it will be, however old its send is taken to be.
    if (state === 'inProgress') return 'running';
    if (!isLastTry) return 'tooEarly';
    // A server with traces would know of it by now; one without may show it late.
    return (state === 'noTraces' ? await lateResult(request, traceNumber) : undefined) ?? 'tooEarly';
  }

  async function lateResult(request: ExchangeRequest, traceNumber: number): Promise<CancelExchangeResult | undefined> {
    const late = await search.inLaggingContent(request, traceNumber);
    return late === undefined ? undefined : endedWith(late);
  }

  async function askToCancel(request: ExchangeRequest, response: string | undefined): Promise<CancelAnswer> {
    try {
      const { result } = await api.cancel({
        agentRid: request.agentRid,
        sessionRid: request.sessionRid,
        messageId: request.ids.messageId,
        ...(response !== undefined && { response }),
      });
      return { ended: result === undefined ? { status: 'cancelled' } : { status: 'interrupted', result } };
    } catch (error) {
      if (hasErrorName(error, API_ERRORS.messageNotInProgress)) return 'notInProgress';
      throw error;
    }
  }
}

function endedWith(result: ExchangeResult): CancelExchangeResult {
  return { status: result.interruptedOutput ? 'interrupted' : 'answered', result };
}
