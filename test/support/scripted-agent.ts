import type { AgentsApi } from '../../src/agents-api/client.js';
import { AgentsApiError, type Operation } from '../../src/agents-api/errors.js';
import type { ExchangeResult } from '../../src/agents-api/schemas.js';
import type { ExchangeMode } from '../../src/protocol/exchange.js';
import { sleep } from '../../src/activities/sleep.js';

/** A refusal by the server, or by a proxy in its place (then without a name). */
export interface Refusal {
  status: number;
  errorName?: string;
}

/** What the server does with a send. Times in milliseconds. */
export type Fate =
  | { kind: 'lost' }
  | { kind: 'refused'; by: Refusal; arrivesAfterMs?: number }
  | { kind: 'runs'; takesMs: number; ends: 'lands' | 'fails'; contentLagMs?: number; arrivesAfterMs?: number };

/** What the client sees of a send. */
export type View =
  /** What the server says, when it says it. */
  | { kind: 'faithful' }
  /** The connection could not be made. */
  | { kind: 'unconnected' }
  /** The connection breaks. */
  | { kind: 'broken'; afterMs: number }
  /** The connection breaks in the place of the answer's last bytes. */
  | { kind: 'brokenAtEnd' }
  /** The stream ends as if all were well. */
  | { kind: 'endsEarly'; afterMs: number }
  /** A proxy answers. */
  | { kind: 'status'; status: number; afterMs: number }
  /** Nothing ever comes. */
  | { kind: 'silent' }
  /** Something on the way sent it twice; what comes back is the refusal of the second. */
  | { kind: 'sentTwice' };

/** One send: its fate and what is seen of it. */
export interface SendScript {
  fate: Fate;
  view: View;
}

/** How an exchange stands at the agent. */
export type AgentExchangeStatus = 'answering' | 'landed' | 'interrupted' | 'failed' | 'cancelled';

/** An exchange that the agent has begun. */
export interface AgentExchange {
  readonly mode: ExchangeMode;
  readonly text: string;
  readonly messageId?: string;
  readonly traceId?: string;
  status: AgentExchangeStatus;
  readonly beganMs: number;
  endedMs: number;
  readonly result: ExchangeResult;
  /** When the content shows it. */
  visibleMs: number;
}

/** A call that is more than a look. */
export interface AgentAction {
  what: 'send' | 'cancel' | 'missedCancel' | 'lostCancel';
  atMs: number;
  /** Of a send, on a server with traces. */
  traceId?: string;
}

/** Moments of which whoever watches is told; at each, the client can be killed. */
export type Moment = 'left' | 'halfway' | 'look' | 'cancel';

/** What kind of server it is, and its habits. Times in milliseconds. */
export interface AgentHabits {
  serverKind: 'withTraces' | 'fivePages';
  /**
   * Whether an id stays seen although its exchange failed, or was refused before it began; then its trace is `shown` (as
   * complete) or `hidden` (as unknown). Default: it does not.
   */
  failedSendsUseUpIds?: 'shown' | 'hidden';
  /** A trace can be read only so long after its exchange has begun. */
  traceLagMs?: number;
  /** A cancel reaches an exchange only so long after it has begun. */
  cancelTooEarlyMs?: number;
}

const WELL: SendScript = { fate: { kind: 'runs', takesMs: 40, ends: 'lands' }, view: { kind: 'faithful' } };
const LATENCY_MS = 2;

/** A client's way to the agent, which ends with its process. */
export interface Line {
  readonly api: AgentsApi;
  /** The process is dead: what it has sent is on its way, nothing more comes in or out. */
  cut(): void;
}

type Seen = { text: string } | { result: ExchangeResult } | { ended: true } | { error: AgentsApiError };

/**
 * An agent with one session, in memory, that does with each send what its script says; a send without one goes well.
 *
 * It answers one exchange at a time and refuses another meanwhile (by a 400 that no page documents). With traces, it refuses
 * an id that it has seen. It goes on whatever becomes of its clients. Times are those of `setTimeout`, so that a faked clock
 * is the agent's clock.
 */
export class ScriptedAgent {
  readonly exchanges: AgentExchange[] = [];
  /** What clients did, in order. */
  readonly actions: AgentAction[] = [];
  /** Refusals and errors that reached a client of a send, by name or status. */
  readonly delivered: string[] = [];
  isGone = false;
  /** Reads and cancels do not get through before this time. */
  outOfReachUntilMs = 0;
  onMoment: (moment: Moment) => void = () => undefined;
  /** By id; of one that was used up without an exchange, whether its trace is shown. */
  readonly #seenIds = new Map<string, AgentExchange | 'shown' | 'hidden'>();
  readonly #scripts: SendScript[] = [];

  constructor(
    readonly habits: AgentHabits,
    scripts: readonly SendScript[] = [],
  ) {
    this.#scripts.push(...scripts);
  }

  get sends(): AgentAction[] {
    return this.actions.filter(({ what }) => what === 'send');
  }

  get running(): AgentExchange | undefined {
    return this.exchanges.find(({ status }) => status === 'answering');
  }

  get landed(): AgentExchange[] {
    return this.exchanges.filter(({ status }) => status === 'landed' || status === 'interrupted');
  }

  /** The server has seen this id, though no exchange came of it. */
  useUpId(traceId: string, trace: 'shown' | 'hidden'): void {
    this.#seenIds.set(traceId, trace);
  }

  /** Connects a client. */
  connect(): Line {
    let isCut = false;
    const never = <T>(): Promise<T> => new Promise(() => undefined);
    const through = <T>(call: () => Promise<T>): Promise<T> => {
      if (isCut) return never();
      return new Promise<T>((resolve, reject) => {
        call().then(
          (value) => !isCut && resolve(value),
          (error: Error) => !isCut && reject(error),
        );
      });
    };
    const unused = () => Promise.reject(new Error('No part of the exchange protocol'));
    const api: AgentsApi = {
      blockingContinue: (input) => through(async () => (await this.#continue('blocking', input)) as ExchangeResult),
      streamingContinue: (input) =>
        through(async () => {
          await this.#continue('streaming', { ...input, onText: (text) => !isCut && input.onText?.(text) });
          return { text: '' };
        }),
      cancel: (input) => through(() => this.#cancel(input)),
      getContent: ({ signal }) => through(() => this.#look('getContent', signal, () => this.#content())),
      getSessionTrace: ({ sessionTraceId, signal }) =>
        through(() => this.#look('getSessionTrace', signal, () => this.#trace(sessionTraceId))),
      createSession: unused,
      getSession: unused,
      listSessions: unused,
      listAllSessions: unused,
      deleteSession: unused,
      updateTitle: unused,
      getRagContext: unused,
      getAgent: unused,
      close: () => Promise.resolve(),
    };
    return { api, cut: () => void (isCut = true) };
  }

  /** Begins an exchange as if it had been sent before. */
  begin(send: Pick<AgentExchange, 'mode' | 'text' | 'messageId' | 'traceId'>, fate: Extract<Fate, { kind: 'runs' }>) {
    const beganMs = Date.now();
    const exchange: AgentExchange = {
      ...send,
      status: 'answering',
      beganMs,
      endedMs: Infinity,
      visibleMs: Infinity,
      result: {
        agentMarkdownResponse: `Answer ${this.exchanges.length + 1}`,
        parameterUpdates: {},
        totalTokensUsed: 1,
        interruptedOutput: false,
        ...(send.traceId !== undefined && { sessionTraceId: send.traceId }),
      },
    };
    this.exchanges.push(exchange);
    if (send.traceId !== undefined) this.#seenIds.set(send.traceId, exchange);
    const end = () => this.#end(exchange, fate.ends === 'lands' ? 'landed' : 'failed', fate.contentLagMs);
    if (fate.takesMs === 0) end();
    else setTimeout(end, fate.takesMs);
    return exchange;
  }

  #end(exchange: AgentExchange, status: AgentExchangeStatus, lagMs = 0): void {
    if (exchange.status !== 'answering') return;
    exchange.status = status;
    exchange.endedMs = Date.now();
    if (status === 'landed' || status === 'interrupted') exchange.visibleMs = exchange.endedMs + lagMs;
    const { traceId } = exchange;
    if (status === 'failed' && traceId !== undefined && this.habits.failedSendsUseUpIds === undefined) {
      this.#seenIds.delete(traceId);
    }
  }

  #continue(
    mode: ExchangeMode,
    input: Parameters<AgentsApi['streamingContinue']>[0],
  ): Promise<ExchangeResult | undefined> {
    const traceId = this.habits.serverKind === 'withTraces' ? input.sessionTraceId : undefined;
    this.actions.push({ what: 'send', atMs: Date.now(), ...(traceId !== undefined && { traceId }) });
    const { fate, view } = this.#scripts.shift() ?? WELL;
    const operation = mode === 'streaming' ? 'streamingContinue' : 'blockingContinue';
    return new Promise((resolve, reject) => {
      let isOver = false;
      const limit = setTimeout(() => see({ error: lostAnswer(operation, 'CALL_TIMEOUT') }), input.timeoutMs ?? 600_000);
      const onAbort = () => {
        if (!isOver) close(() => reject(input.signal?.reason as Error));
      };
      const close = (settle: () => void) => {
        isOver = true;
        clearTimeout(limit);
        input.signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const see = (seen: Seen) => {
        if (isOver) return;
        if ('text' in seen) return input.onText?.(seen.text);
        if ('error' in seen) {
          this.delivered.push(seen.error.errorName ?? String(seen.error.status ?? seen.error.causeCode));
          return close(() => reject(seen.error));
        }
        close(() => resolve('result' in seen ? seen.result : undefined));
      };
      input.signal?.addEventListener('abort', onAbort, { once: true });
      const showsText = view.kind === 'broken' || view.kind === 'brokenAtEnd' || view.kind === 'endsEarly';
      const serverSays = (seen: Seen) => {
        if (view.kind === 'faithful' || (showsText && 'text' in seen)) see(seen);
      };
      if (fate.kind !== 'lost') {
        setTimeout(() => {
          const send = { mode, text: input.userInput.text, ...(traceId !== undefined && { traceId }) };
          const { messageId } = input;
          this.#take({ ...send, ...(messageId !== undefined && { messageId }) }, fate, operation, {
            says: serverSays,
            ends: () => view.kind === 'brokenAtEnd' && see({ error: lostAnswer(operation, 'ECONNRESET') }),
            isOpen: () => !isOver,
          });
        }, fate.arrivesAfterMs ?? LATENCY_MS);
      }
      this.#show(view, operation, see);
      this.onMoment('left');
    });
  }

  /** What is seen whatever the server does. */
  #show(view: View, operation: Operation, see: (seen: Seen) => void): void {
    switch (view.kind) {
      case 'unconnected':
        setTimeout(() => see({ error: lostAnswer(operation, 'ECONNREFUSED', true) }), LATENCY_MS);
        return;
      case 'broken':
        setTimeout(() => see({ error: lostAnswer(operation, 'ECONNRESET') }), view.afterMs);
        return;
      case 'endsEarly':
        setTimeout(() => see({ ended: true }), view.afterMs);
        return;
      case 'status':
        setTimeout(() => see({ error: refusal(operation, { status: view.status }) }), view.afterMs);
        return;
      case 'sentTwice':
        setTimeout(() => see({ error: refusal(operation, USED_ID) }), 2 * LATENCY_MS);
        return;
      case 'faithful':
      case 'brokenAtEnd':
      case 'silent':
    }
  }

  /** A send has arrived. */
  #take(
    send: Pick<AgentExchange, 'mode' | 'text' | 'messageId' | 'traceId'>,
    fate: Exclude<Fate, { kind: 'lost' }>,
    operation: Operation,
    client: { says: (seen: Seen) => void; ends: () => void; isOpen: () => boolean },
  ): void {
    const refuse = (by: Refusal) => {
      client.says({ error: refusal(operation, by) });
      client.ends();
    };
    if (this.isGone) return refuse(GONE);
    if (send.traceId !== undefined && this.#seenIds.has(send.traceId)) return refuse(USED_ID);
    if (this.running !== undefined) return refuse(BUSY);
    if (fate.kind === 'refused') {
      if (fate.by.errorName === GONE.errorName) this.isGone = true;
      const { failedSendsUseUpIds } = this.habits;
      if (send.traceId !== undefined && failedSendsUseUpIds !== undefined) {
        this.useUpId(send.traceId, failedSendsUseUpIds);
      }
      return refuse(fate.by);
    }
    const exchange = this.begin(send, fate);
    let hasText = false;
    setTimeout(() => {
      if (exchange.status !== 'answering') return;
      hasText = send.mode === 'streaming';
      if (hasText) client.says({ text: 'Ans' });
      if (client.isOpen()) this.onMoment('halfway');
    }, fate.takesMs / 2);
    setTimeout(() => {
      if (exchange.status === 'failed' && !hasText) client.says({ error: refusal(operation, FAILED) });
      // An error on a stream is undocumented, and a cancel does not end one: it ends like any other.
      else if (send.mode === 'streaming') client.says({ ended: true });
      else client.says({ result: exchange.result });
      client.ends();
    }, fate.takesMs);
  }

  async #look<T>(operation: Operation, signal: AbortSignal | undefined, read: () => T): Promise<T> {
    this.onMoment('look');
    await sleep(LATENCY_MS, signal);
    this.#reach(operation);
    return read();
  }

  #content(): Awaited<ReturnType<AgentsApi['getContent']>> {
    const shown = this.landed.filter(({ visibleMs }) => visibleMs <= Date.now());
    return shown.map(({ text, result }) => ({ userInput: { text }, result: { ...result } }));
  }

  #trace(traceId: string): Awaited<ReturnType<AgentsApi['getSessionTrace']>> {
    if (this.habits.serverKind === 'fivePages') return { found: 'noTraces' };
    const seen = this.#seenIds.get(traceId) ?? 'hidden';
    if (seen === 'hidden') return { found: 'unknownTrace' };
    if (seen !== 'shown' && Date.now() - seen.beganMs < (this.habits.traceLagMs ?? 0)) return { found: 'unknownTrace' };
    const isAnswering = seen !== 'shown' && seen.status === 'answering';
    return { found: 'trace', trace: { status: isAnswering ? 'IN_PROGRESS' : 'COMPLETE', toolCallGroups: [] } };
  }

  async #cancel({ messageId, response }: Parameters<AgentsApi['cancel']>[0]) {
    const action: AgentAction = { what: 'lostCancel', atMs: Date.now() };
    this.actions.push(action);
    const done = sleep(LATENCY_MS);
    this.onMoment('cancel');
    await done;
    this.#reach('cancel');
    action.what = 'missedCancel';
    const exchange = this.running;
    const isReached = exchange !== undefined && Date.now() - exchange.beganMs >= (this.habits.cancelTooEarlyMs ?? 0);
    if (!isReached || exchange.messageId !== messageId) throw refusal('cancel', NOT_IN_PROGRESS);
    action.what = 'cancel';
    if (response === undefined) {
      this.#end(exchange, 'cancelled');
      return {};
    }
    Object.assign(exchange.result, { agentMarkdownResponse: response, interruptedOutput: true });
    this.#end(exchange, 'interrupted');
    return { result: { ...exchange.result } };
  }

  #reach(operation: Operation): void {
    if (Date.now() < this.outOfReachUntilMs) throw lostAnswer(operation, 'ECONNRESET');
    if (this.isGone) throw refusal(operation, GONE);
  }
}

const GONE: Refusal = { status: 404, errorName: 'SessionNotFound' };
const USED_ID: Refusal = { status: 400, errorName: 'SessionTraceIdAlreadyExists' };
const FAILED: Refusal = { status: 500, errorName: 'SessionExecutionFailed' };
const NOT_IN_PROGRESS: Refusal = { status: 400, errorName: 'CancelSessionFailedMessageNotInProgress' };
/** Of no documented name. */
const BUSY: Refusal = { status: 400, errorName: 'SessionBusy' };

function refusal(operation: Operation, by: Refusal): AgentsApiError {
  return new AgentsApiError({ operation, target: 'session', ...by, errorInstanceId: 'instance' });
}

function lostAnswer(operation: Operation, causeCode: string, neverSent = false): AgentsApiError {
  return new AgentsApiError({ operation, target: 'session', noAnswer: { causeCode, neverSent, reason: 'no answer' } });
}
