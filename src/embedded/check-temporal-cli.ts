import { lastLines, runProcess } from './run-process.js';
import { errorMessage } from './system-errors.js';

/**
 * The oldest server that does all we use by default settings: update-with-start, and pausing and resetting of activities.
 * Developed and tested against 1.29.
 */
export const MINIMUM_SERVER_VERSION = '1.28.0';

/** What a program said of itself, or why it will not do. */
export type CliCheck = { version: string } | { problem: string };

/**
 * Runs `<path> --version` and looks whether this is a Temporal CLI with a server new enough inside.
 *
 * @returns The version text, such as `1.5.1 (Server 1.29.1, UI 2.42.1)`, or the problem in a few words. Never throws.
 */
export async function checkTemporalCli(path: string): Promise<CliCheck> {
  try {
    const result = await runProcess(path, ['--version'], { timeoutMs: 30_000 });
    if (result.stoppedBecause !== undefined) return { problem: `\`--version\` gave ${result.stoppedBecause}` };
    if (result.code !== 0) return { problem: `\`--version\` ended with ${describeExit(result.code, result.stderr)}` };
    return readVersion(result.stdout);
  } catch (error) {
    return { problem: `it cannot be run (${errorMessage(error)})` };
  }
}

function describeExit(code: number | null, stderr: string): string {
  const said = lastLines(stderr);
  return `exit code ${code ?? 'none (killed)'}${said === '' ? '' : `: ${said}`}`;
}

/**
 * Reads the output of `temporal --version`.
 *
 * The version of the CLI itself is not looked at: one built from source calls itself 0.0.0-DEV.
 */
export function readVersion(output: string): CliCheck {
  const text = /^temporal version (.+)$/m.exec(output)?.[1]?.trim();
  if (text === undefined) return { problem: `it is no Temporal CLI (\`--version\` printed "${lastLines(output, 1)}")` };
  const server = /Server (\d+\.\d+\.\d+)/.exec(text)?.[1];
  if (server === undefined) return { problem: `it does not name its server's version ("${text}")` };
  if (compareVersions(server, MINIMUM_SERVER_VERSION) < 0) {
    return { problem: `its server is ${server}, and ${MINIMUM_SERVER_VERSION} or newer is needed` };
  }
  return { version: text };
}

function compareVersions(left: string, right: string): number {
  const [a, b] = [left.split('.').map(Number), right.split('.').map(Number)];
  for (let i = 0; i < 3; i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
