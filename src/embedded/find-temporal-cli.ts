import { join } from 'node:path';
import { checkTemporalCli, MINIMUM_SERVER_VERSION } from './check-temporal-cli.js';
import { cachedCliPaths, defaultCacheDir, findOnPath, isExecutable } from './cli-cache.js';
import { buildWithGo } from './go-build.js';
import { type HeldLock, tryLock } from './process-lock.js';
import { downloadWithSdk } from './sdk-download.js';
import { errorMessage } from './system-errors.js';

/** Where a Temporal CLI came from. */
export type TemporalCliSource = 'TEMPORAL_CLI' | 'PATH' | 'cache' | 'SDK download' | 'Go build';

/** A Temporal CLI that runs and is new enough. */
export interface TemporalCli {
  /** The program's full path. */
  path: string;
  source: TemporalCliSource;
  /** As it says itself, such as `1.5.1 (Server 1.29.1, UI 2.42.1)`. */
  version: string;
}

/** Settings of `findTemporalCli`. */
export interface FindTemporalCliOptions {
  /**
   * The environment to look in, and that of the download and the build. Default: that of this process. Read are
   * `TEMPORAL_CLI`, `PATH`, `AIP_TEMPORAL_CACHE_DIR`, `XDG_CACHE_HOME` and `AIP_TEMPORAL_DOWNLOAD` (`off`: no download).
   */
  env?: NodeJS.ProcessEnv | undefined;
  /** The folder of our own CLI. Default: see `defaultCacheDir`. */
  cacheDir?: string | undefined;
  /** Told in one line what is being done; during a build, every few seconds. */
  onProgress?: ((text: string) => void) | undefined;
}

/** One way that was tried, and why it did not do. */
export interface FailedWay {
  way: string;
  reason: string;
}

/** No way led to a Temporal CLI. The message names each with its reason, and what to install. */
export class TemporalCliNotFoundError extends Error {
  override readonly name = 'TemporalCliNotFoundError';

  constructor(readonly failedWays: readonly FailedWay[]) {
    super(
      [
        'Cannot find or make a Temporal CLI, which runs the Temporal server. Tried:',
        ...failedWays.map(({ way, reason }) => `  - ${way}: ${reason}`),
        `Install the Temporal CLI (with server ${MINIMUM_SERVER_VERSION} or newer; https://docs.temporal.io/cli/setup-cli)`,
        'and put it on the PATH or name it in TEMPORAL_CLI; or install Go 1.25 or newer (https://go.dev/dl/), and it is built',
        'from source; or use a Temporal server that runs elsewhere: TEMPORAL_ADDRESS=host:port.',
      ].join('\n'),
    );
  }
}

/** What one search knows and has met so far. */
interface Search {
  env: NodeJS.ProcessEnv;
  cacheDir: string;
  onProgress: (text: string) => void;
  failedWays: FailedWay[];
}

/**
 * Finds a Temporal CLI, or gets one: `TEMPORAL_CLI`, then `temporal` on the PATH, then our cache, then the SDK's download,
 * then `go install` (some minutes, once). Each is checked by running it, and skipped with a message when it does not do.
 *
 * Safe to call from several processes at once: one gets the CLI, the others wait for it.
 *
 * @throws TemporalCliNotFoundError when every way failed.
 */
export async function findTemporalCli(options: FindTemporalCliOptions = {}): Promise<TemporalCli> {
  const env = options.env ?? process.env;
  const cacheDir = options.cacheDir ?? defaultCacheDir(env);
  const search: Search = { env, cacheDir, onProgress: options.onProgress ?? (() => undefined), failedWays: [] };
  const found = (await findInstalled(search)) ?? (await findCached(search));
  if (found !== undefined) return found;

  const lock = await waitForLock(search);
  try {
    // Somebody else may have put it there while we waited.
    const cli = (await findCached(search)) ?? (await download(search)) ?? (await build(search));
    if (cli === undefined) throw new TemporalCliNotFoundError(search.failedWays);
    return cli;
  } finally {
    await lock.release();
  }
}

async function findInstalled(search: Search): Promise<TemporalCli | undefined> {
  const named = search.env.TEMPORAL_CLI;
  if (named) {
    const cli = await accept(search, 'TEMPORAL_CLI', named);
    if (cli !== undefined) return cli;
  } else {
    note(search, 'TEMPORAL_CLI', 'not set');
  }
  const onPath = await findOnPath('temporal', search.env);
  if (onPath.length === 0) note(search, 'PATH', 'no `temporal` on it');
  for (const path of onPath) {
    const cli = await accept(search, 'PATH', path);
    if (cli !== undefined) return cli;
  }
  return undefined;
}

async function findCached(search: Search): Promise<TemporalCli | undefined> {
  const paths = cachedCliPaths(search.cacheDir);
  const present: string[] = [];
  for (const path of [paths.goBuild, paths.sdkDownload]) if (await isExecutable(path)) present.push(path);
  if (present.length === 0) note(search, 'cache', `nothing in ${search.cacheDir}`);
  for (const path of present) {
    const cli = await accept(search, 'cache', path);
    if (cli !== undefined) return cli;
  }
  return undefined;
}

async function download(search: Search): Promise<TemporalCli | undefined> {
  if (search.env.AIP_TEMPORAL_DOWNLOAD === 'off') {
    note(search, 'SDK download', 'switched off by AIP_TEMPORAL_DOWNLOAD=off');
    return undefined;
  }
  return install(search, 'SDK download', cachedCliPaths(search.cacheDir).sdkDownload, downloadWithSdk);
}

async function build(search: Search): Promise<TemporalCli | undefined> {
  return install(search, 'Go build', cachedCliPaths(search.cacheDir).goBuild, buildWithGo);
}

type Installer = (target: string, env: NodeJS.ProcessEnv, onProgress: (text: string) => void) => Promise<void>;

async function install(
  search: Search,
  source: TemporalCliSource,
  target: string,
  installer: Installer,
): Promise<TemporalCli | undefined> {
  try {
    await installer(target, search.env, search.onProgress);
  } catch (error) {
    skip(search, source, errorMessage(error));
    return undefined;
  }
  const cli = await accept(search, source, target);
  if (cli !== undefined) search.onProgress(`The Temporal CLI ${cli.version} is at ${cli.path}.`);
  return cli;
}

async function accept(search: Search, source: TemporalCliSource, path: string): Promise<TemporalCli | undefined> {
  const check = await checkTemporalCli(path);
  if ('version' in check) return { path, source, version: check.version };
  skip(search, `${source} (${path})`, check.problem);
  return undefined;
}

/** A way that failed: said at once, and once again if no other leads to the end. */
function skip(search: Search, way: string, reason: string): void {
  if (note(search, way, reason)) search.onProgress(`Not using ${way}: ${reason}.`);
}

/** A way that is simply not there: said only if no other leads to the end. The cache is looked at twice, told once. */
function note(search: Search, way: string, reason: string): boolean {
  if (search.failedWays.some((failed) => failed.way === way && failed.reason === reason)) return false;
  search.failedWays.push({ way, reason });
  return true;
}

/** Waits for as long as the holder lives: it is bounded itself (download 10 minutes, build 20). */
async function waitForLock(search: Search): Promise<HeldLock> {
  const path = join(search.cacheDir, 'install.lock');
  for (let round = 0; ; round += 1) {
    const attempt = await tryLock(path);
    if ('held' in attempt) return attempt.held;
    if (round % 10 === 0) {
      search.onProgress(`Waiting for process ${attempt.holder.pid}, which is getting the Temporal CLI ...`);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
