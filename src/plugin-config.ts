import type { ApprovalHook } from './activities/index.js';
import { type AgentsConfig, loadAgentsConfig, type WorkerLimits } from './config.js';
import { ConfigError, type Environment, type Flags, SETTINGS, type SettingName } from './settings.js';

/** Where Foundry is, and one way to sign in. What is not given comes from the environment. */
export interface FoundryOptions {
  /** Scheme and host, as `https://example.palantirfoundry.com`. Default: `FOUNDRY_URL`. */
  url?: string;
  /** Default, as of the other ways: `FOUNDRY_TOKEN`, `FOUNDRY_TOKEN_FILE`, or `FOUNDRY_CLIENT_ID` with `FOUNDRY_CLIENT_SECRET`. */
  token?: string;
  /** Path of a file that holds the token; read again whenever it changes. */
  tokenFile?: string;
  /** Of an OAuth2 client (client credentials), with its secret. */
  clientId?: string;
  clientSecret?: string;
  /** Send the token over `http://` to hosts other than loopback. Default false. */
  allowInsecureHttp?: boolean;
}

/** Settings of `AipAgentsPlugin`; each that is not given comes from the environment, as of `aip-temporal worker`. */
export interface AipAgentsPluginOptions {
  foundry?: FoundryOptions;
  /**
   * Stable across restarts, and unlike that of any other worker: by it a worker takes back what it held when it died. Default: the
   * worker's own `identity`, then `AIP_WORKER_IDENTITY`, then one made of the host's name.
   */
  identity?: string;
  /** Lanes, exchanges and calls at once; of `shutdownGraceMs` (milliseconds), the part of the plugin's own workers. */
  limits?: Partial<WorkerLimits>;
  /** `host:port`, or a port of 127.0.0.1, where Prometheus finds metrics; of one worker in a process. Default `AIP_METRICS_ADDRESS`. */
  metricsAddress?: string;
  /**
   * False: this worker learns and keeps each agent's limits alone, and keeps no ceilings of Foundry as a whole (`maxConcurrency`,
   * `maxPerMinute`). For tests on a server that skips time: for a minute after each call, the run by which workers share limits would
   * hold time back. Default true.
   */
  shareLimits?: boolean;
  /** Told of approvals that wait, and at each reminder. Default: `AIP_APPROVAL_WEBHOOK` is told. */
  onApproval?: ApprovalHook;
}

/** How to sign in, by the variables that say it. */
const SIGN_IN = {
  token: 'FOUNDRY_TOKEN',
  tokenFile: 'FOUNDRY_TOKEN_FILE',
  clientId: 'FOUNDRY_CLIENT_ID',
  clientSecret: 'FOUNDRY_CLIENT_SECRET',
} as const;

/**
 * What the plugin works with, checked as the command line's settings are.
 *
 * @throws ConfigError With every problem at once, by the names of the plugin's options.
 */
export function pluginConfig(options: AipAgentsPluginOptions, environment: Environment): AgentsConfig {
  const { foundry = {}, identity, limits = {}, metricsAddress } = options;
  const { url, allowInsecureHttp } = foundry;
  const flags: Flags = {
    ...(url !== undefined && { foundryUrl: url }),
    ...(allowInsecureHttp !== undefined && { allowInsecureHttp }),
    ...(identity !== undefined && { workerIdentity: identity }),
    ...(metricsAddress !== undefined && { metricsAddress }),
    ...Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, String(value)])),
  };
  const signIn = Object.entries(SIGN_IN).map(([name, env]) => [env, foundry[name as keyof typeof SIGN_IN]] as const);
  const signsIn = signIn.some(([, value]) => value !== undefined);
  const env = { ...environment, ...(signsIn && Object.fromEntries(signIn)) };
  try {
    return loadAgentsConfig({ flags, env });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.problems.map((problem) => `AipAgentsPlugin: ${inOptions(problem, signsIn)}`));
  }
}

/** A problem by the names of the plugin's options: it has no flags. */
function inOptions(problem: string, signsIn: boolean): string {
  const told = Object.entries(SETTINGS).reduce((text, [name, { flag }]) => {
    return text.replaceAll(new RegExp(`--${flag}(?![\\w-])`, 'g'), optionOf(name as SettingName));
  }, problem);
  if (!signsIn) return told;
  return Object.entries(SIGN_IN)
    .reverse() // FOUNDRY_TOKEN is the beginning of another.
    .reduce((text, [name, variable]) => text.replaceAll(variable, `foundry.${name}`), told);
}

const OPTIONS: Partial<Record<SettingName, string>> = {
  foundryUrl: 'foundry.url',
  foundryTokenFile: 'foundry.tokenFile',
  allowInsecureHttp: 'foundry.allowInsecureHttp',
  workerIdentity: 'identity',
  metricsAddress: 'metricsAddress',
};

const optionOf = (name: SettingName): string => OPTIONS[name] ?? `limits.${name}`;
