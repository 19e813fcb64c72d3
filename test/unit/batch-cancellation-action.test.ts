import { describe, expect, test } from '@jest/globals';
import { cancellationAction, type CancellationReasons } from '../../src/activities/cancellation-action.js';

const none: CancellationReasons = {
  cancelRequested: false,
  notFound: false,
  workerShutdown: false,
  paused: false,
  reset: false,
  timedOut: false,
};

describe('cancellationAction()', () => {
  test.each([
    [{ cancelRequested: true }, 'cancelAtAgent'],
    [{ notFound: true }, 'askWhetherOpen'],
    [{ workerShutdown: true }, 'leaveRunning'],
    [{ paused: true }, 'leaveRunning'],
    [{ timedOut: true }, 'stopQuietly'],
    [{ reset: true }, 'cancelAndRestart'],
    [{ cancelRequested: true, workerShutdown: true }, 'cancelAtAgent'],
    [{ reset: true, paused: true }, 'cancelAndRestart'],
    [{}, 'askWhetherOpen'],
  ] as const)('answers %j with %s', (reasons, action) => {
    expect(cancellationAction({ ...none, ...reasons })).toBe(action);
  });

  test('asks Temporal when no reason came along', () => {
    expect(cancellationAction(undefined)).toBe('askWhetherOpen');
  });
});
