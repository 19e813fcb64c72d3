import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { LimitsDescription } from '../../src/client/index.js';
import type { Environment } from '../../src/settings.js';
import { cli, type CliResult, startCli, environmentOf } from '../support/cli-io.js';
import { startRig, type Rig, until } from '../support/rig.js';

/** Clears what stands below. */
const ANEW = '\u001b[J';

let rig: Rig;
let env: Environment;
beforeAll(async () => {
  rig = await startRig();
  env = environmentOf(rig);
});
afterAll(() => rig.close());

const limits = (...args: string[]): Promise<CliResult> => cli(['limits', ...args], { env });

async function shown(): Promise<LimitsDescription> {
  const { stdout } = await limits('show', '--json');
  return JSON.parse(stdout) as LimitsDescription;
}

test('ceilings are set, and taken away one by one', async () => {
  expect(await limits('set', '--max-concurrency', '5', '--max-per-minute', '300')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^agent +ri\..*\nstate +open\nceilings +5 at once, 300 per minute\n$/),
    stderr: expect.stringMatching(/^Set the ceilings of agent ri\./),
  });
  expect((await shown()).settings).toMatchObject({ maxConcurrency: 5, maxPerMinute: 300 });
  expect(await limits('set', '--max-concurrency', 'none')).toMatchObject({ code: 0 });
  expect((await shown()).settings.maxConcurrency).toBeUndefined();
  expect((await shown()).settings.maxPerMinute).toBe(300);
  const { code, stdout } = await limits('set', '--max-per-minute', 'none', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ agentRid: rig.simulator.agentRid, settings: {}, ceilings: {} });
  expect((await shown()).settings.maxPerMinute).toBeUndefined();
});

test.each([
  [['set'], 'Say what to set'],
  [['set', '--max-per-minute', '0'], '"0" is neither a whole number from 1'],
  [['set', '--max-concurrency', ''], '"" is neither a whole number from 1'],
  [['close', '--until', '2020-01-01T00:00Z'], 'give a time to come'],
])('%j is refused, and sets nothing', async (args, message) => {
  const { code, stderr } = await limits(...args);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
  expect((await shown()).settings).toEqual({});
});

test('an agent is closed with its reason, and opened again', async () => {
  expect(await limits('close', '--reason', 'model is changed')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/state +closed since .* until `limits open`: model is changed\n/),
  });
  expect((await limits('show')).stdout).toContain('model is changed');
  expect((await limits('list')).stdout).toContain(rig.simulator.agentRid);
  expect(await limits('open')).toMatchObject({ code: 0 });
  expect((await rig.client.conversation().ask('There?')).status).toBe('answered');
});

test('--watch is drawn anew in a terminal, and is JSON for whoever reads it on', async () => {
  const piped = startCli(['limits', 'show', '--watch'], { env });
  await until('it has looked twice', () => piped.stdout().split('\n').length > 2);
  piped.signal('SIGINT');
  expect(await piped.exited).toBe(130);
  const looks = piped.stdout().trim().split('\n');
  expect(looks.map((line) => (JSON.parse(line) as LimitsDescription).agentRid)).toEqual(
    looks.map(() => rig.simulator.agentRid),
  );
  const drawn = startCli(['limits', 'show', '--watch'], { env, isTTY: true });
  await until('it is drawn twice', () => drawn.stdout().split(ANEW).length > 2);
  drawn.signal('SIGINT');
  expect(await drawn.exited).toBe(130);
  expect(drawn.stdout().split(ANEW)[1]).toMatch(/^agent {5}ri\./);
});
