import type { CancelExchangeResult } from '../protocol/activities.js';
import type { ExchangeMode } from '../protocol/exchange.js';
import type { FailureClass } from '../protocol/failures.js';
import { ExchangeFailure, retryDecision } from './exchange-failure.js';
import type { ExchangeProtocol } from './exchange-protocol.js';
import { ExchangeHeldBack } from './exchange-request.js';

/**
 * How one try of an exchange ended. `answered`, `interrupted`: it stands in the session; `retried`: it failed and is tried again;
 * `failed`: not in this session; `stopped`: it was cancelled, or goes on in a later attempt; `heldBack`: its batch is paused.
 */
export type TryOutcome = 'answered' | 'interrupted' | 'retried' | 'failed' | 'stopped' | 'heldBack';

/** How a cancel ended; `mayStillRun`: the exchange could not be stopped; `failed`: the agent could not be told. */
export type CancelOutcome = CancelExchangeResult['status'] | 'mayStillRun' | 'failed';

/** Is told of exchanges, to count them. Its methods must be quick and must not throw. */
export interface ExchangeObserver {
  /** One try has ended. `tookMs`: from its start, waits for the limits included. */
  tried(told: {
    agentRid: string;
    mode: ExchangeMode;
    outcome: TryOutcome;
    /** Of a try that failed by an answer of the agent, or for want of one. */
    failureClass?: FailureClass;
    tookMs: number;
    /** Tokens of the exchange, where it stands in the session and the agent tells them. */
    tokens?: number;
  }): void;
  /** An exchange was ended at the agent, or was found to be over. */
  cancelled(told: { agentRid: string; mode: ExchangeMode; outcome: CancelOutcome; tokens?: number }): void;
}

/** The same protocol, with an observer of what comes of it. */
export function observedProtocol(
  protocol: ExchangeProtocol,
  observer: ExchangeObserver,
  now: () => number,
): ExchangeProtocol {
  return {
    async run(request, memory, hooks) {
      const startedMs = now();
      const { agentRid, mode } = request;
      const tell = (told: Omit<Parameters<ExchangeObserver['tried']>[0], 'agentRid' | 'mode' | 'tookMs'>) =>
        observer.tried({ agentRid, mode, ...told, tookMs: Math.max(0, now() - startedMs) });
      try {
        const found = await protocol.run(request, memory, hooks);
        const { interruptedOutput, totalTokensUsed } = found.result;
        tell({ outcome: interruptedOutput ? 'interrupted' : 'answered', ...tokensOf(totalTokensUsed) });
        return found;
      } catch (error) {
        tell(failedTry(error, hooks.signal.aborted));
        throw error;
      }
    },
    async cancel(request, ...rest) {
      const { agentRid, mode } = request;
      try {
        const ended = await protocol.cancel(request, ...rest);
        const tokens = 'result' in ended ? tokensOf(ended.result.totalTokensUsed) : {};
        observer.cancelled({ agentRid, mode, outcome: cancelOutcome(ended), ...tokens });
        return ended;
      } catch (error) {
        observer.cancelled({ agentRid, mode, outcome: 'failed' });
        throw error;
      }
    },
  };
}

function tokensOf(tokens: number | undefined): { tokens?: number } {
  return tokens === undefined ? {} : { tokens };
}

function failedTry(error: unknown, isAborted: boolean): { outcome: TryOutcome; failureClass?: FailureClass } {
  if (isAborted) return { outcome: 'stopped' };
  if (error instanceof ExchangeHeldBack) return { outcome: 'heldBack' };
  if (!(error instanceof ExchangeFailure)) return { outcome: 'failed' };
  const outcome = retryDecision(error) === 'final' ? 'failed' : 'retried';
  return { outcome, failureClass: error.failureClass };
}

function cancelOutcome(ended: CancelExchangeResult): CancelOutcome {
  return 'mayStillRun' in ended && ended.mayStillRun === true ? 'mayStillRun' : ended.status;
}
