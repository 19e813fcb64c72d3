/**
 * Waits as long as neither signal is aborted, and resolves with `held` when `hold` is. Rejects with the reason of `signal`.
 *
 * `AbortSignal.any` would do, but leaves something behind at a signal that lives long.
 */
export async function unlessHeld<T>(
  signal: AbortSignal,
  hold: AbortSignal | undefined,
  wait: (signal: AbortSignal) => Promise<T>,
): Promise<T | 'held'> {
  if (hold === undefined) return wait(signal);
  const either = new AbortController();
  const onStop = () => either.abort(signal.reason);
  const onHold = () => either.abort(hold.reason);
  if (signal.aborted) onStop();
  else if (hold.aborted) onHold();
  signal.addEventListener('abort', onStop, { once: true });
  hold.addEventListener('abort', onHold, { once: true });
  try {
    return await wait(either.signal);
  } catch (error) {
    if (error === hold.reason && !signal.aborted) return 'held';
    throw error;
  } finally {
    signal.removeEventListener('abort', onStop);
    hold.removeEventListener('abort', onHold);
  }
}
