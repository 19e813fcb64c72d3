import { describe, expect, test } from '@jest/globals';
import { lastLines, runProcess } from '../../src/embedded/run-process.js';

const sh = (
  script: string,
  options: Omit<Parameters<typeof runProcess>[2], 'timeoutMs'> & { timeoutMs?: number } = {},
) => runProcess('/bin/sh', ['-c', script], { timeoutMs: 30_000, ...options });

describe('runProcess()', () => {
  test('gives what was printed and the exit code', async () => {
    expect(await sh('echo out; echo err >&2; exit 4')).toEqual({
      code: 4,
      stdout: 'out\n',
      stderr: 'err\n',
      stoppedBecause: undefined,
    });
  });

  test('ends a program that runs too long', async () => {
    expect(await sh('exec sleep 600', { timeoutMs: 50 })).toMatchObject({
      code: null,
      stoppedBecause: 'no end after 0.05 s',
    });
  });

  test('ends a program when the watch gives a reason, and not before', async () => {
    let looks = 0;
    const watch = () => {
      looks += 1;
      return looks === 3 ? 'nothing came' : undefined;
    };
    expect(await sh('exec sleep 600', { watch, watchEveryMs: 5 })).toMatchObject({ stoppedBecause: 'nothing came' });
    expect(looks).toBeGreaterThanOrEqual(3);
  });

  test('rejects for a program that is not there', async () => {
    await expect(runProcess('/nowhere/program', [], { timeoutMs: 1_000 })).rejects.toThrow('ENOENT');
  });
});

test('lastLines() joins the last lines that say something', () => {
  expect(lastLines('a\n\n  b \nc\n\n', 2)).toBe('b | c');
  expect(lastLines('')).toBe('');
});
