import type { ExchangeIds, ExchangeMode, ExchangeResult, InputContext, ParameterInputs } from '../protocol/exchange.js';
import type { ExchangeProgress } from '../protocol/activities.js';
import type { Flow } from '../protocol/limits.js';
import type { ExchangeMemory } from './exchange-failure.js';

/** One exchange, as plain data: what the exchange protocol sends, follows and finds again. */
export interface ExchangeRequest {
  agentRid: string;
  sessionRid: string;
  ids: ExchangeIds;
  text: string;
  parameterInputs?: ParameterInputs;
  contextsOverride?: InputContext[];
  mode: ExchangeMode;
  /** Exchanges known to be in the session before this one (what is beyond them is ours, on servers without traces). */
  exchangesBefore: number;
  /** Another exchange of this session may still be answering: a blocking one that could not be stopped. */
  sessionMayBeBusy?: boolean;
  /** Limit for one call, first byte to last (milliseconds). */
  callTimeoutMs: number;
  /** Look at the trace, beside the open call, when no byte has come for this long (milliseconds). */
  silenceTimeoutMs: number;
  priority: 'interactive' | 'batch';
  /** Of a batch's row: its batch. */
  flow?: Flow;
}

/** How whoever runs an exchange stops it and sees how it goes. */
export interface ExchangeHooks {
  /** Aborting stops the try: it rejects with the signal's reason, and touches nothing more at the agent. */
  signal: AbortSignal;
  /** Aborting ends a wait for the agent's limits: nothing is sent then, and the try rejects with `ExchangeHeldBack`. */
  hold?: AbortSignal;
  /** Text of the answer that an earlier try has seen: it stays until the message is sent anew. */
  textSoFar?: Pick<ExchangeProgress, 'text' | 'textOffset'>;
  /** Called on every change; keep it cheap. */
  onProgress?(progress: ExchangeProgress): void;
}

/** An exchange that the session holds. */
export interface FoundExchange {
  result: ExchangeResult;
  memory: ExchangeMemory;
}

/** The try ended while it waited for the agent's limits, as whoever runs it wanted. */
export class ExchangeHeldBack extends Error {
  constructor(readonly memory: ExchangeMemory) {
    super('Held back before it was sent');
    this.name = 'ExchangeHeldBack';
  }
}
