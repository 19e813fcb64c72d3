import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { tryLock } from '../../src/embedded/process-lock.js';
import { temporaryFolder } from './fake-programs.js';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'a.lock');
});

/** Puts a lock there as another process would have left it. */
async function lockOf(pid: number, host = hostname()): Promise<void> {
  await writeFile(path, JSON.stringify({ pid, host, token: 'theirs' }));
}

/** The id of a process that has existed and is gone. */
async function idOfEndedProcess(): Promise<number> {
  const child = spawn('/bin/sh', ['-c', 'exit 0']);
  await once(child, 'close');
  return child.pid ?? 0;
}

describe('tryLock()', () => {
  test('gives a lock to one of many who try at once, and to the next after its release', async () => {
    const attempts = await Promise.all(Array.from({ length: 20 }, () => tryLock(path)));
    const held = attempts.flatMap((attempt) => ('held' in attempt ? [attempt.held] : []));
    expect(held).toHaveLength(1);
    await held[0]?.release();
    expect(await tryLock(path)).toHaveProperty('held');
  });

  test('names the holder', async () => {
    await tryLock(path);
    expect(await tryLock(path)).toMatchObject({ holder: { pid: process.pid, host: hostname() } });
  });

  test('takes over the lock of a process that is gone, for one of many', async () => {
    await lockOf(await idOfEndedProcess());
    const attempts = await Promise.all(Array.from({ length: 20 }, () => tryLock(path)));
    expect(attempts.filter((attempt) => 'held' in attempt)).toHaveLength(1);
    expect(await readdir(folder)).toEqual(['a.lock']);
  });

  test('takes over a lock that nobody has touched for long, though a process of that id lives', async () => {
    await lockOf(process.pid);
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(path, longAgo, longAgo);
    expect(await tryLock(path)).toHaveProperty('held');
  });

  test('respects a fresh lock of another host, whose processes it cannot see', async () => {
    await lockOf(await idOfEndedProcess(), 'elsewhere');
    expect(await tryLock(path)).toMatchObject({ holder: { host: 'elsewhere' } });
  });

  test('does not release a lock that somebody else has taken over', async () => {
    const first = await tryLock(path);
    await lockOf(process.pid);
    if ('held' in first) await first.held.release();
    expect(await tryLock(path)).toMatchObject({ holder: { token: 'theirs' } });
  });
});
