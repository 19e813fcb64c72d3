import type { Limits } from './settings.js';

/** A bucket that fills steadily; its level may go below zero, and then has to be filled up first. */
class Bucket {
  #level: number;
  #filledAt: number;

  constructor(
    readonly capacity: number,
    readonly perMs: number,
    now: number,
  ) {
    this.#level = capacity;
    this.#filledAt = now;
  }

  level(now: number): number {
    this.#level = Math.min(this.capacity, this.#level + (now - this.#filledAt) * this.perMs);
    this.#filledAt = now;
    return this.#level;
  }

  take(amount: number): void {
    this.#level -= amount;
  }
}

/** What has been used of the limits: by one agent, or by all calls together. */
class LimitUse {
  #requests: Bucket | undefined;
  #tokens: Bucket | undefined;
  #concurrent = Infinity;
  #inFlight = 0;

  /** Starts with full buckets; what is in flight stays counted. */
  apply({ requestsPerSecond: rate, burst, concurrent, tokensPerMinute }: Limits, now: number): void {
    this.#requests = rate === undefined ? undefined : new Bucket(burst ?? Math.max(1, rate), rate / 1000, now);
    this.#tokens =
      tokensPerMinute === undefined ? undefined : new Bucket(tokensPerMinute, tokensPerMinute / 60_000, now);
    this.#concurrent = concurrent ?? Infinity;
  }

  enter(now: number): string | undefined {
    if (this.#inFlight >= this.#concurrent) return `${this.#concurrent} in flight already`;
    if (this.#requests !== undefined && this.#requests.level(now) < 1) return 'requests per second';
    if (this.#tokens !== undefined && this.#tokens.level(now) <= 0) return 'tokens per minute';
    this.#requests?.take(1);
    this.#inFlight++;
    return undefined;
  }

  leave(tokens: number): void {
    this.#inFlight--;
    this.#tokens?.take(tokens);
  }
}

/** The limits in force and what has been used of them, by agent, or for the platform under the key ''. */
export class LimitBook {
  readonly #uses = new Map<string, LimitUse>();

  constructor(private limits: Limits) {}

  get current(): Limits {
    return this.limits;
  }

  /** Puts other limits in force. What is in flight stays counted. */
  change(limits: Limits): void {
    this.limits = limits;
    for (const use of this.#uses.values()) use.apply(limits, Date.now());
  }

  /** Starts afresh, for exchanges that were forgotten too. */
  forget(): void {
    this.#uses.clear();
  }

  /** Lets a call in and returns undefined, or says which limit it would exceed. A refused call uses up nothing. */
  enter(key: string): string | undefined {
    const now = Date.now();
    let use = this.#uses.get(key);
    if (use === undefined) {
      use = new LimitUse();
      use.apply(this.limits, now);
      this.#uses.set(key, use);
    }
    return use.enter(now);
  }

  /** A call that was let in is over and has used so many tokens. */
  leave(key: string, tokens: number): void {
    this.#uses.get(key)?.leave(tokens);
  }
}
