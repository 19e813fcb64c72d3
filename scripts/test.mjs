/** `npm test`: sets up what is missing, then runs jest with the arguments given. */
import { join } from 'node:path';
import { findChromium } from './chromium.mjs';
import { main, root, run } from './run.mjs';
import { setUp } from './setup.mjs';

await main(async () => {
  const { temporalCli } = await setUp();
  const chromium = await findChromium();
  // jest runs ES modules by this switch of Node, and Node warns about it in every process.
  const switches = [process.env.NODE_OPTIONS, '--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const env = { NODE_OPTIONS: switches.filter(Boolean).join(' '), TEMPORAL_CLI: temporalCli };
  if (chromium !== undefined) env.CHROMIUM = chromium;
  return run(process.execPath, [join(root, 'node_modules/jest/bin/jest.js'), ...process.argv.slice(2)], { env });
});
