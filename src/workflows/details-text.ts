/**
 * Markdown for the "Current Details" of a run in the Temporal UI: state first. It travels in a URL there: no user text but what
 * somebody has to read there, and that bounded (`quotedText`).
 *
 * The UI gives the text a height too small by a line or two and cuts the end off, so empty lines are put there.
 */
export function detailsText(lines: readonly string[]): string {
  return [...lines, '', '\u00a0', '', '\u00a0', ''].join('\n');
}

/** Characters of a text that are shown: a URL has thousands of bytes, and a character may take twelve of them. */
const MOST_CHARACTERS = 300;

/** What markdown or HTML would make something of within a line. */
const MARKUP = /[\\`*_~[\]<>&|#!$]/g;

/** The beginning of a text in one line, in quotes, as it stands: nothing in it is markdown. Cut, it ends in `…`. */
export function quotedText(text: string): { quoted: string; isCut: boolean } {
  // Halves of pairs cannot stand in a URL.
  const line = text
    .slice(0, 8 * MOST_CHARACTERS)
    .replace(/[\s\p{Cc}\p{Cs}]+/gu, ' ')
    .trim();
  const characters = [...line];
  const isCut = characters.length > MOST_CHARACTERS || text.length > 8 * MOST_CHARACTERS;
  const kept = characters.slice(0, MOST_CHARACTERS).join('').trimEnd();
  return { quoted: `“${kept.replace(MARKUP, '\\$&')}${isCut ? '…' : ''}”`, isCut };
}
