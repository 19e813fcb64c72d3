/** Finds a Chromium for the test that presses the buttons of the Temporal UI, or installs one. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root, run, say } from './run.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const MAC = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/**
 * In this order: `CHROMIUM`, the PATH, Debian's package (as root), Playwright's own download.
 *
 * @returns {Promise<string | undefined>} The program's path; undefined, with a message, when there is none to be had.
 */
export async function findChromium() {
  return (
    process.env.CHROMIUM || findInstalled() || (await installByApt()) || (await installByPlaywright()) || sayMissing()
  );
}

function findInstalled() {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const candidates = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [...candidates, ...MAC].find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function installByApt() {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return undefined;
  say('Installing Chromium (apt-get install chromium) ...');
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, stdout: 'stderr' };
  await run('apt-get', ['update', '-q'], options);
  await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', 'chromium'], options);
  return findInstalled();
}

async function installByPlaywright() {
  const { chromium } = await import('playwright-core');
  if (isExecutable(chromium.executablePath())) return chromium.executablePath();
  say('Downloading Chromium (playwright-core install chromium) ...');
  const cli = join(root, 'node_modules/playwright-core/cli.js');
  await run(process.execPath, [cli, 'install', 'chromium'], { stdout: 'stderr' });
  return [chromium.executablePath()].find(isExecutable);
}

function sayMissing() {
  say('There is no Chromium, and the test of the Temporal UI will fail: install it, or name one in CHROMIUM.');
  return undefined;
}
