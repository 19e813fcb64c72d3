import { describe, expect, test } from '@jest/globals';
import { ConfigError, type Environment } from '../../src/settings.js';
import { type AipAgentsPluginOptions, pluginConfig } from '../../src/plugin-config.js';

const ENVIRONMENT = { FOUNDRY_URL: 'https://env.example', FOUNDRY_TOKEN: 'of-env' };

const config = (options: AipAgentsPluginOptions, env: Environment = ENVIRONMENT) => pluginConfig(options, env);

function problemsOf(options: AipAgentsPluginOptions, env: Environment = {}): readonly string[] {
  try {
    config(options, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('pluginConfig()', () => {
  test('takes from the environment what it is not given', () => {
    expect(config({})).toMatchObject({
      foundry: { url: 'https://env.example', credentials: { kind: 'static', token: 'of-env' } },
      limits: { maxConcurrentLanes: 20, shutdownGraceMs: 10_000 },
    });
    const { foundry } = config({ foundry: { url: 'https://own.example' } });
    expect(foundry).toMatchObject({ url: 'https://own.example', credentials: { token: 'of-env' } });
  });

  test('prefers what it is given, whatever way to sign in the environment has', () => {
    const given = config({
      foundry: { url: 'https://own.example', clientId: 'id', clientSecret: 'secret' },
      identity: 'mine',
      limits: { maxConcurrentLanes: 3, maxPerMinute: 50 },
      metricsAddress: '9464',
    });
    expect(given).toMatchObject({
      foundry: { url: 'https://own.example', credentials: { kind: 'oauth', clientId: 'id', clientSecret: 'secret' } },
      identity: 'mine',
      limits: { maxConcurrentLanes: 3, maxPerMinute: 50, maxConcurrentExchanges: 200 },
      metricsAddress: { host: '127.0.0.1', port: 9464 },
    });
  });

  test.each<[string, AipAgentsPluginOptions, Environment, string[]]>([
    [
      'nothing at all',
      {},
      {},
      [
        'AipAgentsPlugin: Set the Foundry host with foundry.url or FOUNDRY_URL, for example https://example.palantirfoundry.com',
        'AipAgentsPlugin: Set FOUNDRY_TOKEN, FOUNDRY_TOKEN_FILE, or FOUNDRY_CLIENT_ID with FOUNDRY_CLIENT_SECRET: there is no way to sign in to Foundry yet',
      ],
    ],
    [
      'a token over http://',
      { foundry: { url: 'http://own.example', token: 'secret' } },
      {},
      [
        'AipAgentsPlugin: Mend foundry.url: "http://own.example" would send the token unencrypted; use https://, or add foundry.allowInsecureHttp if that is meant',
      ],
    ],
    [
      'two ways to sign in',
      { foundry: { token: 'secret', tokenFile: '/nowhere' } },
      ENVIRONMENT,
      [
        'AipAgentsPlugin: Unset all but one of foundry.token, foundry.tokenFile: they are several ways to sign in to Foundry',
      ],
    ],
    [
      'half a client',
      { foundry: { clientId: 'id' } },
      ENVIRONMENT,
      ['AipAgentsPlugin: Set foundry.clientSecret too: foundry.clientId is set, and one needs the other'],
    ],
    [
      'limits and addresses that are none',
      { limits: { maxConcurrentExchanges: 1.5, shutdownGraceMs: -1 }, metricsAddress: 'off', identity: 'a b' },
      ENVIRONMENT,
      [
        'AipAgentsPlugin: Mend identity: "a b" must have 1 to 200 characters without blanks',
        'AipAgentsPlugin: Mend limits.maxConcurrentExchanges: "1.5" is not a whole number above 0',
        'AipAgentsPlugin: Mend limits.shutdownGraceMs: "-1" is not a whole number of milliseconds',
        'AipAgentsPlugin: Mend metricsAddress: "off" is not host:port like 127.0.0.1:9464, nor a port alone, which is one of 127.0.0.1',
      ],
    ],
  ])('refuses %s, by the names of its options', (_, options, env, problems) => {
    expect(problemsOf(options, env)).toEqual(problems);
  });
});
