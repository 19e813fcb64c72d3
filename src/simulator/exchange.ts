import type { AgentVersionDefinition } from './agents.js';
import { countTokens, parameterUpdates, simulatedAnswer } from './answers.js';
import type { ParameterUpdate } from './answers.js';
import type { ApiError } from './errors.js';
import type { ParameterInputs } from './parameters.js';

/** How an exchange stands: `landed` and `interrupted` (with the client's text) are in the content, the others are not. */
export type ExchangeStatus = 'answering' | 'landed' | 'interrupted' | 'cancelled' | 'failed';

/** Contexts that went into the prompt, as content and traces show them. */
export interface ExchangeContexts {
  objectContexts: Record<string, unknown>[];
  functionRetrievedContexts: Record<string, unknown>[];
}

/** A result on the wire; the five-page server leaves the trace id out, and empty updates. */
export interface ExchangeResult {
  agentMarkdownResponse: string;
  parameterUpdates?: Record<string, ParameterUpdate>;
  totalTokensUsed: number;
  interruptedOutput: boolean;
  sessionTraceId?: string;
}

/** All that an exchange is made of. */
export interface ExchangeStart {
  mode: 'blocking' | 'streaming';
  text: string;
  parameterInputs: ParameterInputs;
  contexts: ExchangeContexts | undefined;
  messageId: string | undefined;
  sessionTraceId: string;
  /** Number of the exchange in its session, from 1, if it lands. */
  turn: number;
  agentVersion: AgentVersionDefinition;
  /** Tokens in the session before it. */
  contextTokens: number;
  /** How long it takes, given the answer. */
  durationMs: (answer: string) => number;
  /** What it ends with instead of an answer. */
  failure: ApiError | undefined;
}

/**
 * One exchange, from the moment the server took it up. It runs by its own clock: neither the client that asked nor any
 * connection is known here.
 */
export class Exchange {
  #status: ExchangeStatus = 'answering';
  #endedAt: number | undefined;
  #response: string;
  #timer: NodeJS.Timeout | undefined;
  readonly #listeners: (() => void)[] = [];
  readonly startedAt = Date.now();
  /** What the agent has to say; a client's response may take its place in the result. */
  readonly answer: string;
  /** From the start to its natural end. */
  readonly durationMs: number;

  constructor(readonly start: ExchangeStart) {
    const { text, turn, parameterInputs, agentVersion } = start;
    this.answer = simulatedAnswer({ text, turn, parameterInputs, agentVersion: agentVersion.version });
    this.#response = this.answer;
    this.durationMs = start.durationMs(this.answer);
  }

  get status(): ExchangeStatus {
    return this.#status;
  }

  /** Undefined while it goes on. Milliseconds since the epoch. */
  get endedAt(): number | undefined {
    return this.#endedAt;
  }

  /** Whether it stands in the session's content, sooner or later. */
  get isKept(): boolean {
    return this.#status === 'landed' || this.#status === 'interrupted';
  }

  /** Calls back once when it has ended; listeners are called in the order of their coming. */
  onEnd(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Starts its clock. One without duration ends within this call. */
  run(): void {
    const end = () => this.#end(this.start.failure === undefined ? 'landed' : 'failed');
    if (this.durationMs <= 0) end();
    else this.#timer = setTimeout(end, this.durationMs);
  }

  /** Ends it at a client's wish, keeping the client's response if there is one. */
  cancel(response: string | undefined): void {
    if (response !== undefined) this.#response = response;
    this.#end(response === undefined ? 'cancelled' : 'interrupted');
  }

  /** Ends it without an answer or an error: the server forgets it. */
  abandon(): void {
    this.#end('failed');
  }

  /** Tokens of the session with this exchange in it. */
  get totalTokens(): number {
    return this.start.contextTokens + countTokens(this.start.text) + countTokens(this.#response);
  }

  /** The result as the server of this kind words it. */
  toResult(serverKind: 'withTraces' | 'fivePages'): ExchangeResult {
    const updates = this.#status === 'landed' ? parameterUpdates(this.start.text, this.start.agentVersion) : {};
    const withTraces = serverKind === 'withTraces';
    return {
      agentMarkdownResponse: this.#response,
      ...(withTraces || Object.keys(updates).length > 0 ? { parameterUpdates: updates } : {}),
      totalTokensUsed: this.totalTokens,
      interruptedOutput: this.#status === 'interrupted',
      ...(withTraces ? { sessionTraceId: this.start.sessionTraceId } : {}),
    };
  }

  #end(status: ExchangeStatus): void {
    if (this.#status !== 'answering') return;
    clearTimeout(this.#timer);
    this.#status = status;
    this.#endedAt = Date.now();
    for (const listener of this.#listeners.splice(0)) listener();
  }
}
