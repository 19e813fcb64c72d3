import type { ExchangeProgress } from '../protocol/activities.js';
import { LIMITS } from '../protocol/defaults.js';
import type { ExchangeMemory } from './exchange-failure.js';
import type { ExchangeHooks } from './exchange-request.js';

/**
 * Keeps the progress of one try of an exchange and tells it on every change.
 *
 * The object told is always the same one, changed in place: whoever beats on a timer reads it then, so that a chunk of
 * text costs no more than its concatenation. It holds the whole text; `boundedProgress` is what goes into heartbeats.
 */
export class ProgressReport {
  readonly #progress: ExchangeProgress;

  constructor(
    private readonly memory: ExchangeMemory,
    private readonly hooks: ExchangeHooks,
  ) {
    const { lastSendMs: _lastSendMs, ...told } = memory;
    this.#progress = { phase: 'sending', ...(hooks.textSoFar ?? { text: '', textOffset: 0 }), ...told };
  }

  phase(phase: ExchangeProgress['phase']): void {
    delete this.#progress.waitingFor;
    delete this.#progress.waitingUntil;
    if (phase === 'sending') {
      this.#progress.text = '';
      this.#progress.textOffset = 0;
    }
    this.#tell(phase);
  }

  waiting(reason: string, untilMs?: number, phase: ExchangeProgress['phase'] = 'waitingForLimit'): void {
    this.#progress.waitingFor = reason;
    delete this.#progress.waitingUntil;
    if (untilMs !== undefined) this.#progress.waitingUntil = new Date(untilMs).toISOString();
    this.#tell(phase);
  }

  text(more: string): void {
    this.#progress.text += more;
    this.#tell('streaming');
  }

  #tell(phase: ExchangeProgress['phase']): void {
    const { lastSendMs: _lastSendMs, ...told } = this.memory;
    Object.assign(this.#progress, told, { phase });
    this.hooks.onProgress?.(this.#progress);
  }
}

/** Progress as it goes into heartbeat details: the text's tail, within its bound, after all that people look for first. */
export function boundedProgress({ text, textOffset, ...rest }: ExchangeProgress): ExchangeProgress {
  const surplus = Math.max(0, text.length - LIMITS.heartbeatTextCharacters);
  return { ...rest, text: text.slice(surplus), textOffset: textOffset + surplus };
}
