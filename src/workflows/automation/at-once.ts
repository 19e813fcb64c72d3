/**
 * Runs what is written with promises at once, with promises of its own in the place of the global ones.
 *
 * In a workflow each promise costs half a millisecond: Temporal's worker takes the stack of every one, for its query
 * `__stack_trace`. JSONata makes about ten for each part of an expression, so that a sum of a thousand numbers would take longer than
 * a workflow task may, and never end.
 */

type Settle = (value: unknown) => void;
type Callback = ((value: unknown) => unknown) | undefined;

/** What has to be called next, in order. */
let jobs: (() => void)[] = [];

/** As much of a promise as compiled async functions make use of. */
class PlainPromise {
  #state: 'pending' | 'fulfilled' | 'rejected' = 'pending';
  #value: unknown;
  #waiting: (() => void)[] = [];

  constructor(executor: (resolve: Settle, reject: Settle) => void) {
    try {
      executor(
        (value) => this.#resolve(value),
        (reason) => this.#settle('rejected', reason),
      );
    } catch (error) {
      this.#settle('rejected', error);
    }
  }

  static resolve(value: unknown): PlainPromise {
    return value instanceof PlainPromise ? value : new PlainPromise((resolve) => resolve(value));
  }

  static reject(reason: unknown): PlainPromise {
    return new PlainPromise((_, reject) => reject(reason));
  }

  static all(values: readonly unknown[]): PlainPromise {
    return new PlainPromise((resolve, reject) => {
      const results: unknown[] = [];
      let left = values.length;
      if (left === 0) resolve(results);
      for (const [index, value] of values.entries()) {
        const note = (result: unknown) => {
          results[index] = result;
          if (--left === 0) resolve(results);
        };
        PlainPromise.resolve(value).then(note, reject);
      }
    });
  }

  then(onFulfilled?: Callback, onRejected?: Callback): PlainPromise {
    return new PlainPromise((resolve, reject) => {
      const react = () => {
        const callback = this.#state === 'fulfilled' ? onFulfilled : onRejected;
        if (callback === undefined) return (this.#state === 'fulfilled' ? resolve : reject)(this.#value);
        try {
          resolve(callback(this.#value));
        } catch (error) {
          reject(error);
        }
      };
      if (this.#state === 'pending') this.#waiting.push(react);
      else jobs.push(react);
    });
  }

  catch(onRejected: Callback): PlainPromise {
    return this.then(undefined, onRejected);
  }

  /** What it has come to. @throws What it was rejected with. */
  result(): unknown {
    if (this.#state === 'fulfilled') return this.#value;
    throw this.#state === 'rejected' ? this.#value : new Error('It waits for something that never comes');
  }

  #resolve(value: unknown): void {
    if (!(value instanceof PlainPromise)) return this.#settle('fulfilled', value);
    value.then(
      (inner) => this.#settle('fulfilled', inner),
      (reason) => this.#settle('rejected', reason),
    );
  }

  #settle(state: 'fulfilled' | 'rejected', value: unknown): void {
    if (this.#state !== 'pending') return;
    this.#state = state;
    this.#value = value;
    for (const react of this.#waiting) jobs.push(react);
    this.#waiting = [];
  }
}

/**
 * Code that runs at once, also in several goes; one at a time.
 *
 * @param begin Compiled to a JavaScript without async functions: its promises are those of the global `Promise`.
 */
export class AtOnce<T> {
  #promise: PlainPromise | undefined;

  constructor(private readonly begin: () => PromiseLike<T>) {}

  /** Goes on, until its end or until it is tired. @returns Whether that is its end. */
  run(isTired: () => boolean): boolean {
    const usual = globalThis.Promise;
    globalThis.Promise = PlainPromise as unknown as PromiseConstructor;
    try {
      if (this.#promise === undefined) {
        jobs = [];
        this.#promise = this.begin() as unknown as PlainPromise;
      }
      let next = 0;
      while (next < jobs.length && !isTired()) {
        jobs[next++]?.();
        // In order of their coming, taken by number: a shift costs as much as there are left.
        if (next < DONE_JOBS) continue;
        jobs = jobs.slice(next);
        next = 0;
      }
      jobs = jobs.slice(next);
      return jobs.length === 0;
    } finally {
      globalThis.Promise = usual;
    }
  }

  /** @throws What it throws. */
  result(): T {
    if (this.#promise === undefined) throw new Error('It was not run');
    return this.#promise.result() as T;
  }
}

/** Done jobs that are kept before they are let go. */
const DONE_JOBS = 10_000;
