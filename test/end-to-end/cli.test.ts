import { randomUUID } from 'node:crypto';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
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

const run = (args: string[], stdin?: string): Promise<CliResult> =>
  cli(args, { env, ...(stdin === undefined ? {} : { stdin }) });
const newId = () => `cli/${randomUUID()}`;
const folder = () => mkdtempSync(join(tmpdir(), 'aip-cli-e2e-'));
const parsed = (line: string) => JSON.parse(line) as Record<string, unknown>;
const lines = (text: string) => text.split('\n').filter((line) => line !== '');

describe('ask', () => {
  test('prints the answer alone on stdout, and how to go on on stderr', async () => {
    const { code, stdout, stderr } = await run(['ask', 'Where is it?']);
    expect(code).toBe(0);
    expect(stdout).toContain('You asked: “Where is it?”');
    const id = /ask -c (\S+)/.exec(stderr)?.[1] ?? '';
    expect((await run(['ask', '-c', id, 'And now?'])).stdout).toContain('**Answer 2**');
  });

  test('reads stdin, takes options, and prints the outcome as one line of JSON', async () => {
    const id = newId();
    const options = ['--mode', 'blocking', '--message-id', 'm1', '--parameter', 'status=open', '--json'];
    const { code, stdout } = await run(['ask', '-', '-c', id, ...options], 'From a file?\n');
    expect(code).toBe(0);
    expect(lines(stdout)).toHaveLength(1);
    expect(parsed(stdout)).toMatchObject({ messageId: 'm1', index: 0, status: 'answered', sends: 1 });
    const exchange = rig.simulator
      .ledger()
      .exchanges.find(({ sessionRid }) => sessionRid === parsed(stdout)['sessionRid']);
    expect(exchange).toMatchObject({ mode: 'blocking' });
  });

  test('--stream gives the same text as without', async () => {
    const { stdout } = await run(['ask', '--stream', 'Streamed [takes 900ms] or not?']);
    const again = await run(['ask', 'Streamed [takes 900ms] or not?']);
    expect(stdout).toBe(again.stdout);
  });

  test('--stream --json gives events, the outcome last', async () => {
    const { stdout } = await run(['ask', '--stream', '--json', 'Events?']);
    const events = lines(stdout).map(parsed);
    expect(events.at(-1)).toMatchObject({ type: 'outcome', outcome: { status: 'answered' } });
    expect(events[0]).toMatchObject({ type: 'text', offset: 0 });
  });

  test('an exchange that fails is said with the API’s error and exit code 1', async () => {
    const { code, stdout, stderr } = await run(['ask', '--parameter', 'nosuch=1', 'Which?']);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/failed: .*InvalidParameter.*errorInstanceId/);
    expect(code).toBe(1);
  });

  test('Ctrl-C stops the waiting with exit code 130, and the exchange goes on', async () => {
    const id = newId();
    const asking = startCli(['ask', '-c', id, '--verbose', 'Long [takes 5s]?'], { env });
    await until('it is accepted', () => asking.stderr().includes('accepted the message'));
    asking.signal('SIGINT');
    expect(await asking.exited).toBe(130);
    expect(asking.stderr()).toContain(`the exchange goes on in ${id}`);
    const conversation = rig.client.conversation(id);
    await until('it has ended', async () => (await conversation.status()).totals.answered === 1);
  });
});

describe('chat', () => {
  test('takes each line of piped input as a message', async () => {
    const { code, stdout } = await run(['chat', '-c', newId()], 'One?\n\nTwo?\n');
    expect(code).toBe(0);
    expect(stdout).toMatch(/“One\?”[\s\S]*“Two\?”/);
  });

  test('Ctrl-C cancels the exchange at the agent, and twice leaves', async () => {
    const id = newId();
    const chat = startCli(['chat', '-c', id], { env });
    const runsAtAgent = () =>
      rig.client
        .conversation(id)
        .status()
        .then(
          ({ session }) => rig.simulator.ledger().running.some(({ sessionRid }) => sessionRid === session?.sessionRid),
          () => false, // Not started yet.
        );
    chat.type('First [takes 20s]?\n');
    await until('the first runs at the agent', runsAtAgent);
    chat.signal('SIGINT');
    await until('it is told as cancelled', () => /was cancelled/.test(chat.stderr()));
    expect(await runsAtAgent()).toBe(false);
    chat.type('Second [takes 20s]?\n');
    await until('the second runs at the agent', runsAtAgent);
    chat.signal('SIGINT');
    chat.signal('SIGINT');
    expect(await chat.exited).toBe(130);
    await until('nothing runs at the agent', async () => !(await runsAtAgent()));
    await rig.client.conversation(id).cancel();
  });
});

describe('conversation', () => {
  test('show, transcript, list, close and cancel work on what ask began', async () => {
    const id = newId();
    const { sessionRid } = parsed((await run(['ask', '-c', id, '--json', 'What is said?'])).stdout);
    expect((await run(['conversation', 'show', id])).stdout).toMatch(/status +running, idle[\s\S]*1 answered/);
    expect(parsed((await run(['conversation', 'show', id, '--json'])).stdout)).toMatchObject({
      conversationId: id,
      sessionRid,
      live: { phase: 'idle' },
    });
    expect((await run(['conversation', 'transcript', id])).stdout).toMatch(/^# 0\n> What is said\?\n\n\*\*Answer 1/);
    expect(lines((await run(['conversation', 'transcript', id, '--json'])).stdout)).toHaveLength(1);
    await until('it is in the list', async () => (await run(['conversation', 'list'])).stdout.includes(id));
    expect((await run(['conversation', 'close', id])).code).toBe(0);
    await until('it has ended', async () => /status +completed/.test((await run(['conversation', 'show', id])).stdout));
    for (const command of ['close', 'cancel']) {
      const { code, stderr } = await run(['conversation', command, id]);
      expect({ command, code, stderr }).toMatchObject({ code: 0, stderr: `Conversation ${id} had ended before\n` });
    }
    const other = newId();
    await run(['ask', '-c', other, 'Another?']);
    expect((await run(['conversation', 'cancel', other])).code).toBe(0);
    await until('it is cancelled', async () =>
      /status +cancelled/.test((await run(['conversation', 'show', other])).stdout),
    );
  });

  test('cancel --exchange with a response keeps the exchange with that text', async () => {
    const id = newId();
    const asking = run(['ask', '-c', id, 'Long [takes 20s]?']);
    await until('it runs', () => rig.simulator.ledger().running.length > 0);
    expect((await run(['conversation', 'cancel', id, '--response', 'Enough.'])).code).toBe(0);
    const { code, stdout, stderr } = await asking;
    expect(stdout).toBe('Enough.\n');
    expect(stderr).toContain('was interrupted');
    expect(code).toBe(1);
  });

  test('one that is not there is told with exit code 1', async () => {
    const { code, stderr } = await run(['conversation', 'show', 'nobody']);
    expect(stderr).toMatch(/^Cannot find conversation nobody in namespace default/);
    expect(code).toBe(1);
  });
});

describe('batch', () => {
  const questions = (count: number): string => {
    const file = join(folder(), 'in.jsonl');
    const rows = Array.from({ length: count }, (_, n) => ({ id: `q${n}`, question: `Question ${n}?` }));
    writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return file;
  };

  test('run writes answers, tells the sum on stderr, and attaches to the same id without a second question', async () => {
    const out = join(folder(), 'out.jsonl');
    const id = randomUUID();
    const args = ['batch', 'run', questions(30), '--out', out, '--errors', `${out}.errors`, '--id', id];
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toContain('30 of 30 rows succeeded');
    expect(stdout).toBe('');
    expect(code).toBe(0);
    expect(lines(readFileSync(out, 'utf8')).map((line) => parsed(line)['id'])).toHaveLength(30);
    const before = rig.simulator.summary().totals.landed;
    expect((await run(args)).code).toBe(0);
    expect(rig.simulator.summary().totals.landed).toBe(before);
    expect(lines(readFileSync(out, 'utf8'))).toHaveLength(30);
  });

  test('run reads CSV from stdin and writes to stdout', async () => {
    const { code, stdout } = await run(['batch', 'run', '-'], 'id,question\na,"One, two?"\nb,Three?\n');
    expect(code).toBe(0);
    expect(
      lines(stdout)
        .map((line) => parsed(line)['id'])
        .sort(),
    ).toEqual(['a', 'b']);
  });

  test('rows that fail go to the error file, which is input again, and make exit code 1', async () => {
    const directory = folder();
    const [input, errors] = [join(directory, 'in.jsonl'), join(directory, 'errors.jsonl')];
    const bad = { id: 'bad', question: 'Which?', parameterInputs: { nosuch: { type: 'string', value: '1' } } };
    writeFileSync(input, `${JSON.stringify({ id: 'good', question: 'Fine?' })}\n${JSON.stringify(bad)}\n`);
    const args = ['batch', 'run', input, '--out', join(directory, 'out.jsonl'), '--errors', errors, '--json'];
    const { code, stdout } = await run(args);
    expect(code).toBe(1);
    expect(parsed(stdout)).toMatchObject({ rowCount: 2, succeeded: 1, failed: 1 });
    expect(parsed(readFileSync(errors, 'utf8'))).toMatchObject({
      id: 'bad',
      status: 'failed',
      error: { errorName: 'InvalidParameter' },
    });
    expect((await run(['batch', 'run', errors, '--out', join(directory, 'again.jsonl')])).code).toBe(1);
  });

  test('submit hands it over; results, show and cancel work from anywhere', async () => {
    const id = randomUUID();
    expect((await run(['batch', 'submit', questions(10), '--id', id])).stdout).toContain('10 rows');
    const { code, stdout } = await run(['batch', 'results', id]);
    expect(code).toBe(0);
    expect(lines(stdout)).toHaveLength(10);
    await until('it has ended', async () =>
      /state +completed[\s\S]*10\/10/.test((await run(['batch', 'show', id])).stdout),
    );
    expect((await run(['batch', 'cancel', id])).stderr).toContain('had ended before');
    expect((await run(['batch', 'show', 'nobody'])).code).toBe(1);
  });

  test('an id that is taken by another input is refused with exit code 2', async () => {
    const id = randomUUID();
    await run(['batch', 'run', questions(1), '--id', id]);
    const { code, stderr } = await run(['batch', 'run', questions(2), '--id', id]);
    expect(stderr).toContain(`Cannot submit batch ${id}`);
    expect(code).toBe(2);
  });
});

describe('as a process', () => {
  /** As built: `npm test` builds first when sources are newer. The worker needs the bundle of the build. */
  const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

  /** Runs the program itself, in its own process and directory. */
  function program(args: string[], cwd: string, extra: Record<string, string> = {}) {
    const child = spawn(process.execPath, [main, ...args], {
      cwd,
      env: { PATH: process.env['PATH'], HOME: cwd, ...extra },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const written = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => (written.stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (written.stderr += chunk.toString()));
    const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
    return { child, written, exited };
  }

  /** Where the Temporal CLI is found. */
  function cliHome(): Record<string, string> {
    const cliPath = process.env['TEMPORAL_CLI'];
    return cliPath === undefined ? { HOME: process.env['HOME'] ?? '' } : { TEMPORAL_CLI: cliPath };
  }

  function startDev(directory: string) {
    const ports = ['--temporal-port', '0', '--ui-port', '0', '--simulator-port', '0'];
    return program(['dev', '--json', ...ports], directory, cliHome());
  }

  test('exit codes reach the shell', async () => {
    expect(await program(['--version'], folder()).exited).toBe(0);
    expect(await program(['nonsense'], folder()).exited).toBe(2);
  });

  test('dev starts everything, tells it to the commands of its directory, and leaves nothing at Ctrl-C', async () => {
    const directory = folder();
    const dev = startDev(directory);
    try {
      await until('dev is ready', () => dev.written.stdout.includes('\n') || dev.child.exitCode !== null);
      const state = parsed(dev.written.stdout) as { uiUrl: string };
      expect((await fetch(state.uiUrl)).status).toBe(200);
      const ask = await cli(['ask', 'Where is it?'], { env: { AIP_DATA_DIR: join(directory, '.aip-temporal') } });
      expect(ask.stderr).toContain('Using the `aip-temporal dev`');
      expect(ask).toMatchObject({ code: 0, stdout: expect.stringContaining('**Answer 1**') });
      const second = await program(['dev'], directory, cliHome()).exited;
      expect(second).toBe(2);
      dev.child.kill('SIGINT');
      expect(await dev.exited).toBe(0);
      await expect(fetch(state.uiUrl)).rejects.toThrow();
      expect(existsSync(join(directory, '.aip-temporal', 'dev.json'))).toBe(false);
    } finally {
      dev.child.kill('SIGKILL');
    }
  });

  test('dev that loses its Temporal server says so, and stops', async () => {
    const directory = folder();
    const dev = startDev(directory);
    try {
      await until('dev is ready', () => dev.written.stdout.includes('\n') || dev.child.exitCode !== null);
      const note = readFileSync(join(directory, '.aip-temporal', 'server.json'), 'utf8');
      process.kill((JSON.parse(note) as { pid: number }).pid, 'SIGKILL');
      expect(await dev.exited).toBe(1);
      expect(dev.written.stderr).toContain(
        'The Temporal server ended by itself (SIGKILL); start `aip-temporal dev` again',
      );
    } finally {
      dev.child.kill('SIGKILL');
    }
  });
});
