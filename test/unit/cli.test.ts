import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { CommandDefinition } from '../../src/cli/command.js';
import { commands } from '../../src/cli/commands/index.js';
import { readDevState, removeDevState, writeDevState } from '../../src/cli/dev-state.js';
import { addParameter } from '../../src/cli/message-options.js';
import { cli, startCli } from '../support/cli-io.js';

const AGENT = { AIP_AGENT_RID: 'ri.aip-agents..agent.x' };
/** Nothing listens there: port 1 is nobody's. */
const NOWHERE = { TEMPORAL_ADDRESS: '127.0.0.1:1' };
const folder = () => mkdtempSync(join(tmpdir(), 'aip-cli-'));

/** Every command that can be run, with the words that call it. */
const runnable = (definitions: readonly CommandDefinition[], before: string[] = []): [string[], CommandDefinition][] =>
  definitions.flatMap((definition) => {
    const words = [...before, definition.name];
    return [
      ...(definition.run === undefined ? [] : [[words, definition] as [string[], CommandDefinition]]),
      ...runnable(definition.subcommands ?? [], words),
    ];
  });

describe('help', () => {
  test('--help names every command, on stdout, with exit code 0', async () => {
    const { code, stdout, stderr } = await cli(['--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    for (const { name } of commands) expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
  });

  test.each(runnable(commands).map(([words]) => words))('%s %s --help shows options and examples', async (...words) => {
    const { code, stdout } = await cli([...words.filter((word) => typeof word === 'string'), '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('Usage: ');
    expect(stdout).toContain('Examples:\n  $ ');
  });

  test('every option has a flag of its own', () => {
    for (const [words, definition] of runnable(commands)) {
      const flags = (definition.options ?? []).map((option) => option.flags);
      expect([words.join(' '), new Set(flags).size]).toEqual([words.join(' '), flags.length]);
    }
  });

  test('--version prints the version of the package', async () => {
    expect((await cli(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('what cannot be meant ends with exit code 2 and words on stderr', () => {
  test.each<[string, string[], RegExp]>([
    ['an unknown command', ['frobnicate'], /unknown command 'frobnicate'/],
    ['an unknown option', ['ask', '--frob', 'x'], /unknown option '--frob'/],
    ['a missing argument', ['ask'], /missing required argument 'text'/],
    ['a surplus argument', ['ask', 'one', 'two'], /too many arguments/],
    ['a wrong choice', ['ask', '--mode', 'loud', 'x'], /Allowed choices are streaming, blocking/],
    ['a parameter without a value', ['ask', '--parameter', 'x', 'y'], /Mend --parameter: "x" is not of the form/],
    ['a number that is none', ['batch', 'run', 'x', '--concurrency', 'many'], /Mend --concurrency: "many"/],
    ['a bare rerun', ['batch', 'rerun', 'x'], /Say which rows to run again: --failed/],
    ['nothing to set', ['batch', 'set', 'x'], /Say what to change: --concurrency/],
    ['no deadline', ['batch', 'run', 'x', '--deadline', 'soon'], /Mend --deadline: "soon" is neither a time/],
    ['no duration', ['batch', 'submit', 'x', '--call-timeout', '10'], /Mend --call-timeout: "10" is no duration/],
    ['no share', ['batch', 'run', 'x', '--canary', '2.0'], /Mend --canary: "2.0" is not of the form VERSION=10%/],
    ['a share of all', ['batch', 'run', 'x', '--canary', '2.0=100%'], /a share above 0% and below 100%/],
    ['an agent that is none', ['ask', '--agent', 'joe', 'x'], /Mend --agent: "joe" is not a RID/],
    ['stdin twice', ['batch', 'submit', '-', 'x', '-'], /stdin: is named twice/],
    ['a file that is not there', ['batch', 'run', '/nonexistent.jsonl'], /nonexistent\.jsonl: does not exist/],
    ['no plan', ['automation', 'run', '/nonexistent.yaml'], /Cannot read \/nonexistent\.yaml: there is no such file/],
    [
      'no time to start at',
      ['automation', 'schedule', 'create', 'x', 'y'],
      /Say when to start it: --cron .*, or --every/,
    ],
    [
      'a time zone of an interval',
      ['automation', 'schedule', 'create', 'x', 'y', '--every', '1h', '--time-zone', 'Europe/Berlin'],
      /Leave --time-zone Europe\/Berlin out, or say when by --cron: --every has no time zone/,
    ],
    ['no span', ['automation', 'schedule', 'backfill', 'x'], /Say from when on: --from 7d/],
    ['a span to come', ['automation', 'schedule', 'backfill', 'x', '--from', '2999-01-01T00:00Z'], /Mend --from/],
    ['a port that is none', ['simulator', '--port', '70000'], /Mend --port: "70000"/],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await cli(args, { env: { ...NOWHERE, ...AGENT } });
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('no agent', async () => {
    const { code, stderr } = await cli(['ask', 'x'], { env: NOWHERE });
    expect(stderr).toMatch(/Name the agent with --agent or AIP_AGENT_RID/);
    expect(code).toBe(2);
  });

  test('a worker without a way to sign in, and its problems all at once', async () => {
    const { code, stderr } = await cli(['worker', '--max-concurrent-lanes', 'x'], { env: NOWHERE });
    expect(stderr).toMatch(/--foundry-url or FOUNDRY_URL/);
    expect(stderr).toMatch(/Set FOUNDRY_TOKEN, FOUNDRY_TOKEN_FILE/);
    expect(stderr).toMatch(/--max-concurrent-lanes: "x"/);
    expect(code).toBe(2);
  });

  test('an empty question, before Temporal is asked for an answer', async () => {
    const { code, stderr } = await cli(['ask', '   '], { env: { ...NOWHERE, ...AGENT } });
    expect(stderr).toMatch(/text: is empty/);
    expect(code).toBe(2);
  });

  test('bad batch input names file, line and field, and starts no output file', async () => {
    const directory = folder();
    const input = join(directory, 'in.jsonl');
    writeFileSync(input, '{"id":"a","question":"What?"}\n{"id":"a","question":""}\n');
    const args = ['batch', 'run', input, '--out', join(directory, 'out.jsonl')];
    const { code, stderr } = await cli(args, { env: { ...NOWHERE, ...AGENT } });
    expect(stderr).toMatch(/in\.jsonl:2: question: is empty/);
    expect(code).toBe(2);
  });
});

describe('addParameter()', () => {
  test('takes texts, and ParameterValues as JSON', () => {
    const once = addParameter('status=open=1');
    expect(addParameter('orders={"type":"objectSet","objectSet":{},"ontology":"o"}', once)).toEqual({
      status: { type: 'string', value: 'open=1' },
      orders: { type: 'objectSet', objectSet: {}, ontology: 'o' },
    });
  });

  test.each([
    ['=x', /not of the form/],
    ['a={nope', /not JSON/],
  ])('refuses %s', (text, message) => {
    expect(() => addParameter(text)).toThrow(message);
  });

  test('refuses a parameter given twice', () => {
    expect(() => addParameter('a=2', { a: { type: 'string', value: '1' } })).toThrow(/a is given twice/);
  });
});

describe('the note of a running dev', () => {
  const state = {
    pid: process.pid,
    temporalAddress: '127.0.0.1:1',
    uiUrl: 'http://127.0.0.1:2',
    taskQueue: 'queue',
    foundry: { url: 'http://127.0.0.1:3', token: 'simulator-token' },
    agentRid: 'ri.aip-agents..agent.dev',
  };

  test('is read back as long as its process lives, and is gone when taken away', () => {
    const dataDir = folder();
    writeDevState(dataDir, state);
    expect(readDevState(dataDir)).toEqual(state);
    writeDevState(dataDir, { ...state, pid: 2 ** 22 + 1 });
    expect(readDevState(dataDir)).toBeUndefined();
    removeDevState(dataDir);
    removeDevState(dataDir);
    expect(readDevState(dataDir)).toBeUndefined();
  });

  test('is passed over when it is torn', () => {
    const dataDir = folder();
    writeFileSync(join(dataDir, 'dev.json'), '{"pid": 1, "tempo');
    expect(readDevState(dataDir)).toBeUndefined();
  });

  test('gives other commands their defaults, and says so without its token', async () => {
    const dataDir = folder();
    writeDevState(dataDir, state);
    const run = startCli(['ask', 'x', '--data-dir', dataDir]);
    expect(run.stderr()).toContain(`Using the \`aip-temporal dev\` that runs on ${dataDir} (Temporal at 127.0.0.1:1)`);
    expect(run.stderr()).not.toContain('simulator-token');
    run.signal('SIGINT');
    expect(await run.exited).toBe(130);
  });
});

test('Ctrl-C while connecting ends with exit code 130', async () => {
  const run = startCli(['conversation', 'list'], { env: NOWHERE });
  run.signal('SIGINT');
  expect(await run.exited).toBe(130);
});

test('Ctrl-C while it waits for its input ends with exit code 130', async () => {
  const run = startCli(['batch', 'run', '-'], { env: { ...NOWHERE, ...AGENT } });
  run.type('{"id": "a", ');
  run.signal('SIGINT');
  expect(await run.exited).toBe(130);
});

test('an unreachable Temporal is said in one line, with exit code 1', async () => {
  const { code, stdout, stderr } = await cli(['ask', 'x'], { env: { ...NOWHERE, ...AGENT } });
  expect(stderr).toBe(
    'Cannot reach Temporal at 127.0.0.1:1 (no answer in time): start one with `aip-temporal dev`, or mend TEMPORAL_ADDRESS\n',
  );
  expect(stdout).toBe('');
  expect(code).toBe(1);
});

test('simulator prints one line of JSON that its API answers to, and stops at SIGTERM', async () => {
  const run = startCli(['simulator']);
  while (!run.stdout().includes('\n')) await new Promise((resolve) => setImmediate(resolve));
  const ready = JSON.parse(run.stdout()) as { url: string; token: string; agentRid: string; slowText: string };
  expect(ready.slowText).not.toBe('');
  const agent = await fetch(`${ready.url}/api/v2/aipAgents/agents/${ready.agentRid}?preview=true`, {
    headers: { authorization: `Bearer ${ready.token}` },
  });
  expect(agent.status).toBe(200);
  run.signal('SIGTERM');
  expect(await run.exited).toBe(0);
  await expect(fetch(ready.url)).rejects.toThrow();
});
