import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { staticToken, tokenFile } from '../../src/agents-api/index.js';
import { waitUnlessAborted } from '../../src/agents-api/token.js';

describe('staticToken()', () => {
  test('trims its token and has no other after a 401', async () => {
    const source = staticToken(' abc\n');
    await expect(source.get()).resolves.toBe('abc');
    await expect(source.refresh('abc')).resolves.toBe('abc');
  });

  test.each([
    ['', 'empty token'],
    [' \n', 'empty token'],
    ['hush hush', 'white space'],
    ['hush\nX-Header: 1', 'white space'],
    ['hüsh', 'white space'],
  ])('refuses %j without repeating it', (token, problem) => {
    expect(() => staticToken(token)).toThrow(problem);
    expect(() => staticToken(token)).not.toThrow(/h[uü]sh/);
  });
});

describe('tokenFile()', () => {
  let directory: string;
  let path: string;
  let nowMs = 0;
  const now = (): number => nowMs;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'token-'));
    path = join(directory, 'token');
    nowMs = 0;
  });
  afterEach(() => rm(directory, { recursive: true }));

  test('trims what it reads and looks again once per interval', async () => {
    await writeFile(path, 'first\n');
    const source = tokenFile(path, { now });
    await expect(source.get()).resolves.toBe('first');
    await writeFile(path, 'second\n');
    nowMs = 999;
    await expect(source.get()).resolves.toBe('first');
    nowMs = 1_000;
    await expect(source.get()).resolves.toBe('second');
  });

  test('sees a change that leaves the size alone', async () => {
    await writeFile(path, 'aaaa');
    const source = tokenFile(path, { now, checkIntervalMs: 0 });
    await expect(source.get()).resolves.toBe('aaaa');
    await writeFile(path, 'bbbb');
    await utimes(path, 100, 100);
    await expect(source.get()).resolves.toBe('bbbb');
  });

  test('reads the file again on a refresh, whatever its time says', async () => {
    await writeFile(path, 'aaaa');
    await utimes(path, 100, 100);
    const source = tokenFile(path, { now });
    await source.get();
    await writeFile(path, 'bbbb');
    await utimes(path, 100, 100);
    await expect(source.refresh('aaaa')).resolves.toBe('bbbb');
    await expect(source.get()).resolves.toBe('bbbb');
  });

  test('tells which file is missing, empty or unusable, and recovers once it is there', async () => {
    const source = tokenFile(path, { now, checkIntervalMs: 0 });
    await expect(source.get()).rejects.toThrow(`Cannot read the token file ${path} (ENOENT)`);
    await writeFile(path, '\n');
    await expect(source.get()).rejects.toThrow(`empty token from file ${path}`);
    await writeFile(path, 'a b');
    await expect(source.get()).rejects.toMatchObject({ name: 'TokenError', retryable: false });
    await writeFile(path, 'good');
    await expect(source.get()).resolves.toBe('good');
  });
});

describe('waitUnlessAborted()', () => {
  test('leaves with the reason of the signal, and the work goes on', async () => {
    const controller = new AbortController();
    let finish = (_: string): void => undefined;
    const work = new Promise<string>((resolve) => (finish = resolve));
    const waiting = waitUnlessAborted(work, controller.signal);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    finish('done');
    await expect(waitUnlessAborted(work, undefined)).resolves.toBe('done');
  });
});
