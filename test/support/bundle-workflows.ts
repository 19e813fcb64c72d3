import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

/**
 * Bundles workflow code straight from its TypeScript sources, so that no test meets a stale build.
 *
 * @param workflowsPath  The entry, such as `src/workflows/index.ts`.
 * @param outputPath  The file to write.
 */
export async function bundleWorkflows(workflowsPath: string, outputPath: string): Promise<void> {
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    // Temporal's bundler reads .ts by itself, but our imports say `./x.js`, which is what tsc makes of `./x.ts`.
    webpackConfigHook: (config) => ({
      ...config,
      resolve: { ...config.resolve, extensionAlias: { '.js': ['.ts', '.js'] } },
    }),
    logger: silentLogger,
  });
  await writeFile(outputPath, code);
}

/** Failures are thrown; the rest of the bundler's talk would drown the tests' output. */
const silent = () => undefined;
export const silentLogger = { log: silent, trace: silent, debug: silent, info: silent, warn: silent, error: silent };

/** The entry of our own workflows. */
export const workflowsEntry = fileURLToPath(new URL('../../src/workflows/index.ts', import.meta.url));
