/** `npm run chaos -- …`: sets up what is missing, then kills, disturbs and counts (docs/reliability.md). */
import { main, run } from './run.mjs';
import { setUp } from './setup.mjs';

await main(async () => {
  const { temporalCli } = await setUp();
  const args = ['dist/chaos/main.js', ...process.argv.slice(2)];
  return run(process.execPath, args, { env: { TEMPORAL_CLI: temporalCli } });
});
