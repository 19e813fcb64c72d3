import { agentScopes } from './credentials.js';
import type { Credentials } from './credentials.js';
import type { Reply } from './reply.js';

/**
 * Multipass's token endpoint, for client credentials: `POST /multipass/api/oauth2/token` (RFC 6749, section 4.4). The client
 * shows itself by Basic authentication (as `@osdk/oauth` does) or in the form (as the Python client does). A token carries the
 * scopes asked for, both of the Agents API if none were.
 */
export function issueToken(
  credentials: Credentials,
  authorization: string | undefined,
  body: string,
  reply: Reply,
): void {
  const form = new URLSearchParams(body);
  const { clientId, clientSecret } = clientOf(authorization, form);
  if (!credentials.isClient(clientId, clientSecret)) return oauthError(reply, 401, 'invalid_client');
  if (form.get('grant_type') !== 'client_credentials') return oauthError(reply, 400, 'unsupported_grant_type');
  const asked = (form.get('scope') ?? '').split(' ').filter((scope) => scope !== '');
  if (asked.some((scope) => scope !== 'offline_access' && !/^api:[a-z-]+$/.test(scope))) {
    return oauthError(reply, 400, 'invalid_scope');
  }
  const scopes = asked.length === 0 ? [...agentScopes] : asked;
  const { token, lifetimeSeconds } = credentials.issue(scopes);
  reply.json(200, {
    access_token: token,
    token_type: 'bearer',
    expires_in: lifetimeSeconds,
    scope: scopes.join(' '),
  });
}

/** `POST /multipass/api/oauth2/revoke_token` (RFC 7009): an unknown token is no error. */
export function revokeToken(
  credentials: Credentials,
  authorization: string | undefined,
  body: string,
  reply: Reply,
): void {
  const form = new URLSearchParams(body);
  const { clientId, clientSecret } = clientOf(authorization, form);
  if (!credentials.isClient(clientId, clientSecret)) return oauthError(reply, 401, 'invalid_client');
  credentials.revoke(form.get('token') ?? '');
  reply.json(200, {});
}

function clientOf(authorization: string | undefined, form: URLSearchParams) {
  const basic = /^Basic (.+)$/i.exec(authorization ?? '')?.[1];
  if (basic === undefined) {
    return { clientId: form.get('client_id') ?? undefined, clientSecret: form.get('client_secret') ?? undefined };
  }
  const text = Buffer.from(basic, 'base64').toString();
  const at = text.indexOf(':');
  return { clientId: formDecode(text.slice(0, at)), clientSecret: formDecode(text.slice(at + 1)) };
}

/** RFC 6749, section 2.3.1: id and secret are form-encoded before they go into the header. */
function formDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined; // A malformed escape is nobody's secret.
  }
}

function oauthError(reply: Reply, status: number, error: string): void {
  reply.json(status, { error });
}
