import { describe, expect, test } from '@jest/globals';
import { ExchangeFailure, newExchangeMemory } from '../../src/activities/exchange-failure.js';
import { type ExchangeObserver, observedProtocol } from '../../src/activities/exchange-observer.js';
import {
  ExchangeHeldBack,
  type ExchangeProtocol,
  type ExchangeRequest,
} from '../../src/activities/exchange-protocol.js';
import type { CancelExchangeResult } from '../../src/protocol/activities.js';
import type { ExchangeResult } from '../../src/protocol/exchange.js';
import { LIMITS } from '../../src/protocol/defaults.js';
import type { FailureClass } from '../../src/protocol/failures.js';

const agentRid = 'ri.aip-agents..agent.a';
const request = { agentRid, mode: 'streaming', text: 'A secret?' } as ExchangeRequest;
const memory = newExchangeMemory();
const answer = (more: Partial<ExchangeResult> = {}): ExchangeResult => ({
  agentMarkdownResponse: 'An answer.',
  parameterUpdates: {},
  interruptedOutput: false,
  ...more,
});
const failure = (failureClass: FailureClass, transientFailures = 0) =>
  new ExchangeFailure(failureClass, { errorName: 'Any', message: 'any' }, { ...memory, transientFailures });
const throwing = (error: Error) => () => Promise.reject(error);

/** A protocol that does as it is told, and what its observer is told. */
function observed(does: Partial<ExchangeProtocol>) {
  const tried: Parameters<ExchangeObserver['tried']>[0][] = [];
  const cancelled: Parameters<ExchangeObserver['cancelled']>[0][] = [];
  const never = throwing(new Error('never'));
  let ms = 0;
  const protocol = observedProtocol(
    { run: never, cancel: never, ...does },
    { tried: (told) => tried.push(told), cancelled: (told) => cancelled.push(told) },
    () => (ms += 700),
  );
  return { protocol, tried, cancelled };
}

describe('of a try', () => {
  test('that finds its exchange, tokens and time are told, and the result passes through', async () => {
    const found = { result: answer({ totalTokensUsed: 305 }), memory };
    const { protocol, tried } = observed({ run: () => Promise.resolve(found) });
    expect(await protocol.run(request, memory, { signal: new AbortController().signal })).toBe(found);
    expect(tried).toEqual([{ agentRid, mode: 'streaming', outcome: 'answered', tokens: 305, tookMs: 700 }]);
  });

  test('that finds it interrupted, this is told, and no tokens where the agent tells none', async () => {
    const { protocol, tried } = observed({
      run: () => Promise.resolve({ result: answer({ interruptedOutput: true }), memory }),
    });
    await protocol.run(request, memory, { signal: new AbortController().signal });
    expect(tried).toEqual([{ agentRid, mode: 'streaming', outcome: 'interrupted', tookMs: 700 }]);
  });

  test.each<[string, Error, object]>([
    ['a limit', failure('wait'), { outcome: 'retried', failureClass: 'wait' }],
    ['a hiccup', failure('transient', 1), { outcome: 'retried', failureClass: 'transient' }],
    [
      'one too many',
      failure('transient', LIMITS.transientFailures + 1),
      { outcome: 'failed', failureClass: 'transient' },
    ],
    ['a refused token', failure('auth'), { outcome: 'failed', failureClass: 'auth' }],
    ['a session that is gone', failure('expired'), { outcome: 'failed', failureClass: 'expired' }],
    ['a pause of its batch', new ExchangeHeldBack(memory), { outcome: 'heldBack' }],
    ['a bug', new TypeError('no function'), { outcome: 'failed' }],
  ])('that ends by %s, its outcome is told, and the error passes through', async (_, error, told) => {
    const { protocol, tried } = observed({ run: throwing(error) });
    const run = protocol.run(request, memory, { signal: new AbortController().signal });
    await expect(run).rejects.toBe(error);
    expect(tried).toEqual([{ agentRid, mode: 'streaming', tookMs: 700, ...told }]);
  });

  test('that is stopped, it is no failure', async () => {
    const reason = new Error('cancelled');
    const { protocol, tried } = observed({ run: throwing(reason) });
    await expect(protocol.run(request, memory, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(tried).toMatchObject([{ outcome: 'stopped' }]);
  });
});

describe('of a cancel', () => {
  test.each<[CancelExchangeResult, object]>([
    [{ status: 'cancelled' }, { outcome: 'cancelled' }],
    [{ status: 'cancelled', mayStillRun: true }, { outcome: 'mayStillRun' }],
    [
      { status: 'interrupted', result: answer({ totalTokensUsed: 7 }) },
      { outcome: 'interrupted', tokens: 7 },
    ],
    [{ status: 'answered', result: answer() }, { outcome: 'answered' }],
  ])('%j is told', async (ended, told) => {
    const { protocol, cancelled } = observed({ cancel: () => Promise.resolve(ended) });
    expect(await protocol.cancel(request, memory)).toBe(ended);
    expect(cancelled).toEqual([{ agentRid, mode: 'streaming', ...told }]);
  });

  test('that does not reach the agent, it is told as failed', async () => {
    const error = new Error('no answer');
    const { protocol, cancelled } = observed({ cancel: throwing(error) });
    await expect(protocol.cancel(request, memory)).rejects.toBe(error);
    expect(cancelled).toEqual([{ agentRid, mode: 'streaming', outcome: 'failed' }]);
  });
});
