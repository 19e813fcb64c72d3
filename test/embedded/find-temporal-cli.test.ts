import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { findTemporalCli, TemporalCliNotFoundError } from '../../src/embedded/index.js';
import { fakeGo, fakeTemporal, program, temporaryFolder } from './fake-programs.js';

let folder: string;
let cacheDir: string;
let bin: string;
let progress: string[];

beforeEach(async () => {
  folder = await temporaryFolder();
  cacheDir = join(folder, 'cache');
  bin = join(folder, 'bin');
  progress = [];
});

/** A search that sees nothing of this machine, and asks no host. */
function find(env: NodeJS.ProcessEnv) {
  return findTemporalCli({
    env: { PATH: bin, AIP_TEMPORAL_DOWNLOAD: 'off', ...env },
    cacheDir,
    onProgress: (text) => progress.push(text),
  });
}

describe('findTemporalCli()', () => {
  test('takes TEMPORAL_CLI before the PATH, and the PATH before the cache', async () => {
    const named = await fakeTemporal(join(folder, 'my-temporal'));
    const onPath = await fakeTemporal(join(bin, 'temporal'));
    const cached = await fakeTemporal(join(cacheDir, 'go-bin', 'temporal'));
    expect(await find({ TEMPORAL_CLI: named })).toEqual({
      path: named,
      source: 'TEMPORAL_CLI',
      version: '9.9.9 (Server 1.29.1, UI 2.42.1)',
    });
    expect(await find({})).toMatchObject({ path: onPath, source: 'PATH' });
    expect(await find({ PATH: join(folder, 'empty') })).toMatchObject({ path: cached, source: 'cache' });
    expect(progress).toEqual([]);
  });

  test('finds its cache by AIP_TEMPORAL_CACHE_DIR, and else by XDG_CACHE_HOME', async () => {
    const own = await fakeTemporal(join(folder, 'own', 'sdk-download', 'temporal'));
    const shared = await fakeTemporal(join(folder, 'xdg', 'aip-temporal', 'go-bin', 'temporal'));
    const env = { PATH: bin, XDG_CACHE_HOME: join(folder, 'xdg') };
    expect((await findTemporalCli({ env })).path).toBe(shared);
    const withOwn = { ...env, AIP_TEMPORAL_CACHE_DIR: join(folder, 'own') };
    expect((await findTemporalCli({ env: withOwn })).path).toBe(own);
  });

  test.each([
    ['fails', ['echo "no such library" >&2', 'exit 3'], 'ended with exit code 3: no such library'],
    ['is something else', ['echo "tempo 1.0"'], 'it is no Temporal CLI (`--version` printed "tempo 1.0")'],
    [
      'is too old',
      ["echo 'temporal version 1.0.0 (Server 1.24.2, UI 2.28.0)'"],
      'its server is 1.24.2, and 1.28.0 or newer is needed',
    ],
    ['has no server', ["echo 'temporal version 1.0.0'"], 'it does not name its server\'s version ("1.0.0")'],
  ])('skips a program on the PATH that %s, and says why', async (_, script, reason) => {
    const bad = await program(join(bin, 'temporal'), ...script);
    const cached = await fakeTemporal(join(cacheDir, 'go-bin', 'temporal'));
    expect((await find({})).path).toBe(cached);
    expect(progress).toEqual([expect.stringContaining(`PATH (${bad})`)]);
    expect(progress[0]).toContain(reason);
  });

  test('builds with Go into the cache when nothing is there, and finds it there the next time', async () => {
    const go = await fakeGo(join(bin, 'go'));
    const built = await find({});
    expect(built).toMatchObject({ path: join(cacheDir, 'go-bin', 'temporal'), source: 'Go build' });
    expect(progress).toContainEqual(
      expect.stringMatching(/^Building the Temporal CLI with Go \(about .*; 0 s so far\)/),
    );
    expect(await find({})).toMatchObject({ path: built.path, source: 'cache' });
    expect(await readFile(`${go}.calls`, 'utf8')).toBe('install github.com/temporalio/cli/cmd/temporal@v1.5.1\n');
    expect((await readdir(cacheDir)).sort()).toEqual(['go-bin']);
  });

  test('builds once when several ask at the same time', async () => {
    const go = await fakeGo(join(bin, 'go'));
    const found = await Promise.all([find({}), find({}), find({})]);
    expect(new Set(found.map(({ path }) => path)).size).toBe(1);
    expect((await readFile(`${go}.calls`, 'utf8')).trim().split('\n')).toHaveLength(1);
    expect(progress).toContain(`Waiting for process ${process.pid}, which is getting the Temporal CLI ...`);
  });

  test('replaces a program in the cache that has gone bad', async () => {
    await program(join(cacheDir, 'go-bin', 'temporal'), 'exit 1');
    await fakeGo(join(bin, 'go'));
    expect((await find({})).source).toBe('Go build');
    expect((await find({})).source).toBe('cache');
  });

  test('goes on to Go when the network is closed', async () => {
    await fakeGo(join(bin, 'go'));
    const proxy = `http://127.0.0.1:${await closedPort()}`;
    const cli = await find({ AIP_TEMPORAL_DOWNLOAD: '', HTTPS_PROXY: proxy, https_proxy: proxy });
    expect(cli.source).toBe('Go build');
    expect(progress).toContainEqual(expect.stringMatching(/^Not using SDK download: .*download/));
  });

  test('names every way with its reason, and what to install, when all fail', async () => {
    await program(join(bin, 'go'), 'echo "module lookup disabled" >&2', 'exit 1');
    const error: unknown = await find({ TEMPORAL_CLI: '/nowhere/temporal' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TemporalCliNotFoundError);
    const { message, failedWays } = error as TemporalCliNotFoundError;
    expect(failedWays.map(({ way }) => way)).toEqual([
      'TEMPORAL_CLI (/nowhere/temporal)',
      'PATH',
      'cache',
      'SDK download',
      'Go build',
    ]);
    expect(message).toContain('cannot be run (spawn /nowhere/temporal ENOENT)');
    expect(message).toContain(`nothing in ${cacheDir}`);
    expect(message).toContain('failed: module lookup disabled');
    expect(message).toContain('or install Go');
    expect(await readdir(cacheDir)).toEqual([]);
  });
});

/** A port of this machine that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}
