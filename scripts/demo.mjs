/** `npm run demo`: sets up what is missing, then shows the whole thing at work, with nothing needed from outside. */
import { main, run } from './run.mjs';
import { setUp } from './setup.mjs';

await main(async () => {
  const { temporalCli } = await setUp();
  const args = ['dist/src/cli/main.js', 'demo', ...process.argv.slice(2)];
  return run(process.execPath, args, { env: { TEMPORAL_CLI: temporalCli } });
});
