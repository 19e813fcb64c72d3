import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { z } from 'zod';
import type { ListenAddress } from './metrics/metrics-server.js';
import { DEFAULT_TASK_QUEUE } from './protocol/task-queues.js';
import { checked, ConfigError, type DevDefaults, given, SETTINGS, type Sources, waysToGive } from './settings.js';

/** How a token for Foundry is had. */
export type FoundryCredentials =
  | { kind: 'static'; token: string }
  /** Read again whenever the file changes. */
  | { kind: 'file'; path: string }
  | { kind: 'oauth'; clientId: string; clientSecret: string };

export interface FoundryConfig {
  /** Scheme and host, without a path at the end. */
  url: string;
  credentials: FoundryCredentials;
  /** True when `http://` to a host other than loopback was asked for. */
  allowInsecureHttp: boolean;
}

/** Connection options that both `Connection.connect` and `NativeConnection.connect` take. */
export type TemporalConnectionOptions = Pick<NativeConnectionOptions, 'tls' | 'apiKey' | 'metadata'> & {
  /** `host:port`. */
  address: string;
};

export interface TemporalConfig {
  connection: TemporalConnectionOptions;
  namespace: string;
  taskQueue: string;
}

export interface WorkerLimits {
  /** Batch lanes at once in this worker; each has a pool of rows inside. */
  maxConcurrentLanes: number;
  /** Exchanges of conversations at once in this worker. */
  maxConcurrentExchanges: number;
  /** Exchanges of one agent at once, and per minute, of all workers together; absent: learned alone. */
  maxConcurrentCallsPerAgent?: number;
  maxCallsPerMinutePerAgent?: number;
  /** Calls to Foundry at once, and per minute, of all workers together; absent: no ceiling. */
  maxConcurrency?: number;
  maxPerMinute?: number;
  /** Time that running activities have to hand over when the worker stops (milliseconds). */
  shutdownGraceMs: number;
}

/** What Foundry lets an account do, over all its calls (contract of the API, "Limits"). */
const FOUNDRY_CEILINGS = {
  user: { maxConcurrency: 30, maxPerMinute: 5_000 },
  'service-user': { maxConcurrency: 800 },
} as const;

/** All that a worker is made of, but where Temporal is. */
export interface AgentsConfig {
  foundry: FoundryConfig;
  /** Stable across restarts, and unlike that of any other worker. Default: made of the host's name. */
  identity?: string;
  limits: WorkerLimits;
  /** Where metrics are served. Absent: nowhere. */
  metricsAddress?: ListenAddress;
  /** URL that is told of approvals that wait. Absent: nobody is told. */
  approvalWebhook?: string;
  /** `IP:port` where Temporal's SDK serves its metrics: for whoever installs its runtime, of which a process has one. */
  temporalMetricsAddress?: string;
}

/** All that a worker is made of. */
export interface WorkerConfig extends AgentsConfig {
  temporal: TemporalConnectionOptions;
  namespace: string;
  taskQueue: string;
}

/** Name of a worker: stable across restarts (docs/design.md, "Coming back after a death"). */
export const identityOf = ({ identity }: Pick<AgentsConfig, 'identity'>): string =>
  identity ?? `aip-temporal@${hostname()}`;

const positiveInteger = z
  .string()
  .regex(/^[1-9]\d{0,8}$/, 'is not a whole number above 0')
  .transform(Number);
const wholeMilliseconds = z
  .string()
  .regex(/^\d{1,9}$/, 'is not a whole number of milliseconds')
  .transform(Number);
type FoundryAccount = keyof typeof FOUNDRY_CEILINGS;
const foundryAccount = z
  .string()
  .refine((value): value is FoundryAccount => value in FOUNDRY_CEILINGS, 'is neither user nor service-user');
const yesOrNo = z
  .string()
  .regex(/^(true|false|1|0|yes|no)$/i, 'is not true or false')
  .transform((value) => /^(true|1|yes)$/i.test(value));
const agentRidSchema = z
  .string()
  .regex(/^ri\.[^\s.]+\.[^\s.]*\.[^\s.]+\.\S+$/, 'is not a RID of an agent (ri.aip-agents..agent.…)');
const name = z.string().regex(/^\S{1,200}$/, 'must have 1 to 200 characters without blanks');

const ADDRESS_FORM = 'is not host:port like 127.0.0.1:9464, nor a port alone, which is one of 127.0.0.1';
const listenAddress = z.string().transform((value, context): ListenAddress => {
  const [, host = '127.0.0.1', port = ''] = /^(?:([^\s:/[\]]+|\[[\da-f:.]+\]):)?(\d{1,5})$/i.exec(value) ?? [];
  if (port === '' || Number(port) > 65_535) context.addIssue({ code: 'custom', message: ADDRESS_FORM });
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
});
/** Temporal's SDK resolves no names, and does not tell which free port it took. */
const ipAddressAndPort = listenAddress.transform(({ host, port }, context): string => {
  const ip = host === 'localhost' ? '127.0.0.1' : host;
  if (isIP(ip) === 0 || port === 0) context.addIssue({ code: 'custom', message: 'needs an IP address and a port' });
  return `${isIP(ip) === 6 ? `[${ip}]` : ip}:${port}`;
});

const httpUrl = z.url({ protocol: /^https?$/, error: 'needs a URL, such as https://example.com/approvals' });

/** True for hosts whose traffic does not leave this machine. */
const isLoopback = (hostname: string): boolean => /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i.test(hostname);

function foundryUrl(sources: Sources, allowInsecureHttp: boolean): string {
  const found = given(sources, 'foundryUrl');
  if (found === undefined) {
    throw new ConfigError([
      `Set the Foundry host with ${waysToGive('foundryUrl')}, for example https://example.palantirfoundry.com`,
    ]);
  }
  const text = /^[a-z]+:\/\//i.test(found.value) ? found.value : `https://${found.value}`;
  if (!URL.canParse(text)) throw new ConfigError([`Mend ${found.where}: "${found.value}" is not a URL`]);
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw new ConfigError([
      `Mend ${found.where}: it holds a user or a password; give the token in FOUNDRY_TOKEN instead`,
    ]);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new ConfigError([`Mend ${found.where}: "${found.value}" is neither https:// nor http://`]);
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !allowInsecureHttp) {
    throw new ConfigError([
      `Mend ${found.where}: "${found.value}" would send the token unencrypted; use https://, or add --${SETTINGS.allowInsecureHttp.flag} if that is meant`,
    ]);
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

const CREDENTIAL_WAYS = 'FOUNDRY_TOKEN, FOUNDRY_TOKEN_FILE, or FOUNDRY_CLIENT_ID with FOUNDRY_CLIENT_SECRET';

function credentialsOf(sources: Sources): FoundryCredentials {
  const value = (variable: string) => sources.env[variable] || undefined;
  const token = value('FOUNDRY_TOKEN')?.trim();
  const file = given(sources, 'foundryTokenFile');
  const clientId = value('FOUNDRY_CLIENT_ID');
  const clientSecret = value('FOUNDRY_CLIENT_SECRET');
  const kinds = [
    ...(token === undefined ? [] : ['FOUNDRY_TOKEN']),
    ...(file === undefined ? [] : [file.where]),
    ...(clientId === undefined && clientSecret === undefined
      ? []
      : [clientId === undefined ? 'FOUNDRY_CLIENT_SECRET' : 'FOUNDRY_CLIENT_ID']),
  ];
  if (kinds.length === 0) throw new ConfigError([`Set ${CREDENTIAL_WAYS}: there is no way to sign in to Foundry yet`]);
  if (kinds.length > 1) {
    throw new ConfigError([`Unset all but one of ${kinds.join(', ')}: they are several ways to sign in to Foundry`]);
  }
  if (token !== undefined) return { kind: 'static', token: headerSafe(token) };
  if (file !== undefined) return { kind: 'file', path: readable(file.value, file.where) };
  if (clientId === undefined || clientSecret === undefined) {
    const [there, missing] =
      clientId === undefined
        ? ['FOUNDRY_CLIENT_SECRET', 'FOUNDRY_CLIENT_ID']
        : ['FOUNDRY_CLIENT_ID', 'FOUNDRY_CLIENT_SECRET'];
    throw new ConfigError([`Set ${missing} too: ${there} is set, and one needs the other`]);
  }
  return { kind: 'oauth', clientId, clientSecret };
}

function headerSafe(token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new ConfigError(['Mend FOUNDRY_TOKEN: it is blank, or holds blanks or characters that no token has']);
}

function readable(path: string, where: string): string {
  try {
    if (readFileSync(path, 'utf8').trim() !== '') return path;
  } catch (error) {
    throw new ConfigError([
      `Mend ${where}: cannot read "${path}" (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
    ]);
  }
  throw new ConfigError([`Mend ${where}: "${path}" is empty; it must hold a token`]);
}

/** Values of all checks, or one error with every problem that they found. */
function collect<T extends readonly unknown[]>(...checks: { [K in keyof T]: () => T[K] }): T {
  const problems: string[] = [];
  const values = checks.map((check): unknown => {
    try {
      return check();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
      return undefined;
    }
  });
  if (problems.length > 0) throw new ConfigError(problems);
  return values as unknown as T;
}

/**
 * Where Foundry is and how to sign in. A running `dev` is taken only when nothing of Foundry is set at all, and Temporal is
 * that of `dev` too: a simulator never answers for a production server.
 *
 * @throws ConfigError With every problem at once.
 */
export function loadFoundryConfig(sources: Sources): FoundryConfig {
  const { env } = sources;
  const nothingSet =
    given(sources, 'foundryUrl') === undefined &&
    given(sources, 'foundryTokenFile') === undefined &&
    !env['FOUNDRY_TOKEN'] &&
    !env['FOUNDRY_CLIENT_ID'] &&
    !env['FOUNDRY_CLIENT_SECRET'];
  const simulator = nothingSet ? devInUse(sources)?.foundry : undefined;
  if (simulator !== undefined) {
    return { url: simulator.url, credentials: { kind: 'static', token: simulator.token }, allowInsecureHttp: false };
  }
  const allowInsecureHttp = checked(sources, 'allowInsecureHttp', yesOrNo) ?? false;
  const [url, credentials] = collect<[string, FoundryCredentials]>(
    () => foundryUrl(sources, allowInsecureHttp),
    () => credentialsOf(sources),
  );
  return { url, credentials, allowInsecureHttp };
}

/**
 * Where Temporal is, by its standard environment configuration (variables `TEMPORAL_…`, profiles in `temporal.toml`) under
 * our flags.
 *
 * @throws ConfigError When a profile or a certificate cannot be read, or the task queue's name is none.
 */
export function loadTemporalConfig(sources: Sources): TemporalConfig {
  const profile = given(sources, 'temporalProfile');
  // An empty variable is an unset one, but for headers, where it takes one out of the profile.
  const env = Object.fromEntries(
    Object.entries(sources.env).filter(
      (entry): entry is [string, string] => Boolean(entry[1]) || entry[0].startsWith('TEMPORAL_GRPC_META_'),
    ),
  );
  let loaded: ReturnType<typeof loadClientConnectConfig>;
  try {
    loaded = loadClientConnectConfig({
      overrideEnvVars: env,
      ...(profile === undefined ? {} : { profile: profile.value }),
    });
  } catch (error) {
    throw new ConfigError([
      `Mend the settings of Temporal (${profile?.where ?? 'TEMPORAL_… variables, temporal.toml'}): ${(error as Error).message}`,
    ]);
  }
  const { address: configured, tls, apiKey, metadata } = loaded.connectionOptions;
  const address = given(sources, 'temporalAddress')?.value ?? configured;
  const useDev = sources.dev !== undefined && address === undefined && apiKey === undefined;
  return {
    connection: {
      address: address ?? (useDev ? sources.dev?.temporalAddress : undefined) ?? 'localhost:7233',
      ...(tls === undefined || tls === null ? {} : { tls }),
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(metadata === undefined ? {} : { metadata }),
    },
    namespace: given(sources, 'temporalNamespace')?.value ?? loaded.namespace ?? 'default',
    taskQueue:
      checked(sources, 'taskQueue', name) ?? (useDev ? sources.dev?.taskQueue : undefined) ?? DEFAULT_TASK_QUEUE,
  };
}

/** The running `dev`, when its Temporal server is the one in use. */
export function devInUse(sources: Sources): DevDefaults | undefined {
  const { dev } = sources;
  return dev !== undefined && loadTemporalConfig(sources).connection.address === dev.temporalAddress ? dev : undefined;
}

/**
 * The agent that new conversations and batches talk to; absent when none is named.
 *
 * @throws ConfigError When the name is no RID.
 */
export function findAgentRid(sources: Sources): string | undefined {
  return checked(sources, 'agentRid', agentRidSchema) ?? devInUse(sources)?.agentRid;
}

/**
 * The agent that new conversations and batches talk to.
 *
 * @throws ConfigError When none is named, or the name is no RID.
 */
export function loadAgentRid(sources: Sources): string {
  const agentRid = findAgentRid(sources);
  if (agentRid !== undefined) return agentRid;
  throw new ConfigError([
    `Name the agent with ${waysToGive('agentRid')} (ri.aip-agents..agent.…), or start \`aip-temporal dev\` here, which brings one`,
  ]);
}

/** The workers' task queue. Default `aip-temporal`. @throws ConfigError When its name holds blanks. */
export function loadTaskQueue(sources: Sources): string {
  return checked(sources, 'taskQueue', name) ?? DEFAULT_TASK_QUEUE;
}

/** Directory of the embedded server's data. Default `.aip-temporal` here. */
export function loadDataDir(sources: Sources): string {
  return given(sources, 'dataDir')?.value ?? '.aip-temporal';
}

/** @throws ConfigError With every problem at once. */
export function loadWorkerLimits(sources: Sources): WorkerLimits {
  type Given = number | undefined;
  const [lanes, exchanges, callsPerAgent, perMinutePerAgent, atOnce, perMinute, account, shutdownGraceMs] = collect<
    [Given, Given, Given, Given, Given, Given, FoundryAccount | undefined, Given]
  >(
    () => checked(sources, 'maxConcurrentLanes', positiveInteger),
    () => checked(sources, 'maxConcurrentExchanges', positiveInteger),
    () => checked(sources, 'maxConcurrentCallsPerAgent', positiveInteger),
    () => checked(sources, 'maxCallsPerMinutePerAgent', positiveInteger),
    () => checked(sources, 'maxConcurrency', positiveInteger),
    () => checked(sources, 'maxPerMinute', positiveInteger),
    () => checked(sources, 'foundryAccount', foundryAccount),
    () => checked(sources, 'shutdownGraceMs', wholeMilliseconds),
  );
  const ofAccount = account === undefined ? {} : FOUNDRY_CEILINGS[account];
  return {
    maxConcurrentLanes: lanes ?? 20,
    maxConcurrentExchanges: exchanges ?? 200,
    ...(callsPerAgent === undefined ? {} : { maxConcurrentCallsPerAgent: callsPerAgent }),
    ...(perMinutePerAgent === undefined ? {} : { maxCallsPerMinutePerAgent: perMinutePerAgent }),
    ...ofAccount,
    ...(atOnce === undefined ? {} : { maxConcurrency: atOnce }),
    ...(perMinute === undefined ? {} : { maxPerMinute: perMinute }),
    shutdownGraceMs: shutdownGraceMs ?? 10_000,
  };
}

/**
 * What a worker needs, but where Temporal is.
 *
 * @throws ConfigError With every problem at once.
 */
export function loadAgentsConfig(sources: Sources): AgentsConfig {
  type Text = string | undefined;
  const [foundry, identity, limits, metricsAddress, temporalMetricsAddress, approvalWebhook] = collect<
    [FoundryConfig, Text, WorkerLimits, ListenAddress | undefined, Text, Text]
  >(
    () => loadFoundryConfig(sources),
    () => checked(sources, 'workerIdentity', name),
    () => loadWorkerLimits(sources),
    () => checked(sources, 'metricsAddress', listenAddress),
    () => checked(sources, 'temporalMetricsAddress', ipAddressAndPort),
    () => checked(sources, 'approvalWebhook', httpUrl),
  );
  return {
    foundry,
    ...(identity === undefined ? {} : { identity }),
    limits,
    ...(metricsAddress === undefined ? {} : { metricsAddress }),
    ...(temporalMetricsAddress === undefined ? {} : { temporalMetricsAddress }),
    ...(approvalWebhook === undefined ? {} : { approvalWebhook }),
  };
}

/**
 * Everything a worker needs.
 *
 * @throws ConfigError With every problem at once.
 */
export function loadWorkerConfig(sources: Sources): WorkerConfig {
  const [agents, temporal] = collect<[AgentsConfig, TemporalConfig]>(
    () => loadAgentsConfig(sources),
    () => loadTemporalConfig(sources),
  );
  const { connection, namespace, taskQueue } = temporal;
  return { ...agents, temporal: connection, namespace, taskQueue };
}
