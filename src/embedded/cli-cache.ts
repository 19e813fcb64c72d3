import { access, constants, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

const EXECUTABLE = process.platform === 'win32' ? '.exe' : '';

/**
 * The folder where we keep a Temporal CLI of our own: `AIP_TEMPORAL_CACHE_DIR`, else `aip-temporal` under
 * `XDG_CACHE_HOME`, else `~/.cache/aip-temporal`.
 */
export function defaultCacheDir(env: NodeJS.ProcessEnv): string {
  if (env.AIP_TEMPORAL_CACHE_DIR) return env.AIP_TEMPORAL_CACHE_DIR;
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'aip-temporal');
}

/** Where the CLI lies in the cache once it is there, by the way it came. */
export function cachedCliPaths(cacheDir: string): { goBuild: string; sdkDownload: string } {
  return {
    goBuild: join(cacheDir, 'go-bin', `temporal${EXECUTABLE}`),
    sdkDownload: join(cacheDir, 'sdk-download', `temporal${EXECUTABLE}`),
  };
}

/** Every executable of that name on the PATH, in its order. */
export async function findOnPath(name: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const candidates = (env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, `${name}${EXECUTABLE}`));
  const found: string[] = [];
  for (const candidate of candidates) if (await isExecutable(candidate)) found.push(candidate);
  return found;
}

/** Whether there is a file that we may run. */
export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Makes a file in a folder of its own and moves it to its place only when it is whole, so that nobody ever runs half of it.
 *
 * @param target  Where the file shall be; a file there is replaced.
 * @param make  Puts the file somewhere into the folder it is given, and says where.
 */
export async function putInPlace(target: string, make: (folder: string) => Promise<string>): Promise<void> {
  const parent = dirname(dirname(target));
  await mkdir(parent, { recursive: true });
  await removeLeftovers(parent);
  const folder = await mkdtemp(join(parent, 'unfinished-'));
  try {
    const made = await make(folder);
    await mkdir(dirname(target), { recursive: true });
    await rename(made, target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Of installations that were killed. Callers hold the cache's lock, so none of these is in use. */
async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (name.startsWith('unfinished-')) await rm(join(parent, name), { recursive: true, force: true });
  }
}
