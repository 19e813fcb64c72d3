import type { AgentsApi } from '../agents-api/client.js';
import type { ExchangeResult } from '../protocol/exchange.js';
import { sessionTraceId } from './exchange-ids.js';
import type { ExchangeRequest } from './exchange-request.js';
import type { ExchangeSearch } from './exchange-search.js';
import type { ProgressReport } from './progress-report.js';

/** The call ended without an error, but the content could not be read: what became of the exchange is unknown. */
export class UnreadContentError extends Error {
  override readonly name = 'UnreadContentError';

  constructor(override readonly cause: unknown) {
    super('The exchange ended, but the content of its session could not be read');
  }
}

/**
 * Makes the function that sends an exchange once and resolves with it as the session holds it; `undefined` when the call
 * ended without an error, but the content does not hold it. It throws `UnreadContentError`, and what the call itself threw.
 *
 * `onEnd` is called when the agent has finished, before the content is read: its slot is free from then on.
 */
export function createExchangeSend(deps: { api: AgentsApi; search: ExchangeSearch }) {
  const { api, search } = deps;

  return async function send(
    request: ExchangeRequest,
    traceNumber: number,
    report: ProgressReport,
    signal: AbortSignal,
    onEnd: () => void,
  ): Promise<ExchangeResult | undefined> {
    const watch = new SilenceWatch(request, traceNumber, search, signal);
    try {
      const result = await call(request, traceNumber, report, watch);
      onEnd();
      return result ?? (await readContent(request, traceNumber, signal));
    } catch (error) {
      // The watch closed the connection because it saw the end of the exchange beside it.
      if (watch.sawEnd && !signal.aborted) return watch.found;
      throw error;
    } finally {
      watch.stop();
    }
  };

  async function readContent(request: ExchangeRequest, traceNumber: number, signal: AbortSignal) {
    try {
      return await search.inLaggingContent(request, traceNumber, signal);
    } catch (error) {
      throw signal.aborted ? error : new UnreadContentError(error);
    }
  }

  /** The call itself. A stream carries text alone, so its result is `undefined`: the content holds it. */
  async function call(
    request: ExchangeRequest,
    traceNumber: number,
    report: ProgressReport,
    watch: SilenceWatch,
  ): Promise<ExchangeResult | undefined> {
    const { agentRid, sessionRid, ids, text, parameterInputs, contextsOverride, callTimeoutMs } = request;
    const shared = {
      agentRid,
      sessionRid,
      userInput: { text },
      sessionTraceId: sessionTraceId(sessionRid, ids, traceNumber),
      timeoutMs: callTimeoutMs,
      signal: watch.signal,
      ...(parameterInputs !== undefined && { parameterInputs }),
      ...(contextsOverride !== undefined && { contextsOverride }),
    };
    if (request.mode === 'blocking') return api.blockingContinue(shared);
    await api.streamingContinue({
      ...shared,
      messageId: ids.messageId,
      // The watch looks after silence; only the call's own limit ends it.
      firstTextTimeoutMs: callTimeoutMs,
      silenceTimeoutMs: callTimeoutMs,
      onText(piece) {
        watch.heard();
        report.text(piece);
      },
    });
    return undefined;
  }
}

/**
 * Looks at the trace beside an open call when nothing has come for a while: silence is not failure, and an exchange found
 * finished is adopted, whatever became of its connection (docs/design.md).
 */
class SilenceWatch {
  /** Set when the exchange was seen to have ended. */
  sawEnd = false;
  /** The exchange, when it ended and landed. */
  found: ExchangeResult | undefined;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout;
  #heardMs = Date.now();
  #stopped = false;

  constructor(
    private readonly request: ExchangeRequest,
    private readonly traceNumber: number,
    private readonly search: ExchangeSearch,
    private readonly caller: AbortSignal,
  ) {
    if (caller.aborted) this.#abortByCaller();
    else caller.addEventListener('abort', this.#abortByCaller, { once: true });
    this.#timer = this.#lookAfter(request.silenceTimeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  heard(): void {
    this.#heardMs = Date.now();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.caller.removeEventListener('abort', this.#abortByCaller);
  }

  readonly #abortByCaller = (): void => this.#controller.abort(this.caller.reason);

  #lookAfter(ms: number): NodeJS.Timeout {
    return setTimeout(() => void this.#watch(), ms);
  }

  async #watch(): Promise<void> {
    const { silenceTimeoutMs } = this.request;
    const silentMs = Date.now() - this.#heardMs;
    if (silentMs >= silenceTimeoutMs) await this.#look();
    if (this.#stopped || this.signal.aborted) return;
    this.#timer = this.#lookAfter(silentMs >= silenceTimeoutMs ? silenceTimeoutMs : silenceTimeoutMs - silentMs);
  }

  async #look(): Promise<void> {
    try {
      const state = await this.search.trace(this.request, this.traceNumber, this.signal);
      if (state === 'inProgress') return;
      const found = await this.search.inContent(this.request, this.traceNumber, this.signal);
      if (found !== undefined || state !== 'noTraces') this.#end(found);
    } catch {
      // A look that fails tells nothing; the call itself is still open, and so is the next look.
    }
  }

  /** Closes the call: the exchange is over, or the server knows nothing of it, and RECONCILE says what to do. */
  #end(found: ExchangeResult | undefined): void {
    if (this.#stopped) return;
    this.sawEnd = true;
    this.found = found;
    this.#controller.abort(new Error('The exchange was seen to have ended beside its open call'));
  }
}
