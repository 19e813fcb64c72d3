import { TemporalUnreachableError, UnansweredError } from './errors.js';
import { GRPC, grpcStatus } from './translate-error.js';

/** How long Temporal may be out of reach before watching gives up (milliseconds). */
export const UNREACHABLE_MS = 5 * 60_000;

/** True for failures that pass when Temporal comes back. */
export function isOutOfReach(error: unknown): boolean {
  // A look that met its time limit is translated like a query that nobody answered.
  if (error instanceof TemporalUnreachableError || error instanceof UnansweredError) return true;
  const code = grpcStatus(error)?.code;
  return code === GRPC.unavailable || code === GRPC.deadlineExceeded || code === GRPC.resourceExhausted;
}

/** Resolves after a time, or at once when the signal is aborted. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}
