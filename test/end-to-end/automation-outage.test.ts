import { randomUUID } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { addressOf } from '../../src/client/connection.js';
import type { AipClient } from '../../src/client/index.js';
import { startCli } from '../support/cli-io.js';
import { type OwnServerRig, startOwnServerRig } from '../support/own-server-rig.js';
import { until } from '../support/rig.js';
import { quietRuntime } from '../support/worker-of.js';

let rig: OwnServerRig;
let aip: AipClient;
beforeAll(async () => {
  quietRuntime();
  rig = await startOwnServerRig();
  aip = await rig.client();
});
afterAll(() => rig.close());

test('run and watch tell on stderr within seconds that Temporal has gone away, and that it is back, and go on', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'aip-outage-')), 'release.yaml');
  writeFileSync(file, 'name: release\nsteps: [{ approve: Send it? }]\noutput: "\'sent\'"\n');
  const id = `release/${randomUUID()}`;
  const env = { TEMPORAL_ADDRESS: addressOf(aip.client), AIP_TASK_QUEUE: aip.taskQueue };
  const run = startCli(['automation', 'run', file, '--id', id], { env });
  await until('it waits', () => run.stderr().includes('Send it?'));
  const watch = startCli(['automation', 'watch', id], { env });
  await until('it is watched', () => watch.stdout().includes('"approvals"'));
  const says = (text: string) => [run, watch].every((command) => command.stderr().includes(text));

  await rig.killServer();
  await until(
    'both tell of it',
    () => says(`Temporal at ${env.TEMPORAL_ADDRESS} does not answer; trying again`),
    20_000,
  );
  await rig.restartServer();
  await until('both tell that it is back', () => says('Temporal answers again'));
  await until('it can be approved', async () => (await startCli(['automation', 'approve', id], { env }).exited) === 0);
  expect(await Promise.all([run.exited, watch.exited])).toEqual([0, 0]);
  expect(run.stdout().trim()).toBe('sent');
});
