import type { AgentsApi } from '../src/agents-api/index.js';
import { AgentsApiError } from '../src/agents-api/index.js';
import type { RowResult } from '../src/protocol/batch.js';
import type { ExchangeOutcome, ExchangeResult } from '../src/protocol/exchange.js';
import type { LedgerExchange, Simulator } from '../src/simulator/index.js';
import type { AutomationStory, StepResult } from './automation-actor.js';
import type { BatchStory } from './batch-actor.js';
import type { ConversationStory, SentMessage } from './conversation-actor.js';
import { markerIn, markerOf } from './conversation-plan.js';
import type { ConversationRecord, Life } from './record.js';
import type { TerminatedStory } from './terminated-actor.js';

/** What must never be, by the invariants of docs/design.md. */
export type FindingKind =
  /** A message landed more than once (3). */
  | 'duplicate'
  /** An accepted message without an outcome, or a row without a result (2). */
  | 'lost'
  /** Answered in another order than accepted (5). */
  | 'order'
  /** An outcome that is not what the session holds (2). */
  | 'wrong'
  /** An exchange that still generates (4). */
  | 'running'
  /** An error that no caller should have seen. */
  | 'error';

export interface Finding {
  kind: FindingKind;
  /** Marker of the message, or id of the conversation or batch. */
  subject: string;
  detail: string;
}

/** How the outcomes are spread, for the report. */
export interface Audit {
  findings: Finding[];
  outcomes: Record<string, number>;
  /** Results compared with the content of their session. */
  compared: number;
}

interface Subject {
  simulator: Simulator;
  api: AgentsApi;
  conversations: readonly ConversationStory[];
  records: ReadonlyMap<string, ConversationRecord>;
  batches: readonly BatchStory[];
  automations: readonly AutomationStory[];
  terminated: readonly TerminatedStory[];
}

/** What was terminated may take so long to end at the agent while workers and servers die (milliseconds). */
const ORPHAN_END_MS = 75_000;

/** Holds the simulator's ledger against every outcome that was recorded or told. */
export async function audit(subject: Subject): Promise<Audit> {
  return new Auditor(subject).run();
}

class Auditor {
  readonly #findings: Finding[] = [];
  readonly #outcomes: Record<string, number> = {};
  readonly #ledger = new Map<string, LedgerExchange[]>();
  readonly #gone: ReadonlySet<string>;
  readonly #contents = new Map<string, Promise<Map<string, ExchangeResult[]> | undefined>>();
  #compared = 0;

  constructor(private readonly subject: Subject) {
    this.#gone = new Set(subject.conversations.flatMap(({ expiredSessions }) => [...expiredSessions]));
    const { exchanges, running } = subject.simulator.ledger();
    for (const exchange of [...exchanges, ...running]) {
      const marker = markerIn(exchange.text) ?? exchange.text;
      this.#ledger.set(marker, [...(this.#ledger.get(marker) ?? []), exchange]);
    }
    for (const { text, sessionRid } of running) {
      this.#find('running', markerIn(text) ?? text, `still generates in ${sessionRid}`);
    }
  }

  async run(): Promise<Audit> {
    for (const [marker, exchanges] of this.#ledger) {
      const kept = exchanges.filter((exchange) => this.#isKept(exchange));
      if (kept.length > 1) this.#find('duplicate', marker, kept.map(brief).join('; '));
    }
    for (const story of this.subject.conversations) await this.#conversation(story);
    for (const story of this.subject.batches) await this.#batch(story);
    for (const story of this.subject.automations) await this.#automation(story);
    for (const story of this.subject.terminated) this.#terminated(story);
    return { findings: this.#findings, outcomes: this.#outcomes, compared: this.#compared };
  }

  async #conversation(story: ConversationStory): Promise<void> {
    for (const error of story.errors) this.#find('error', story.id, error);
    const record = this.subject.records.get(story.id);
    const outcomes = new Map<string, ExchangeOutcome>();
    for (const life of record?.lives ?? []) {
      for (const outcome of life.outcomes) outcomes.set(outcome.messageId, outcome);
      this.#order(story, life);
    }
    for (const sent of story.sent) await this.#message(story, sent, outcomes.get(sent.message.messageId), record);
    this.#senders(story, outcomes);
  }

  async #message(
    story: ConversationStory,
    { message, acceptance, told }: SentMessage,
    recorded: ExchangeOutcome | undefined,
    record: ConversationRecord | undefined,
  ): Promise<void> {
    const marker = markerOf(`m ${message.messageId}`);
    const outcome = recorded ?? told[0];
    if (outcome === undefined) {
      const mayBeMissing =
        acceptance !== 'accepted' || story.wasTerminated || record?.rejected.has(message.messageId) === true;
      if (!mayBeMissing) this.#find('lost', marker, `was accepted (${message.via}) and has no outcome`);
      return;
    }
    for (const other of told) {
      if (!isSame(other, outcome)) {
        this.#find('wrong', marker, `told ${briefOutcome(other)}, recorded ${briefOutcome(outcome)}`);
      }
    }
    this.#count(outcome.status === 'failed' ? `failed ${outcome.error?.errorName ?? ''}` : outcome.status);
    await this.#againstLedger(marker, outcome.status, outcome.result, outcome.mayStillRun === true);
  }

  async #batch({ plan, outcomes, errors }: BatchStory): Promise<void> {
    for (const error of errors) this.#find('error', plan.batchId, error);
    const results = new Map<string, RowResult>();
    for (const { row, result } of outcomes) {
      if (results.has(row.id)) this.#find('duplicate', `${plan.batchId} ${row.id}`, 'has two results');
      results.set(row.id, result);
    }
    for (const row of plan.rows) {
      const result = results.get(row.id);
      if (result === undefined) {
        this.#find('lost', `${plan.batchId} ${row.id}`, 'has no result');
        continue;
      }
      this.#count(result.status === 'failed' ? `row failed ${result.error?.errorName ?? ''}` : `row ${result.status}`);
      const mayStillRun = plan.mode === 'blocking' && result.status !== 'succeeded';
      for (const [turn, text] of row.turns.entries()) {
        const exchange = result.exchanges[turn];
        const status = exchange === undefined ? 'cancelled' : 'answered';
        await this.#againstLedger(markerIn(text) ?? text, status, exchange, mayStillRun);
      }
      if (result.status === 'succeeded' && result.exchanges.length !== row.turns.length) {
        this.#find(
          'lost',
          `${plan.batchId} ${row.id}`,
          `has ${result.exchanges.length} of ${row.turns.length} answers`,
        );
      }
    }
  }

  async #automation({ plan, results, errors }: AutomationStory): Promise<void> {
    for (const error of errors) this.#find('error', plan.id, error);
    if (results === undefined) return this.#count('automation cancelled');
    for (const [index, item] of plan.items.entries()) {
      for (const step of ['one', 'two'] as const) {
        const marker = markerIn(item[step]) ?? item[step];
        const result: StepResult | undefined = results[index]?.[step];
        if (result === undefined) {
          this.#find('lost', marker, 'has no result');
          continue;
        }
        this.#count(`step ${result.status}`);
        const status = result.status === 'skipped' ? 'failed' : result.status;
        await this.#againstLedger(marker, status, undefined, plan.isBlocking && status === 'failed');
        await this.#compareAnswer(marker, result);
      }
    }
  }

  async #compareAnswer(marker: string, { answer }: StepResult): Promise<void> {
    const exchange = (this.#ledger.get(marker) ?? []).find((one) => this.#isKept(one));
    if (answer === undefined || exchange === undefined) return;
    const held = (await this.#contentOnce(exchange))?.get(marker)?.[0];
    if (held === undefined) return;
    this.#compared++;
    if (held.agentMarkdownResponse !== answer)
      this.#find('wrong', marker, 'the answer is not the one that the session holds');
  }

  #terminated({ marker, terminatedMs }: TerminatedStory): void {
    for (const exchange of this.#ledger.get(marker) ?? []) {
      const afterMs = Date.parse(exchange.endedAt ?? new Date().toISOString()) - terminatedMs;
      const isEnded = exchange.status === 'cancelled' || exchange.status === 'failed';
      if (!isEnded || afterMs > ORPHAN_END_MS) {
        this.#find('running', marker, `${brief(exchange)}, ${Math.round(afterMs / 1000)} s after it was terminated`);
      }
    }
  }

  /** The outcome is what the session holds. */
  async #againstLedger(
    marker: string,
    status: ExchangeOutcome['status'],
    result: ExchangeResult | undefined,
    mayStillRun: boolean,
  ): Promise<void> {
    const exchanges = this.#ledger.get(marker) ?? [];
    const kept = exchanges.filter((exchange) => this.#isKept(exchange));
    // Landed in a session that was made to expire: nobody can look there.
    const isGone = exchanges.some(({ sessionRid }) => this.#gone.has(sessionRid));
    const said = `recorded ${status}, the agent's ledger: ${exchanges.map(brief).join('; ') || 'nothing'}`;
    if (status === 'answered' || status === 'interrupted') {
      const [exchange] = kept;
      if (exchange === undefined) {
        if (!isGone) this.#find('wrong', marker, said);
      } else if (exchange.status !== (status === 'answered' ? 'landed' : 'interrupted')) {
        this.#find('wrong', marker, said);
      } else if (result !== undefined) {
        await this.#compare(marker, exchange, result);
      }
    } else if (kept.length > 0 && !mayStillRun) {
      this.#find('wrong', marker, said);
    }
  }

  async #compare(marker: string, exchange: LedgerExchange, result: ExchangeResult): Promise<void> {
    const held = (await this.#contentOnce(exchange))?.get(marker)?.[0];
    if (held === undefined) return;
    this.#compared++;
    const { agentMarkdownResponse, sessionTraceId, interruptedOutput } = held;
    const isRight =
      agentMarkdownResponse === result.agentMarkdownResponse &&
      sessionTraceId === result.sessionTraceId &&
      interruptedOutput === result.interruptedOutput;
    if (!isRight) this.#find('wrong', marker, 'the recorded result is not the one that the session holds');
  }

  #contentOnce({ sessionRid, agentRid }: LedgerExchange): Promise<Map<string, ExchangeResult[]> | undefined> {
    let content = this.#contents.get(sessionRid);
    if (content === undefined) this.#contents.set(sessionRid, (content = this.#contentOf(agentRid, sessionRid)));
    return content;
  }

  /** The content of a session by marker; undefined for one that cannot be read any more. */
  async #contentOf(agentRid: string, sessionRid: string): Promise<Map<string, ExchangeResult[]> | undefined> {
    try {
      const byMarker = new Map<string, ExchangeResult[]>();
      for (const { userInput, result } of await this.subject.api.getContent({ agentRid, sessionRid })) {
        const marker = markerIn(userInput.text) ?? userInput.text;
        byMarker.set(marker, [...(byMarker.get(marker) ?? []), result]);
      }
      return byMarker;
    } catch (error) {
      if (error instanceof AgentsApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Messages that nobody put to the front are answered in the order of their acceptance. */
  #order({ sent, id }: ConversationStory, { outcomes }: Life): void {
    const plain = new Set(
      sent.filter(({ message }) => isPlain(message.whenBusy)).map(({ message }) => message.messageId),
    );
    const begun = outcomes
      .filter(({ messageId, result }) => plain.has(messageId) && result !== undefined)
      .flatMap(({ messageId, index }) => {
        const kept = (this.#ledger.get(markerOf(`m ${messageId}`)) ?? []).find((exchange) => this.#isKept(exchange));
        return kept === undefined ? [] : [{ messageId, index, at: Date.parse(kept.startedAt) }];
      })
      .sort((one, other) => one.index - other.index);
    for (const [position, next] of begun.entries()) {
      const before = begun[position - 1];
      if (before !== undefined && before.at > next.at) {
        this.#find(
          'order',
          id,
          `${next.messageId} (${next.index}) was asked before ${before.messageId} (${before.index})`,
        );
      }
    }
  }

  /** A sender that waits for each message has them accepted in its order. */
  #senders({ sent, id }: ConversationStory, outcomes: ReadonlyMap<string, ExchangeOutcome>): void {
    const last = new Map<number, ExchangeOutcome>();
    for (const { message, sender } of sent) {
      const outcome = outcomes.get(message.messageId);
      if (outcome === undefined) continue;
      const before = last.get(sender);
      // A conversation that was begun anew counts anew.
      const isSameLife = before !== undefined && before.acceptedAt <= outcome.acceptedAt;
      if (before !== undefined && !isSameLife) {
        this.#find('order', id, `${message.messageId} was accepted before ${before.messageId} of the same sender`);
      }
      last.set(sender, outcome);
    }
  }

  #isKept({ status, sessionRid }: LedgerExchange): boolean {
    return (status === 'landed' || status === 'interrupted') && !this.#gone.has(sessionRid);
  }

  #find(kind: FindingKind, subject: string, detail: string): void {
    this.#findings.push({ kind, subject, detail });
  }

  #count(outcome: string): void {
    this.#outcomes[outcome] = (this.#outcomes[outcome] ?? 0) + 1;
  }
}

const isPlain = (whenBusy: string): boolean => whenBusy === 'enqueue' || whenBusy === 'reject';

function isSame(one: ExchangeOutcome, other: ExchangeOutcome): boolean {
  return one.status === other.status && one.result?.sessionTraceId === other.result?.sessionTraceId;
}

function brief({ status, sessionRid, mode, messageId, sessionTraceId, startedAt, endedAt }: LedgerExchange): string {
  const ids = `${mode} ${messageId?.slice(0, 8) ?? ''} trace ${sessionTraceId.slice(0, 8)}`;
  return `${status} (${ids}) in ${sessionRid.slice(-8)} ${startedAt.slice(11)}–${endedAt?.slice(11) ?? ''}`;
}

function briefOutcome({ status, index, sends, result, error }: ExchangeOutcome): string {
  return `${status} (index ${index}, sends ${sends}, trace ${result?.sessionTraceId?.slice(0, 8) ?? '-'}${error === undefined ? '' : `, ${error.errorName}`})`;
}
