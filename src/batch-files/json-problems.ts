/** What can be said of a text that is no JSON. */
export interface JsonProblem {
  /** What was met, with its column. */
  reason: string;
  /** What to do, where that is plain. */
  remedy?: string;
  /** The text ends before its value does: as a torn line does, or one of a value that is written over several lines. */
  isTorn: boolean;
}

/** What is wrong with a text that `JSON.parse` has refused. Tells no piece of the text. */
export function jsonProblem(text: string, error: unknown): JsonProblem {
  const { reason, position } = reasonOf(error);
  const at = position ?? strayCharacter(text);
  const isTorn = at === undefined ? /end of JSON input/.test(reason) : /^[ \t\r\n]*$/.test(text.slice(at));
  const remedy = isTorn ? undefined : remedyAt(text, at);
  return {
    reason: at === undefined ? reason : `${reason} at column ${at + 1}`,
    ...(remedy !== undefined && { remedy }),
    isTorn,
  };
}

/** V8's reason without the piece of the input that it quotes. */
function reasonOf(error: unknown): { reason: string; position?: number } {
  const message = error instanceof Error ? error.message : String(error);
  const position = / at position (\d+)/.exec(message)?.[1];
  const reason = message
    .replace(/(?: in JSON)? at position.*$/s, '')
    .replace(/^".*" is not valid JSON$/s, 'Unexpected word')
    .replace(/, (?:\.\.\.)?".*$/s, '')
    .replace(/ is not valid JSON$/, '')
    // The character that it names may be one that nobody sees.
    .replace(/[^\x20-\x7e]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
  return { reason, ...(position !== undefined && { position: Number(position) }) };
}

/** Longer texts are not searched: matching all their strings takes memory. */
const MOST_SEARCHED_CHARACTERS = 64 * 1024;

/** Where the first character stands that JSON knows only inside strings: V8 does not tell it for every error. */
function strayCharacter(text: string): number | undefined {
  if (text.length > MOST_SEARCHED_CHARACTERS) return undefined;
  const bare = text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|\b(?:true|false|null)\b/gs, (found) => '0'.repeat(found.length));
  const at = bare.search(/[^ \t\r\n{}[\]:,0-9.eE+-]/);
  return at === -1 ? undefined : at;
}

/** By what stands at the fault, from its beginning. */
const REMEDIES: readonly [RegExp, string][] = [
  [/^\uFEFF/, 'remove the byte order mark, which stands at the beginning of a file only'],
  [/^['‘’“”„«»]/, 'write straight double quotes (") around names and texts'],
  [/^(?:\/[/*]|#)/, 'take the comment out, JSON has none'],
  [/^(?:NaN|-?Infinity|None|undefined)\b/, 'write null, or leave the field out'],
  [/^(?:True|False)\b/, 'write it in small letters'],
  [/^\p{L}\w*\s*:/u, 'put the name in double quotes'],
  [/^\s*[{[]/, 'write each row on a line of its own'],
  // eslint-disable-next-line no-control-regex
  [/^[\u0000-\u001f]/, 'write line breaks and tabs inside a text as \\n and \\t'],
];

function remedyAt(text: string, at: number | undefined): string | undefined {
  if (at === undefined) return undefined;
  if (/^[}\]]/.test(text.slice(at)) && /,\s*$/.test(text.slice(0, at))) return 'take the last comma out';
  // What stands before a bad escape is its backslash.
  if (text[at - 1] === '\\') return 'write a backslash as \\\\';
  return REMEDIES.find(([beginning]) => beginning.test(text.slice(at, at + 100)))?.[1];
}
