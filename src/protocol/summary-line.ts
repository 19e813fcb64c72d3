/** UTF-8 bytes of a summary. Temporal takes 400 with the payload around them, which a codec makes longer. */
const MOST_BYTES = 200;

/** Characters are read at most this far: a user text can be long, and this runs in workflows. */
const MOST_CHARACTERS = 80;

/**
 * The beginning of a text as a summary of a workflow or an activity: one line, at most 80 characters and 200 bytes, `…` at its
 * end when there was more.
 *
 * A summary is a payload, which a codec may encrypt: user text may stand in it.
 */
export function summaryLine(text: string): string {
  // Control characters and halves of pairs take six bytes each in JSON.
  const line = text
    .slice(0, 4 * MOST_CHARACTERS)
    .replace(/[\s\p{Cc}\p{Cs}]+/gu, ' ')
    .trim();
  let kept = '';
  let bytes = 0;
  let characters = 0;
  for (const character of line) {
    bytes += jsonBytes(character);
    characters += 1;
    if (bytes > MOST_BYTES - 3 || characters >= MOST_CHARACTERS) return `${kept.trimEnd()}…`;
    kept += character;
  }
  return text.length > 4 * MOST_CHARACTERS ? `${kept}…` : kept;
}

/** Bytes of a character in JSON, in UTF-8. */
function jsonBytes(character: string): number {
  const codePoint = character.codePointAt(0) ?? 0;
  if (character === '"' || character === '\\') return 2;
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x1_0000 ? 3 : 4;
}
