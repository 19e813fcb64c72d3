/**
 * Brings a fresh or changed clone to where it can run: packages, build, Temporal CLI. Each step only when needed.
 *
 * Plain Node, no packages: it runs before they are installed.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { build, stampFile } from './build.mjs';
import { isMain, main, mustRun, root, say } from './run.mjs';

/**
 * @returns {Promise<{ temporalCli: string }>} The path of the Temporal CLI.
 */
export async function setUp() {
  checkNode();
  if (!isInstalled()) {
    say('Installing the packages (npm ci) ...');
    await mustRun('Installing the packages', ...npm('ci', '--no-audit', '--no-fund'), { stdout: 'stderr' });
  }
  if (!isBuilt()) await build();
  return { temporalCli: await findTemporalCli() };
}

function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const needed = engines.node.replace('>=', '').split('.').map(Number);
  const here = process.versions.node.split('.').map(Number);
  const difference = needed.map((number, i) => here[i] - number).find((step) => step !== 0) ?? 0;
  if (difference >= 0) return;
  throw new Error(`Node ${process.versions.node} is too old: ${engines.node} is needed (https://nodejs.org).`);
}

/** Whether node_modules holds what the lock file says. By content: checking out a branch makes every file look new. */
function isInstalled() {
  const [wanted, present] = ['package-lock.json', 'node_modules/.package-lock.json'].map(readPackages);
  if (present === undefined) return false;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true;
    // npm leaves out the optional packages of other platforms.
    return present[path] === undefined ? optional === true : present[path].version === version;
  });
}

function readPackages(name) {
  const path = join(root, name);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined;
}

function npm(...args) {
  // Set when npm runs us, and then the very npm of the caller; it also spares us npm.cmd on Windows.
  const script = process.env.npm_execpath;
  return script === undefined ? ['npm', args] : [process.execPath, [script, ...args]];
}

/** Whether nothing that goes into the build is newer than the build. */
function isBuilt() {
  if (!existsSync(stampFile)) return false;
  const builtAt = statSync(stampFile).mtimeMs;
  const inputs = [
    'src',
    'bench',
    'chaos',
    'tsconfig.json',
    'tsconfig.build.json',
    'package-lock.json',
    'scripts/build.mjs',
  ];
  return inputs.every((input) => newest(join(root, input)) <= builtAt);
}

/** The time of the newest file or folder below a path (a folder changes when a file in it is deleted). */
function newest(path) {
  const entry = statSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return 0;
  if (!entry.isDirectory()) return entry.mtimeMs;
  return Math.max(entry.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

async function findTemporalCli() {
  const { findTemporalCli } = await import('../dist/src/embedded/index.js');
  const cli = await findTemporalCli({ onProgress: say });
  return cli.path;
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { temporalCli } = await setUp();
    say(`Ready: packages installed, dist built, Temporal CLI at ${temporalCli}.`);
  });
}
