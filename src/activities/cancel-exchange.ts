import { Context } from '@temporalio/activity';
import type { CancelExchangeActivityInput, CancelExchangeResult } from '../protocol/activities.js';
import { DEFAULTS } from '../protocol/defaults.js';
import { applicationFailure } from './application-failure.js';
import {
  ExchangeFailure,
  exchangeErrorOf,
  failureClassOf,
  newExchangeMemory,
  retryDecision,
} from './exchange-failure.js';
import type { ExchangeProtocol } from './exchange-protocol.js';
import { startHeartbeat } from './heartbeat.js';

/**
 * Makes `cancelExchange`: the workflow's own clean-up, for an exchange whose activity could not say how it ended. Ends it
 * at the agent, whatever its state, and says how. Safe to run twice, and beside the activity. AIP Agents v2: Cancel Session.
 */
export function createCancelExchangeActivity({ protocol }: { protocol: ExchangeProtocol }) {
  return async (input: CancelExchangeActivityInput): Promise<CancelExchangeResult> => {
    const { response, traceNumber, ...exchange } = input;
    const memory = { ...newExchangeMemory(), traceNumber, mayBeSent: true };
    const request = {
      ...exchange,
      callTimeoutMs: DEFAULTS.callTimeoutMs,
      silenceTimeoutMs: DEFAULTS.silenceTimeoutMs,
      priority: 'interactive' as const,
    };
    const heartbeat = startHeartbeat(Context.current(), DEFAULTS.heartbeatThrottleMs.interactive, () => undefined);
    try {
      return await protocol.cancel(request, memory, response);
    } catch (error) {
      const failure = new ExchangeFailure(failureClassOf(error), exchangeErrorOf(error), memory);
      throw applicationFailure(failure, retryDecision(failure));
    } finally {
      heartbeat.stop();
    }
  };
}
