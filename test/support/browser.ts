import { access, constants } from 'node:fs/promises';
import { chromium, type Browser } from 'playwright-core';

/** Without a screen, without root's sandbox, and without a word to anyone but the page's own server. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Starts the Chromium that `CHROMIUM` names (`npm test` finds or installs one), else Debian's. Close it at the end.
 *
 * @throws Error That says what to install, when there is none: a test without its browser has failed.
 */
export async function startBrowser(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM'] || '/usr/bin/chromium';
  try {
    await access(executablePath, constants.X_OK);
  } catch (error) {
    throw new Error(
      `Cannot start a browser: there is no program at ${executablePath}. Install Chromium (Debian: apt-get install chromium; ` +
        'elsewhere: npx playwright-core install chromium), or name one in CHROMIUM',
      { cause: error },
    );
  }
  return chromium.launch({ executablePath, args: FLAGS });
}
