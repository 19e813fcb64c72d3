/** A value as a message may show it: the beginning of a text, else its kind. */
export function shown(value: unknown): string {
  if (typeof value !== 'string') return kindOf(value);
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
}

/** The kind of a JSON value, with its article: `a number`, `an array`, `null`. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : withArticle(typeof value);
}

/** `an object`, `a string`; JSON's name for a record. */
export function withArticle(noun: string): string {
  const name = noun === 'record' ? 'object' : noun;
  return `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
}
