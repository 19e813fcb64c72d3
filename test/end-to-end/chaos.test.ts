import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import type { ChaosResult } from '../../chaos/chaos.js';

const program = fileURLToPath(new URL('../../dist/chaos/main.js', import.meta.url));

/** A short run of `npm run chaos`, as built by `npm test`. */
async function chaos(...args: string[]): Promise<ChaosResult> {
  const child = spawn(process.execPath, [program, '--json', ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return JSON.parse(output) as ChaosResult;
}

test.each([
  ['with traces', 'withTraces'],
  ['of the five-page API', 'fivePages'],
])(
  'on a server %s nothing is doubled, lost, out of order, wrong or left running, whatever is killed',
  async (_name, serverKind) => {
    const kills = ['--worker-kill-seconds', '4', '--server-kill-seconds', '12'];
    const size = ['--minutes', '0.4', '--conversations', '10', '--rows', '60'];
    const result = await chaos('--seed', 'test', '--server-kind', serverKind, ...size, ...kills);
    expect(result.findings).toEqual([]);
    // It was no quiet day.
    const { done, totals, outcomes } = result;
    expect(done.workerKills).toBeGreaterThan(0);
    expect(done.serverKills).toBeGreaterThan(0);
    expect(Object.keys(totals.faults).length).toBeGreaterThan(3);
    expect(outcomes['answered']).toBeGreaterThan(20);
    expect(result.compared).toBeGreaterThan(20);
  },
  300_000,
);
