import { readdirSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { putInPlace } from './cli-cache.js';
import { lastLines, runProcess } from './run-process.js';

const SILENCE_LIMIT_MS = 20_000;
const DOWNLOAD_TIMEOUT_MS = 10 * 60_000;

/**
 * Lets the Temporal SDK download the CLI and start it once, and stops that server again.
 *
 * In a process of its own: the SDK's download knows no time limit and cannot be called off, and on a network that drops
 * packets it would hang for minutes.
 */
const DOWNLOAD_SCRIPT = `
const { TestWorkflowEnvironment } = require(process.argv[1]);
TestWorkflowEnvironment.createLocal({
  server: { executable: { type: 'cached-download', downloadDir: process.argv[2] } },
}).then((environment) => environment.teardown()).then(
  () => process.exit(0),
  (error) => { console.error(String(error && error.cause || error)); process.exit(1); },
);
`;

/**
 * Gets the Temporal CLI by the download that is built into the Temporal SDK (needs a way to the internet).
 *
 * @param target  Where the program shall lie in the end.
 * @throws Error when nothing comes for 20 s, or with what the SDK says; in a closed network usually at once.
 */
export async function downloadWithSdk(
  target: string,
  env: NodeJS.ProcessEnv,
  onProgress: (text: string) => void,
): Promise<void> {
  const testing = createRequire(import.meta.url).resolve('@temporalio/testing');
  onProgress('Downloading the Temporal CLI through the Temporal SDK ...');
  await putInPlace(target, async (folder) => {
    const result = await runProcess(process.execPath, ['-e', DOWNLOAD_SCRIPT, testing, folder], {
      env,
      timeoutMs: DOWNLOAD_TIMEOUT_MS,
      watch: watchDownload(folder, onProgress),
      watchEveryMs: 2_000,
    });
    if (result.stoppedBecause !== undefined) throw new Error(result.stoppedBecause);
    if (result.code !== 0) throw new Error(lastLines(result.stderr, 1));
    const [name] = await readdir(folder);
    if (name === undefined) throw new Error('the SDK reported success, but there is no file');
    return join(folder, name);
  });
}

/** Stops a download that has brought nothing new for 20 s. */
function watchDownload(folder: string, onProgress: (text: string) => void) {
  let bytes = 0;
  let lastChangeMs = 0;
  return (elapsedMs: number): string | undefined => {
    const now = sizeOf(folder);
    if (now !== bytes) {
      bytes = now;
      lastChangeMs = elapsedMs;
      onProgress(`Downloading the Temporal CLI (${Math.round(bytes / 1_048_576)} MiB so far) ...`);
    }
    return elapsedMs - lastChangeMs > SILENCE_LIMIT_MS ? 'nothing came for 20 s' : undefined;
  };
}

function sizeOf(folder: string): number {
  try {
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  } catch {
    // A file was renamed while we looked: the next look tells.
    return 0;
  }
}
