/** From this length on, two letters more, fewer or different still mean the same word. */
const LONG_KEY = 8;

/** The known key that is nearest to an unknown one; absent when none is near. */
export function suggestKey(key: string, known: readonly string[]): string | undefined {
  const respelt = known.find((name) => squeezed(name) === squeezed(key));
  if (respelt !== undefined) return respelt;
  const [nearest] = known
    .map((name) => ({ name, away: distance(name, key) }))
    .filter(({ away }) => away <= 2)
    .sort((a, b) => a.away - b.away);
  return nearest?.name;
}

/**
 * Whether an unknown key can only be a slip: the same letters in another spelling (`agent_rid`), or a long word with at
 * most two wrong after the first. Short ones (`ids`, `turn`), and a `headline` beside our `deadline`, may well be a field of
 * the user's own.
 */
export function isLikelyMeant(key: string, meant: string): boolean {
  return squeezed(key) === squeezed(meant) || (meant.length >= LONG_KEY && key[0] === meant[0]);
}

const squeezed = (key: string): string => key.toLowerCase().replaceAll(/[^a-z]/g, '');

/** Letters to add, drop, change or swap with their neighbour, to make one word of the other. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    rows[i] = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Infinity;
      (rows[i] ??= [])[j] = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, changed, swapped);
    }
  }
  return at(a.length, b.length);
}
