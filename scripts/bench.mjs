/** `npm run bench -- …`: sets up what is missing, then measures (docs/benchmarks.md). */
import { main, run } from './run.mjs';
import { setUp } from './setup.mjs';

await main(async () => {
  const { temporalCli } = await setUp();
  const args = ['dist/bench/main.js', ...process.argv.slice(2)];
  return run(process.execPath, args, { env: { TEMPORAL_CLI: temporalCli } });
});
