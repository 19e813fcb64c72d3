import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { DevDefaults, Environment, Flags } from '../../src/settings.js';
import {
  findAgentRid,
  loadAgentRid,
  loadFoundryConfig,
  loadTaskQueue,
  loadTemporalConfig,
  loadWorkerConfig,
} from '../../src/config.js';
import { ConfigError } from '../../src/settings.js';

const folder = mkdtempSync(join(tmpdir(), 'aip-config-'));
const tokenFile = join(folder, 'token');
const emptyFile = join(folder, 'empty');
const profiles = join(folder, 'temporal.toml');
const SECRET = 'hush-hush-secret';
const URL_SET = { FOUNDRY_URL: 'https://example.palantirfoundry.com' };
const dev: DevDefaults = {
  temporalAddress: '127.0.0.1:7999',
  taskQueue: 'dev-queue',
  foundry: { url: 'http://127.0.0.1:8300', token: 'simulator-token' },
  agentRid: 'ri.aip-agents..agent.dev',
};
/** No temporal.toml of whoever runs the tests. */
const base: Environment = { XDG_CONFIG_HOME: folder };

beforeAll(() => {
  writeFileSync(tokenFile, `${SECRET}\n`);
  writeFileSync(emptyFile, '\n');
  writeFileSync(
    profiles,
    '[profile.default]\naddress = "from-file:7233"\n[profile.cloud]\naddress = "cloud.example:7233"\nnamespace = "prod"\napi_key = "k"\n',
  );
});

const foundry = (env: Environment, flags: Flags = {}) => loadFoundryConfig({ flags, env: { ...base, ...env } });

/** The problems of a load that must fail. */
function problemsOf(load: () => unknown): readonly string[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('The settings were accepted');
}

describe('loadFoundryConfig()', () => {
  test.each<[string, Environment, Flags, unknown]>([
    ['a token', { FOUNDRY_TOKEN: 't' }, {}, { kind: 'static', token: 't' }],
    ['a token with a line end', { FOUNDRY_TOKEN: 't\n' }, {}, { kind: 'static', token: 't' }],
    ['a token file', { FOUNDRY_TOKEN_FILE: tokenFile }, {}, { kind: 'file', path: tokenFile }],
    ['a token file by flag', {}, { foundryTokenFile: tokenFile }, { kind: 'file', path: tokenFile }],
    [
      'client credentials',
      { FOUNDRY_CLIENT_ID: 'id', FOUNDRY_CLIENT_SECRET: 's' },
      {},
      { kind: 'oauth', clientId: 'id', clientSecret: 's' },
    ],
    ['an empty variable beside it', { FOUNDRY_TOKEN: 't', FOUNDRY_TOKEN_FILE: '' }, {}, { kind: 'static', token: 't' }],
  ])('takes %s', (_, env, flags, credentials) => {
    expect(foundry({ ...URL_SET, ...env }, flags).credentials).toEqual(credentials);
  });

  test.each<[string, Environment, RegExp]>([
    ['no credentials', {}, /^Set FOUNDRY_TOKEN, FOUNDRY_TOKEN_FILE, or FOUNDRY_CLIENT_ID with FOUNDRY_CLIENT_SECRET/],
    [
      'two kinds',
      { FOUNDRY_TOKEN: SECRET, FOUNDRY_TOKEN_FILE: tokenFile },
      /^Unset all but one of FOUNDRY_TOKEN, FOUNDRY_TOKEN_FILE:/,
    ],
    [
      'three kinds',
      { FOUNDRY_TOKEN: SECRET, FOUNDRY_TOKEN_FILE: tokenFile, FOUNDRY_CLIENT_ID: 'id', FOUNDRY_CLIENT_SECRET: SECRET },
      /^Unset all but one of FOUNDRY_TOKEN, FOUNDRY_TOKEN_FILE, FOUNDRY_CLIENT_ID:/,
    ],
    ['an id without its secret', { FOUNDRY_CLIENT_ID: 'id' }, /^Set FOUNDRY_CLIENT_SECRET too/],
    ['a secret without its id', { FOUNDRY_CLIENT_SECRET: SECRET }, /^Set FOUNDRY_CLIENT_ID too/],
    ['a token with a blank inside', { FOUNDRY_TOKEN: `${SECRET} x` }, /^Mend FOUNDRY_TOKEN/],
    ['a file that is not there', { FOUNDRY_TOKEN_FILE: join(folder, 'none') }, /^Mend FOUNDRY_TOKEN_FILE: .*ENOENT/],
    ['an empty file', { FOUNDRY_TOKEN_FILE: emptyFile }, /is empty/],
  ])('refuses %s without showing a secret', (_, env, message) => {
    const problems = problemsOf(() => foundry({ ...URL_SET, ...env }));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(message);
    expect(problems[0]).not.toContain(SECRET);
  });

  test.each([
    ['https://host.example', 'https://host.example'],
    ['https://host.example/', 'https://host.example'],
    ['host.example', 'https://host.example'],
    ['http://localhost:8300', 'http://localhost:8300'],
    ['http://127.0.0.1:8300', 'http://127.0.0.1:8300'],
    ['http://[::1]:8300', 'http://[::1]:8300'],
  ])('takes the host %s', (given, url) => {
    expect(foundry({ FOUNDRY_URL: given, FOUNDRY_TOKEN: 't' })).toMatchObject({ url, allowInsecureHttp: false });
  });

  test.each([
    ['http://host.example', /would send the token unencrypted/],
    ['http://localhost.evil.example', /would send the token unencrypted/],
    ['ftp://host.example', /neither https:\/\/ nor http:\/\//],
    ['https://', /is not a URL/],
    [`https://user:${SECRET}@host.example`, /holds a user or a password/],
  ])('refuses the host %s', (given, message) => {
    const [problem] = problemsOf(() => foundry({ FOUNDRY_URL: given, FOUNDRY_TOKEN: 't' }));
    expect(problem).toMatch(message);
    expect(problem).not.toContain(SECRET);
  });

  test('takes http:// to another host when that is asked for, by flag or variable', () => {
    const env = { FOUNDRY_URL: 'http://host.example', FOUNDRY_TOKEN: 't' };
    expect(foundry(env, { allowInsecureHttp: true })).toMatchObject({
      url: 'http://host.example',
      allowInsecureHttp: true,
    });
    expect(foundry({ ...env, AIP_ALLOW_INSECURE_HTTP: 'true' })).toMatchObject({ allowInsecureHttp: true });
    expect(() => foundry({ ...env, AIP_ALLOW_INSECURE_HTTP: 'maybe' })).toThrow(/AIP_ALLOW_INSECURE_HTTP: "maybe"/);
  });

  test('names everything that is missing at once', () => {
    expect(problemsOf(() => foundry({}))).toHaveLength(2);
  });

  test('uses the simulator of a running dev only when nothing of Foundry is set', () => {
    expect(loadFoundryConfig({ flags: {}, env: base, dev }).url).toBe('http://127.0.0.1:8300');
    expect(() => loadFoundryConfig({ flags: {}, env: { ...base, ...URL_SET }, dev })).toThrow(/Set FOUNDRY_TOKEN/);
  });

  test('does not use the simulator of a running dev with another Temporal', () => {
    const env = { ...base, TEMPORAL_ADDRESS: 'production:7233' };
    expect(() => loadFoundryConfig({ flags: {}, env, dev })).toThrow(ConfigError);
    expect(findAgentRid({ flags: {}, env, dev })).toBeUndefined();
  });
});

describe('loadTemporalConfig()', () => {
  const temporal = (env: Environment, flags: Flags = {}, withDev = false) =>
    loadTemporalConfig({ flags, env: { ...base, ...env }, ...(withDev ? { dev } : {}) });

  test.each<[string, Environment, Flags, boolean, string]>([
    ['the default', {}, {}, false, 'localhost:7233'],
    ['a running dev', {}, {}, true, '127.0.0.1:7999'],
    ['the file over dev', { TEMPORAL_CONFIG_FILE: profiles }, {}, true, 'from-file:7233'],
    ['the variable over the file', { TEMPORAL_CONFIG_FILE: profiles, TEMPORAL_ADDRESS: 'v:1' }, {}, true, 'v:1'],
    ['the flag over the variable', { TEMPORAL_ADDRESS: 'v:1' }, { temporalAddress: 'f:1' }, true, 'f:1'],
  ])('takes the address from %s', (_, env, flags, withDev, address) => {
    expect(temporal(env, flags, withDev).connection.address).toBe(address);
  });

  test('reads a profile with its API key, which switches TLS on', () => {
    expect(temporal({ TEMPORAL_CONFIG_FILE: profiles }, { temporalProfile: 'cloud' })).toEqual({
      connection: { address: 'cloud.example:7233', tls: true, apiKey: 'k' },
      namespace: 'prod',
      taskQueue: 'aip-temporal',
    });
  });

  test('refuses a profile that is not there, and says where it was named', () => {
    const env = { TEMPORAL_CONFIG_FILE: profiles };
    expect(() => temporal(env, { temporalProfile: 'none' })).toThrow(/--temporal-profile.*'none' not found/);
    expect(() => temporal({ ...env, TEMPORAL_PROFILE: 'none' })).toThrow(/TEMPORAL_PROFILE.*'none' not found/);
  });

  test('treats empty variables as unset', () => {
    expect(temporal({ TEMPORAL_ADDRESS: '', TEMPORAL_NAMESPACE: '', TEMPORAL_TLS: '' })).toEqual({
      connection: { address: 'localhost:7233' },
      namespace: 'default',
      taskQueue: 'aip-temporal',
    });
  });

  test('reads certificates from files', () => {
    const { connection } = temporal({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: tokenFile });
    expect(connection.tls).toMatchObject({ serverRootCACertificate: Buffer.from(`${SECRET}\n`) });
    expect(() => temporal({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: join(folder, 'none') })).toThrow(ConfigError);
  });
});

describe('loadWorkerConfig()', () => {
  const worker = (env: Environment, flags: Flags = {}) =>
    loadWorkerConfig({ flags, env: { ...base, ...URL_SET, FOUNDRY_TOKEN: 't', ...env } });

  test('has a default for every limit', () => {
    expect(worker({})).toEqual({
      foundry: {
        url: 'https://example.palantirfoundry.com',
        credentials: { kind: 'static', token: 't' },
        allowInsecureHttp: false,
      },
      temporal: { address: 'localhost:7233' },
      namespace: 'default',
      taskQueue: 'aip-temporal',
      limits: { maxConcurrentLanes: 20, maxConcurrentExchanges: 200, shutdownGraceMs: 10_000 },
    });
  });

  test('takes limits and the identity from flags and variables', () => {
    const config = worker(
      { AIP_MAX_CONCURRENT_LANES: '3', AIP_SHUTDOWN_GRACE_MS: '0', AIP_WORKER_IDENTITY: 'worker-1' },
      { maxConcurrentExchanges: '7', maxConcurrentCallsPerAgent: '9' },
    );
    expect(config.identity).toBe('worker-1');
    expect(config.limits).toEqual({
      maxConcurrentLanes: 3,
      maxConcurrentExchanges: 7,
      maxConcurrentCallsPerAgent: 9,
      shutdownGraceMs: 0,
    });
  });

  test.each<[string, object]>([
    ['127.0.0.1:9464', { host: '127.0.0.1', port: 9464 }],
    ['9464', { host: '127.0.0.1', port: 9464 }],
    ['0.0.0.0:0', { host: '0.0.0.0', port: 0 }],
    ['localhost:9464', { host: 'localhost', port: 9464 }],
    ['[::1]:9464', { host: '::1', port: 9464 }],
  ])('serves metrics on %s', (value, metricsAddress) => {
    expect(worker({ AIP_METRICS_ADDRESS: value })).toMatchObject({ metricsAddress });
  });

  test.each(['off', ':9464', '127.0.0.1', '127.0.0.1:', '::1:9464', 'http://127.0.0.1:9464', '127.0.0.1:65536'])(
    'does not serve metrics on %s',
    (value) => {
      expect(problemsOf(() => worker({}, { metricsAddress: value }))).toEqual([
        `Mend --metrics-address: "${value}" is not host:port like 127.0.0.1:9464, nor a port alone, which is one of 127.0.0.1`,
      ]);
    },
  );

  test('serves metrics of Temporal’s SDK on an IP address and a port', () => {
    const address = (value: string) => worker({ AIP_TEMPORAL_METRICS_ADDRESS: value }).temporalMetricsAddress;
    expect(address('localhost:9465')).toBe('127.0.0.1:9465');
    expect(address('[::1]:9465')).toBe('[::1]:9465');
    expect(problemsOf(() => address('metrics.example:9465'))).toEqual([
      'Mend AIP_TEMPORAL_METRICS_ADDRESS: "metrics.example:9465" needs an IP address and a port',
    ]);
    expect(problemsOf(() => address('off'))).toHaveLength(1);
  });

  test('names all wrong settings at once, each with its place and value', () => {
    const problems = problemsOf(() =>
      worker({ AIP_MAX_CONCURRENT_LANES: '0', FOUNDRY_TOKEN: '', AIP_TASK_QUEUE: 'a b' }, { shutdownGraceMs: '1s' }),
    );
    expect(problems).toEqual([
      expect.stringMatching(/^Set FOUNDRY_TOKEN/),
      expect.stringMatching(/AIP_MAX_CONCURRENT_LANES: "0" is not a whole number above 0/),
      expect.stringMatching(/--shutdown-grace-ms: "1s"/),
      expect.stringMatching(/AIP_TASK_QUEUE: "a b"/),
    ]);
  });
});

describe('loadAgentRid()', () => {
  const agent = (env: Environment, flags: Flags = {}) => loadAgentRid({ flags, env: { ...base, ...env } });

  test('takes the flag before the variable before dev', () => {
    const env = { AIP_AGENT_RID: 'ri.aip-agents..agent.env' };
    expect(agent(env, { agentRid: 'ri.aip-agents..agent.flag' })).toBe('ri.aip-agents..agent.flag');
    expect(agent(env)).toBe('ri.aip-agents..agent.env');
    expect(loadAgentRid({ flags: {}, env: base, dev })).toBe('ri.aip-agents..agent.dev');
  });

  test('says how to name one when there is none, and refuses what is no RID', () => {
    expect(() => agent({})).toThrow('Name the agent with --agent or AIP_AGENT_RID');
    expect(() => agent({ AIP_AGENT_RID: 'my agent' })).toThrow(/AIP_AGENT_RID: "my agent" is not a RID/);
  });
});

test('loadTaskQueue() has a default', () => {
  expect(loadTaskQueue({ flags: {}, env: {} })).toBe('aip-temporal');
});
