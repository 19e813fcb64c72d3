import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** What Node finds behind a door, from the build, as an application would: by the package's own name. */
function exportsOf(door: string): string[] {
  const program = `console.log(JSON.stringify(Object.keys(await import(${JSON.stringify(door)}))))`;
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd: root,
      encoding: 'utf8',
      stdio: 'pipe',
    }),
  ) as string[];
}

describe('the doors of the package', () => {
  test.each([
    ['aip-temporal', ['AipClient', 'runBatch', 'readBatchRows', 'BatchOutput', 'createActivities', 'DEFAULTS']],
    ['aip-temporal/workflows', ['conversationWorkflow', 'batchWorkflow', 'batchShardWorkflow']],
    ['aip-temporal/simulator', ['startSimulator']],
  ])('%s opens', (door, names) => {
    expect(exportsOf(door)).toEqual(expect.arrayContaining(names));
  });

  test('nothing else does', () => {
    expect(() => exportsOf('aip-temporal/dist/src/worker.js')).toThrow('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});
