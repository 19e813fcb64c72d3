import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A new folder under the system's temporary one. */
export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'aip-temporal-embedded-'));
}

/** Writes a shell script that can be run, and gives its path. */
export async function program(path: string, ...lines: string[]): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'));
  await chmod(path, 0o755);
  return path;
}

/** A program that calls itself a Temporal CLI. */
export function fakeTemporal(path: string, version = '9.9.9 (Server 1.29.1, UI 2.42.1)'): Promise<string> {
  return program(path, `echo 'temporal version ${version}'`);
}

/** A `go` that "builds" such a CLI, and writes down each time it is called into `<path>.calls`. */
export function fakeGo(path: string): Promise<string> {
  return program(
    path,
    `echo "$@" >> '${path}.calls'`,
    `printf '#!/bin/sh\\necho "temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)"\\n' > "$GOBIN/temporal"`,
    `/bin/chmod +x "$GOBIN/temporal"`,
  );
}
