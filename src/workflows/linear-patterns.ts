import { linearRegex } from '../protocol/linear-regex.js';

const Usual = globalThis.RegExp;

/** As much of a regular expression as a validator makes use of. */
class LinearPattern {
  readonly #test: (text: string) => boolean;

  constructor(source: string, flags = '') {
    this.#test = testOf(new Usual(source, flags));
  }

  test(text: string): boolean {
    return this.#test(text);
  }
}

/** In linear time where it can be; lookaheads and references to groups are left to JavaScript. */
function testOf(pattern: RegExp): (text: string) => boolean {
  try {
    const regex = linearRegex(pattern);
    return (text) => regex.matcher(text).find();
  } catch {
    return (text) => pattern.test(text);
  }
}

/**
 * Runs code that makes regular expressions (`new RegExp(…)`) of what it is given and tests texts of others with them, such as a
 * validator the answers of agents: none of those that can be matched in linear time may hold up the worker.
 */
export function withLinearPatterns<T>(run: () => T): T {
  globalThis.RegExp = LinearPattern as unknown as RegExpConstructor;
  try {
    return run();
  } finally {
    globalThis.RegExp = Usual;
  }
}
