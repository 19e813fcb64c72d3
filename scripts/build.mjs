/** Compiles the sources into `dist` and bundles the workflows there, so that a worker starts without doing it. */
import { chmodSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMain, main, mustRun, root, say } from './run.mjs';

const dist = join(root, 'dist');

/** Carries the time at which the build began: a source that changed since is newer. */
export const stampFile = join(dist, '.built');

/** Builds beside `dist` and puts it in place when all is there: a failed build leaves the former one, and workers running from it. */
export async function build() {
  const startedAt = new Date();
  // As deep as `dist`: source maps hold relative paths.
  const fresh = join(root, `.build-${process.pid}`);
  removeLeftovers();
  try {
    say('Compiling the sources ...');
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    await mustRun('Compiling', process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh], {
      stdout: 'stderr',
    });
    say('Bundling the workflows ...');
    await bundleWorkflows(join(fresh, 'src/workflows/index.js'), join(fresh, 'src/workflow-bundle.js'));
    chmodSync(join(fresh, 'src/cli/main.js'), 0o755);
    writeFileSync(join(fresh, '.built'), '');
    utimesSync(join(fresh, '.built'), startedAt, startedAt);
    replaceDist(fresh);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Of builds that were interrupted. */
function removeLeftovers() {
  for (const name of readdirSync(root)) {
    const pid = /^\.build-(\d+)/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(root, name), { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

async function bundleWorkflows(workflowsPath, output) {
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('WARN') });
  writeFileSync(output, code);
}

function replaceDist(fresh) {
  const former = `${fresh}-former`;
  try {
    renameSync(dist, former);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  renameSync(fresh, dist);
  rmSync(former, { recursive: true, force: true });
}

if (isMain(import.meta.url)) await main(build);
