import type { CliIo } from './command.js';

/** A text of somebody's own must not move the cursor. */
export const oneLine = (text: string): string => text.replace(/[\s\p{Cc}]+/gu, ' ').trim();

const isWide = (character: string): boolean =>
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u.test(
    character,
  );

/** Columns that a line takes; wide characters take two. */
export const columnsOf = (line: string): number =>
  [...line].reduce((columns, character) => columns + (isWide(character) ? 2 : 1), 0);

/** Cuts a line to less than `width` columns, with `…` at its end. */
export function cut(line: string, width: number): string {
  let columns = 0;
  let kept = '';
  for (const character of line) {
    columns += isWide(character) ? 2 : 1;
    if (columns >= width) return `${[...kept].slice(0, -1).join('').trimEnd()}…`;
    kept += character;
  }
  return kept;
}

/** Lines that are drawn again and again in their place, at the foot of a terminal. */
export class Redrawing {
  /** Lines that stand there. */
  private drawn = 0;

  constructor(private readonly stream: CliIo['stderr']) {}

  /** @param lines Each of less columns than the terminal has, and fewer of them than its rows. */
  draw(lines: readonly string[]): void {
    const up = this.drawn > 1 ? `\u001b[${this.drawn - 1}A` : '';
    this.drawn = lines.length;
    this.stream.write(`${up}\r\u001b[J${lines.join('\n')}`);
  }

  /** Leaves the lines as they stand, so that what is said next begins on a line of its own. */
  end(): void {
    if (this.drawn > 0) this.stream.write('\n');
    this.drawn = 0;
  }
}
