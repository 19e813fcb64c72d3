import type { AgentsApi } from '../agents-api/client.js';
import type { ExchangeResult } from '../protocol/exchange.js';
import { failureClassOf, mayPass } from './exchange-failure.js';
import { sessionTraceId } from './exchange-ids.js';
import type { ExchangeRequest } from './exchange-request.js';
import { sleep } from './sleep.js';

/** What a trace tells of a send; `noTraces`: the server does not know traces at all (five-page API). */
export type TraceState = 'inProgress' | 'complete' | 'unknown' | 'noTraces';

/** The content can lag a stream's end by a moment: pauses between looks before believing that it is not there. */
const LAG_PAUSES_MS = [0, 50, 150, 300, 500, 1_000];

/** Looks an exchange up at the agent: by its trace, and in the session's content. */
export interface ExchangeSearch {
  /** The state of the send with this trace number. */
  trace(request: ExchangeRequest, traceNumber: number, signal?: AbortSignal): Promise<TraceState>;
  /**
   * The state of the last send known to the server, from this trace number on: what is remembered can be older than what
   * was sent.
   */
  newestTrace(request: ExchangeRequest, fromTraceNumber: number): Promise<{ state: TraceState; traceNumber: number }>;
  /** One look at the content. */
  inContent(request: ExchangeRequest, traceNumber: number, signal?: AbortSignal): Promise<ExchangeResult | undefined>;
  /** Several looks, for content that lags. */
  inLaggingContent(
    request: ExchangeRequest,
    traceNumber: number,
    signal?: AbortSignal,
  ): Promise<ExchangeResult | undefined>;
}

/** @param api The agents' API. */
export function createExchangeSearch(api: AgentsApi): ExchangeSearch {
  const inContent: ExchangeSearch['inContent'] = async (request, traceNumber, signal) => {
    const exchanges = await api.getContent({ agentRid: request.agentRid, sessionRid: request.sessionRid, signal });
    return findExchange(exchanges, request, traceNumber);
  };
  const trace: ExchangeSearch['trace'] = async (request, traceNumber, signal) => {
    const { agentRid, sessionRid, ids } = request;
    const lookup = await api.getSessionTrace({
      agentRid,
      sessionRid,
      sessionTraceId: sessionTraceId(sessionRid, ids, traceNumber),
      signal,
    });
    if (lookup.found !== 'trace') return lookup.found === 'unknownTrace' ? 'unknown' : 'noTraces';
    return lookup.trace.status === 'IN_PROGRESS' ? 'inProgress' : 'complete';
  };
  return {
    inContent,
    trace,
    async newestTrace(request, fromTraceNumber) {
      for (let traceNumber = fromTraceNumber; ; traceNumber++) {
        const state = await trace(request, traceNumber);
        if (state === 'complete') continue;
        if (state !== 'unknown' || traceNumber === fromTraceNumber) return { state, traceNumber };
        return { state: 'complete', traceNumber: traceNumber - 1 };
      }
    },
    async inLaggingContent(request, traceNumber, signal) {
      for (const pauseMs of LAG_PAUSES_MS) {
        if (pauseMs > 0) await sleep(pauseMs, signal);
        const result = await inContent(request, traceNumber, signal);
        if (result !== undefined) return result;
      }
      return undefined;
    },
  };
}

/** Pauses after looks that failed (milliseconds): a hiccup of one look says nothing of the exchange. */
const HICCUP_PAUSES_MS = [100, 400, 1_500];

/** The same search, which looks again when a look fails by what may pass, a few times. */
export function createPatientSearch(search: ExchangeSearch): ExchangeSearch {
  const patiently = async <T>(signal: AbortSignal | undefined, look: () => Promise<T>): Promise<T> => {
    for (const pauseMs of HICCUP_PAUSES_MS) {
      try {
        return await look();
      } catch (error) {
        if (signal?.aborted === true || !mayPass(failureClassOf(error))) throw error;
        await sleep(pauseMs, signal);
      }
    }
    return look();
  };
  return {
    trace: (request, n, signal) => patiently(signal, () => search.trace(request, n, signal)),
    newestTrace: (request, n) => patiently(undefined, () => search.newestTrace(request, n)),
    inContent: (request, n, signal) => patiently(signal, () => search.inContent(request, n, signal)),
    inLaggingContent: (request, n, signal) => patiently(signal, () => search.inLaggingContent(request, n, signal)),
  };
}

/**
 * The session's exchange that is this one: by the trace id of any of its sends; on servers without trace ids, the first
 * beyond the exchanges known before that has this very text.
 */
export function findExchange(
  exchanges: { userInput: { text: string }; result: ExchangeResult }[],
  request: Pick<ExchangeRequest, 'sessionRid' | 'ids' | 'text' | 'exchangesBefore'>,
  traceNumber: number,
): ExchangeResult | undefined {
  // A few more than known: the number remembered can be older than the last send. One id after the other: making one is a
  // hash, and the first is nearly always right.
  for (let n = 0; n <= traceNumber + 3; n++) {
    const traceId = sessionTraceId(request.sessionRid, request.ids, n);
    const found = exchanges.find(({ result }) => result.sessionTraceId === traceId);
    if (found !== undefined) return found.result;
  }
  return exchanges.find(
    ({ userInput, result }, position) =>
      result.sessionTraceId === undefined && position >= request.exchangesBefore && userInput.text === request.text,
  )?.result;
}
