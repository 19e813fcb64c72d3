import { randomUUID } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { AutomationDescription } from '../../src/client/index.js';
import type { Environment } from '../../src/settings.js';
import { cli, startCli, type CliResult, environmentOf } from '../support/cli-io.js';
import { startRig, until, type Rig } from '../support/rig.js';

let rig: Rig;
let env: Environment;
beforeAll(async () => {
  rig = await startRig();
  env = environmentOf(rig);
});
afterAll(() => rig.close());
afterEach(() => {
  rig.simulator.changeSettings({ answerLatencyMs: 0, limits: {} });
  rig.simulator.setFaults([]);
});

const run = (...args: string[]): Promise<CliResult> => cli(['automation', ...args], { env });
const start = (...args: string[]) => startCli(['automation', ...args], { env });
const newId = (name: string) => `${name}/${randomUUID()}`;
const lines = (text: string) => text.split('\n').filter((line) => line !== '');
const parsed = (line = '') => JSON.parse(line) as Record<string, unknown>;

function planFile(text: string, name = 'plan.yaml'): string {
  const file = join(mkdtempSync(join(tmpdir(), 'aip-automation-')), name);
  writeFileSync(file, text);
  return file;
}

const ORDERS = planFile(`
name: orders
description: Asks about each region.
inputs:
  regions: { type: array, default: [north, south] }
steps:
  - forEach: inputs.regions
    id: each
    as: region
    do:
      - ask: "What is late in {{ region }}?"
        id: late
    collect: steps.late.answer
output: steps.each.results
`);

const RELEASE = planFile(`
name: release
inputs:
  version: number
steps:
  - ask: "Write the notes of version {{ inputs.version }}."
    id: notes
  - approve: { message: "Send the notes of version {{ inputs.version }}?", wait: 3d, default: reject }
    id: send
output: 'steps.send.by & ": " & steps.send.comment'
`);

async function startRelease(...options: string[]): Promise<string> {
  const id = newId('release');
  expect(await run('run', RELEASE, '--id', id, '--input', 'version=7', '--detach', ...options)).toMatchObject({
    code: 0,
    stdout: `${id}\n`,
  });
  await until('it waits', async () => (await shown(id)).live?.approvals.length === 1);
  return id;
}

const shown = async (id: string) =>
  JSON.parse((await run('show', id, '--json')).stdout) as Omit<AutomationDescription, 'startedAt'>;

describe('automation validate', () => {
  test('tells every fault as file:line:column, with exit code 1, and what can be run', async () => {
    const broken = planFile('name: broken\nsteps:\n  - aks: hello\n  - wait: soon\n');
    const { code, stdout } = await run('validate', ORDERS, broken);
    expect(code).toBe(1);
    expect(stdout).toContain(`${ORDERS}: plan orders can be run`);
    expect(stdout).toMatch(new RegExp(`^${broken}:3:5 .*ask`, 'm'));
    expect(stdout).toMatch(new RegExp(`^${broken}:4:11 steps\\[1\\]\\.wait: `, 'm'));
    const json = lines((await run('validate', broken, '--json')).stdout).map((line) => parsed(line));
    expect(json).toMatchObject([
      {
        file: broken,
        valid: false,
        faults: [
          { line: 3, column: 5 },
          { path: 'steps[1].wait', line: 4 },
        ],
      },
    ]);
    expect((await run('validate', ORDERS)).code).toBe(0);
    expect((await run('validate', '/nonexistent.yaml')).code).toBe(2);
  });
});

describe('automation run', () => {
  test('prints the output alone on stdout, and steps on stderr as they change', async () => {
    const { code, stdout, stderr } = await run('run', ORDERS, '--input', 'regions=["north","east","west"]');
    expect(stderr).toMatch(/^Automation orders\/\d{8}T\d{4}-[0-9a-f]{8}$/m);
    expect(stderr).toMatch(/^✓ for each region of inputs\.regions \(each\) {2}3/m);
    const answers = JSON.parse(stdout) as string[];
    expect(answers).toHaveLength(3);
    expect(answers[1]).toContain('What is late in east?');
    expect(code).toBe(0);
  });

  test('--json gives one line with output and totals', async () => {
    const inputs = planFile('{"regions": ["north"]}', 'inputs.json');
    const { code, stdout } = await run('run', ORDERS, '--input-file', inputs, '--json');
    expect(lines(stdout)).toHaveLength(1);
    expect(parsed(stdout)).toMatchObject({
      status: 'completed',
      output: [expect.any(String)],
      totals: { answered: 1 },
    });
    expect(code).toBe(0);
  });

  test.each<[string, string[], RegExp]>([
    ['a broken plan', [planFile('name: x\nsteps: []\n')], /Cannot run .*: it has 1 fault\n.*:2:\d+ steps: is empty/],
    ['an unknown input', [ORDERS, '--input', 'region=north'], /Mend the inputs of plan orders:\n.*region.*regions/],
    ['a missing input', [RELEASE], /input version is missing; write it like version=12\.5/],
    ['an input of another type', [RELEASE, '--input', 'version=old'], /input version is "old", but must be a number/],
    ['a file of inputs that is none', [ORDERS, '--input-file', planFile('- 1')], /holds no inputs by name/],
    ['an id of another form', [ORDERS, '--id', 'automation/x'], /it begins with automation\//],
  ])('%s is refused with exit code 2, before anything starts', async (_, args, message) => {
    const { code, stdout, stderr } = await run('run', ...args);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('a plan that needs an agent and has none is refused', async () => {
    const { AIP_AGENT_RID: _, ...noAgent } = env;
    const { code, stderr } = await cli(['automation', 'run', ORDERS], { env: noAgent });
    expect(stderr).toContain('Cannot start plan orders without an agent: steps[0].do[0] names none; give one (--agent');
    expect(code).toBe(2);
  });

  test('an id is used once: the same again starts nothing, and says where to look', async () => {
    const id = newId('orders');
    expect((await run('run', ORDERS, '--id', id)).code).toBe(0);
    const before = rig.simulator.summary().totals.landed;
    const again = await run('run', ORDERS, '--id', id);
    expect(again.stderr).toContain(
      `one of this id has completed; see what it did with \`aip-temporal automation show ${id}`,
    );
    expect(again.code).toBe(2);
    expect(rig.simulator.summary().totals.landed).toBe(before);
  });

  test('a plan that fails is told with its step, exit code 1', async () => {
    const failing = planFile('name: failing\nsteps:\n  - fail: "Nothing to report."\n');
    const { code, stdout, stderr } = await run('run', failing);
    expect(stderr).toMatch(/^Automation failing\/\S+ has failed: .*Nothing to report\./m);
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });

  test('Ctrl-C leaves the automation running, and says how to look again and to cancel', async () => {
    rig.simulator.changeSettings({ answerLatencyMs: 5_000 });
    const id = newId('orders');
    const running = start('run', ORDERS, '--id', id);
    await until('it runs', () => running.stderr().includes('▶'));
    running.signal('SIGINT');
    expect(await running.exited).toBe(130);
    rig.simulator.changeSettings({ answerLatencyMs: 0 });
    expect(running.stderr()).toContain(`the automation goes on: aip-temporal automation watch ${id}`);
    expect(running.stderr()).toContain(`aip-temporal automation cancel ${id}`);
    const { code, stdout } = await run('watch', id);
    expect(code).toBe(0);
    expect(parsed(lines(stdout).at(-1))).toMatchObject({ status: 'completed', live: { totals: { answered: 2 } } });
  });
});

describe('automation show and list', () => {
  test('show tells steps, what it waits for and how to answer; list finds it', async () => {
    const id = await startRelease();
    const { stdout } = await run('show', id);
    expect(stdout).toMatch(new RegExp(`^automation +${id}\nstate +waiting\nplan +release from .*plan\\.yaml\n`));
    expect(stdout).toMatch(/^✓ Write the notes .* \(notes\) {2}\d+ tokens {2}/m);
    expect(stdout).toMatch(/^⏸ .* \(send\) {2}/m);
    expect(stdout).toMatch(/^⏸ send: Send the notes of version 7\?; until 20\d\d-\S+ \d\d:\d\d, then it is rejected$/m);
    expect(stdout).toContain(`  aip-temporal automation approve ${id}  (or reject)`);
    const listed = async (...options: string[]) => (await run('list', ...options)).stdout;
    await until('it needs attention', async () => (await listed('--needs-attention')).includes(id));
    expect(await listed('--running')).toMatch(new RegExp(`^${id} +running \\(needs attention\\) +release +20`, 'm'));
    expect(await listed('--plan', 'orders')).not.toContain(id);
    expect(parsed(lines(await listed('--plan', 'release', '--json'))[0])).toMatchObject({ plan: 'release' });
    expect((await run('cancel', id)).stderr).toBe(`Asked automation ${id} to cancel\n`);
    await until('it has ended', async () => (await shown(id)).status === 'cancelled');
    expect((await run('cancel', id)).stderr).toBe(`Automation ${id} had ended before\n`);
    expect((await run('watch', id)).code).toBe(1);
  });

  test('without a worker, show tells what Temporal knows, and what is missing', async () => {
    const own = await startRig({ worker: false });
    try {
      const ownEnv = { ...env, AIP_TASK_QUEUE: own.taskQueue };
      const id = newId('release');
      await cli(['automation', 'run', RELEASE, '--id', id, '--input', 'version=8', '--detach'], { env: ownEnv });
      const { code, stdout } = await cli(['automation', 'show', id], { env: ownEnv });
      expect(stdout).toMatch(/state +running\nplan +release/);
      expect(stdout).toContain(`… no worker answers on task queue ${own.taskQueue}; start one`);
      expect(code).toBe(0);
      const { code: refused, stderr } = await cli(['automation', 'approve', id], { env: ownEnv });
      expect(stderr).toContain(`No worker polls task queue ${own.taskQueue}`);
      expect(refused).toBe(1);
      await cli(['automation', 'cancel', id], { env: ownEnv });
    } finally {
      await own.close();
    }
  });

  test.each(['show', 'watch', 'approve', 'reject', 'cancel'])(
    '%s of one that is not there ends with exit code 1',
    async (verb) => {
      expect(await run(verb, 'nobody')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('Cannot find automation nobody'),
      });
    },
  );
});

describe('automation approve and reject', () => {
  test('approve goes on, is recorded with who and why, and counts once', async () => {
    const id = await startRelease();
    const { code, stderr } = await run('approve', id, '--by', 'ann', '--comment', 'looks good');
    expect(stderr).toMatch(/^send was approved by ann at .*: looks good\n$/);
    expect(code).toBe(0);
    expect((await run('watch', id)).code).toBe(0);
    expect((await run('show', id)).stdout).toMatch(/\nann: looks good\n$/);
    expect(await shown(id)).toMatchObject({
      result: { output: 'ann: looks good' },
      live: { decisions: [{ by: 'ann' }] },
    });
    const late = await run('reject', id);
    expect(late).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Cannot decide in automation .*: it has completed/),
    });
    const lateToo = await run('reject', id, 'send');
    expect(lateToo.stderr).toMatch(/^Cannot decide send in .*: it was approved by ann at .*; the first decision stays/);
  });

  test('reject fails the step; the workflow’s id will do as well; without --by it is the user of this machine', async () => {
    const id = await startRelease();
    const { stdout } = await run('reject', `automation/${id}`, 'send', '--comment', 'no', '--json');
    expect(parsed(stdout)).toMatchObject({
      approvalId: 'send',
      decision: 'reject',
      by: expect.any(String),
      comment: 'no',
    });
    const { code, stdout: watched } = await run('watch', id);
    expect(code).toBe(1);
    expect(parsed(lines(watched).at(-1))).toMatchObject({ status: 'failed', failure: { type: 'Rejected' } });
  });

  test('where several wait, one has to be named', async () => {
    const several = planFile(`
name: several
steps:
  - parallel:
      north: [{ approve: "North?", id: north }]
      south: [{ approve: "South?", id: south }]
`);
    const id = newId('several');
    await run('run', several, '--id', id, '--detach');
    await until('both wait', async () => (await shown(id)).live?.approvals.length === 2);
    expect(await run('approve', id)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/2 approvals wait in it; name one of them: north, south/),
    });
    expect((await run('approve', id, 'west')).stderr).toContain(
      'no approval "west" waits in it; these do: north, south',
    );
    expect((await run('approve', id, 'north')).code).toBe(0);
    expect((await run('approve', id, 'north')).stderr).toMatch(
      /north in .*: it was approved by .*; the first decision stays/,
    );
    expect((await run('approve', id)).code).toBe(0);
    expect((await run('watch', id)).code).toBe(0);
  });
});

describe('automation schedule', () => {
  test('create, list, show, pause, resume, update, trigger, backfill and delete', async () => {
    const name = `nightly-${randomUUID()}`;
    const schedule = (...args: string[]) => run('schedule', ...args);
    const created = await schedule(
      'create',
      ...[name, ORDERS, '--cron', '0 6 * * *', '--time-zone', 'Europe/Berlin', '--overlap', 'bufferOne'],
      ...['--jitter', '5m', '--input', 'regions=["north"]', '--note', 'for the morning'],
    );
    expect(created.stderr).toMatch(
      /^Schedule nightly-.* starts plan orders: 0 6 \* \* \* \(Europe\/Berlin\); next at 20\S+ 06:0\d:\d\d \+0[12]:00$/m,
    );
    expect(created.code).toBe(0);
    expect(await schedule('create', name, ORDERS, '--every', '1h')).toMatchObject({ code: 2 });
    await until('it is listed', async () => (await schedule('list')).stdout.includes(name));
    const { stdout } = await schedule('show', name);
    expect(stdout).toMatch(/state +active\nnote +for the morning\nplan +orders from .*\nwhen +0 6 \* \* \* /);
    expect(stdout).toMatch(/jitter +5m\noverlap +bufferOne\n/);
    expect(stdout).toContain('{"regions":["north"]}');
    expect((await schedule('pause', name, '--note', 'holidays')).code).toBe(0);
    expect((await schedule('show', name)).stdout).toMatch(/state +paused\nnote +holidays/);
    expect((await schedule('pause', name)).stderr).toMatch(/was paused already \(note: holidays\), and stays so$/m);
    expect((await schedule('show', name)).stdout).toMatch(/note +holidays/);
    expect((await schedule('resume', name)).code).toBe(0);
    expect(await schedule('update', name, RELEASE, '--input', 'version=7')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        'it starts plan orders, and this one is called release; create a schedule for it',
      ),
    });
    const updated = await schedule('update', name, ORDERS, '--input', 'regions=["south"]');
    expect(updated.stderr).toMatch(
      /^Schedule nightly-.* starts plan orders: 0 6 \* \* \* \(Europe\/Berlin\); next at 20.*\ninputs: \{"regions":\["south"\]\}, where it had \{"regions":\["north"\]\}$/m,
    );
    expect((await schedule('update', 'nowhere', ORDERS)).code).toBe(1);
    const triggered = await schedule('trigger', name);
    const id = triggered.stdout.trim();
    expect(id).toMatch(new RegExp(`^${name}-20`));
    expect((await run('watch', id)).code).toBe(0);
    expect(await shown(id)).toMatchObject({ schedule: name, plan: 'orders', live: { totals: { answered: 1 } } });
    expect((await shown(id)).result?.output).toEqual([expect.stringContaining('What is late in south?')]);
    expect((await schedule('backfill', name, '--from', '2026-03-01T00:00Z', '--to', '2026-03-02T00:00Z')).code).toBe(0);
    const filled = `${name}-2026-03-01T05:00:00Z`;
    await until('it has run for that day', async () => {
      const { stdout: text } = await run('show', filled, '--json');
      return text !== '' && parsed(text)['status'] === 'completed';
    });
    expect((await schedule('delete', name)).code).toBe(0);
    expect(await schedule('show', name)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Cannot find schedule'),
    });
  });

  test('trigger tells of a start that is skipped or waits, as the run before still runs', async () => {
    const name = `release-${randomUUID()}`;
    const schedule = (...args: string[]) => run('schedule', ...args);
    expect((await schedule('create', name, RELEASE, '--every', '365d', '--input', 'version=7')).code).toBe(0);
    const first = (await schedule('trigger', name)).stdout.trim();
    // Temporal names runs by the second.
    await until('the next second', () => new Date().toISOString().slice(0, 19) > first.slice(-20, -1));
    const id = (await schedule('trigger', name, '--overlap', 'cancelOther')).stdout.trim();
    expect(id).toMatch(new RegExp(`^${name}-20`));
    expect((await run('watch', first)).code).toBe(1);
    const skipped = await schedule('trigger', name);
    expect(skipped).toMatchObject({ code: 1, stdout: '' });
    expect(skipped.stderr).toContain(
      `Nothing was started: ${id} still runs, and this start was skipped (overlap: skip); --overlap bufferOne starts one after it`,
    );
    const asJson = await schedule('trigger', name, '--json');
    expect(asJson.code).toBe(1);
    expect(parsed(asJson.stdout)).toEqual({ notStarted: 'skipped', overlap: 'skip', running: [id] });
    expect(await schedule('trigger', name, '--overlap', 'bufferOne')).toMatchObject({
      ...{ code: 0, stdout: '' },
      stderr: expect.stringContaining(`${id} still runs, and this start waits for its end (overlap: bufferOne)`),
    });
    expect(await schedule('trigger', name, '--overlap', 'bufferOne')).toMatchObject({
      ...{ code: 1, stdout: '' },
      stderr: expect.stringContaining(
        `${id} still runs, another start waits for its end already, and this start was skipped (overlap: bufferOne); --overlap allowAll`,
      ),
    });
    expect((await schedule('delete', name)).code).toBe(0);
    expect((await run('cancel', id)).code).toBe(0);
  }, 60_000);

  test.each<[string, string[], RegExp]>([
    ['no time', [], /Say when to start it: --cron '0 6 \* \* \*', or --every 1h/],
    ['a cron expression that is none', ['--cron', '0 6'], /by cron expression "0 6": it has 2 fields; give five/],
    [
      'a time zone that is none',
      ['--cron', '0 6 * * *', '--time-zone', 'PST'],
      /did you mean "America\/Los_Angeles"\?/,
    ],
    ['a policy that is none', ['--every', '1h', '--overlap', 'both'], /Allowed choices are skip, bufferOne/],
  ])('create with %s is refused with exit code 2', async (_, options, message) => {
    const { code, stderr } = await run('schedule', 'create', 'x', ORDERS, ...options);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });
});
