/**
 * The promise's end, or the signal's reason if the abort comes first; what the promise stands for goes on.
 *
 * Besides the SDK's `withAbortSignal`, which misses an abort that comes between two calls.
 */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  promise.catch(() => undefined); // After an abort nobody else asks how it ended.
  signal.throwIfAborted();
  let listener: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    listener = () => reject(signal.reason as Error);
  });
  signal.addEventListener('abort', listener, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', listener);
  }
}
