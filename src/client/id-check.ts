/** Characters of an id of ours: with prefixes and what is added to it, it stays well within a workflow id's bound. */
const MOST_ID_CHARACTERS = 200;

/** What is wrong with the id of a batch or of an automation, with a remedy; undefined when nothing is. */
export function idProblem(id: string): string | undefined {
  if (id === '') return 'it is empty; give it some characters';
  if (id.length > MOST_ID_CHARACTERS) return `it has ${id.length} characters; give it at most ${MOST_ID_CHARACTERS}`;
  // eslint-disable-next-line no-control-regex -- control characters are what is refused
  if (/[\u0000-\u001f\u007f]/.test(id)) return 'it holds a control character, such as a line break; leave it out';
  return undefined;
}
