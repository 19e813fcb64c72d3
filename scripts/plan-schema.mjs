/** Writes `schemas/plan.schema.json`, by which editors complete and check plans, from the schema that the reader checks by. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { register } from 'node:module';
import { dirname, join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { isMain, main, root, say } from './run.mjs';

export const schemaFile = join(root, 'schemas/plan.schema.json');

async function writeSchema() {
  // From the sources: no build is needed, and no stale one is read.
  register('../test/support/typescript-hooks.mjs', import.meta.url);
  const { planJsonSchema } = await import('../src/plans/index.ts');
  const config = await resolveConfig(schemaFile);
  mkdirSync(dirname(schemaFile), { recursive: true });
  writeFileSync(schemaFile, await format(JSON.stringify(planJsonSchema()), { ...config, parser: 'json' }));
  say('Wrote schemas/plan.schema.json.');
}

if (isMain(import.meta.url)) await main(writeSchema);
