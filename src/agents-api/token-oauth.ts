import { createConfidentialOauthClient } from '@osdk/oauth';
import { readConnectionError, TokenError } from './errors.js';
import { parseFoundryUrl } from './foundry-url.js';
import { type TokenSource, checkToken, waitUnlessAborted } from './token.js';

/** The scopes that the AIP Agents operations need; `@osdk/oauth` asks for others by default. */
export const AIP_AGENTS_SCOPES: readonly string[] = ['api:aip-agents-read', 'api:aip-agents-write'];

/** Options of `oauthToken`. */
export interface OauthTokenOptions {
  foundryUrl: string;
  clientId: string;
  clientSecret: string;
  /** Default `AIP_AGENTS_SCOPES`. */
  scopes?: readonly string[];
  allowInsecureHttp?: boolean;
  /** Limit on one request for a token, in milliseconds. Default 30,000. */
  timeoutMs?: number;
  /** Clock in milliseconds. */
  now?: () => number;
}

/** A token is renewed when less than this share of its life is left, or less than a minute. */
const RENEW_AT_SHARE = 0.1;
const RENEW_AT_MOST_MS = 60_000;

/**
 * Tokens by OAuth client credentials, for a service user. A token is renewed in the background shortly before it expires
 * and used until then; concurrent renewals are one.
 *
 * @throws (from `get` and `refresh`) TokenError: `retryable` when the token's server did not answer or was busy.
 */
export function oauthToken(options: OauthTokenOptions): TokenSource {
  const { clientId, clientSecret, scopes = AIP_AGENTS_SCOPES, timeoutMs = 30_000, now = Date.now } = options;
  const url = parseFoundryUrl(options.foundryUrl, options);
  const action = `Cannot get a token from ${url.host} for client ${clientId}`;
  const send = tokenFetch(action, timeoutMs);
  const oauth = createConfidentialOauthClient(clientId, clientSecret, url.href, [...scopes], send);
  let current: { token: string; renewAtMs: number; expiresAtMs: number } | undefined;
  let renewing: Promise<string> | undefined;

  async function renew(): Promise<string> {
    let answer: Awaited<ReturnType<typeof oauth.signIn>>;
    try {
      answer = await oauth.signIn();
    } catch (error) {
      throw describeRefusal(error, action);
    }
    const lifeMs = answer.expires_in * 1000;
    const expiresAtMs = now() + lifeMs;
    const renewAtMs = expiresAtMs - Math.min(RENEW_AT_MOST_MS, lifeMs * RENEW_AT_SHARE);
    current = { token: checkToken(answer.access_token, url.host), renewAtMs, expiresAtMs };
    return current.token;
  }

  function renewShared(): Promise<string> {
    renewing ??= renew().finally(() => {
      renewing = undefined;
    });
    return renewing;
  }

  return {
    async get(signal) {
      const nowMs = now();
      if (current !== undefined && nowMs < current.expiresAtMs) {
        // Failing early costs nothing: the token in hand is good, and the next call tries again.
        if (nowMs >= current.renewAtMs) renewShared().catch(() => undefined);
        return current.token;
      }
      return await waitUnlessAborted(renewShared(), signal);
    },
    async refresh(previous, signal) {
      // Another call may have renewed it since.
      if (current !== undefined && current.token !== previous) return current.token;
      return await waitUnlessAborted(renewShared(), signal);
    },
  };
}

/** The global fetch under a time limit; what another try may mend is told as such. */
function tokenFetch(action: string, timeoutMs: number): typeof fetch {
  return async (input, init) => {
    let answer: Response;
    try {
      answer = await fetch(input, { ...init, signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      const isLate = (error as Error).name === 'TimeoutError';
      const reason = isLate
        ? `no answer within ${timeoutMs} ms`
        : `no connection (${readConnectionError(error).causeCode})`;
      throw new TokenError(`${action}: ${reason}; check the address and the network`, true, { cause: error });
    }
    if (answer.status === 429 || answer.status >= 500) {
      throw new TokenError(`${action}: HTTP ${answer.status}; try again`, true);
    }
    return answer;
  };
}

/** The vendor's client tells the OAuth `error` code (`invalid_client`, `invalid_scope`) in its message alone. */
function describeRefusal(error: unknown, action: string): TokenError {
  if (error instanceof TokenError) return error;
  const code = error instanceof Error ? /^Failed to get token: ([\w-]+)$/.exec(error.message)?.[1] : undefined;
  const reason = code ?? 'the answer was no token';
  return new TokenError(`${action}: ${reason}; check the address, client id, secret and scopes`, false, {
    cause: error,
  });
}
