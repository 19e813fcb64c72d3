import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TestWorkflowEnvironment } from '@temporalio/testing';

const run = promisify(execFile);

/** Of the Java test server: the last that is known to work with our SDK. */
const VERSION = '1.31.0';

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>none</groupId><artifactId>none</artifactId><version>1</version><dependencies><dependency>
<groupId>io.temporal</groupId><artifactId>temporal-test-server</artifactId><version>${VERSION}</version>
</dependency></dependencies></project>`;

/**
 * A Temporal test server that skips time while its workflows only wait; undefined where it cannot be had: it needs Java, and Maven for
 * the first time (Temporal's own download of it is closed to many networks).
 */
export async function timeSkippingEnvironment(): Promise<TestWorkflowEnvironment | undefined> {
  const path = await testServer().catch(() => undefined);
  if (path === undefined) return undefined;
  return TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } });
}

/** The program; fetched once a machine. */
async function testServer(): Promise<string> {
  const folder = join(
    process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
    'aip-temporal',
    `test-server-${VERSION}`,
  );
  const program = join(folder, 'test-server');
  if (existsSync(program)) return program;
  await run('java', ['-version']);
  const fresh = await mkdtemp(join(tmpdir(), 'aip-temporal-test-server-'));
  try {
    await writeFile(join(fresh, 'pom.xml'), POM);
    const copy = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${join(fresh, 'lib')}`];
    await run('mvn', copy, { cwd: fresh, timeout: 180_000 });
    const main = 'io.temporal.testserver.TestServer';
    await writeFile(join(fresh, 'test-server'), `#!/bin/sh\nexec java -cp "$(dirname "$0")/lib/*" ${main} "$@"\n`);
    await chmod(join(fresh, 'test-server'), 0o755);
    await mkdir(join(folder, '..'), { recursive: true });
    await run('cp', ['-r', fresh, `${folder}-${process.pid}`]); // It may be on another disk.
    await rename(`${folder}-${process.pid}`, folder);
    return program;
  } catch (error) {
    if (existsSync(program)) return program; // Another process was faster.
    throw error;
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}
