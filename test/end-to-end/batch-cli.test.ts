import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
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
  rig.simulator.reset();
});

type Row = Record<string, unknown> & { id: string; status: string };

const run = (...args: string[]): Promise<CliResult> => cli(['batch', ...args], { env });
const folder = () => mkdtempSync(join(tmpdir(), 'aip-batch-cli-'));
const lines = (text: string) => text.split('\n').filter((line) => line !== '');
const rowsOf = (path: string) => lines(readFileSync(path, 'utf8')).map((line) => JSON.parse(line) as Row);
const idsOf = (rows: readonly Row[]) => rows.map(({ id }) => id);
const show = async (id: string) =>
  JSON.parse((await run('show', id, '--json')).stdout) as {
    rerunOf?: string;
    settings: Record<string, unknown>;
    control: Record<string, unknown>;
    progress: Record<string, unknown> & { succeeded: number; running: number; state: string };
  };
const untilState = (id: string, state: string) =>
  until(`batch ${id} is ${state}`, async () => (await show(id)).progress.state === state);
const totals = () => rig.simulator.summary().totals;

/** A file of questions; those of `failing` are ones that the agent fails on. */
function questions(count: number, failing: readonly number[] = []): string {
  const file = join(folder(), 'in.jsonl');
  const rows = Array.from({ length: count }, (_, n) => ({
    id: `q${n}`,
    question: failing.includes(n) ? `Question ${n}: break!` : `Question ${n}?`,
  }));
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  if (failing.length > 0) {
    rig.simulator.setFaults([
      { match: { textIncludes: 'break!' }, fault: { kind: 'error', errorName: 'AgentIterationsExceededLimit' } },
    ]);
  }
  return file;
}

async function submit(file: string, ...options: string[]): Promise<string> {
  const id = `cli-${randomUUID()}`;
  expect(await run('submit', file, '--id', id, ...options)).toMatchObject({ code: 0 });
  return id;
}

describe('batch list, show and watch', () => {
  test('list shows batches newest first, by state; show tells the settings', async () => {
    const [older, newer] = [
      await submit(questions(2)),
      await submit(questions(3), '--mode', 'blocking', '--weight', '2.5'),
    ];
    for (const id of [older, newer]) await untilState(id, 'completed');
    const listed = async (...options: string[]) =>
      lines((await run('list', '--json', ...options)).stdout).map((line) => JSON.parse(line) as { batchId: string });
    await until('both are listed', async () => (await listed('--state', 'completed')).length >= 2);
    const all = await listed('--state', 'completed', '--limit', '2');
    expect(all).toMatchObject([
      { batchId: newer, state: 'completed', rowCount: 3, agentRid: rig.simulator.agentRid },
      { batchId: older, state: 'completed', rowCount: 2 },
    ]);
    expect(await listed('--state', 'paused')).toEqual([]);
    expect((await run('list')).stdout).toMatch(/^BATCH +STATE +ROWS +STARTED\n/);
    expect(await show(newer)).toMatchObject({
      settings: {
        mode: 'blocking',
        concurrency: 20,
        weight: 2.5,
        isolation: 'lane',
        deleteSessions: false,
        callTimeoutMs: 600_000,
      },
      progress: { state: 'completed', succeeded: 3, queued: 0 },
    });
    const shown = (await run('show', newer)).stdout;
    expect(shown).toMatch(/^batch +cli-.*\nstate +completed\nrows +3\/3 /);
    expect(shown).toMatch(/\nweight +2\.5\n/);
    expect((await run('show', older)).stdout).not.toMatch(/\nweight /);
  });

  test('watch follows to the end as JSON lines, with an exit code by how the rows ended', async () => {
    const id = await submit(questions(4, [2]));
    const { code, stdout } = await run('watch', id, '--interval', '1s');
    expect(code).toBe(1);
    expect(JSON.parse(lines(stdout).at(-1) ?? '')).toMatchObject({ state: 'completed', succeeded: 3, failed: 1 });
    expect((await run('watch', await submit(questions(2)))).code).toBe(0);
    expect((await run('watch', 'nobody')).code).toBe(1);
  });
});

describe('batch files', () => {
  test('columns of a CSV file that no answer carries are told of once, a folder as output is refused', async () => {
    const file = join(folder(), 'in.csv');
    writeFileSync(file, 'id,question,team,note\na,Why?,north,\n');
    const out = folder();
    const { code, stderr } = await run('run', file, '--out', join(out, 'answers.jsonl'));
    expect(code).toBe(0);
    const told = `Columns "team", "note" of ${file} are no fields of a row: kept in error rows, not in answers.`;
    expect(stderr.split(told)).toHaveLength(2);
    const refused = await run('run', file, '--out', out);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`Cannot write to ${out}: it is a folder; name a file in it, such as ${out}/`);
  });
});

describe('batch results', () => {
  test('--order input gives the rows as they stand in the input, and goes on where a file ends', async () => {
    rig.simulator.changeSettings({ answerLatencyMs: [10, 400] });
    const input = questions(90);
    const wanted = Array.from({ length: 90 }, (_, n) => `q${n}`);
    const out = join(folder(), 'out.jsonl');
    const id = `cli-${randomUUID()}`;
    const args = ['run', input, '--out', out, '--order', 'input', '--id', id, '--concurrency', '40'];
    expect(await run(...args)).toMatchObject({ code: 0 });
    expect(idsOf(rowsOf(out))).toEqual(wanted);
    const text = readFileSync(out, 'utf8');
    writeFileSync(out, `${lines(text).slice(0, 30).join('\n')}\n{"id":"q30","ind`);
    expect(await run('results', id, '--out', out, '--order', 'input')).toMatchObject({ code: 0 });
    expect(readFileSync(out, 'utf8')).toBe(text);
    expect((await run('results', id, '--order', 'input')).stdout).toBe(text);
  });
});

describe('batch pause, resume and set', () => {
  test('pause begins no more rows and is seen without a worker, resume goes on, set changes the rows at once', async () => {
    rig.simulator.changeSettings({ answerLatencyMs: 1_000 });
    const id = await submit(questions(60), '--concurrency', '4');
    await until('some rows are answered', () => totals().landed >= 4);
    expect(await run('pause', id, '--reason', 'agent is mended')).toMatchObject({ code: 0 });
    await until('nothing runs', () => totals().inFlight === 0);
    await untilState(id, 'paused');
    await until('nothing runs at the agent', () => totals().inFlight === 0);
    const { landed } = totals();
    expect((await show(id)).progress).toMatchObject({ succeeded: landed, running: 0, queued: 60 - landed });
    expect((await run('show', id)).stdout).toMatch(/state +paused\npaused +since .*: agent is mended\n/);
    await until('it is listed as paused', async () => (await run('list', '--state', 'paused')).stdout.includes(id));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(totals().landed).toBe(landed);
    expect(landed).toBeLessThan(60);
    expect(await run('set', id, '--concurrency', '30')).toMatchObject({ code: 0 });
    expect(await run('resume', id)).toMatchObject({ code: 0 });
    await until('more run at once', () => totals().inFlight > 4);
    expect((await show(id)).progress).toMatchObject({ state: 'running', concurrency: 30 });
    expect((await run('show', id)).stdout).toMatch(/rows at once +30 \(submitted with 4\)/);
    expect((await run('results', id)).code).toBe(0);
    expect(totals().landed).toBe(60);
  });

  test('a pause is seen, and a resume can be asked for, while no worker lives', async () => {
    const own = await startRig({ worker: false, simulator: { answerLatencyMs: 1_000 } });
    try {
      const worker = await own.startWorker();
      const ownEnv = { ...env, AIP_TASK_QUEUE: own.taskQueue, AIP_AGENT_RID: own.simulator.agentRid };
      const ownRun = (...args: string[]) => cli(['batch', ...args], { env: ownEnv });
      const id = `cli-${randomUUID()}`;
      await ownRun('submit', questions(40), '--id', id, '--concurrency', '2');
      await until('some rows are answered', () => own.simulator.summary().totals.landed >= 2);
      await ownRun('pause', id, '--reason', 'night');
      await until('it is paused', async () => /state +paused/.test((await ownRun('show', id)).stdout));
      await worker.stop();
      const { stdout } = await ownRun('show', id);
      expect(stdout).toMatch(/state +paused\npaused +since .*: night\nrows +.* (do not answer|no worker answers)/);
      own.simulator.changeSettings({ answerLatencyMs: 50 });
      expect(await ownRun('resume', id)).toMatchObject({ code: 0 });
      await own.startWorker();
      expect(await ownRun('results', id)).toMatchObject({ code: 0 });
      expect(own.simulator.summary().totals.landed).toBe(40);
    } finally {
      await own.close();
    }
  });

  test.each([
    ['pause', []],
    ['resume', []],
    ['set', ['--concurrency', '3']],
    ['cancel', ['--row', 'q0']],
  ])('%s of a batch that has ended, or is not there, is refused with exit code 1', async (verb, options) => {
    const id = await submit(questions(1));
    await untilState(id, 'completed');
    expect(await run(verb, id, ...options)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(new RegExp(`^Cannot .* batch ${id}: it has completed`)),
    });
    expect(await run(verb, 'nobody', ...options)).toMatchObject({ code: 1 });
  });
});

describe('batch cancel --row', () => {
  test('cancels rows in flight and rows that wait, tells of those that have ended or are not there', async () => {
    const file = join(folder(), 'in.jsonl');
    const rows = ['fast', 'slow [takes 60s]', 'waits', 'waits too'].map((question, n) => ({ id: `q${n}`, question }));
    writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const id = await submit(file, '--concurrency', '1');
    await until('the slow one runs', () => totals().inFlight === 1 && totals().landed === 1);
    const { code, stderr } = await run('cancel', id, '--row', 'q1', '--row', 'q3', '--row', 'nope');
    expect(stderr.split('\n').slice(0, 3)).toEqual([
      'Asked row q1 to cancel',
      'Asked row q3 to cancel',
      `Cannot cancel row nope: batch ${id} has no such row`,
    ]);
    expect(code).toBe(1);
    const results = await run('results', id, '--order', 'input');
    expect(lines(results.stdout).map((line) => (JSON.parse(line) as Row).status)).toEqual([
      'succeeded',
      'cancelled',
      'succeeded',
      'cancelled',
    ]);
    expect(totals()).toMatchObject({ landed: 2, inFlight: 0 });
  });
});

describe('batch rerun', () => {
  test('refuses while the batch goes on, then runs what did not succeed, and what still did not after that', async () => {
    rig.simulator.changeSettings({ answerLatencyMs: 1_500 });
    const id = await submit(questions(12, [3, 7]), '--title', 'Orders', '--concurrency', '6', '--agent-version', '1.1');
    expect(await run('rerun', id, '--failed')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`Cannot run rows of batch ${id} again: it goes on`),
    });
    await untilState(id, 'completed');
    const out = join(folder(), 'out.jsonl');
    const again = ['rerun', id, '--failed', '--out', out, '--order', 'input'];
    expect(await run(...again)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`batch rerun ${id}.2 --failed`),
    });
    expect(idsOf(rowsOf(out))).toEqual(['q3', 'q7']);
    expect(await show(`${id}.2`)).toMatchObject({
      rerunOf: id,
      settings: { title: 'Orders', concurrency: 6, agentVersion: '1.1' },
    });
    rig.simulator.setFaults([]);
    const { landed } = totals();
    // The same again attaches: it asks nothing, and writes nothing twice.
    expect(await run(...again)).toMatchObject({ code: 1 });
    expect(rowsOf(out)).toHaveLength(2);
    expect(totals().landed).toBe(landed);
    await untilState(`${id}.2`, 'completed');
    expect(await run('rerun', `${id}.2`, '--failed', '--agent-version', '2.0')).toMatchObject({ code: 0 });
    expect(totals().landed).toBe(landed + 2);
    expect(await show(`${id}.3`)).toMatchObject({ rerunOf: `${id}.2`, settings: { agentVersion: '2.0' } });
    await untilState(`${id}.3`, 'completed');
    expect(await run('rerun', `${id}.3`, '--failed')).toMatchObject({
      code: 0,
      stderr: `Nothing to run again: all rows of batch ${id}.3 have succeeded\n`,
    });
  });
});

describe('a batch that was stopped by hand', () => {
  const slow = () => {
    const file = questions(40);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('?', ' [takes 60s]?'));
    return file;
  };

  test('cancelled, has an outcome for each row, and is run again', async () => {
    const id = await submit(slow(), '--concurrency', '4');
    await until('it runs', () => totals().inFlight > 0);
    expect(await run('cancel', id)).toMatchObject({ code: 0, stderr: `Asked batch ${id} to cancel\n` });
    const { code, stdout } = await run('results', id, '--order', 'input');
    expect(code).toBe(1);
    const rows = lines(stdout).map((line) => JSON.parse(line) as Row);
    expect(idsOf(rows)).toEqual(Array.from({ length: 40 }, (_, n) => `q${n}`));
    expect(new Set(rows.map(({ status }) => status))).toEqual(new Set(['cancelled']));
    await untilState(id, 'cancelled');
    const { landed } = totals();
    const again = await run('rerun', id, '--failed', '--id', `${id}-again`, '--deadline', '4s');
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('its deadline has passed') });
    expect(await show(`${id}-again`)).toMatchObject({ rerunOf: id, progress: { stopped: 'deadline', expired: 40 } });
    expect(totals()).toMatchObject({ landed, inFlight: 0 });
  });

  test('terminated, is not run again while shards of it wait; a cancel ends them', async () => {
    const id = await submit(slow(), '--concurrency', '1');
    await until('it runs', () => totals().inFlight > 0);
    await rig.client.client.workflow.getHandle(`batch/${id}`).terminate('test');
    expect(await run('rerun', id, '--failed')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/its shard 0 goes on/),
    });
    expect(await run('cancel', id)).toMatchObject({ code: 0, stderr: `Batch ${id} had ended before\n` });
    expect((await run('results', id)).code).toBe(1);
    expect(totals().inFlight).toBe(0);
    expect(await run('rerun', id, '--failed', '--deadline', '4s')).toMatchObject({ code: 1 });
  });
});

describe('bounds', () => {
  test('--max-failures stops the batch; its results say so for the rows that are left, which a rerun takes', async () => {
    rig.simulator.changeSettings({ answerLatencyMs: 100 });
    const failing = Array.from({ length: 40 }, (_, n) => n);
    const out = join(folder(), 'out.jsonl');
    const id = `cli-${randomUUID()}`;
    const args = ['run', questions(40, failing), '--out', out, '--id', id, '--concurrency', '2', '--max-failures', '3'];
    const { code, stderr } = await run(...args);
    expect(code).toBe(1);
    expect(stderr).toContain('It began no more rows: too many of its rows have failed');
    const left = rowsOf(out).filter(({ status }) => status === 'cancelled');
    expect(rowsOf(out)).toHaveLength(40);
    expect(left.length).toBeGreaterThan(20);
    expect(left[0]).toMatchObject({
      error: { errorName: 'TooManyFailures', message: expect.stringContaining('rerun') },
    });
    await untilState(id, 'completed');
    expect((await show(id)).progress).toMatchObject({ stopped: 'maxFailures' });
    rig.simulator.setFaults([]);
    expect(await run('rerun', id, '--failed')).toMatchObject({ code: 0 });
  });

  test('--deadline expires what has not ended by then; a submit again attaches, with the deadline as it was', async () => {
    const file = questions(6);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('Question', 'Slow [takes 60s]'));
    const id = await submit(file, '--deadline', '5s', '--concurrency', '3');
    const { deadline } = (await show(id)).settings['bounds'] as { deadline: string };
    const attached = await run('submit', file, '--deadline', '9h', '--id', id, '--concurrency', '5', '--json');
    expect(JSON.parse(attached.stdout)).toMatchObject({ attached: true, bounds: { deadline } });
    expect(attached.stderr).toContain('submitted with 3 rows at once');
    const { code, stdout } = await run('results', id);
    expect(code).toBe(1);
    expect(lines(stdout).map((line) => (JSON.parse(line) as Row).status)).toEqual(Array(6).fill('expired'));
    await until('nothing runs at the agent', () => totals().inFlight === 0);
    expect(await run('submit', file, '--deadline', '2020-01-01T00:00Z')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('its deadline 2020-01-01T00:00:00.000Z has passed'),
    });
  });
});

describe('--canary', () => {
  test('sends a share of the rows to another version, says which in each row, and compares', async () => {
    const out = join(folder(), 'out.jsonl');
    const id = `cli-${randomUUID()}`;
    const args = ['run', questions(80), '--out', out, '--id', id, '--canary', '1.1=25%'];
    const { code, stderr } = await run(...args);
    expect(code).toBe(0);
    const canary = rowsOf(out).filter(({ agentVersion }) => agentVersion === '1.1');
    expect(canary.length).toBeGreaterThan(5);
    expect(canary.length).toBeLessThan(40);
    const sent = rig.simulator.ledger().exchanges.filter(({ agentVersion }) => agentVersion === '1.1');
    expect(sent).toHaveLength(canary.length);
    expect(stderr).toMatch(
      /VERSION +ROWS +SUCCEEDED +TOKENS\/ROW +P50 +P95\nlatest +\d+ +100\.0 % .*\n1\.1 +\d+ +100\.0 %/,
    );
    const again = await run(...args, '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({
      succeeded: 80,
      versions: [{ rows: 80 - canary.length }, { agentVersion: '1.1', rows: canary.length, succeededPercent: 100 }],
    });
    expect(totals().landed).toBe(80);
    expect(await run('run', questions(2), '--canary', '2.0=5%', '--agent-version', '2.0')).toMatchObject({ code: 2 });
  });
});

describe('--isolation workflow', () => {
  test('runs each row as a run of its own, counted while it runs, and cancelled by its row or from outside', async () => {
    const file = join(folder(), 'in.jsonl');
    const texts = ['Fast', 'Fast', 'Slow [takes 60s]', 'Slow [takes 60s]', 'Slow [takes 60s]', 'Waits', 'Waits'];
    writeFileSync(file, texts.map((question, n) => `${JSON.stringify({ id: `q${n}`, question })}\n`).join(''));
    const [id, out] = [`cli-${randomUUID()}`, join(folder(), 'out.jsonl')];
    const args = ['run', file, '--id', id, '--out', out, '--order', 'input', '--concurrency', '3'];
    const running = startCli(['batch', ...args, '--isolation', 'workflow'], { env });
    await until('the slow ones run', () => totals().inFlight === 3 && totals().landed === 2);
    expect(await show(id)).toMatchObject({
      settings: { isolation: 'workflow', concurrency: 3 },
      progress: { state: 'running', running: 3 },
    });
    expect((await run('show', id)).stdout).toMatch(/\nisolation +workflow\n/);
    await until('it is listed', async () => (await run('list', '--state', 'running')).stdout.includes(id));

    expect(await run('cancel', id, '--row', 'q2', '--row', 'q6')).toMatchObject({ code: 0 });
    await rig.client.client.workflow.getHandle(`batch/${id}/row-0000003`).cancel();
    await until('the others have ended', async () => (await show(id)).progress['cancelled'] === 2);
    // The first shard has ended, and the last one has its places, too.
    await until('a row has run beside the slow one', () => totals().landed === 3 && totals().inFlight === 1);
    await until('it is told of', async () => (await show(id)).progress['succeeded'] === 3);
    expect(await run('cancel', id, '--row', 'q0', '--row', 'q4')).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/Row q0 had ended before\nAsked row q4 to cancel\n/),
    });
    expect(await running.exited).toBe(1);
    expect(rowsOf(out).map(({ status }) => status)).toEqual([
      'succeeded',
      'succeeded',
      'cancelled',
      'cancelled',
      'cancelled',
      'succeeded',
      'cancelled',
    ]);
    await untilState(id, 'completed');
    expect((await show(id)).progress).toMatchObject({ succeeded: 3, cancelled: 4, running: 0, queued: 0 });
    expect(totals()).toMatchObject({ landed: 3, inFlight: 0 });
    const again = await run(...args, '--isolation', 'workflow');
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('3 of 7 rows succeeded, 4 cancelled') });
    expect(totals().landed).toBe(3);
  });

  test('tells of rows that have ended when it is paused', async () => {
    rig.simulator.changeSettings({ answerLatencyMs: 800 });
    const id = await submit(questions(30), '--isolation', 'workflow', '--concurrency', '4');
    await until('some rows are answered', () => totals().landed >= 5);
    await run('pause', id);
    await untilState(id, 'paused');
    const isTold = async () => {
      const { running, succeeded } = (await show(id)).progress;
      return running === 0 && succeeded === totals().landed;
    };
    await until('nothing runs, and all are told of', isTold);
    expect((await show(id)).progress.queued).toBe(30 - totals().landed);
    expect((await run('resume', id)).code).toBe(0);
    expect((await run('results', id)).code).toBe(0);
    expect(totals().landed).toBe(30);
  });
});

test('Ctrl-C on run and watch leaves the batch running, and says how to go on', async () => {
  rig.simulator.changeSettings({ answerLatencyMs: 2_000 });
  const id = `cli-${randomUUID()}`;
  const input = questions(20);
  const running = startCli(['batch', 'run', input, '--id', id, '--concurrency', '2'], { env });
  await until('it runs', () => totals().landed > 0);
  running.signal('SIGINT');
  expect(await running.exited).toBe(130);
  expect(running.stderr()).toContain(`the batch goes on: aip-temporal batch watch ${id}`);
  const watching = startCli(['batch', 'watch', id], { env });
  await until('it watches', () => watching.stdout().includes('"running"'));
  watching.signal('SIGINT');
  expect(await watching.exited).toBe(130);
  rig.simulator.changeSettings({ answerLatencyMs: 50 });
  expect(await run('run', input, '--id', id)).toMatchObject({ code: 0 });
  expect(totals().landed).toBe(20);
});
