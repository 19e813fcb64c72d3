import { randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTemporalServer } from '../../src/embedded/index.js';
import { SEARCH_ATTRIBUTE_TYPES } from '../../src/protocol/search-attributes.js';
import { startRig, type Rig } from '../support/rig.js';
import { workflowBundle } from '../support/temporal-server.js';

/** Where a story is set, when an ordinary rig with a worker will not do. */
export interface Setting {
  /** False: the story starts its worker itself. Default true. */
  worker?: boolean;
  /** The server suggests continue-as-new from this many events on, and not from 4,096. */
  suggestContinueAsNewAt?: number;
  /**
   * Waits of the workflow code, by the names of their constants, that are too long to be recorded as they are. (How long a
   * timer runs is no matter for replay, only that it was started.)
   */
  waits?: Readonly<Record<string, string>>;
}

/** Sets up a rig of its own for a story. */
export async function startRecordingRig(setting: Setting = {}): Promise<Rig> {
  const { worker = true, suggestContinueAsNewAt, waits = {} } = setting;
  const server =
    suggestContinueAsNewAt === undefined
      ? undefined
      : await startTemporalServer({
          searchAttributes: SEARCH_ATTRIBUTE_TYPES,
          dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': suggestContinueAsNewAt },
        });
  const bundle = await bundleWith(waits);
  const rig = await startRig({ worker, workflowBundlePath: bundle.codePath, ...(server !== undefined && { server }) });
  return {
    ...rig,
    async close() {
      await rig.close();
      await server?.stop();
      await bundle.remove();
    },
  };
}

/** The bundle of the workflows with other waits; each must be found, exactly once. */
async function bundleWith(waits: Readonly<Record<string, string>>) {
  const { codePath } = await workflowBundle();
  if (Object.keys(waits).length === 0) return { codePath, remove: () => Promise.resolve() };
  let code = await readFile(codePath, 'utf8');
  for (const [name, wait] of Object.entries(waits)) {
    const parts = code.split(new RegExp(`(?<=\\bconst ${name} =\\s*)'[^']+'(?=;)`));
    if (parts.length !== 2) throw new Error(`Cannot change ${name}: it is in the bundle ${parts.length - 1} times`);
    code = parts.join(JSON.stringify(wait));
  }
  const changed = join(tmpdir(), `aip-temporal-workflows-${randomUUID()}.js`);
  await writeFile(changed, code);
  return { codePath: changed, remove: () => rm(changed) };
}
