import { LIMITS } from '../protocol/defaults.js';
import { jsonBytes } from '../protocol/json-size.js';

/** What is kept of the latest message ids, oldest first: as many as fit, by number and by JSON bytes; the oldest go. */
export class RecentIds<Entry> {
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(private readonly mostBytes: number) {}

  has(messageId: string): boolean {
    return this.#entries.has(messageId);
  }

  get(messageId: string): Entry | undefined {
    return this.#entries.get(messageId);
  }

  entries(): Entry[] {
    return [...this.#entries.values()];
  }

  add(messageId: string, entry: Entry): void {
    this.delete(messageId);
    this.#entries.set(messageId, entry);
    this.#bytes += jsonBytes(entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= LIMITS.forgottenOutcomes && this.#bytes <= this.mostBytes) break;
      this.delete(oldest);
    }
  }

  delete(messageId: string): void {
    const entry = this.#entries.get(messageId);
    if (entry === undefined) return;
    this.#entries.delete(messageId);
    this.#bytes -= jsonBytes(entry);
  }
}
