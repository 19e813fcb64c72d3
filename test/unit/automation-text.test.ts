import { describe, expect, test } from '@jest/globals';
import { changeLines } from '../../src/cli/automation-display.js';
import {
  approvalLines,
  automationLines,
  automationPicture,
  automationTable,
  decisionText,
  outputText,
} from '../../src/cli/automation-text.js';
import { momentText, stepTree } from '../../src/cli/automation-tree.js';
import { scheduleLine, scheduleLines, scheduleTable, zonedTime } from '../../src/cli/schedule-text.js';
import { columnsOf } from '../../src/cli/terminal.js';
import type { AutomationDescription } from '../../src/client/index.js';
import type { AutomationStatus, StepState, StepStatus } from '../../src/protocol/automation.js';

const NOW = '2026-03-01T12:00:00.000Z';
const nowMs = Date.parse(NOW);
const ago = (seconds: number) => new Date(nowMs - seconds * 1_000).toISOString();
const program = 'aip-temporal';

let paths = 0;
function step(label: string, state: StepState, more: Partial<StepStatus> = {}): StepStatus {
  const begun = state === 'pending' ? 0 : 1;
  const isOver = state === 'done' || state === 'failed';
  return {
    ...{ path: `steps[${paths++}]`, kind: 'ask', label, state, begun, tokens: 0 },
    done: state === 'done' ? 1 : 0,
    failed: state === 'failed' ? 1 : 0,
    ...(begun > 0 && { startedAt: ago(60) }),
    ...(isOver && { finishedAt: ago(48) }),
    ...more,
  };
}

const forEach = (state: StepState, inner: StepStatus[], more: Partial<StepStatus> = {}): StepStatus =>
  step('for each order', state, { kind: 'forEach', id: 'each', children: [{ branch: 'do', steps: inner }], ...more });

const status = (steps: StepStatus[], more: Partial<AutomationStatus> = {}): AutomationStatus => ({
  plan: 'nightly',
  state: 'running',
  startedAt: ago(200),
  runs: 1,
  totals: { steps: 5, answered: 12, failed: 1, cancelled: 0, tokens: 34_120 },
  steps,
  approvals: [],
  decisions: [],
  ...more,
});

const description = (live?: AutomationStatus, more: Partial<AutomationDescription> = {}): AutomationDescription => ({
  ...{ automationId: 'nightly/1', workflowId: 'automation/nightly/1', runId: 'r', status: 'running', plan: 'nightly' },
  ...{ needsAttention: false, startedAt: new Date(ago(200)), taskQueue: 'q', historyLength: 40 },
  ...(live !== undefined && { live }),
  ...{ exchanges: [], batches: [], waits: [] },
  ...more,
});

const APPROVAL = { approvalId: 'send', message: 'Send it?', askedAt: ago(10), reminders: 0 };

describe('stepTree()', () => {
  test('shows sign, label, id, counts, tokens and time of each step, and why it waits or has failed', () => {
    const steps = [
      step('Fetch', 'done', { id: 'fetch', tries: 3, tokens: 120 }),
      forEach('running', [step('Ask', 'running', { begun: 14, done: 12, failed: 1 }), step('Sum up', 'pending')], {
        ...{ items: 80, itemsEnded: 12, itemsFailed: 1, tokens: 900 },
      }),
      step('Send it?', 'waiting', {
        kind: 'approve',
        id: 'send',
        waitingFor: 'approval send',
        waitingUntil: '2026-03-04T12:00:00.000Z',
      }),
      step('Mail', 'failed', { error: { errorName: 'SessionExecutionFailed', message: 'the agent\nfailed' } }),
      step('Mind', 'skipped'),
      step('Stop', 'cancelled'),
      step('Later', 'pending'),
    ];
    expect(stepTree(steps, { nowMs })).toEqual([
      '✓ Fetch (fetch)  3 tries  120 tokens  12s',
      '▶ for each order (each)  12/80 (1 failed)  900 tokens  1m 00s',
      '  ▶ Ask  14× (1 failed)  1m 00s',
      '  · Sum up',
      '⏸ Send it? (send)  1m 00s',
      `  … waits for approval send; until ${momentText('2026-03-04T12:00:00.000Z', nowMs)}`,
      '✗ Mail  12s',
      '  SessionExecutionFailed: the agent failed',
      '– Mind  1m 00s',
      '⊘ Stop  cancelled  1m 00s',
      '· Later',
    ]);
  });

  test('names the branches of parallel and else, and leaves out the block that was not chosen', () => {
    const branches = [
      { branch: 'north', steps: [step('N', 'done')] },
      { branch: 'south', steps: [step('S', 'running')] },
    ];
    const chosen = [
      { branch: 'then', steps: [step('Yes', 'pending')] },
      { branch: 'else', steps: [step('No', 'done')] },
    ];
    const steps = [
      step('both', 'running', { kind: 'parallel', children: branches }),
      step('if it is so', 'done', { kind: 'if', children: chosen }),
    ];
    expect(stepTree(steps, { nowMs }).map((line) => line.replace(/ {2}\S*\d.*$/, ''))).toEqual([
      '▶ both',
      '  ✓ north:',
      '    ✓ N',
      '  ▶ south:',
      '    ▶ S',
      '✓ if it is so',
      '  ✓ else:',
      '    ✓ No',
    ]);
  });

  test.each([40, 60, 80, 200])('lines take less than %i columns, the facts at their right', (width) => {
    const steps = [
      step('A label that is a good deal longer than there is room for, 北京 included', 'done', { tokens: 12_345 }),
      forEach('running', [step('x'.repeat(300), 'running', { waitingFor: 'y'.repeat(300) })], {
        ...{ items: 1_000, itemsEnded: 999, itemsFailed: 10, tokens: 1_234_567 },
      }),
    ];
    const lines = stepTree(steps, { nowMs, width });
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(columnsOf(line)).toBeLessThan(width);
    expect(lines[0]).toMatch(/ 12345 tokens {2}12s$/);
    expect(lines[1]).toContain('999/1000');
  });

  test('tells of an if whose condition was not met, and shows no else where there is none', () => {
    const children = (state: StepState) => [
      { branch: 'then', steps: [step('Yes', state)] },
      { branch: 'else', steps: [] },
    ];
    const steps = [
      step('if it is so', 'done', { kind: 'if', id: 'so', children: children('pending') }),
      step('if it was so', 'done', { kind: 'if', children: children('done') }),
      step('if it will be', 'pending', { kind: 'if', children: children('pending') }),
    ];
    expect(stepTree(steps, { nowMs })).toEqual([
      '✓ if it is so (so)  not taken  12s',
      '✓ if it was so  12s',
      '  ✓ Yes  12s',
      '· if it will be',
      '  · Yes',
    ]);
  });

  test('cuts a label that is too long before its id', () => {
    const steps = [
      step(`Send it? ${'x'.repeat(80)}`, 'waiting', { id: 'send' }),
      step('Mail', 'pending', { id: 'i'.repeat(60) }),
    ];
    expect(stepTree(steps, { nowMs, width: 60 })).toEqual([
      `⏸ Send it? ${'x'.repeat(32)}… (send)  1m 00s`,
      `· Mail (${'i'.repeat(50)}…`,
    ]);
  });

  describe('where there is no room', () => {
    const steps = [
      forEach('done', [step('a', 'done'), step('b', 'done')]),
      step('c', 'done'),
      step('d', 'skipped'),
      forEach('running', [step('e', 'done'), step('f', 'done'), step('g', 'running')]),
      forEach('pending', [step('h', 'pending'), step('i', 'pending')]),
      step('j', 'pending'),
    ];
    const heads = (height?: number) =>
      stepTree(steps, { nowMs, ...(height !== undefined && { height }) }).map((line) =>
        line.replace(/ {2}\S*\d.*$/, ''),
      );

    test('all is there where there is', () => expect(heads(13)).toHaveLength(13));

    test('what is in finished steps goes first', () => {
      expect(heads(12).slice(0, 3)).toEqual(['✓ for each order (each)', '✓ c', '– d']);
      expect(heads(12)).toContain('  · h');
    });

    test('then what is in steps to come', () => {
      expect(heads(10)).toHaveLength(9);
      expect(heads(10)).not.toContain('  · h');
    });

    test('then neighbours become one line', () => {
      expect(heads(8)).toEqual([
        '✓ 2 steps done, 1 skipped',
        '▶ for each order (each)',
        '  ✓ 2 steps done',
        '  ▶ g',
        '· 2 steps to come',
      ]);
    });

    test('and the rest is counted', () => {
      expect(heads(3)).toEqual([
        '✓ 2 steps done, 1 skipped',
        '▶ for each order (each)',
        '… 3 more lines; `show` has them all',
      ]);
    });
  });
});

describe('automationPicture()', () => {
  test('begins with where it stands, and ends with what it waits for and how to answer', () => {
    const live = status([step('Send it?', 'waiting', { id: 'send' })], {
      state: 'waiting',
      approvals: [{ ...APPROVAL, deadline: '2026-03-01T12:30:00.000Z', default: 'reject', reminders: 2 }],
    });
    const lines = automationPicture(description(live, { noWorker: 'no worker answers on task queue q' }), {
      ...{ nowMs, program, width: 100, height: 30 },
    });
    expect(lines[0]).toBe('nightly/1  waiting  3m 20s  12 answered  1 failed  34120 tokens');
    expect(lines.slice(2)).toEqual([
      `⏸ send: Send it?; until ${momentText('2026-03-01T12:30:00.000Z', nowMs)}, then it is rejected; reminded 2 times`,
      '  aip-temporal automation approve nightly/1  (or reject)',
      '… no worker answers on task queue q',
    ]);
  });

  test('shows why exchanges do not get on, and the end of the only answer that is being written', () => {
    const live = status([step('Ask', 'running')]);
    const exchange = { activityId: 'exchange-main-0', activityType: 'streamingContinue', attempt: 1 };
    const lines = automationPicture(
      description(live, {
        waits: [{ reason: 'waits for the limit of agent a', until: new Date('2026-03-01T12:00:07Z') }],
        exchanges: [{ ...exchange, text: `${'long '.repeat(60)}and\nits end` }],
        batches: ['orders'],
      }),
      { nowMs, program, width: 60, height: 30 },
    );
    expect(lines[2]).toMatch(/^… waits for the limit of agent a; until \d\d:00:07$/);
    expect(lines[3]).toBe('▶ batch orders: aip-temporal batch watch orders');
    expect(lines[4]).toMatch(/^ {2}» .*and its end$/);
    for (const line of lines) expect(columnsOf(line)).toBeLessThan(60);
  });

  test.each([6, 10, 24])('fits %i lines, whatever waits', (height) => {
    const many = Array.from({ length: 500 }, (_, index) => step(`s${index}`, index % 2 === 0 ? 'running' : 'failed'));
    const approvals = Array.from({ length: 9 }, (_, index) => ({ ...APPROVAL, approvalId: `a${index}` }));
    const lines = automationPicture(description(status(many, { approvals })), { nowMs, program, width: 80, height });
    expect(lines.length).toBeLessThanOrEqual(height);
    if (height > 10) expect(lines.some((line) => line === '… and 6 more of these')).toBe(true);
  });

  test('without a worker there is no tree, and it says why', () => {
    const lines = automationPicture(description(undefined, { noWorker: 'no worker answers' }), {
      ...{ nowMs, program, width: 80, height: 24 },
    });
    expect(lines).toEqual(['nightly/1  running  3m 20s', '… no worker answers']);
  });
});

test('approvalLines() names the approval where several wait, and tells what no decision means', () => {
  const live = status([], { approvals: [APPROVAL, { ...APPROVAL, approvalId: 'other' }] });
  const lines = approvalLines(
    { ...APPROVAL, deadline: NOW },
    { automationId: 'n/1', live },
    { nowMs, program: 'npx x' },
  );
  expect(lines[0]).toMatch(/^⏸ send: Send it\?; until \d\d:\d\d:\d\d, then it fails$/);
  expect(lines[1]).toBe('  npx x automation approve n/1 send  (or reject)');
});

test('what happens when an approval ends undecided is told with its end', () => {
  const [end, then] = ['2026-03-01T12:00:00.000Z', 'the plan fails'];
  const waiting = step('Send it?', 'waiting', { waitingFor: 'approval send', waitingUntil: end, waitingThen: then });
  const live = status([waiting], {
    ...{ state: 'waiting', waitingFor: 'approval send', waitingUntil: end, waitingThen: then },
    approvals: [{ ...APPROVAL, deadline: end, then }],
  });
  const lines = automationLines(description(live), { nowMs, program });
  expect(lines.filter((line) => /until \d\d:\d\d:\d\d, then the plan fails$/.test(line))).toEqual([
    expect.stringMatching(/^waiting {5}approval send; until/),
    expect.stringMatching(/^ {2}… waits for approval send; until/),
    expect.stringMatching(/^⏸ send: Send it\?; until/),
  ]);
});

test('approvalLines() shows the lines of a message to whoever reads it whole', () => {
  const approval = { ...APPROVAL, message: 'Send it?\n\nDear\u0007 customer,\nyours' };
  const of = description(status([], { approvals: [approval] }));
  expect(approvalLines(approval, of, { nowMs, program, isWhole: true })).toEqual([
    '⏸ send',
    '  │ Send it?',
    '  │',
    '  │ Dear customer,',
    '  │ yours',
    '  aip-temporal automation approve nightly/1  (or reject)',
  ]);
  expect(approvalLines(approval, of, { nowMs, program })[0]).toBe('⏸ send: Send it? Dear customer, yours');
});

describe('automationLines()', () => {
  test('tells all fields, decisions and the output', () => {
    const live = status([step('Ask', 'done')], {
      state: 'finished',
      description: 'Reports what is late.',
      runs: 3,
      decisions: [{ approvalId: 'send', decision: 'approve', by: 'ann', comment: 'fine', at: NOW }],
    });
    const lines = automationLines(
      description(live, {
        ...{ status: 'completed', source: 'nightly.yaml', closedAt: new Date(nowMs) },
        ...{ schedule: 'night', scheduledAt: new Date('2026-02-01T12:00:00Z') },
        result: { output: { late: 2 }, totals: live.totals },
      }),
      { nowMs, program },
    );
    const text = lines.join('\n');
    expect(text).toMatch(/^automation {2}nightly\/1\nstate {7}completed\nplan {8}nightly from nightly\.yaml: Reports/);
    expect(text).toContain('totals      5 steps, 12 answered, 1 failed, 34120 tokens');
    expect(text).toMatch(/\nschedule {4}night, for 2026-02-01 \d\d:00:00\n/);
    expect(text).toContain('runs        3, this one included');
    expect(text).toContain('\n✓ Ask  12s\n');
    expect(text).toContain('send was approved by ann at ');
    expect(text).toMatch(/\n\n\{\n {2}"late": 2\n\}$/);
  });

  test('of a failed one, why', () => {
    const failure = { type: 'Rejected', message: 'Step send failed: nobody wanted it' };
    const lines = automationLines(description(undefined, { status: 'failed', failure }), { nowMs, program });
    expect(lines[2]).toBe('failure     Rejected: Step send failed: nobody wanted it');
    expect(lines.join('\n')).not.toContain('✗');
  });
});

test('decisionText() tells who, or that nobody had in time', () => {
  const answer = { approvalId: 'send', decision: 'reject', at: NOW } as const;
  expect(decisionText({ ...answer, by: 'bo' })).toMatch(/^send was rejected by bo at 2026-/);
  expect(decisionText({ ...answer, byDefault: true })).toMatch(
    /^send was rejected by default, as nobody had in time at/,
  );
});

test('outputText() leaves a text as it is', () => {
  expect(outputText('a\nb')).toBe('a\nb');
  expect(outputText([1])).toBe('[\n  1\n]');
});

describe('automationTable()', () => {
  const rows = [description(undefined, { needsAttention: true })];

  test('is a table', () => {
    expect(automationTable(rows)).toMatch(
      /^AUTOMATION {2}STATUS +PLAN +STARTED\nnightly\/1 {3}running \(needs attention\) {2}nightly/,
    );
  });

  test('has two lines for each where it would be too wide', () => {
    expect(automationTable(rows, 50)).toMatch(/^nightly\/1\n {2}running \(needs attention\) {2}nightly {2}2026/);
  });
});

test('scheduleTable() tells next and last runs, or that it is paused', () => {
  const schedule = {
    ...{ name: 'night', scheduleId: 'automation/night', plan: 'nightly', when: '0 6 * * * (UTC)', paused: false },
    timeZone: 'UTC',
    nextRuns: [new Date('2026-03-02T06:00:00Z')],
    lastRuns: [],
  };
  const text = scheduleTable([schedule, { ...schedule, name: 'off', paused: true }], { nowMs });
  expect(text).toMatch(
    /^SCHEDULE {2}PLAN +NEXT +LAST +WHEN\nnight +nightly {2}2026-03-02 06:00 UTC {2}- +0 6 \* \* \* \(UTC\)\noff +nightly {2}paused/,
  );
});

test.each([
  ['Europe/Berlin', '2026-03-02T05:00:00Z', '2026-03-02 06:00:00 +01:00'],
  ['Europe/Berlin', '2026-07-01T22:30:05Z', '2026-07-02 00:30:05 +02:00'],
  ['Europe/London', '2026-03-02T05:00:00Z', '2026-03-02 05:00:00 +00:00'],
  ['America/St_Johns', '2026-03-02T05:00:00Z', '2026-03-02 01:30:00 -03:30'],
  ['UTC', '2026-03-02T00:00:00Z', '2026-03-02 00:00:00 UTC'],
  // One that the server knows, and this Node.js does not.
  ['Mars/Olympus', '2026-03-02T05:00:00Z', '2026-03-02 05:00:00 UTC'],
])('zonedTime() in %s', (zone, time, text) => {
  expect(zonedTime(time, zone)).toBe(text);
  expect(zonedTime(new Date(time), zone)).toBe(text);
});

test('a schedule tells its times in its own time zone', () => {
  const schedule = {
    ...{
      name: 'night',
      scheduleId: 'automation/night',
      plan: 'nightly',
      when: '0 6 * * * (Asia/Tokyo)',
      paused: false,
    },
    timeZone: 'Asia/Tokyo',
    nextRuns: [new Date('2026-03-01T21:00:00Z')],
    lastRuns: [{ automationId: 'night-1', scheduledAt: new Date(ago(0)), startedAt: new Date(ago(60)) }],
  };
  const [, row] = scheduleTable([schedule], { nowMs }).split('\n');
  expect(row).toMatch(/^night +nightly {2}2026-03-02 06:00 \+09:00 {2}20:59:00 \+09:00 {2}0 6/);
  expect(scheduleLine(schedule)).toBe(
    'Schedule night starts plan nightly: 0 6 * * * (Asia/Tokyo); next at 2026-03-02 06:00:00 +09:00',
  );
  const lines = scheduleLines({
    ...schedule,
    ...{ inputs: {}, overlap: 'skip', catchupWindowMs: 60_000, createdAt: new Date(NOW), running: [] },
    counts: { started: 1, skipped: 0, missed: 0 },
  });
  expect(lines.filter((line) => line.includes('+09:00'))).toEqual([
    'created   2026-03-01 21:00:00 +09:00',
    'next      2026-03-02 06:00:00 +09:00',
    'last      2026-03-01 20:59:00 +09:00  night-1',
  ]);
});

describe('changeLines()', () => {
  const look = (state: StepState, more: Partial<AutomationDescription> = {}) =>
    description(
      status([
        { ...step('Ask', state), path: 'steps[0]' },
        { ...step('Then', 'pending'), path: 'steps[1]' },
      ]),
      more,
    );

  test('tells steps that began or ended, once', () => {
    expect(changeLines(undefined, look('running'), { nowMs, program })).toEqual(['▶ Ask  1m 00s']);
    expect(changeLines(look('running'), look('running'), { nowMs, program })).toEqual([]);
    expect(changeLines(look('running'), look('done'), { nowMs, program })).toEqual(['✓ Ask  12s']);
  });

  test('tells once that Temporal does not answer, and that it does again', () => {
    const away = look('running', { outage: 'Temporal does not answer; trying again' });
    expect(changeLines(look('running'), away, { nowMs, program })).toEqual([
      '… Temporal does not answer; trying again',
    ]);
    expect(changeLines(away, away, { nowMs, program })).toEqual([]);
    expect(changeLines(away, look('done'), { nowMs, program })).toEqual(['… Temporal answers again', '✓ Ask  12s']);
  });

  test('tells each reason for waiting and each approval once', () => {
    const waiting = look('running', { noWorker: 'no worker answers' });
    expect(changeLines(look('running'), waiting, { nowMs, program })).toEqual(['… no worker answers']);
    expect(changeLines(waiting, waiting, { nowMs, program })).toEqual([]);
    const live = status([], { approvals: [APPROVAL] });
    expect(changeLines(look('running'), description(live), { nowMs, program })).toEqual([
      '⏸ send: Send it?',
      '  aip-temporal automation approve nightly/1  (or reject)',
    ]);
    expect(changeLines(description(live), description(live), { nowMs, program })).toEqual([]);
  });
});
