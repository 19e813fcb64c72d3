/**
 * A user text for a new session, preceded by the tail of what was said in the old one.
 *
 * @param exchanges Earlier exchanges, oldest first.
 * @param mostCharacters Bound of the transcript; the oldest go first, and a longest single exchange is cut.
 */
export function withTranscript(
  exchanges: { text: string; answer: string }[],
  text: string,
  mostCharacters: number,
): string {
  const parts: string[] = [];
  let room = mostCharacters;
  for (const { text: question, answer } of [...exchanges].reverse()) {
    const part = `User: ${question}\n\nAgent: ${answer}`;
    if (part.length > room) {
      if (parts.length === 0) parts.push(`${part.slice(0, room)}…`);
      break;
    }
    parts.unshift(part);
    room -= part.length;
  }
  return `Earlier in this conversation:\n\n${parts.join('\n\n')}\n\n---\n\n${text}`;
}

/**
 * The text with its middle cut out: half of it remains the first time, a quarter the second, …; undefined when too little
 * would be left to ask anything.
 */
export function shortened(text: string, times: number): string | undefined {
  const characters = [...text];
  const keep = Math.floor(characters.length / 2 ** times);
  if (keep < 20) return undefined;
  const head = characters.slice(0, Math.ceil(keep / 2)).join('');
  const tail = characters.slice(characters.length - Math.floor(keep / 2)).join('');
  return `${head}\n[…]\n${tail}`;
}
