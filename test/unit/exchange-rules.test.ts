import { describe, expect, test } from '@jest/globals';
import {
  ExchangeFailure,
  exchangeErrorOf,
  newExchangeMemory,
  retryDecision,
  type ExchangeMemory,
} from '../../src/activities/exchange-failure.js';
import { applicationFailure } from '../../src/activities/application-failure.js';
import { sessionTraceId } from '../../src/activities/exchange-ids.js';
import { findExchange } from '../../src/activities/exchange-search.js';
import { boundedProgress, ProgressReport } from '../../src/activities/progress-report.js';
import { createFollowBounds } from '../../src/activities/follow-bounds.js';
import { AgentsApiError } from '../../src/agents-api/index.js';
import { cancellationResponse } from '../../src/protocol/cancellation-response.js';
import { LIMITS } from '../../src/protocol/defaults.js';
import type { ExchangeResult } from '../../src/protocol/exchange.js';
import type { FailureClass } from '../../src/protocol/failures.js';
import { shortened, withTranscript } from '../../src/workflows/carry-over.js';

const IDS = { messageId: '6c1f5f0e-8f0a-4c8e-9b52-0b6de8a3b7aa', traceIdBase: '0f0f5a3c-5a5e-4c43-a2a4-6b1a3e0d9c11' };
const SESSION = 'ri.aip-agents..session.one';

const failure = (failureClass: FailureClass, memory: Partial<ExchangeMemory> = {}, retryAfterMs?: number) =>
  new ExchangeFailure(
    failureClass,
    { errorName: 'Name', message: 'message' },
    { ...newExchangeMemory(), ...memory },
    retryAfterMs,
  );

describe('retryDecision()', () => {
  test.each([
    [1, 0.999, 1_998],
    [2, 0.5, 2_000],
    [3, 0.999, 7_992],
    [20, 0.999, 59_940],
    [20, 0, 1_000],
  ])('waits with jitter and a cap: refusal %i, random %f: %i ms', (waits, random, retryAfterMs) => {
    expect(retryDecision(failure('wait', { waits }), () => random)).toEqual({ retryAfterMs });
  });

  test('waits at least as long as a proxy asks for', () => {
    expect(retryDecision(failure('wait', { waits: 1 }, 90_000))).toEqual({ retryAfterMs: 90_000 });
  });

  test.each([
    [1, 1_000],
    [2, 2_000],
    [5, 16_000],
  ])('tries a hiccup again: failure %i after %i ms', (transientFailures, retryAfterMs) => {
    for (const failureClass of ['transient', 'ambiguous', 'reconcile'] as const) {
      expect(retryDecision(failure(failureClass, { transientFailures }))).toEqual({ retryAfterMs });
    }
  });

  test('takes the sixth hiccup for final, and never a limit', () => {
    expect(retryDecision(failure('transient', { transientFailures: 6 }))).toBe('final');
    expect(retryDecision(failure('wait', { transientFailures: 6, waits: 1_000 }))).not.toBe('final');
  });

  test.each(['overflow', 'expired', 'auth', 'giveUp'] as const)('takes %s for final', (failureClass) => {
    expect(retryDecision(failure(failureClass))).toBe('final');
  });
});

describe('applicationFailure()', () => {
  test('tells people and the workflow what is known: name, instance, class, and whether a send may have landed', () => {
    const error = new AgentsApiError({
      operation: 'streamingContinue',
      target: SESSION,
      status: 500,
      errorName: 'SessionExecutionFailed',
      errorCode: 'INTERNAL',
      errorInstanceId: 'instance-1',
    });
    const memory = { ...newExchangeMemory(), sends: 2, traceNumber: 1, mayBeSent: true };
    const thrown = applicationFailure(new ExchangeFailure('transient', exchangeErrorOf(error), memory), 'final');
    expect(thrown).toMatchObject({ type: 'SessionExecutionFailed', nonRetryable: true });
    expect(thrown.message).toContain('instance-1');
    expect(thrown.details).toEqual([
      {
        class: 'transient',
        sends: 2,
        traceNumber: 1,
        mayBeSent: true,
        status: 500,
        errorCode: 'INTERNAL',
        errorInstanceId: 'instance-1',
      },
    ]);
  });
});

describe('findExchange()', () => {
  const result = (more: Partial<ExchangeResult> = {}): ExchangeResult => ({
    agentMarkdownResponse: 'yes',
    parameterUpdates: {},
    interruptedOutput: false,
    ...more,
  });
  const sent = (n: number) => ({
    userInput: { text: 'same' },
    result: result({ sessionTraceId: sessionTraceId(SESSION, IDS, n) }),
  });
  const bare = (text: string, answer: string) => ({
    userInput: { text },
    result: result({ agentMarkdownResponse: answer }),
  });
  const request = { sessionRid: SESSION, ids: IDS, text: 'same', exchangesBefore: 1 };

  test.each([0, 1, 2, 5])('finds an exchange by the trace id of send %i, whatever number is remembered', (n) => {
    expect(findExchange([sent(n)], request, Math.max(0, n - 3))).toEqual(sent(n).result);
    expect(findExchange([sent(n)], request, n)?.sessionTraceId).toBe(sessionTraceId(SESSION, IDS, n));
  });

  test('does not take another exchange with the same text for it, where trace ids tell them apart', () => {
    const other = { userInput: { text: 'same' }, result: result({ sessionTraceId: 'of another message' }) };
    expect(findExchange([other, other], { ...request, exchangesBefore: 0 }, 0)).toBeUndefined();
  });

  test('takes the first new one with this very text, where there are no trace ids', () => {
    const exchanges = [
      bare('same', 'an old one'),
      bare('different', 'no'),
      bare('same', 'this'),
      bare('same', 'later'),
    ];
    expect(findExchange(exchanges, request, 0)?.agentMarkdownResponse).toBe('this');
    expect(findExchange(exchanges.slice(0, 2), request, 0)).toBeUndefined();
  });
});

describe('sessionTraceId()', () => {
  test('is the same for every attempt, and another for each session, send and exchange', () => {
    const all = [
      sessionTraceId(SESSION, IDS, 0),
      sessionTraceId(SESSION, IDS, 1),
      sessionTraceId('ri.aip-agents..session.two', IDS, 0),
      sessionTraceId(SESSION, { ...IDS, traceIdBase: IDS.messageId }, 0),
    ];
    expect(new Set(all).size).toBe(4);
    expect(sessionTraceId(SESSION, IDS, 0)).toBe(all[0]);
    for (const id of all) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

describe('cancellationResponse()', () => {
  const progress = { text: 'so far', textOffset: 0 };
  test.each([
    ['without', undefined, undefined],
    ['without a response', { kind: 'withoutResponse' as const }, undefined],
    ['with a response', { kind: 'withResponse' as const, response: 'this' }, 'this'],
    ['with the text so far', { kind: 'withTextSoFar' as const }, 'so far'],
  ])('%s', (_name, cancellation, response) => {
    expect(cancellationResponse(cancellation, progress)).toBe(response);
  });

  test('keeps the tail of a text whose head is not known, and marks it', () => {
    expect(cancellationResponse({ kind: 'withTextSoFar' }, { text: 'tail', textOffset: 9 })).toBe('…tail');
  });

  test('keeps an empty text rather than none: an interrupted exchange stays in the session', () => {
    expect(cancellationResponse({ kind: 'withTextSoFar' }, undefined)).toBe('');
  });
});

describe('what heartbeats tell', () => {
  test('is the whole text while it is short, and its tail within the bound when it is long', () => {
    const seen: string[] = [];
    const { signal } = new AbortController();
    const report = new ProgressReport(newExchangeMemory(), {
      signal,
      onProgress(progress) {
        const { text, textOffset, ...rest } = boundedProgress(progress);
        seen.push(`${textOffset} ${text.length} ${rest.phase}`);
      },
    });
    report.phase('sending');
    report.text('x'.repeat(LIMITS.heartbeatTextCharacters));
    report.text('y'.repeat(10));
    expect(seen).toEqual([
      '0 0 sending',
      `0 ${LIMITS.heartbeatTextCharacters} streaming`,
      `10 ${LIMITS.heartbeatTextCharacters} streaming`,
    ]);
  });

  test('keeps what an earlier try has seen until the message is sent anew', () => {
    let text = '';
    const { signal } = new AbortController();
    const report = new ProgressReport(newExchangeMemory(), {
      signal,
      textSoFar: { text: 'seen', textOffset: 0 },
      onProgress: (progress) => void ({ text } = progress),
    });
    report.phase('reconciling');
    expect(text).toBe('seen');
    report.phase('sending');
    expect(text).toBe('');
  });

  test('forgets what was waited for with the next phase', () => {
    const { signal } = new AbortController();
    let waitingFor: string | undefined;
    const onProgress = (progress: { waitingFor?: string }) => void ({ waitingFor } = progress);
    const report = new ProgressReport(newExchangeMemory(), { signal, onProgress });
    report.waiting('the rate limit', Date.now());
    expect(waitingFor).toBe('the rate limit');
    report.phase('sending');
    expect(waitingFor).toBeUndefined();
  });

  test('forgets until when it waited once it waits for something else', () => {
    const { signal } = new AbortController();
    let waitingUntil: string | undefined;
    const onProgress = (progress: { waitingUntil?: string }) => void ({ waitingUntil } = progress);
    const report = new ProgressReport(newExchangeMemory(), { signal, onProgress });
    report.waiting('the agent, which is closed', 0);
    expect(waitingUntil).toBe(new Date(0).toISOString());
    report.waiting('the ceiling');
    expect(waitingUntil).toBeUndefined();
  });
});

test('how long is looked for an exchange grows with the longest answer of its agent, from 30 s', () => {
  const bounds = createFollowBounds();
  expect(bounds.lookForMs('a')).toBe(30_000);
  bounds.noteAnswer('a', 20_000);
  bounds.noteAnswer('a', 5_000);
  expect([bounds.lookForMs('a'), bounds.lookForMs('b')]).toEqual([60_000, 30_000]);
});

describe('what a new session is told', () => {
  const exchanges = [
    { text: 'first question', answer: 'first answer' },
    { text: 'second question', answer: 'second answer' },
  ];

  test('is the tail of what was said, oldest first, then the message', () => {
    const text = withTranscript(exchanges, 'third question', 1_000);
    expect(text.match(/first question|first answer|second question|second answer|third question/g)).toEqual([
      'first question',
      'first answer',
      'second question',
      'second answer',
      'third question',
    ]);
  });

  test('leaves out the oldest where room is short, and cuts a single exchange that is too long', () => {
    const text = withTranscript(exchanges, 'third question', 60);
    expect(text).not.toContain('first');
    expect(text).toContain('second answer');
    expect(withTranscript([{ text: 'q', answer: 'a'.repeat(500) }], 'next', 60)).toContain('a…\n\n---\n\nnext');
  });
});

describe('shortened()', () => {
  test('keeps head and tail, half of it first and a quarter then', () => {
    const text = `HEAD${'·'.repeat(192)}TAIL`;
    for (const [times, most] of [
      [1, 100],
      [2, 50],
    ] as const) {
      const short = shortened(text, times);
      expect(short).toMatch(/^HEAD.*\n\[…\]\n.*TAIL$/s);
      expect(short?.replace('\n[…]\n', '')).toHaveLength(most);
    }
  });

  test('gives up when too little would be left, and halves no character', () => {
    expect(shortened('x'.repeat(39), 1)).toBeUndefined();
    expect(shortened('😀'.repeat(41), 1)?.replace('\n[…]\n', '')).toBe('😀'.repeat(20));
  });
});
