const LOOPBACK_HOST = /^(localhost|[^.]+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** True for hosts that lead back to this machine: `localhost`, `*.localhost`, 127.0.0.0/8 and `[::1]`. */
export function isLoopbackHost(hostname: string): boolean {
  return LOOPBACK_HOST.test(hostname);
}

/**
 * Checks the address of a Foundry enrollment and returns it with a trailing slash.
 *
 * A bare host name means `https://`. `http://` would send the token in the clear, so it is accepted for loopback hosts
 * only, unless `allowInsecureHttp` says otherwise.
 *
 * @param foundryUrl such as `https://example.palantirfoundry.com`, without `/api`.
 * @throws Error that says what is wrong with the address.
 */
export function parseFoundryUrl(foundryUrl: string, options: { allowInsecureHttp?: boolean } = {}): URL {
  const text = foundryUrl.trim();
  if (text === '')
    throw new Error('Cannot use an empty Foundry URL: set it, as in https://example.palantirfoundry.com');
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new Error(`Cannot use Foundry URL ${text}: give it as https://HOST, without the /api path`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new Error(
      `Cannot use the Foundry URL of host ${url.host}: give scheme and host alone, without user, query or #`,
    );
  }
  if (url.protocol === 'http:' && !isLoopbackHost(url.hostname) && options.allowInsecureHttp !== true) {
    throw new Error(
      `Cannot use Foundry URL ${url.origin}: http:// would send the token in the clear; use https://, ` +
        'or allow insecure http explicitly',
    );
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}
