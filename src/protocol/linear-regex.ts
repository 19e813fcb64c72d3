/**
 * Regular expressions of plans, by the syntax of RE2 (https://github.com/google/re2/wiki/Syntax): they are matched in time that grows with
 * the text alone. Those of JavaScript go back and forth, some of them for ever, and nothing stops them: their worker would answer
 * nobody any more.
 */
import { RE2JS, RE2JSSyntaxException } from 're2js';

/** Parts of a matcher, with all that is repeated written out: `(a{100}){10}` has a thousand. */
const MOST_PARTS = 2_000;

/** @throws Error When it cannot be matched so; the message is the reason, for "Cannot …: reason". */
export function linearRegex({ source, flags }: Pick<RegExp, 'source' | 'flags'>): RE2JS {
  const regex = compiled(source, flags);
  if (regex.programSize() > MOST_PARTS) {
    throw new Error(`/${source}/ repeats too much: it has more than ${MOST_PARTS} parts, with repeats written out`);
  }
  return regex;
}

function compiled(source: string, flags: string): RE2JS {
  try {
    return RE2JS.compile(
      RE2JS.translateRegExp(source),
      (flags.includes('i') ? RE2JS.CASE_INSENSITIVE : 0) |
        (flags.includes('m') ? RE2JS.MULTILINE : 0) |
        RE2JS.LOOKBEHINDS,
    );
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error;
    const why = `${error.getDescription()} ${error.getPattern() ?? ''}`.trim();
    const remedy = 'lookaheads and references to groups cannot be used; do it in two steps';
    throw new Error(`/${source}/ is none that can be matched safely (${why}): ${remedy}`, { cause: error });
  }
}
