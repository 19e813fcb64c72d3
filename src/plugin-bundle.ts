/** Our workflows in the bundle of a user's own: one module stands between Temporal's entry and theirs, and exports both. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BundleOptions, WorkerOptions } from '@temporalio/worker';
import { WORKFLOW_TYPES } from './protocol/workflow-names.js';

type WebpackConfigHook = NonNullable<BundleOptions['webpackConfigHook']>;
type WebpackConfig = Parameters<WebpackConfigHook>[0];
type WebpackPlugin = Extract<NonNullable<WebpackConfig['plugins']>[number], (...args: never[]) => void>;
type Compiler = Parameters<WebpackPlugin>[0];
type Compilation = ReturnType<Compiler['createCompilation']>;
type Module = Compilation['modules'] extends Set<infer M> ? M : never;

const NAMES: readonly string[] = Object.values(WORKFLOW_TYPES);

/** Exported from bundles that were made with the plugin. */
const MARKER = 'madeWithAipAgentsPlugin';

const ourWorkflows = (): string => fileURLToPath(new URL('./workflows/index.js', import.meta.url));

/** A bundle lacks our workflows, or has others of their names. */
export class WorkflowBundleError extends Error {
  override readonly name = 'WorkflowBundleError';
}

/**
 * Adds our workflows to what is bundled.
 *
 * A bundle whose own workflows have a name of ours is not made: it fails with `WorkflowBundleError`.
 */
export function withOurWorkflows(options: BundleOptions): BundleOptions {
  const { webpackConfigHook = (config: WebpackConfig) => config } = options;
  const theirs = resolve(options.workflowsPath);
  return {
    ...options,
    webpackConfigHook: (config) => {
      const hooked = webpackConfigHook(config);
      return { ...hooked, plugins: [...(hooked.plugins ?? []), redirect(options.workflowsPath, theirs)] };
    },
  };
}

/**
 * Fails when a worker is to run a bundle that was made without the plugin: conversations and batches would wait for ever.
 *
 * @throws WorkflowBundleError
 */
export async function checkBundle(bundle: NonNullable<WorkerOptions['workflowBundle']>): Promise<void> {
  const code = 'code' in bundle ? bundle.code : await readFile(bundle.codePath, 'utf8');
  if (code.includes(MARKER)) return;
  throw new WorkflowBundleError(
    'Cannot run this workflowBundle: it lacks the workflows of aip-temporal; make it with bundleWorkflowCode({ workflowsPath, plugins: [new AipAgentsPlugin()] })',
  );
}

/**
 * Temporal's entry requires `workflowsPath`; it is given a module of ours for it, which requires the real one. So the entry stays
 * where it was, and finds interceptors and converters from there.
 */
function redirect(request: string, theirs: string): WebpackPlugin {
  const between = `data:application/node,${encodeURIComponent(moduleBetween(theirs, ourWorkflows()))}`;
  return (compiler) => {
    compiler.hooks.normalModuleFactory.tap(MARKER, (factory) => {
      factory.hooks.beforeResolve.tap(MARKER, (data) => {
        if (data.request === request && !data.contextInfo.issuer.startsWith('data:')) data.request = between;
      });
    });
    compiler.hooks.thisCompilation.tap(MARKER, (compilation) => {
      // Late: after webpack has found out what each module exports.
      compilation.hooks.finishModules.tap({ name: MARKER, stage: 1_000 }, () => refuseClash(compilation, theirs));
    });
  };
}

/** CommonJS, which takes a `default` export along: it is the workflow of types that have none of their own. */
function moduleBetween(theirs: string, ours: string): string {
  return `
const theirs = require(${JSON.stringify(theirs)});
const ours = require(${JSON.stringify(ours)});
const all = Object.assign({}, theirs, { ${MARKER}: true });
for (const name of ${JSON.stringify(NAMES)}) {
  if (name in theirs && theirs[name] !== ours[name]) throw new Error(${JSON.stringify(clashOf('NAME'))}.replace('NAME', name));
  all[name] = ours[name];
}
module.exports = all;
`;
}

const clashOf = (name: string): string =>
  `Cannot add the workflows of aip-temporal: your own workflows export another ${name}; give yours another name`;

/** As far as webpack knows what they export; what it does not know is found when a workflow is loaded. */
function refuseClash({ modules, moduleGraph }: Compilation, theirs: string): void {
  const isOurs = (module: Module) => pathOf(module).startsWith(fileURLToPath(new URL('./', import.meta.url)));
  for (const between of modules) {
    if (!pathOf(between).startsWith('data:application/node,') || !pathOf(between).includes(MARKER)) continue;
    for (const dependency of between.dependencies) {
      if ((dependency as { request?: string }).request !== theirs) continue;
      const module = moduleGraph.getModule(dependency);
      if (module === null) continue;
      const provided = moduleGraph.getProvidedExports(module);
      for (const name of Array.isArray(provided) ? provided.filter((one) => NAMES.includes(one)) : []) {
        const target = moduleGraph.getExportInfo(module, name).getTarget(moduleGraph);
        if (target === undefined || !isOurs(target.module)) throw new WorkflowBundleError(clashOf(name));
      }
    }
  }
}

const pathOf = (module: Module): string => (module as { resource?: string }).resource ?? '';
