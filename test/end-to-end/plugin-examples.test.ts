/** The examples as programs of their own, on the build, as somebody who tries them runs them; and the one that lives for weeks. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { longConversation } from '../../examples/workflows/workflows.js';
import { pluginOf, startExample, startUsersWorker } from '../support/plugin-stage.js';
import { exchangeStatuses, startRig, until, type Rig } from '../support/rig.js';
import { temporalServer } from '../support/temporal-server.js';
import { timeSkippingEnvironment } from '../support/time-skipping.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ worker: false });
});
const programs = new Set<ChildProcess>();
afterEach(async () => {
  await Promise.all([...programs].map((program) => end(program, 'SIGTERM')));
  rig.simulator.changeSettings({ sessionLifetimeMs: 86_400_000 });
});
afterAll(() => rig.close());

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** `node examples/workflows/<name>.ts …` */
async function startProgram(
  name: 'worker' | 'start',
  ...args: string[]
): Promise<{ program: ChildProcess; out: () => string }> {
  const { address } = await temporalServer();
  const { url, token, agentRid } = rig.simulator;
  const env = {
    ...{ PATH: process.env['PATH'], HOME: process.env['HOME'] },
    ...{ TEMPORAL_ADDRESS: address, AIP_TASK_QUEUE: rig.taskQueue, AIP_AGENT_RID: agentRid },
    ...{ FOUNDRY_URL: url, FOUNDRY_TOKEN: token, AIP_SHUTDOWN_GRACE_MS: '0' },
  };
  const typescript = ['--import', path('../support/register-typescript.mjs')];
  const program = spawn(process.execPath, [...typescript, path(`../../examples/workflows/${name}.ts`), ...args], {
    env,
    cwd: path('../../'),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  programs.add(program);
  const heard = { out: '', error: '' };
  program.stdout.on('data', (text: Buffer) => (heard.out += text.toString()));
  program.stderr.on('data', (text: Buffer) => (heard.error += text.toString()));
  program.on('exit', (code) => {
    if (code !== 0 && code !== null) process.stderr.write(heard.error);
  });
  return { program, out: () => heard.out };
}

async function end(program: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  programs.delete(program);
  if (program.exitCode !== null || program.signalCode !== null) return;
  program.kill(signal);
  await once(program, 'exit');
}

describe('worker.ts', () => {
  test('works for start.ts, whose examples all come to their end', async () => {
    const worker = await startProgram('worker');
    const started = ['nightlyReport', 'fanOutReduce', 'escalation'].map(async (name) => {
      const { program, out } = await startProgram('start', name);
      await once(program, 'close');
      return JSON.parse(out()) as unknown;
    });
    expect(await Promise.all(started)).toEqual([
      expect.objectContaining({ incidents: [{ id: 'INC-7', severity: 'high' }] }),
      expect.objectContaining({ summary: 'All quiet.', answered: 3, failed: 0 }),
      expect.objectContaining({ answeredBy: 'expert' }),
    ]);
    const ended = once(worker.program, 'exit');
    worker.program.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  }, 180_000);

  test('killed in the middle, goes on where it was when it is started again, and asks nothing twice', async () => {
    const task = `Slow ${randomUUID()} [takes 6s]`;
    const handle = await startExample(rig, 'humanApproval', { task, waitMs: 100 });
    const { program } = await startProgram('worker');
    await until('the agent answers', () => exchangeStatuses(rig, task).length === 1);
    await end(program, 'SIGKILL');
    await startProgram('worker');
    expect(await handle.result()).toMatchObject({ drafts: 1, draft: expect.stringContaining('Slow') });
    expect(exchangeStatuses(rig, task)).toEqual(['landed']);
  }, 180_000);
});

describe('long-conversation', () => {
  test('goes on over runs and expired sessions', async () => {
    rig.simulator.changeSettings({ sessionLifetimeMs: 1_000 });
    const users = await startUsersWorker(rig);
    const topic = `the strike ${randomUUID()}`;
    const handle = await startExample(rig, 'longConversation', { topic, weeks: 4, everyMs: 2_500 });
    const { sessions } = await handle.result();
    // On a slow machine one expires before it is used.
    expect(sessions).toBeGreaterThanOrEqual(4);
    // Each session is told the end of what was said before.
    const told = rig.simulator.ledger().exchanges.filter(({ text }) => text.includes(topic));
    expect(told.map(({ status }) => status)).toEqual(['landed', 'landed', 'landed', 'landed']);
    await users.stop();
  });

  test('lives for half a year', async () => {
    const environment = await timeSkippingEnvironment();
    if (environment === undefined) {
      console.warn('Not tried: a test server that skips time needs Java and Maven');
      return;
    }
    const { nativeConnection, client, namespace } = environment;
    const from = await environment.currentTimeMs();
    const users = await startUsersWorker(rig, {
      ...{ connection: nativeConnection, namespace: namespace ?? 'default' },
      plugins: [pluginOf(rig, { shareLimits: false })],
    });
    const { agentRid } = rig.simulator;
    const result = await client.workflow.execute<typeof longConversation>('longConversation', {
      ...{ taskQueue: rig.taskQueue, workflowId: `test/${randomUUID()}` },
      args: [{ agentRid, topic: 'the strike', weeks: 26 }],
    });
    expect(result.weeks).toBe(26);
    expect((await environment.currentTimeMs()) - from).toBeGreaterThan(25 * 7 * 86_400_000);
    await users.stop();
    await environment.teardown();
  }, 180_000);
});
