import { randomUUID } from 'node:crypto';
import type { AgentVersionDefinition } from './agents.js';
import { countTokens } from './answers.js';
import { documentedError, sessionBusy } from './errors.js';
import type { ErrorValues } from './errors.js';
import { Exchange } from './exchange.js';
import type { ExchangeStart } from './exchange.js';

/** Tokens of an agent's own instructions: what every session starts with. */
const instructionTokens = 200;

/** What a session knows of a trace id that it has seen. */
interface Trace {
  id: string;
  /** Undefined when the call failed before its exchange began. */
  exchange: Exchange | undefined;
}

/**
 * A session: idle or answering one exchange, until it expires or is deleted.
 *
 * It refuses a second exchange while it answers, and a trace id that it has seen.
 */
export class Session {
  readonly rid = `ri.aip-agents..session.${randomUUID()}`;
  readonly createdAt = Date.now();
  #updatedAt = this.createdAt;
  #expiresAt: number;
  #title: string | undefined;
  #running: Exchange | undefined;
  #contextTokens = instructionTokens;
  readonly #kept: Exchange[] = [];
  readonly #traces = new Map<string, Trace>();

  constructor(
    readonly agentRid: string,
    readonly agentVersion: AgentVersionDefinition,
    private readonly lifetimeMs: () => number,
  ) {
    this.#expiresAt = this.createdAt + lifetimeMs();
  }

  /** What errors about this session name. */
  get ids(): ErrorValues {
    return { agentRid: this.agentRid, sessionRid: this.rid };
  }

  get updatedAt(): number {
    return this.#updatedAt;
  }

  /** The exchange that is being answered, if any. */
  get running(): Exchange | undefined {
    return this.#running;
  }

  get isExpired(): boolean {
    return Date.now() >= this.#expiresAt;
  }

  /** Makes it expire now. */
  expire(): void {
    this.#expiresAt = 0;
  }

  set title(title: string) {
    this.#title = title.slice(0, 200);
    this.#updatedAt = Date.now();
  }

  /** @throws ApiError SessionTraceIdAlreadyExists, also while the exchange with that id goes on. */
  refuseSeenTrace(sessionTraceId: string | undefined): void {
    if (sessionTraceId !== undefined && this.#traces.has(sessionTraceId.toLowerCase())) {
      throw documentedError('SessionTraceIdAlreadyExists', { ...this.ids, sessionTraceId });
    }
  }

  /** @throws ApiError `SessionBusy` (of no documented name) while an exchange goes on. */
  refuseWhileAnswering(): void {
    if (this.#running !== undefined) throw sessionBusy(this.agentRid, this.rid);
  }

  /** Notes a trace id whose call failed before its exchange began. */
  useUpTrace(sessionTraceId: string): void {
    this.#traces.set(sessionTraceId.toLowerCase(), { id: sessionTraceId, exchange: undefined });
  }

  /** Tokens that the session would hold with this prompt in it. */
  tokensWith(prompt: string): number {
    return this.#contextTokens + countTokens(prompt);
  }

  /** Takes up an exchange; the caller has it run. `failedUsesUpTrace` is asked when it fails. */
  begin(
    start: Omit<ExchangeStart, 'turn' | 'contextTokens' | 'agentVersion'>,
    failedUsesUpTrace: () => boolean,
  ): Exchange {
    const exchange = new Exchange({
      ...start,
      turn: this.#kept.length + 1,
      contextTokens: this.#contextTokens,
      agentVersion: this.agentVersion,
    });
    const traceKey = start.sessionTraceId.toLowerCase();
    this.#running = exchange;
    this.#traces.set(traceKey, { id: start.sessionTraceId, exchange });
    exchange.onEnd(() => {
      this.#running = undefined;
      if (exchange.isKept) this.#keep(exchange);
      else if (exchange.status === 'failed' && !failedUsesUpTrace()) this.#traces.delete(traceKey);
    });
    return exchange;
  }

  /** The running exchange with this message id, if a cancel can reach it already. */
  cancellable(messageId: string, tooEarlyMs: number): Exchange | undefined {
    const exchange = this.#running;
    if (exchange?.start.messageId?.toLowerCase() !== messageId.toLowerCase()) return undefined;
    return Date.now() - exchange.startedAt < tooEarlyMs ? undefined : exchange;
  }

  /** The exchanges that the content shows, oldest first: those which landed at least `lagMs` ago. */
  content(lagMs: number): readonly Exchange[] {
    if (lagMs <= 0) return this.#kept;
    const latest = Date.now() - lagMs;
    return this.#kept.filter((exchange) => (exchange.endedAt ?? 0) <= latest);
  }

  /** A trace that can be read already. */
  trace(sessionTraceId: string, lagMs: number): Trace | undefined {
    const trace = this.#traces.get(sessionTraceId.toLowerCase());
    return trace?.exchange !== undefined && Date.now() - trace.exchange.startedAt < lagMs ? undefined : trace;
  }

  toWire(lagMs: number): unknown {
    return {
      rid: this.rid,
      metadata: {
        title: this.#title ?? 'New session',
        createdTime: new Date(this.createdAt).toISOString(),
        updatedTime: new Date(this.#updatedAt).toISOString(),
        messageCount: 2 * this.content(lagMs).length,
        estimatedExpiresTime: new Date(this.#expiresAt).toISOString(),
      },
      agentRid: this.agentRid,
      agentVersion: this.agentVersion.version,
    };
  }

  #keep(exchange: Exchange): void {
    this.#kept.push(exchange);
    this.#contextTokens = exchange.totalTokens;
    this.#title ??= exchange.start.text.slice(0, 200);
    this.#updatedAt = Date.now();
    // An exchange that outlives its session does not bring it back.
    if (!this.isExpired) this.#expiresAt = this.#updatedAt + this.lifetimeMs();
  }
}

/** All sessions of one simulator. */
export class SessionStore {
  readonly #sessions = new Map<string, Session>();

  add(session: Session): void {
    this.#sessions.set(session.rid, session);
  }

  /** @throws ApiError SessionNotFound, also for a session that has expired or belongs to another agent. */
  find(agentRid: string, sessionRid: string): Session {
    const session = this.#sessions.get(sessionRid);
    if (session === undefined || session.agentRid !== agentRid || session.isExpired) {
      throw documentedError('SessionNotFound', { agentRid, sessionRid });
    }
    return session;
  }

  /** A session that has expired, as only its content can still tell. */
  isExpired(agentRid: string, sessionRid: string): boolean {
    const session = this.#sessions.get(sessionRid);
    return session?.agentRid === agentRid && session.isExpired;
  }

  /** The session whoever it belongs to, expired or not. */
  get(sessionRid: string): Session | undefined {
    return this.#sessions.get(sessionRid);
  }

  delete(session: Session): void {
    this.#sessions.delete(session.rid);
  }

  /** Sessions that can be reached, of one agent or of all, the most recently updated first. */
  list(agentRid?: string): Session[] {
    return [...this.#sessions.values()]
      .filter((session) => !session.isExpired && (agentRid === undefined || session.agentRid === agentRid))
      .reverse()
      .sort((one, other) => other.updatedAt - one.updatedAt);
  }

  /** Forgets everything, and stops what still runs. */
  clear(): void {
    for (const session of this.#sessions.values()) session.running?.abandon();
    this.#sessions.clear();
  }
}
