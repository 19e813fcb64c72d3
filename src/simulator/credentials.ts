import { randomUUID } from 'node:crypto';
import { ApiError } from './errors.js';
import type { CheckedOptions } from './settings.js';

/** The two scopes of the AIP Agents API. */
export const agentScopes = ['api:aip-agents-read', 'api:aip-agents-write'] as const;

/** One of them. */
export type AgentScope = (typeof agentScopes)[number];

interface Token {
  scopes: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  isIssued: boolean;
}

/** The bearer tokens that are honoured: those of the options, and those issued to OAuth clients. */
export class Credentials {
  readonly #tokens = new Map<string, Token>();

  constructor(private readonly options: CheckedOptions) {
    this.#add(options.token, agentScopes, Infinity, false);
    for (const { token, scopes, lifetimeMs } of options.tokens) {
      this.#add(token, scopes ?? agentScopes, Date.now() + (lifetimeMs ?? Infinity), false);
    }
  }

  /**
   * The scopes behind an `Authorization` header.
   *
   * @throws ApiError 401: `MissingCredentials` without a bearer token, `Default:Unauthorized` for one that is unknown or
   *   has expired. No page documents these names; clients go by the status.
   */
  scopes(authorization: string | undefined): ReadonlySet<string> {
    if (authorization === undefined || !/^Bearer ./i.test(authorization)) {
      throw new ApiError(401, 'UNAUTHORIZED', 'MissingCredentials', {});
    }
    const token = this.#tokens.get(authorization.slice('Bearer '.length));
    if (token === undefined || Date.now() >= token.expiresAt) {
      throw new ApiError(401, 'UNAUTHORIZED', 'Default:Unauthorized', {});
    }
    return token.scopes;
  }

  isClient(clientId: string | undefined, clientSecret: string | undefined): boolean {
    return clientId === this.options.clientId && clientSecret === this.options.clientSecret;
  }

  /** A new token with these scopes. */
  issue(scopes: readonly string[]): { token: string; lifetimeSeconds: number } {
    const token = `simulator-${randomUUID()}`;
    const lifetimeSeconds = this.options.oauthTokenLifetimeSeconds;
    this.#add(token, scopes, Date.now() + lifetimeSeconds * 1000, true);
    return { token, lifetimeSeconds };
  }

  revoke(token: string): void {
    this.#tokens.delete(token);
  }

  /** Makes the tokens issued to OAuth clients expire now, or one token by its text. Returns how many did. */
  expire(token?: string): number {
    let expired = 0;
    for (const [text, entry] of this.#tokens) {
      if (token === undefined ? !entry.isIssued : text !== token) continue;
      entry.expiresAt = 0;
      expired++;
    }
    return expired;
  }

  #add(token: string, scopes: readonly string[], expiresAt: number, isIssued: boolean): void {
    this.#tokens.set(token, { scopes: new Set(scopes), expiresAt, isIssued });
  }
}
