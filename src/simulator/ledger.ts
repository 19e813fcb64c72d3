import type { Exchange, ExchangeStatus } from './exchange.js';
import type { OperationName } from './routes.js';
import type { Session } from './sessions.js';

/** An exchange as the ledger tells it. Times in ISO 8601. */
export interface LedgerExchange {
  agentRid: string;
  agentVersion: string;
  sessionRid: string;
  mode: 'blocking' | 'streaming';
  text: string;
  messageId?: string;
  sessionTraceId: string;
  /** Its number in the session, from 1; that of the next one again if it was not kept. */
  turn: number;
  status: ExchangeStatus;
  errorName?: string;
  totalTokensUsed: number;
  startedAt: string;
  /** Absent while it goes on. */
  endedAt?: string;
}

/** A call of cancel as the ledger tells it. */
export interface LedgerCancel {
  sessionRid: string;
  messageId: string;
  withResponse: boolean;
  outcome: 'cancelled' | 'interrupted' | 'missed';
  at: string;
}

/** Exchanges that landed (or were interrupted with a response) more than once. */
export interface LedgerDuplicate {
  /** `messageId`: certainly one message twice. `text`: the same words twice in one session, which may be meant so. */
  sameBy: 'messageId' | 'text';
  key: string;
  exchanges: LedgerExchange[];
}

/** Counts of what happened since the start or the last reset. */
export interface LedgerTotals {
  sessionsCreated: number;
  sessionsDeleted: number;
  /** Calls received, by operation, faulty ones included. */
  calls: Partial<Record<OperationName, number>>;
  continuesReceived: number;
  landed: number;
  interrupted: number;
  cancelled: number;
  failed: number;
  /** Exchanges that the agent works on now, and the most that it ever did at once. */
  inFlight: number;
  peakInFlight: number;
  /** Error answers that the API gave, by name, those of faults included. */
  refused: Record<string, number>;
  /** Continues refused because their session was answering. */
  overlapsRefused: number;
  cancelsReceived: number;
  cancelsSucceeded: number;
  cancelsMissed: number;
  /** Exchanges whose client was gone before their end. */
  clientsLeft: number;
  /** Faults that struck, by kind. */
  faults: Record<string, number>;
  tokensUsed: number;
}

/** What the simulator has seen, for tests: `GET /simulator/ledger`. */
export interface Ledger {
  totals: LedgerTotals;
  /** Number of entries in `duplicates`, by what makes them such. */
  duplicateCounts: { messageId: number; text: number };
  duplicates: LedgerDuplicate[];
  running: LedgerExchange[];
  cancels: LedgerCancel[];
  /** Exchanges that have ended, in the order of their ends. */
  exchanges: LedgerExchange[];
}

/** The ledger without its lists: cheap for thousands of exchanges (`?summary=true`). */
export type LedgerSummary = Pick<Ledger, 'totals' | 'duplicateCounts'>;

interface Entry {
  session: Session;
  exchange: Exchange;
}

/** Writes down what happens; a reading is a copy. */
export class LedgerBook {
  #totals = emptyTotals();
  #running = new Set<Entry>();
  #ended: Entry[] = [];
  #cancels: LedgerCancel[] = [];

  call(operation: OperationName): void {
    this.#totals.calls[operation] = (this.#totals.calls[operation] ?? 0) + 1;
    if (operation === 'cancel') this.#totals.cancelsReceived++;
    if (operation === 'blockingContinue' || operation === 'streamingContinue') this.#totals.continuesReceived++;
  }

  sessionCreated(): void {
    this.#totals.sessionsCreated++;
  }

  sessionDeleted(): void {
    this.#totals.sessionsDeleted++;
  }

  refused(errorName: string): void {
    this.#totals.refused[errorName] = (this.#totals.refused[errorName] ?? 0) + 1;
    if (errorName === 'SessionBusy') this.#totals.overlapsRefused++;
  }

  fault(kind: string): void {
    this.#totals.faults[kind] = (this.#totals.faults[kind] ?? 0) + 1;
  }

  clientLeft(): void {
    this.#totals.clientsLeft++;
  }

  /** Follows an exchange from its beginning to its end. */
  follow(session: Session, exchange: Exchange): void {
    const entry = { session, exchange };
    const [running, ended, totals] = [this.#running, this.#ended, this.#totals];
    running.add(entry);
    totals.peakInFlight = Math.max(totals.peakInFlight, running.size);
    exchange.onEnd(() => {
      running.delete(entry);
      ended.push(entry);
      if (exchange.status !== 'answering') totals[exchange.status]++;
      if (exchange.isKept) totals.tokensUsed += exchange.totalTokens;
    });
  }

  cancel(sessionRid: string, messageId: string, withResponse: boolean, outcome: LedgerCancel['outcome']): void {
    this.#cancels.push({ sessionRid, messageId, withResponse, outcome, at: new Date().toISOString() });
    if (outcome === 'missed') this.#totals.cancelsMissed++;
    else this.#totals.cancelsSucceeded++;
  }

  /** Starts afresh; exchanges that still run are forgotten. */
  reset(): void {
    this.#totals = emptyTotals();
    this.#running = new Set();
    this.#ended = [];
    this.#cancels = [];
  }

  totals(): LedgerTotals {
    return structuredClone({ ...this.#totals, inFlight: this.#running.size });
  }

  summary(): LedgerSummary {
    const groups = this.#duplicates();
    const messageId = groups.filter((group) => group.sameBy === 'messageId').length;
    return { totals: this.totals(), duplicateCounts: { messageId, text: groups.length - messageId } };
  }

  read(): Ledger {
    return {
      ...this.summary(),
      duplicates: this.#duplicates().map(({ entries, ...group }) => ({ ...group, exchanges: entries.map(toLedger) })),
      running: [...this.#running].map(toLedger),
      cancels: structuredClone(this.#cancels),
      exchanges: this.#ended.map(toLedger),
    };
  }

  #duplicates(): { sameBy: 'messageId' | 'text'; key: string; entries: Entry[] }[] {
    const groups = new Map<string, { sameBy: 'messageId' | 'text'; key: string; entries: Entry[] }>();
    const note = (sameBy: 'messageId' | 'text', key: string, entry: Entry) => {
      const group = groups.get(`${sameBy} ${key}`);
      if (group === undefined) groups.set(`${sameBy} ${key}`, { sameBy, key, entries: [entry] });
      else group.entries.push(entry);
    };
    for (const entry of this.#ended) {
      if (!entry.exchange.isKept) continue;
      const { messageId, text } = entry.exchange.start;
      if (messageId !== undefined) note('messageId', messageId.toLowerCase(), entry);
      note('text', `${entry.session.rid} ${text}`, entry);
    }
    return [...groups.values()].filter(({ entries }) => entries.length > 1);
  }
}

function emptyTotals(): LedgerTotals {
  return {
    sessionsCreated: 0,
    sessionsDeleted: 0,
    calls: {},
    continuesReceived: 0,
    landed: 0,
    interrupted: 0,
    cancelled: 0,
    failed: 0,
    inFlight: 0,
    peakInFlight: 0,
    refused: {},
    overlapsRefused: 0,
    cancelsReceived: 0,
    cancelsSucceeded: 0,
    cancelsMissed: 0,
    clientsLeft: 0,
    faults: {},
    tokensUsed: 0,
  };
}

function toLedger({ session, exchange }: Entry): LedgerExchange {
  const { mode, text, messageId, sessionTraceId, turn, failure } = exchange.start;
  return {
    agentRid: session.agentRid,
    agentVersion: session.agentVersion.version,
    sessionRid: session.rid,
    mode,
    text,
    ...(messageId === undefined ? {} : { messageId }),
    sessionTraceId,
    turn,
    status: exchange.status,
    ...(exchange.status === 'failed' && failure !== undefined ? { errorName: failure.errorName } : {}),
    totalTokensUsed: exchange.totalTokens,
    startedAt: new Date(exchange.startedAt).toISOString(),
    ...(exchange.endedAt === undefined ? {} : { endedAt: new Date(exchange.endedAt).toISOString() }),
  };
}
