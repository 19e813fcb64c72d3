import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { findOnPath, isExecutable, putInPlace } from './cli-cache.js';
import { lastLines, runProcess } from './run-process.js';

/** The newest version that `go install` builds: later ones have a local `replace` in their module. */
const MODULE = 'github.com/temporalio/cli/cmd/temporal@v1.5.1';

/** Measured: 3 minutes on 2 cores. */
const CORE_MINUTES = 6;
const BUILD_TIMEOUT_MS = 20 * 60_000;

/**
 * Builds the Temporal CLI (server and UI inside) from its source with `go install`.
 *
 * @param target  Where the program shall lie in the end.
 * @param onProgress  Told every few seconds how long it has been building.
 * @throws Error without Go on this machine, or with the last lines of a build that failed.
 */
export async function buildWithGo(
  target: string,
  env: NodeJS.ProcessEnv,
  onProgress: (text: string) => void,
): Promise<void> {
  const go = await findGo(env);
  if (go === undefined) throw new Error('there is no Go on the PATH');
  onProgress(describeBuild(0));
  await putInPlace(target, async (folder) => {
    const result = await runProcess(go, ['install', MODULE], {
      // Without cgo no C compiler is needed, and the program runs on any Linux.
      env: { ...env, GOBIN: folder, CGO_ENABLED: '0' },
      timeoutMs: BUILD_TIMEOUT_MS,
      watch: (elapsedMs) => onProgress(describeBuild(elapsedMs)),
    });
    if (result.stoppedBecause !== undefined) throw new Error(`\`go install ${MODULE}\`: ${result.stoppedBecause}`);
    if (result.code !== 0) throw new Error(`\`go install ${MODULE}\` failed: ${lastLines(result.stderr)}`);
    return join(folder, process.platform === 'win32' ? 'temporal.exe' : 'temporal');
  });
}

function describeBuild(elapsedMs: number): string {
  const cores = availableParallelism();
  const minutes = Math.max(1, Math.round(CORE_MINUTES / cores));
  const expected = `about ${minutes} ${minutes === 1 ? 'minute' : 'minutes'} on ${cores} ${cores === 1 ? 'core' : 'cores'}`;
  return `Building the Temporal CLI with Go (${expected}; ${Math.round(elapsedMs / 1000)} s so far) ...`;
}

/** Installers put Go where a shell that has not been restarted does not look. */
async function findGo(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const onPath = await findOnPath('go', env);
  for (const candidate of [...onPath, '/usr/local/go/bin/go', '/opt/homebrew/bin/go']) {
    if (await isExecutable(candidate)) return candidate;
  }
  return undefined;
}
