import type { Matcher, RE2JS } from 're2js';
import { linearRegex } from '../../protocol/linear-regex.js';

/** Characters that are read for one part of an expression, in the reckoning of what evaluations may cost. */
const READS_PER_PART = 25;
/** Parts of a matcher that cost as much as reading a character. */
const SIZE_PER_READ = 50;

/** A text that counts how often its characters are read. */
class CountedText extends String {
  constructor(
    text: string,
    private readonly onRead: () => void,
  ) {
    super(text);
  }

  override charCodeAt(index: number): number {
    this.onRead();
    return super.charCodeAt(index);
  }
}

/**
 * What JSONata matches with in the place of `RegExp` (its option `RegexEngine`), in linear time.
 *
 * @param spend Told how many parts more of an expression that is as much work as; it may throw.
 */
export function regexEngine(spend: (parts: number) => void): new (regex: RegExp) => Pick<RegExp, 'lastIndex' | 'exec'> {
  return class {
    lastIndex = 0;
    readonly #regex: RE2JS;
    readonly #costOfRead: number;
    #text: string | undefined;
    #matcher: Matcher | undefined;

    constructor(regex: RegExp) {
      this.#regex = linearRegex(regex);
      this.#costOfRead = (1 + this.#regex.programSize() / SIZE_PER_READ) / READS_PER_PART;
    }

    exec(text: string): RegExpExecArray | null {
      const matcher = this.#matcherOf(text);
      if (this.lastIndex > text.length || !matcher.find(this.lastIndex)) {
        this.lastIndex = 0;
        return null;
      }
      this.lastIndex = matcher.end();
      const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, group) => matcher.group(group) ?? undefined);
      return Object.assign(groups, { index: matcher.start(), input: text }) as unknown as RegExpExecArray;
    }

    /** The same as long as the text is. */
    #matcherOf(text: string): Matcher {
      if (this.#matcher !== undefined && this.#text === text) return this.#matcher;
      this.#text = text;
      let cost = 0;
      const onRead = () => {
        cost += this.#costOfRead;
        const whole = Math.floor(cost);
        if (whole === 0) return;
        cost -= whole;
        spend(whole);
      };
      this.#matcher = this.#regex.matcher(new CountedText(text, onRead) as unknown as string);
      return this.#matcher;
    }
  };
}
