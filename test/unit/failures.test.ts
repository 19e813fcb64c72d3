import { describe, expect, test } from '@jest/globals';
import type { FailureClass, FailureFacts } from '../../src/protocol/failures.js';
import { FAILURE_TYPES, asksToSlowDown, bareErrorName, classifyFailure } from '../../src/protocol/failures.js';

type Row = [facts: FailureFacts, expected: FailureClass];

const documented: Row[] = [
  ['RateLimitExceeded', 400, 'wait'],
  ['RetryAttemptsExceeded', 400, 'wait'],
  ['RetryDeadlineExceeded', 400, 'wait'],
  ['ContextSizeExceededLimit', 400, 'overflow'],
  ['AgentIterationsExceededLimit', 400, 'giveUp'],
  ['SessionExecutionFailed', 500, 'transient'],
  ['SessionNotFound', 404, 'expired'],
  ['ContentNotFound', 404, 'expired'],
  ['SessionTraceIdAlreadyExists', 400, 'reconcile'],
  ['CancelSessionFailedMessageNotInProgress', 400, 'reconcile'],
  ['InvalidParameter', 400, 'giveUp'],
  ['InvalidParameterType', 400, 'giveUp'],
  ['InvalidAgentVersion', 400, 'giveUp'],
  ['NoPublishedAgentVersion', 400, 'giveUp'],
  ['AgentNotFound', 404, 'giveUp'],
  ['AgentVersionNotFound', 404, 'giveUp'],
  ['ObjectTypeIdsNotFound', 404, 'giveUp'],
  ['ObjectTypeRidsNotFound', 404, 'giveUp'],
  ['OntologyEntitiesNotFound', 404, 'giveUp'],
  ['FunctionLocatorNotFound', 404, 'giveUp'],
  ['ActionTypeNotFound', 404, 'giveUp'],
  ['UnsupportedLanguageModelRid', 400, 'giveUp'],
  ['StreamingContinueSessionPermissionDenied', 403, 'giveUp'],
  ['SomeFutureOperationPermissionDenied', 403, 'giveUp'],
  ['Default:Unauthorized', 401, 'auth'],
  ['Default:PermissionDenied', 403, 'giveUp'],
].map(([errorName, status, expected]) => [
  { operation: 'continue', errorName, status } as FailureFacts,
  expected as FailureClass,
]);

describe('classifyFailure() by the documented name', () => {
  test.each(documented)('%j is %s', (facts, expected) => {
    expect(classifyFailure(facts)).toBe(expected);
  });

  test.each(documented)('%j stays %s while an earlier send may run', (facts, expected) => {
    expect(classifyFailure({ ...facts, earlierSendMayRun: true })).toBe(expected);
  });

  test.each([
    ['a namespace before the name', { operation: 'continue', errorName: 'AipAgents:RateLimitExceeded', status: 400 }],
    ['a status that says something else', { operation: 'continue', errorName: 'RateLimitExceeded', status: 500 }],
  ] satisfies [string, FailureFacts][])('RateLimitExceeded is wait with %s', (_, facts) => {
    expect(classifyFailure(facts)).toBe('wait');
  });

  test('names that objects inherit are not taken for documented ones', () => {
    expect(classifyFailure({ operation: 'read', errorName: 'constructor', status: 400 })).toBe('giveUp');
  });
});

describe('classifyFailure() by status, when the name says nothing', () => {
  const rows: Row[] = [
    [{ operation: 'continue', status: 401 }, 'auth'],
    [{ operation: 'continue', status: 403, earlierSendMayRun: true }, 'giveUp'],
    [{ operation: 'continue', status: 408 }, 'ambiguous'],
    [{ operation: 'read', status: 408 }, 'transient'],
    [{ operation: 'continue', status: 429 }, 'wait'],
    [{ operation: 'read', status: 429 }, 'wait'],
    ...[500, 502, 503, 504].flatMap((status): Row[] => [
      [{ operation: 'continue', status }, 'ambiguous'],
      [{ operation: 'read', status }, 'transient'],
      [{ operation: 'create', status }, 'transient'],
      [{ operation: 'cancel', status }, 'transient'],
    ]),
    [{ operation: 'continue', status: 400 }, 'giveUp'],
    [{ operation: 'continue', status: 400, errorName: 'SessionBusy', earlierSendMayRun: true }, 'reconcile'],
    [{ operation: 'continue', status: 409, earlierSendMayRun: true }, 'reconcile'],
    [{ operation: 'read', status: 409, earlierSendMayRun: true }, 'giveUp'],
    [{ operation: 'read', status: 404, errorName: 'SessionTraceNotFound' }, 'giveUp'],
    [{ operation: 'read', status: 404 }, 'giveUp'],
    [{ operation: 'read', status: 302 }, 'giveUp'],
    [{ operation: 'continue' }, 'giveUp'],
  ];
  test.each(rows)('%j is %s', (facts, expected) => {
    expect(classifyFailure(facts)).toBe(expected);
  });
});

describe('classifyFailure() when no answer came', () => {
  const rows: Row[] = [
    [{ operation: 'continue', noAnswer: true }, 'ambiguous'],
    [{ operation: 'continue', noAnswer: true, status: 200 }, 'ambiguous'],
    [{ operation: 'continue', noAnswer: true, neverSent: true }, 'transient'],
    [{ operation: 'create', noAnswer: true }, 'transient'],
    [{ operation: 'cancel', noAnswer: true }, 'transient'],
    [{ operation: 'read', noAnswer: true }, 'transient'],
  ];
  test.each(rows)('%j is %s', (facts, expected) => {
    expect(classifyFailure(facts)).toBe(expected);
  });
});

describe('asksToSlowDown()', () => {
  test.each([
    [{ operation: 'continue', errorName: 'RateLimitExceeded', status: 400 }, true],
    [{ operation: 'read', status: 429 }, true],
    [{ operation: 'continue', status: 503 }, true],
    [{ operation: 'continue', errorName: 'SessionExecutionFailed', status: 503 }, false],
    [{ operation: 'continue', status: 502 }, false],
    [{ operation: 'continue', noAnswer: true, status: 503 }, false],
    [{ operation: 'continue', errorName: 'InvalidParameter', status: 400 }, false],
  ] satisfies [FailureFacts, boolean][])('%j: %s', (facts, expected) => {
    expect(asksToSlowDown(facts)).toBe(expected);
  });
});

test('bareErrorName() drops every namespace and leaves a bare name alone', () => {
  expect(['Default:Unauthorized', 'A:B:SessionNotFound', 'SessionNotFound'].map(bareErrorName)).toEqual([
    'Unauthorized',
    'SessionNotFound',
    'SessionNotFound',
  ]);
});

test('no two failure types of ours share a name', () => {
  const types = Object.values(FAILURE_TYPES);
  expect(new Set(types).size).toBe(types.length);
});
