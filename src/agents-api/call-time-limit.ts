import { setMaxListeners } from 'node:events';

/** The time limits of a call; each names what was waited for in vain. */
export type TimeLimit = 'CALL_TIMEOUT' | 'FIRST_TEXT_TIMEOUT' | 'SILENCE_TIMEOUT';

/**
 * The signal of one call: aborted by its caller, or by a time limit of ours. `end()` must be called when the call is over.
 *
 * Not `AbortSignal.any`: a lane makes thousands of calls under one long-lived signal, and each combined signal would stay
 * referenced by it.
 */
export class CallTimeLimit {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #timers = new Map<TimeLimit, { timer: NodeJS.Timeout; limitMs: number }>();
  #expired: { limit: TimeLimit; limitMs: number } | undefined;

  /** @throws the caller's own reason when its signal is aborted already. */
  constructor(caller: AbortSignal | undefined) {
    caller?.throwIfAborted();
    this.#caller = caller;
    if (caller === undefined) return;
    // Many calls at once under one activity's signal are normal here, no leak: each takes its listener away in end().
    setMaxListeners(0, caller);
    caller.addEventListener('abort', this.#abortByCaller, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The limit that ran out, if one did. */
  get expired(): { limit: TimeLimit; limitMs: number } | undefined {
    return this.#expired;
  }

  /** Starts a limit, or starts it afresh. */
  start(limit: TimeLimit, limitMs: number): void {
    const running = this.#timers.get(limit);
    if (running?.limitMs === limitMs) {
      running.timer.refresh();
      return;
    }
    this.stop(limit);
    const timer = setTimeout(() => {
      this.#expired = { limit, limitMs };
      this.#controller.abort();
    }, limitMs);
    this.#timers.set(limit, { timer, limitMs });
  }

  stop(limit: TimeLimit): void {
    clearTimeout(this.#timers.get(limit)?.timer);
    this.#timers.delete(limit);
  }

  end(): void {
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#caller?.removeEventListener('abort', this.#abortByCaller);
  }

  readonly #abortByCaller = (): void => this.#controller.abort(this.#caller?.reason);
}
