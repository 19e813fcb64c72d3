import { orAborted } from './abort.js';
import { addressOf, type ClientContext } from './connection.js';
import { TemporalUnreachableError, UnansweredError } from './errors.js';
import { GRPC, grpcStatus } from './translate-error.js';

/** How long Temporal may be out of reach before watching gives up (milliseconds). */
export const UNREACHABLE_MS = 5 * 60_000;
/** How long one look may take (milliseconds). */
const LOOK_TIMEOUT_MS = 10_000;
/** After so long a look is late: it is seen whether Temporal answers at all, which may take as long again (milliseconds). */
const LATE_MS = 2_000;

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

/** What was seen last; `outage` says why that is old. */
export interface Look<T> {
  seen: T;
  outage?: string;
}

/**
 * Looks again and again, also while Temporal is away, for up to five minutes: that is told within some seconds, where a call alone would
 * be tried again in silence, and once or twice with every look until it is back.
 *
 * @param options.intervalMs Pause between looks (milliseconds). Default 1,000.
 * @param options.signal Ends looking.
 * @throws What a look throws: before anything was seen, after five minutes, or when it is no outage.
 */
export async function* lookAgain<T>(
  context: ClientContext,
  look: () => Promise<T>,
  { intervalMs = 1_000, signal }: { intervalMs?: number; signal?: AbortSignal } = {},
): AsyncGenerator<Look<T>, void, void> {
  const outage = `Temporal at ${addressOf(context.client)} does not answer; trying again`;
  const isAborted = () => signal?.aborted === true;
  let last: { seen: T } | undefined;
  let awaySinceMs: number | undefined;
  while (!isAborted()) {
    const looking = context.client.withDeadline(Date.now() + LOOK_TIMEOUT_MS, look);
    const isLate = last !== undefined && !(await settles(looking, LATE_MS, signal));
    if (isAborted()) return;
    if (last !== undefined && isLate && !(await answers(context))) {
      awaySinceMs ??= Date.now();
      yield { ...last, outage };
    }
    try {
      last = { seen: await orAborted(looking, signal) };
      awaySinceMs = undefined;
    } catch (error) {
      if (isAborted()) return;
      if (last === undefined || !isOutOfReach(error)) throw error;
      awaySinceMs ??= Date.now();
      if (Date.now() - awaySinceMs > UNREACHABLE_MS) throw error;
    }
    yield awaySinceMs === undefined ? last : { ...last, outage };
    await pause(intervalMs, signal);
  }
}

/** Whether it has come to an end, good or bad, within a time; an abort ends the wait. */
async function settles(promise: Promise<unknown>, ms: number, signal: AbortSignal | undefined): Promise<boolean> {
  const waiting = new AbortController();
  const stop = () => waiting.abort();
  signal?.addEventListener('abort', stop, { once: true });
  const settled = promise.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, pause(ms, waiting.signal).then(() => false)]);
  } finally {
    stop();
    signal?.removeEventListener('abort', stop);
  }
}

/** Whether Temporal itself answers, asked for what costs it nothing. */
async function answers({ client }: ClientContext): Promise<boolean> {
  try {
    await client.withDeadline(Date.now() + LATE_MS, () => client.workflowService.getSystemInfo({}));
    return true;
  } catch (error) {
    return !isOutOfReach(error) && grpcStatus(error)?.code !== GRPC.cancelled;
  }
}
