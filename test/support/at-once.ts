import { afterAll, test } from '@jest/globals';

/** Settings of `testsAtOnce`. */
export interface AtOnceOptions {
  /** How many run at the same time at most. Default: all. */
  width?: number;
  timeoutMs?: number;
  /** Names of those that are known to fail (`test.failing`). */
  failing?: readonly string[];
}

/**
 * Declares tests that run at the same time, all begun by the first of them and each told by itself: for those that mostly wait.
 *
 * Not jest's own `test.concurrent`, which does not wait for the `beforeAll` of its `describe`.
 *
 * @returns Begins them before their turn, beside other tests.
 */
export function testsAtOnce<Cell>(
  cells: Readonly<Record<string, Cell>>,
  run: (cell: Cell, name: string) => Promise<void>,
  { width = Infinity, timeoutMs = 60_000, failing = [] }: AtOnceOptions = {},
): () => void {
  let begun: Map<string, Promise<void>> | undefined;
  const beginOnce = () => {
    begun ??= begin(Object.entries(cells), run, width);
  };
  for (const name of Object.keys(cells)) {
    const declare = failing.includes(name) ? test.failing : test;
    declare(
      name,
      async () => {
        beginOnce();
        await begun?.get(name);
      },
      timeoutMs,
    );
  }
  afterAll(async () => {
    await Promise.allSettled([...(begun?.values() ?? [])]);
  }, timeoutMs);
  return beginOnce;
}

function begin<Cell>(
  cells: readonly [string, Cell][],
  run: (cell: Cell, name: string) => Promise<void>,
  width: number,
): Map<string, Promise<void>> {
  const begun = new Map<string, Promise<void>>();
  const runs: Promise<void>[] = [];
  for (const [n, [name, cell]] of cells.entries()) {
    const place = n < width ? Promise.resolve() : nthToEnd(runs, n - width + 1);
    const running = place.then(() => run(cell, name));
    running.catch(() => undefined); // Its own test tells it.
    runs.push(running);
    begun.set(name, running);
  }
  return begun;
}

/** Resolves when so many of these have ended, however. */
function nthToEnd(runs: readonly Promise<void>[], count: number): Promise<void> {
  return new Promise((resolve) => {
    let ended = 0;
    const one = () => {
      ended += 1;
      if (ended === count) resolve();
    };
    for (const run of runs) run.then(one, one);
  });
}
