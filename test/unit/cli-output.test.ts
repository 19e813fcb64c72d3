import { Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { batchTable, versionsTable } from '../../src/cli/batch-text.js';
import { CLOSED_AGENT_WAIT } from '../../src/protocol/limits.js';
import { BatchDisplay, duration, progressBar, progressText } from '../../src/cli/batch-display.js';
import type { CliIo } from '../../src/cli/command.js';
import { noteSubmitted } from '../../src/cli/commands/batch/note-submitted.js';
import { listText } from '../../src/cli/conversation-text.js';
import { exitCodeOf, outcomeProblem, showExchange } from '../../src/cli/exchange-output.js';
import { createOutput, localTime, programName, table } from '../../src/cli/output.js';
import type { BatchProgress, ConversationSummary, ExchangeEvent, PendingActivity } from '../../src/client/index.js';
import { waitOf } from '../../src/client/index.js';
import type { ExchangeOutcome } from '../../src/protocol/exchange.js';

class Collected extends Writable {
  text = '';
  constructor(readonly isTTY = false) {
    super();
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    done();
  }
}

/** An output whose words are kept. */
function collecting(choices: { json?: boolean; verbose?: boolean; tty?: boolean; env?: Record<string, string> } = {}) {
  const { json = false, verbose = false, tty = false, env = {} } = choices;
  const [stdout, stderr] = [new Collected(tty), new Collected(tty)];
  const io: CliIo = { stdin: process.stdin, stdout, stderr, env, onSignal: () => () => undefined };
  return { output: createOutput(io, { json, verbose }), stdout, stderr };
}

const answered: ExchangeOutcome = {
  messageId: 'm1',
  status: 'answered',
  index: 0,
  result: { agentMarkdownResponse: 'One two', parameterUpdates: {}, interruptedOutput: false },
  sends: 1,
  acceptedAt: '2026-03-01T09:00:00.000Z',
  finishedAt: '2026-03-01T09:00:01.000Z',
};
const failed: ExchangeOutcome = {
  ...answered,
  status: 'failed',
  error: { errorName: 'InvalidParameter', message: 'no such parameter', status: 400, errorInstanceId: 'abc' },
};
delete failed.result;

async function* played(events: ExchangeEvent[]): AsyncGenerator<ExchangeEvent, void, void> {
  for (const event of events) yield await Promise.resolve(event);
}

test('noteSubmitted() tells of a weight that stays as it was first submitted', () => {
  const there = { batchId: 'b', rowCount: 1, shardCount: 1, attached: true, concurrency: 20, weight: 1 };
  const asked = { batchId: 'b', agentRid: 'ri.agent', rows: [] };
  const { output, stderr } = collecting();
  noteSubmitted(there, asked, output);
  noteSubmitted({ ...there, weight: 3 }, { ...asked, weight: 3 }, output);
  noteSubmitted({ ...there, attached: false }, { ...asked, weight: 3 }, output);
  expect(stderr.text).toBe('');
  noteSubmitted(there, { ...asked, weight: 3 }, output);
  expect(stderr.text).toBe('Batch b was there already, with 1 as its weight; that stays\n');
});

describe('showExchange()', () => {
  const events: ExchangeEvent[] = [
    { type: 'text', text: 'On', offset: 0 },
    { type: 'waiting', reason: 'rate limited', until: new Date(2026, 2, 1, 9, 30, 12) },
    { type: 'restart' },
    { type: 'text', text: 'One two', offset: 0 },
    { type: 'outcome', outcome: answered },
  ];

  test('prints the answer alone on stdout, and why it waits on stderr', async () => {
    const { output, stdout, stderr } = collecting();
    expect(await showExchange(played(events), output, { stream: false })).toBe(answered);
    expect(stdout.text).toBe('One two\n');
    expect(stderr.text).toBe('… rate limited; until 09:30:12\n');
  });

  test('prints text as it comes when streaming, and where it begins anew', async () => {
    const { output, stdout, stderr } = collecting();
    await showExchange(played(events), output, { stream: true });
    expect(stdout.text).toBe('On\nOne two\n');
    expect(stderr.text).toContain('(the answer begins anew)');
  });

  test('prints nothing more of the text once it is muted', async () => {
    const { output, stdout } = collecting();
    await showExchange(played(events), output, { stream: true, isMuted: () => true });
    expect(stdout.text).toBe('');
  });

  test('gives JSON lines: the outcome, or every event when streaming', async () => {
    const single = collecting({ json: true });
    await showExchange(played(events), single.output, { stream: false });
    expect(JSON.parse(single.stdout.text)).toEqual(answered);
    const streaming = collecting({ json: true });
    await showExchange(played(events), streaming.output, { stream: true });
    const types = streaming.stdout.text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as ExchangeEvent).type);
    expect(types).toEqual(['text', 'waiting', 'restart', 'text', 'outcome']);
  });

  test('says on stderr why there is no answer', async () => {
    const { output, stdout, stderr } = collecting();
    const outcome = await showExchange(played([{ type: 'outcome', outcome: failed }]), output, { stream: false });
    expect(stdout.text).toBe('');
    expect(stderr.text).toBe(
      'Message m1 failed: InvalidParameter: no such parameter (HTTP 400, errorInstanceId abc)\n',
    );
    expect(exitCodeOf(outcome)).toBe(1);
    expect(exitCodeOf(answered)).toBe(0);
  });

  test('does not say twice what the message says already', () => {
    const error = { errorName: 'X', message: 'HTTP 400 X (errorInstanceId abc)', status: 400, errorInstanceId: 'abc' };
    expect(outcomeProblem({ ...failed, error })).toBe('Message m1 failed: HTTP 400 X (errorInstanceId abc)');
  });
});

describe('createOutput()', () => {
  test('colours in a terminal only, and not when NO_COLOR is set', () => {
    const [pipe, terminal, plain] = [
      collecting(),
      collecting({ tty: true }),
      collecting({ tty: true, env: { NO_COLOR: '1' } }),
    ];
    for (const { output } of [pipe, terminal, plain]) output.note('a word');
    expect([pipe, terminal, plain].map(({ stderr }) => stderr.text)).toEqual([
      'a word\n',
      '\u001b[2ma word\u001b[0m\n',
      'a word\n',
    ]);
  });

  test('tells details with --verbose only', () => {
    const [quiet, verbose] = [collecting(), collecting({ verbose: true })];
    for (const { output } of [quiet, verbose]) output.detail('inside');
    expect([quiet.stderr.text, verbose.stderr.text]).toEqual(['', 'inside\n']);
  });

  test('listText() is a table, or two lines for each conversation where that is too wide', () => {
    const row = { conversationId: 'support-17', runId: 'r', status: 'running', needsAttention: true } as const;
    const rows = [
      { ...row, state: 'open', startedAt: new Date(), agentRid: 'ri.aip-agents..agent.1' },
      { ...row, conversationId: 'x', status: 'completed', needsAttention: false, startedAt: new Date() },
    ] as ConversationSummary[];
    const started = localTime(rows[0]?.startedAt);
    for (const width of [undefined, 200]) {
      expect(listText(rows, width)).toMatch(/^CONVERSATION +STATUS .*AGENT\nsupport-17 .*agent\.1\nx +completed .*$/);
    }
    expect(listText(rows, 80)).toBe(
      `support-17\n  running    open (needs attention)  ${started}\nx\n  completed                          ${started}`,
    );
  });

  test('programName() is what works where the person is', () => {
    expect(programName({})).toBe('aip-temporal');
    expect(programName({ npm_command: 'exec' })).toBe('npx aip-temporal');
    expect(programName({ npm_command: 'run-script' })).toBe('aip-temporal');
  });

  test('table() aligns columns, localTime() leaves alone what is no time', () => {
    expect(table(['A', 'B'], [['long', 'x'], ['s']])).toBe('A     B\nlong  x\ns');
    expect(localTime(new Date(2026, 2, 1, 9, 5, 7))).toBe('2026-03-01 09:05:07');
    expect(localTime('soon')).toBe('soon');
    expect(localTime(undefined)).toBe('');
  });
});

describe('the progress of a batch', () => {
  const progress: BatchProgress = {
    batchId: 'b',
    state: 'running',
    rowCount: 200,
    succeeded: 90,
    failed: 10,
    cancelled: 0,
    expired: 0,
    running: 20,
    queued: 80,
    tokens: 1234,
    concurrency: 25,
    rowsPerSecond: 12.34,
    etaSeconds: 8.1,
  };

  test.each([
    [0, '0s'],
    [59.4, '59s'],
    [200, '3m 20s'],
    [3725, '1h 02m'],
    [-3, '0s'],
  ])('duration(%d) is %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  test('is told in words', () => {
    expect(progressText(progress)).toBe('100/200  10 failed  12/s  8s left  1234 tokens  20 of 25 running');
    const waiting = { ...progress, waitingFor: 'a worker', waitingUntil: new Date(2026, 2, 1, 9, 30).toISOString() };
    expect(progressText(waiting)).toMatch(/ {2}… a worker; until 09:30:00$/);
    expect(progressText({ ...waiting, waitingFor: CLOSED_AGENT_WAIT })).toMatch(
      / {2}… waits: the agent, which an operator has closed; until 09:30:00$/,
    );
    const paused = { since: new Date(2026, 2, 1, 9, 30).toISOString(), reason: 'a\nreason\u001b[2J' };
    const isPaused = { ...waiting, state: 'paused', paused } as const;
    expect(progressText(isPaused)).toMatch(/^100\/200 {2}paused {2}.* {2}… paused since 09:30:00: a reason \[2J$/);
    const isStopping = { ...isPaused, state: 'stopping', stopped: 'maxTokens' } as const;
    expect(progressText(isStopping)).toMatch(/stopping .* no more rows are begun: it has used the tokens it may$/);
  });

  test.each([20, 40, 60, 80, 120, 400])('fits %i columns, whatever it says', (width) => {
    const long = { ...progress, cancelled: 12_345, expired: 12_345, rowCount: 1_000_000, tokens: 123_456_789 };
    const reason = '長い理由'.repeat(60);
    for (const one of [
      progress,
      long,
      { ...long, state: 'paused' as const, paused: { since: '2026-03-01', reason } },
    ]) {
      for (const line of progressBar(one, width)) {
        const wide = [...line].filter((character) => character > '\u3000').length;
        expect(line.length + wide).toBeLessThan(width);
      }
    }
  });

  test('is a bar as long as there is room for, with a second line for what it waits for', () => {
    expect(progressBar(progress, 200)).toEqual([
      '█'.repeat(12) + '░'.repeat(12) + '  100/200  10 failed  12/s  8s left  1234 tokens  20 of 25 running',
    ]);
    expect(progressBar(progress, 80)[0]).toMatch(/^█{6}░{7} {2}100\/200 .* 20 of 25 running$/);
    expect(progressBar(progress, 40)[0]).toMatch(/^█{6}░{7} {2}100\/200 {2}10 failed {2}12\/s$/);
    expect(progressBar({ ...progress, rowCount: 0 }, 200)[0]).toMatch(/^░{24}/);
    expect(progressBar({ ...progress, waitingFor: 'a worker' }, 80)).toHaveLength(2);
  });

  test('is a bar that is drawn over in a terminal, lines now and then elsewhere, JSON when asked for', () => {
    const [terminal, pipe, json] = [new Collected(true), new Collected(), new Collected(true)];
    let now = 0;
    const displays = [
      new BatchDisplay(terminal, false, () => now),
      new BatchDisplay(pipe, false, () => now),
      new BatchDisplay(json, true, () => now),
    ];
    for (const at of [0, 1_000, 10_000]) {
      now = at;
      for (const display of displays) display.update(progress);
    }
    for (const display of displays) display.end();
    expect(terminal.text.split('\r')).toHaveLength(4);
    expect(terminal.text.endsWith('running\n')).toBe(true);
    expect(pipe.text.trim().split('\n')).toHaveLength(2);
    expect(
      json.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([progress, progress]);
  });

  test('tells at once that Temporal does not answer, and that it does again, where nobody watches', () => {
    const pipe = new Collected();
    const display = new BatchDisplay(pipe, false, () => 0);
    const away = { ...progress, outage: 'Temporal does not answer; trying again' };
    for (const one of [progress, away, away, progress]) display.update(one);
    expect(pipe.text.trim().split('\n').slice(1)).toEqual([away.outage, 'Temporal answers again']);
  });

  test('takes back its second line, and tells another state at once where nobody watches', () => {
    const [terminal, pipe] = [new Collected(true), new Collected()];
    const paused = { ...progress, state: 'paused', paused: { since: '2026-03-01T09:00:00.000Z' } } as const;
    for (const stream of [terminal, pipe]) {
      const display = new BatchDisplay(stream, false, () => 0);
      for (const one of [progress, paused, progress]) display.update(one);
      display.end();
    }
    expect(terminal.text.split('\u001b[1A')).toHaveLength(2);
    expect(pipe.text.trim().split('\n')).toHaveLength(3);
  });
});

describe('what is said of a batch', () => {
  test('versionsTable() puts versions beside each other', () => {
    const figures = [
      { rows: 90, succeeded: 89, succeededPercent: 98.888, tokensPerRow: 280.5, latencyMs: { p50: 1_234, p95: 5_678 } },
      { agentVersion: '2.1', rows: 10, succeeded: 0, succeededPercent: 0 },
    ];
    expect(versionsTable(figures).split('\n')).toEqual([
      'VERSION  ROWS  SUCCEEDED  TOKENS/ROW  P50    P95',
      'latest   90    98.8 %     281         1.2 s  5.7 s',
      '2.1      10    0.0 %      -           -      -',
    ]);
  });

  test('batchTable() takes two lines for each where there is no room for one', () => {
    const batch = {
      batchId: 'monday',
      state: 'completed',
      stopped: 'deadline',
      rowCount: 240,
      concurrency: 20,
      startedAt: new Date(2026, 2, 1, 9, 30),
    } as const;
    expect(batchTable([batch])).toBe(
      'BATCH   STATE                 ROWS  STARTED\nmonday  completed (deadline)  240   2026-03-01 09:30:00',
    );
    expect(batchTable([batch], 50)).toBe('monday\n  completed (deadline)  240   2026-03-01 09:30:00');
  });
});

describe('waitOf()', () => {
  const until = new Date('2026-03-01T09:00:10.000Z');
  const activity: PendingActivity = {
    activityId: 'exchange-0',
    activityType: 'streamingContinue',
    state: 'running',
    attempt: 2,
  };
  const heartbeat = {
    phase: 'waitingForLimit',
    text: '',
    waitingFor: 'the rate limit',
    waitingUntil: until.toISOString(),
  };

  test.each<[string, PendingActivity, ReturnType<typeof waitOf>]>([
    ['one that works', { ...activity, heartbeat: { phase: 'streaming', text: 'x' } }, undefined],
    ['one without a heartbeat', activity, undefined],
    ['a limit', { ...activity, heartbeat }, { reason: 'the rate limit', until }],
    ['a heartbeat of another kind', { ...activity, heartbeat: { finished: 3 } }, undefined],
    [
      'a retry after a refusal',
      {
        ...activity,
        state: 'scheduled',
        nextAttemptAt: until,
        lastFailure: { type: 'RateLimitExceeded', message: 'no' },
      },
      { reason: 'rate limited (RateLimitExceeded); attempt 2 comes next', until },
    ],
    ['a worker', { ...activity, state: 'scheduled' }, { reason: 'streamingContinue waits for a worker' }],
    ['one that was scheduled just now', { ...activity, state: 'scheduled', scheduledAt: new Date() }, undefined],
    ['a person', { ...activity, state: 'paused' }, { reason: 'streamingContinue is paused' }],
  ])('tells of %s', (_, pending, wait) => {
    expect(waitOf(pending)).toEqual(wait);
  });
});
