import { TokenError } from './errors.js';

/** Where bearer tokens come from. */
export interface TokenSource {
  /**
   * The token to use now.
   *
   * @throws TokenError when none can be had; the signal's reason when it is aborted.
   */
  get(signal?: AbortSignal): Promise<string>;
  /**
   * Called when the server did not accept `previous`: a newer token if there is one, otherwise the same again.
   *
   * @throws like `get`.
   */
  refresh(previous: string, signal?: AbortSignal): Promise<string>;
}

/**
 * Takes surrounding white space off a token and checks that it fits into a header.
 *
 * @param origin names where the token came from, for the message.
 * @throws TokenError, without the token.
 */
export function checkToken(text: string, origin: string): string {
  const token = text.trim();
  if (token === '') throw new TokenError(`Cannot use an empty token from ${origin}: put a Foundry token there`, false);
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new TokenError(
      `Cannot use the token from ${origin}: it holds white space or characters that no header may carry`,
      false,
    );
  }
  return token;
}

/** A token that never changes. On a 401 there is no other to try. */
export function staticToken(token: string): TokenSource {
  const checked = checkToken(token, 'the configuration');
  return { get: () => Promise.resolve(checked), refresh: () => Promise.resolve(checked) };
}

/** Waits for work that others may share: an aborted waiter leaves, with its signal's reason, and the work goes on. */
export async function waitUnlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    // The reason is the caller's own and passes through as it is.
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
