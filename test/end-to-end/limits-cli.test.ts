import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { LimitsDescription } from '../../src/client/index.js';
import type { Environment } from '../../src/settings.js';
import { cli, type CliResult } from '../support/cli-io.js';
import { startRig, type Rig } from '../support/rig.js';
import { temporalServer } from '../support/temporal-server.js';

let rig: Rig;
let env: Environment;
beforeAll(async () => {
  rig = await startRig();
  const { address } = await temporalServer();
  env = { TEMPORAL_ADDRESS: address, AIP_TASK_QUEUE: rig.taskQueue, AIP_AGENT_RID: rig.simulator.agentRid };
});
afterAll(() => rig.close());

const limits = (...args: string[]): Promise<CliResult> => cli(['limits', ...args], { env });

async function shown(): Promise<LimitsDescription> {
  const { stdout } = await limits('show', '--json');
  return JSON.parse(stdout) as LimitsDescription;
}

test('ceilings are set, and taken away one by one', async () => {
  expect(await limits('set', '--max-concurrency', '5', '--max-per-minute', '300')).toMatchObject({ code: 0 });
  expect((await shown()).settings).toMatchObject({ maxConcurrency: 5, maxPerMinute: 300 });
  expect(await limits('set', '--max-concurrency', 'none')).toMatchObject({ code: 0 });
  expect((await shown()).settings.maxConcurrency).toBeUndefined();
  expect((await shown()).settings.maxPerMinute).toBe(300);
  expect(await limits('set', '--max-per-minute', 'none')).toMatchObject({ code: 0 });
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
  expect(await limits('close', '--reason', 'model is changed')).toMatchObject({ code: 0 });
  expect((await limits('show')).stdout).toContain('model is changed');
  expect((await limits('list')).stdout).toContain(rig.simulator.agentRid);
  expect(await limits('open')).toMatchObject({ code: 0 });
  expect((await rig.client.conversation().ask('There?')).status).toBe('answered');
});
