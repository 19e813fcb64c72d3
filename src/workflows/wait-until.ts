import { CancellationScope, condition, sleep } from '@temporalio/workflow';

/**
 * Waits until the condition holds, or so many milliseconds, as `condition` does, with a summary that people see at its timer.
 *
 * @param ms Infinity: without a timer.
 * @returns Whether the condition holds.
 */
export async function waitUntil(holds: () => boolean, ms: number, summary: string): Promise<boolean> {
  if (holds() || ms <= 0) return holds();
  if (ms === Infinity) {
    await condition(holds);
    return true;
  }
  const timer = new CancellationScope({ cancellable: true });
  let isOver = false;
  timer
    .run(() => sleep(ms, { summary }))
    .then(
      () => (isOver = true),
      () => undefined,
    );
  try {
    await condition(() => isOver || holds());
    return holds();
  } finally {
    timer.cancel();
  }
}
