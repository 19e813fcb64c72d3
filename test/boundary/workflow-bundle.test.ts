import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { workflowBundle } from '../support/temporal-server.js';

describe('the bundle of the workflows', () => {
  /** webpack names each module that it takes in by its path. */
  const modules = async () => {
    const { codePath } = await workflowBundle();
    const code = readFileSync(codePath, 'utf8');
    return [...code.matchAll(/"(\.\/[^"\n]+\.(?:c|m)?[jt]s)"/g)].map(([, path]) => path ?? '');
  };

  test('holds our own workflows and what crosses between the sides, and nothing else of ours', async () => {
    const ours = (await modules()).filter((path) => path.startsWith('./src/'));
    expect(ours).toEqual(expect.arrayContaining(['./src/workflows/conversation.ts', './src/protocol/failures.ts']));
    for (const path of ours) expect(path).toMatch(/^\.\/src\/(workflows|protocol)\//);
  });

  test('holds no package but those of Temporal that run in its sandbox', async () => {
    const packages = (await modules()).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
    expect(new Set(packages)).toContain('@temporalio/workflow');
    for (const name of ['zod', 'undici', '@temporalio/client', '@temporalio/worker', '@temporalio/activity', 'uuid']) {
      expect(packages).not.toContain(name);
    }
    expect(packages.filter((name) => name.startsWith('@osdk/'))).toEqual([]);
  });

  test('stays small: a worker loads it for every start', async () => {
    const { codePath } = await workflowBundle();
    const code = readFileSync(codePath, 'utf8').replace(/\/\/# sourceMappingURL=.*/, '');
    expect(code.length).toBeLessThan(1_550_000);
  });
});
