/**
 * Runs something for each item, some at once, in their order. After a failure none is begun, and those under way are waited
 * for before it is thrown.
 */
export async function eachAtOnce<T>(items: Iterable<T>, most: number, run: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  let hasFailed = false;
  const runNext = async () => {
    try {
      for (let next = left.next(); next.done !== true && !hasFailed; next = left.next()) await run(next.value);
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: most }, runNext));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
