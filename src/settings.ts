import type { z } from 'zod';
import { DEFAULT_TASK_QUEUE } from './protocol/task-queues.js';

/** Variables of the environment by name; an empty value counts as unset. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Every setting, once: its flag, its variable, and what it says. The CLI makes its options of this table. */
export const SETTINGS = {
  foundryUrl: { flag: 'foundry-url', env: 'FOUNDRY_URL', about: 'Foundry host, https://… (http:// for loopback only)' },
  foundryTokenFile: { flag: 'foundry-token-file', env: 'FOUNDRY_TOKEN_FILE', about: 'file that holds the token' },
  allowInsecureHttp: {
    flag: 'allow-insecure-http',
    env: 'AIP_ALLOW_INSECURE_HTTP',
    about: 'send the token over http:// to other hosts too',
  },
  agentRid: { flag: 'agent', env: 'AIP_AGENT_RID', about: 'RID of the agent' },
  taskQueue: { flag: 'task-queue', env: 'AIP_TASK_QUEUE', about: `Temporal task queue (${DEFAULT_TASK_QUEUE})` },
  dataDir: { flag: 'data-dir', env: 'AIP_DATA_DIR', about: 'directory of the embedded server’s data (.aip-temporal)' },
  workerIdentity: {
    flag: 'identity',
    env: 'AIP_WORKER_IDENTITY',
    about: 'name of this worker, the same after each restart and its own among all workers',
  },
  maxConcurrentLanes: {
    flag: 'max-concurrent-lanes',
    env: 'AIP_MAX_CONCURRENT_LANES',
    about: 'batch lanes at once (20)',
  },
  maxConcurrentExchanges: {
    flag: 'max-concurrent-exchanges',
    env: 'AIP_MAX_CONCURRENT_EXCHANGES',
    about: 'exchanges of conversations at once (200)',
  },
  maxConcurrentCallsPerAgent: {
    flag: 'max-concurrent-calls-per-agent',
    env: 'AIP_MAX_CONCURRENT_CALLS_PER_AGENT',
    about: 'exchanges of one agent at once, all workers together (learned)',
  },
  maxCallsPerMinutePerAgent: {
    flag: 'max-calls-per-minute-per-agent',
    env: 'AIP_MAX_CALLS_PER_MINUTE_PER_AGENT',
    about: 'exchanges of one agent per minute, all workers together (learned)',
  },
  maxConcurrency: {
    flag: 'max-concurrency',
    env: 'AIP_MAX_CONCURRENCY',
    about: 'calls to Foundry at once, all agents and all workers together (no ceiling)',
  },
  maxPerMinute: {
    flag: 'max-per-minute',
    env: 'AIP_MAX_PER_MINUTE',
    about: 'calls to Foundry per minute, all agents and all workers together (no ceiling)',
  },
  foundryAccount: {
    flag: 'foundry-account',
    env: 'AIP_FOUNDRY_ACCOUNT',
    about:
      'whose token it is, for Foundry’s own ceilings: user (30 at once, 5000 per minute) or service-user (800 at once)',
  },
  shutdownGraceMs: {
    flag: 'shutdown-grace-ms',
    env: 'AIP_SHUTDOWN_GRACE_MS',
    about: 'time for running work to hand over when the worker stops (10000)',
  },
  metricsAddress: {
    flag: 'metrics-address',
    env: 'AIP_METRICS_ADDRESS',
    about: 'host:port, or a port of 127.0.0.1, to serve Prometheus metrics on (off)',
  },
  approvalWebhook: {
    flag: 'approval-webhook',
    env: 'AIP_APPROVAL_WEBHOOK',
    about: 'URL that is told (POST, JSON) of approvals that wait, and at each reminder (nobody is told)',
  },
  temporalAddress: { flag: 'temporal-address', env: 'TEMPORAL_ADDRESS', about: 'host:port (localhost:7233)' },
  temporalNamespace: { flag: 'temporal-namespace', env: 'TEMPORAL_NAMESPACE', about: 'namespace (default)' },
  temporalProfile: {
    flag: 'temporal-profile',
    env: 'TEMPORAL_PROFILE',
    about: 'profile of Temporal’s configuration file, for TLS and API keys',
  },
  temporalMetricsAddress: {
    flag: 'temporal-metrics-address',
    env: 'AIP_TEMPORAL_METRICS_ADDRESS',
    about: 'the same for the metrics of Temporal’s SDK (off)',
  },
} as const;

export type SettingName = keyof typeof SETTINGS;

/** Settings given as flags; what is absent comes from the environment. */
export type Flags = Partial<Record<SettingName, string | boolean>>;

/** What a running `aip-temporal dev` offers as defaults of the lowest rank. */
export interface DevDefaults {
  temporalAddress: string;
  taskQueue: string;
  /** The simulator; absent when `dev` works with Foundry itself. */
  foundry?: { url: string; token: string };
  agentRid?: string;
}

/** Where settings come from, first one wins: flags, environment, a running `dev`. */
export interface Sources {
  flags: Flags;
  env: Environment;
  dev?: DevDefaults;
}

/** Settings that are missing or wrong: each problem says what was met, where, and what to do. Never holds a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

/** The environment of this process. The only place that reads it. */
export function environment(): Environment {
  return process.env;
}

/** A setting's value and where it was given, for messages; absent when nobody gave it. */
export function given(sources: Sources, name: SettingName): { value: string; where: string } | undefined {
  const { flag, env } = SETTINGS[name];
  const fromFlag = sources.flags[name];
  if (fromFlag !== undefined) return { value: String(fromFlag), where: `--${flag}` };
  const fromEnv = sources.env[env];
  return fromEnv === undefined || fromEnv === '' ? undefined : { value: fromEnv, where: env };
}

/** How to give a setting: `--agent or AIP_AGENT_RID`. */
export const waysToGive = (name: SettingName): string => `--${SETTINGS[name].flag} or ${SETTINGS[name].env}`;

/** Checks one setting; a problem is thrown with the place it was given at. */
export function checked<T>(sources: Sources, name: SettingName, schema: z.ZodType<T>): T | undefined {
  const found = given(sources, name);
  if (found === undefined) return undefined;
  const result = schema.safeParse(found.value);
  if (result.success) return result.data;
  const reason = result.error.issues.map((issue) => issue.message).join('; ');
  throw new ConfigError([`Mend ${found.where}: "${found.value}" ${reason}`]);
}
