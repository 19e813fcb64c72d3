/**
 * Markdown for the "Current Details" of a run in the Temporal UI: state first. No user text: it travels in a URL there.
 *
 * The UI gives the text a height too small by a line or two and cuts the end off, so empty lines are put there.
 */
export function detailsText(lines: readonly string[]): string {
  return [...lines, '', '\u00a0', '', '\u00a0', ''].join('\n');
}
