import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type AgentsApi,
  type TokenSource,
  createAgentsApi,
  oauthToken,
  staticToken,
} from '../../src/agents-api/index.js';
import {
  type Answer,
  type ScriptedServer,
  foundryError,
  hang,
  json,
  plain,
  startScriptedServer,
  stream,
} from './scripted-server.js';

const agentRid = 'ri.aip-agents..agent.a';
const sessionRid = 'ri.aip-agents..session.s';
const unauthorized = foundryError(401, 'UNAUTHORIZED', 'Default:Unauthorized');

let server: ScriptedServer;
beforeAll(async () => {
  server = await startScriptedServer();
});
afterEach(() => {
  server.seen.length = 0;
});
afterAll(() => server.close());

const authorizations = (): (string | undefined)[] => server.seen.map(({ headers }) => headers.authorization);

describe('on a 401', () => {
  function renewing(...tokens: string[]): TokenSource & { refreshed: string[] } {
    const refreshed: string[] = [];
    const source = {
      refreshed,
      get: () => Promise.resolve(tokens[0] ?? ''),
      refresh: (previous: string) => {
        refreshed.push(previous);
        if (tokens.length > 1) tokens.shift();
        return source.get();
      },
    };
    return source;
  }

  test.each<[string, Answer, (api: AgentsApi) => Promise<unknown>]>([
    ['read', json(200, {}), (api) => api.getContent({ agentRid, sessionRid })],
    ['stream', stream([], 'end'), (api) => api.streamingContinue({ agentRid, sessionRid, userInput: { text: 'q' } })],
  ])('a fresh token is fetched once and the %s is sent again', async (_, answer, call) => {
    const token = renewing('old', 'new');
    const api = createAgentsApi({ foundryUrl: server.url, token });
    server.script(unauthorized, answer);
    await call(api);
    expect(token.refreshed).toEqual(['old']);
    expect(authorizations()).toEqual(['Bearer old', 'Bearer new']);
    await api.close();
  });

  test('a second 401 is final', async () => {
    const api = createAgentsApi({ foundryUrl: server.url, token: renewing('a', 'b', 'c') });
    server.script(unauthorized);
    await expect(api.getAgent({ agentRid })).rejects.toMatchObject({ status: 401, errorName: 'Default:Unauthorized' });
    expect(authorizations()).toEqual(['Bearer a', 'Bearer b']);
    await api.close();
  });

  test('a token that cannot change is not sent twice', async () => {
    const api = createAgentsApi({ foundryUrl: server.url, token: staticToken('only') });
    server.script(unauthorized);
    await expect(api.getAgent({ agentRid })).rejects.toMatchObject({ status: 401 });
    expect(server.seen).toHaveLength(1);
    await api.close();
  });
});

describe('oauthToken()', () => {
  let forms: URLSearchParams[] = [];
  let tokenServer: ScriptedServer;
  beforeAll(async () => {
    tokenServer = await startScriptedServer((text) => forms.push(new URLSearchParams(text)));
  });
  afterEach(() => {
    forms = [];
  });
  afterAll(() => tokenServer.close());

  const granted = (token: string, expiresIn = 3_600): Answer =>
    json(200, { access_token: token, token_type: 'bearer', expires_in: expiresIn });
  const source = (options: { now?: () => number; timeoutMs?: number } = {}): TokenSource =>
    oauthToken({ foundryUrl: tokenServer.url, clientId: 'client', clientSecret: 'hush', ...options });

  test('asks for the two scopes of AIP Agents, and once for many callers', async () => {
    tokenServer.script(granted('one'));
    const token = source();
    await expect(Promise.all(Array.from({ length: 20 }, () => token.get()))).resolves.toEqual(Array(20).fill('one'));
    expect(forms.map((form) => [form.get('grant_type'), form.get('scope')])).toEqual([
      ['client_credentials', 'api:aip-agents-read api:aip-agents-write'],
    ]);
  });

  test('renews before expiry without holding anyone up, and waits only when it has expired', async () => {
    let nowMs = 0;
    tokenServer.script(granted('one', 600), granted('two', 600), granted('three', 600));
    const token = source({ now: () => nowMs });
    await expect(token.get()).resolves.toBe('one');
    nowMs = 539_000;
    await expect(token.get()).resolves.toBe('one');
    expect(forms).toHaveLength(1);
    nowMs = 540_000;
    await expect(token.get()).resolves.toBe('one');
    await expect(token.refresh('one')).resolves.toBe('two');
    expect(forms).toHaveLength(2);
    nowMs = 540_000 + 600_000;
    await expect(token.get()).resolves.toBe('three');
  });

  test('concurrent refreshes of one token are one, and one that comes late gets the newer token', async () => {
    tokenServer.script(granted('one'), granted('two'));
    const token = source();
    await token.get();
    await expect(Promise.all([token.refresh('one'), token.refresh('one')])).resolves.toEqual(['two', 'two']);
    await expect(token.refresh('one')).resolves.toBe('two');
    expect(forms).toHaveLength(2);
  });

  test.each<[string, Answer, RegExp, boolean]>([
    ['refused credentials', json(401, { error: 'invalid_client' }), /invalid_client/, false],
    ['a refused scope', json(400, { error: 'invalid_scope' }), /invalid_scope/, false],
    ['a page that is no token', plain(200, 'text/html', '<html>'), /no token/, false],
    ['a busy server', plain(503, 'text/plain', ''), /HTTP 503/, true],
    ['a lost connection', (response) => response.destroy(), /no connection \(UND_ERR_SOCKET\)/, true],
    ['a silent server', hang, /no answer within 50 ms/, true],
  ])('tells %s, and whether to try again', async (_, answer, message, retryable) => {
    tokenServer.script(answer);
    // Only the silent server is waited for in vain: the others must answer in time, however slow the machine is.
    const failed = source({ timeoutMs: answer === hang ? 50 : 30_000 }).get();
    await expect(failed).rejects.toMatchObject({ name: 'TokenError', retryable });
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.not.toThrow('hush');
  });

  test('refuses an http address beyond loopback before the secret leaves', () => {
    const create = (): TokenSource =>
      oauthToken({ foundryUrl: 'http://example.com', clientId: 'c', clientSecret: 's' });
    expect(create).toThrow('in the clear');
  });
});
