/**
 * `ConversationState` against a model of it: lists that are searched, no indexes, no running sums. After every operation the
 * two must tell the same; the operations, their order and their sizes are random.
 */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type {
  ConversationMessage,
  ConversationSnapshot,
  MessageState,
  QueuedMessage,
  RecordedExchange,
  SessionState,
} from '../../src/protocol/conversation.js';
import { LIMITS } from '../../src/protocol/defaults.js';
import type {
  ExchangeOutcome,
  ExchangeResult,
  ParameterInputs,
  ParameterUpdates,
} from '../../src/protocol/exchange.js';
import { ConversationState } from '../../src/workflows/conversation-state.js';

const sizes = new WeakMap<object, number>();
/** JSON bytes; of an object, as it was when it was first asked about. */
function bytesOf(value: object): number {
  const bytes = sizes.get(value) ?? Buffer.byteLength(JSON.stringify(value));
  sizes.set(value, bytes);
  return bytes;
}
/** JSON bytes of all of them. */
const sumOf = (values: readonly object[]): number => values.reduce((sum: number, value) => sum + bytesOf(value), 0);
const isoAt = (ms: number): string => new Date(ms).toISOString();
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** How an exchange ends, as the operations choose it. */
interface Ending {
  status: ExchangeOutcome['status'];
  answer: string;
  updates: ParameterUpdates;
  tokens?: number;
  mayStillRun?: true;
}

interface Ended {
  recorded: RecordedExchange;
  bytes: number;
  /** What is left of it when it is no longer recorded. */
  readonly rest: ConversationSnapshot['forgotten'][number];
}

/** What a conversation's state must be, as the invariants say it. */
class Model {
  queue: QueuedMessage[] = [];
  inFlight: QueuedMessage | undefined;
  /** Everything that ever ended, oldest first: what is recorded of it is its end, what is remembered by id is before that. */
  readonly ended: Ended[] = [];
  #recordedFrom = 0;
  #rememberedFrom = 0;
  rejected: string[] = [];
  isClosing = false;
  nextIndex = 0;
  sessions = 0;
  session: SessionState | undefined;
  parameters: ParameterInputs = {};
  /** Ids of parameters that found no room. */
  uncarried: string[] = [];
  lastActiveMs = 0;
  runs = 1;

  get recorded(): Ended[] {
    return this.ended.slice(this.#recordedFrom);
  }

  get forgotten(): Ended[] {
    return this.ended.slice(this.#rememberedFrom, this.#recordedFrom);
  }

  get isBusy(): boolean {
    return this.inFlight !== undefined || this.queue.length > 0;
  }

  isKnown(messageId: string): boolean {
    const waits = this.inFlight?.messageId === messageId || this.queue.some((one) => one.messageId === messageId);
    return waits || this.#lastEnded(this.recorded, messageId) !== undefined || this.#isForgotten(messageId);
  }

  /** The type of the refusal; undefined when the message is accepted or known. */
  refusalOf(message: ConversationMessage, isMalformed: boolean): string | undefined {
    if (isMalformed) return 'InvalidInput';
    if (this.isKnown(message.messageId)) return undefined;
    if (this.isClosing) return 'ConversationClosed';
    if (message.whenBusy === 'reject' && this.isBusy) return 'ConversationBusy';
    const queuedBytes = sumOf(this.queue) + bytesOf(message);
    const isFull = this.queue.length === LIMITS.queuedMessages || queuedBytes > LIMITS.queuedBytes;
    return isFull ? 'ConversationQueueFull' : undefined;
  }

  accept(message: ConversationMessage, nowMs: number): QueuedMessage {
    const accepted = { ...message, index: this.nextIndex++, acceptedAt: isoAt(nowMs) };
    const goesFirst = message.whenBusy === 'interrupt' || message.whenBusy === 'rollback';
    this.queue = goesFirst ? [accepted, ...this.queue] : [...this.queue, accepted];
    this.rejected = this.rejected.filter((messageId) => messageId !== message.messageId);
    this.lastActiveMs = nowMs;
    return accepted;
  }

  reject(messageId: string): void {
    if (this.rejected.includes(messageId)) return;
    this.rejected = [...this.rejected, messageId].slice(-LIMITS.forgottenOutcomes);
    // Without brackets and commas.
    const bytesOfIds = () => Buffer.byteLength(JSON.stringify(this.rejected)) - this.rejected.length - 1;
    while (bytesOfIds() > LIMITS.rejectedBytes) this.rejected.shift();
  }

  end(message: QueuedMessage, outcome: ExchangeOutcome, inputs: ParameterInputs, nowMs: number): void {
    if (this.inFlight?.messageId === message.messageId) this.inFlight = undefined;
    this.queue = this.queue.filter((queued) => queued.messageId !== message.messageId);
    const recorded = { text: message.text, outcome: copy(outcome) };
    const { messageId, status, index, finishedAt } = outcome;
    this.ended.push({ recorded, bytes: bytesOf(recorded), rest: [messageId, status, index, finishedAt] });
    this.lastActiveMs = nowMs;
    this.#carry(inputs, outcome.result?.parameterUpdates ?? {});
    this.#dropTexts();
    this.#forget();
    this.#noteInSession(outcome, nowMs);
  }

  totals(): ConversationSnapshot['totals'] {
    const totals = { answered: 0, interrupted: 0, cancelled: 0, failed: 0, tokens: 0, sessions: this.sessions };
    for (const { recorded } of this.ended) {
      totals[recorded.outcome.status]++;
      totals.tokens += recorded.outcome.result?.totalTokensUsed ?? 0;
    }
    return totals;
  }

  /** Goes over to the next run, with what fits. @returns What it is handed. */
  roll(): ConversationSnapshot {
    const newest = this.recorded.at(-1);
    if (newest !== undefined && bytesOf(this.#snapshot()) >= LIMITS.snapshotBytes) this.#dropText(newest);
    const snapshot = this.#snapshot();
    this.runs++;
    return snapshot;
  }

  #snapshot(): ConversationSnapshot {
    return {
      queue: this.queue,
      outcomes: this.recorded.map(({ recorded }) => recorded),
      rejected: this.rejected,
      forgotten: this.forgotten.map(({ rest }) => rest),
      nextIndex: this.nextIndex,
      ...(this.session !== undefined && { session: this.session }),
      parameters: this.parameters,
      ...(this.uncarried.length > 0 && { uncarried: this.uncarried }),
      closing: this.isClosing,
      totals: this.totals(),
      lastActiveMs: this.lastActiveMs,
      runs: this.runs,
    };
  }

  outcomeOf(messageId: string): ExchangeOutcome | undefined {
    const recorded = this.#lastEnded(this.recorded, messageId);
    if (recorded !== undefined) return recorded.recorded.outcome;
    const forgotten = this.#lastEnded(this.forgotten, messageId);
    if (forgotten === undefined) return undefined;
    const { status, index, finishedAt } = forgotten.recorded.outcome;
    return { messageId, status, index, sends: 0, acceptedAt: finishedAt, finishedAt, textDropped: true };
  }

  stateOf(messageId: string): MessageState {
    const outcome = this.outcomeOf(messageId);
    if (outcome !== undefined) return { state: 'finished', outcome };
    if (this.rejected.includes(messageId)) return { state: 'rejected' };
    if (this.inFlight?.messageId === messageId) return { state: 'inFlight' };
    return { state: this.queue.some((queued) => queued.messageId === messageId) ? 'queued' : 'unknown' };
  }

  #lastEnded(among: Ended[], messageId: string): Ended | undefined {
    return among.findLast(({ recorded }) => recorded.outcome.messageId === messageId);
  }

  #isForgotten(messageId: string): boolean {
    return this.#lastEnded(this.forgotten, messageId) !== undefined;
  }

  /** What of the agent's changes has room among the others. */
  #carry(inputs: ParameterInputs, updates: ParameterUpdates): void {
    for (const [id, value] of Object.entries(changed(inputs, updates))) {
      const { [id]: _before, ...others } = this.parameters;
      const isRoom = bytesOfParameters({ ...others, [id]: value }) <= LIMITS.parameterBytes;
      this.parameters = { ...others, ...(isRoom && { [id]: value }) };
      this.uncarried = [...this.uncarried.filter((one) => one !== id), ...(isRoom ? [] : [id])];
    }
  }

  get #mostBytes(): number {
    return LIMITS.recordedBytes - bytesOfParameters(this.parameters);
  }

  /** The oldest texts go until what is left fits; the newest stays in any case. */
  #dropTexts(): void {
    let bytes = this.recorded.reduce((sum, one) => sum + one.bytes, 0);
    for (const one of this.recorded.slice(0, -1)) {
      if (bytes <= this.#mostBytes) break;
      if (one.recorded.outcome.textDropped === true) continue;
      bytes -= one.bytes;
      this.#dropText(one);
      bytes += one.bytes;
    }
  }

  #dropText(one: Ended): void {
    const { outcome } = copy(one.recorded);
    if (outcome.result !== undefined)
      Object.assign(outcome.result, { agentMarkdownResponse: '', parameterUpdates: {} });
    if (outcome.error !== undefined) delete outcome.error.parameters;
    one.recorded = { outcome: { ...outcome, textDropped: true } };
    one.bytes = bytesOf(one.recorded);
  }

  /** The oldest go until those before the newest fit, and then the oldest of those known by their ids. */
  #forget(): void {
    const isTooMuch = ({ recorded }: Model): boolean =>
      recorded.length > LIMITS.outcomes ||
      recorded.slice(0, -1).reduce((sum, one) => sum + one.bytes, 0) > this.#mostBytes;
    while (isTooMuch(this)) this.#recordedFrom++;
    const isTooLong = ({ forgotten }: Model): boolean =>
      forgotten.length > LIMITS.forgottenOutcomes || sumOf(forgotten.map(({ rest }) => rest)) > LIMITS.forgottenBytes;
    while (isTooLong(this)) this.#rememberedFrom++;
  }

  #noteInSession({ result, mayStillRun }: ExchangeOutcome, nowMs: number): void {
    if (this.session === undefined) return;
    const { mayBeBusy: _earlier, ...session } = this.session;
    if (result !== undefined) {
      const { lifetimeMs } = session;
      const expires = lifetimeMs === undefined ? {} : { estimatedExpiresTime: isoAt(nowMs + lifetimeMs) };
      this.session = { ...session, ...expires, exchangeCount: session.exchangeCount + 1 };
    }
    if (mayStillRun === true) this.session = { ...this.session, mayBeBusy: true };
  }
}

/** The class and its model, side by side. */
class Pair {
  state = new ConversationState(0);
  readonly model = new Model();
  #nowMs = 0;
  #fresh = 0;

  freshId(): string {
    return `fresh-${this.#fresh++}`.padEnd(36, '.');
  }

  /** Hands a message in, as an update (which is told) or as a signal (which is noted when it was refused). */
  handIn(message: ConversationMessage, bySignal: boolean, isMalformed = false): void {
    const { model, state } = this;
    const nowMs = this.#tick();
    const type = model.refusalOf(message, isMalformed);
    expectSame(state.refusal(message)?.type, type);
    const acceptance = state.accept(message, nowMs);
    if (type !== undefined) {
      const words = 'refused' in acceptance ? acceptance.refused.message : '';
      expectSame(acceptance, { refused: { type, message: words } });
      if (!words.startsWith('Cannot accept the message: ')) expect(words).toMatch(/^Cannot accept the message: /);
      const messageId = (message as Partial<ConversationMessage> | null)?.messageId;
      const isNotable = typeof messageId === 'string' && messageId !== '' && messageId.length <= 200;
      if (!bySignal || !isNotable || model.isKnown(messageId)) return;
      model.reject(messageId);
      state.reject(messageId);
    } else if (model.isKnown(message.messageId)) expectSame(acceptance, { known: message.messageId });
    else expectSame(acceptance, { accepted: model.accept(message, nowMs) });
  }

  begin(): void {
    const { model, state } = this;
    if (model.inFlight !== undefined) {
      expect(() => state.begin()).toThrow('in flight');
      return;
    }
    const [next, ...rest] = model.queue;
    expectSame(state.begin(), next);
    model.inFlight = next;
    model.queue = rest;
  }

  end(ending: Ending): void {
    const { inFlight } = this.model;
    if (inFlight !== undefined) this.#record(inFlight, ending);
  }

  drop(messageId: string): void {
    const queued = this.model.queue.find((one) => one.messageId === messageId);
    expect(this.state.dropQueued(messageId)).toEqual(queued);
    if (queued !== undefined) this.#record(queued, { status: 'cancelled', answer: '', updates: {} });
  }

  dropAll(): void {
    const queued = this.model.queue;
    expect(this.state.dropAllQueued()).toEqual(queued);
    for (const message of queued) this.#record(message, { status: 'cancelled', answer: '', updates: {} });
  }

  close(): void {
    this.state.close();
    this.model.isClosing = true;
  }

  useSession(lifetimeMs?: number): void {
    const sessionRid = `session-${this.model.sessions++}`;
    const session = { sessionRid, exchangeCount: 0, ...(lifetimeMs !== undefined && { lifetimeMs }) };
    this.model.session = { ...session };
    this.state.useSession(session);
  }

  leaveSession(): void {
    this.model.session = undefined;
    this.state.session = undefined;
  }

  /** Continue-as-new: what it hands over is JSON, and gives the same state again. */
  roll(): void {
    const { model } = this;
    if (model.inFlight !== undefined) {
      expect(() => this.state.snapshot()).toThrow('in flight');
      return;
    }
    const snapshot = this.state.snapshot();
    const through = copy(snapshot);
    // Nothing is lost or changed on the way: no undefined, no Map, no Date, no number that JSON lacks.
    if (!isDeepStrictEqual(through, snapshot)) expect(through).toStrictEqual(snapshot);
    const before = JSON.stringify(snapshot);
    expectSame(snapshot, model.roll());
    this.state = ConversationState.of({ agentRid: 'agent', snapshot: through }, this.#nowMs + 1);
    const restored = { ...this.state.snapshot(), runs: snapshot.runs };
    if (JSON.stringify(restored) !== before) expect(restored).toStrictEqual(copy(snapshot));
  }

  /** Reads the transcript page by page, from an index on. */
  readTranscript(pageSize: number, from: number): void {
    const read: RecordedExchange[] = [];
    for (let next: number | undefined = from; next !== undefined;) {
      const page = this.state.transcript({ pageSize, from: next });
      expect(page.exchanges.length).toBeLessThanOrEqual(Math.max(1, Math.min(pageSize, 200)));
      if (page.exchanges.length > 1) expect(bytesOf(page.exchanges)).toBeLessThan(LIMITS.shardBytes + 1_000);
      // Pages must go on, whatever is asked for.
      if (page.next !== undefined) expect(page.next).toBeGreaterThan(page.exchanges.at(-1)?.outcome.index ?? Infinity);
      read.push(...page.exchanges);
      ({ next } = page);
    }
    const wanted = this.model.recorded.map(({ recorded }) => recorded).filter(({ outcome }) => outcome.index >= from);
    wanted.sort((one, other) => one.outcome.index - other.outcome.index);
    expectSame(read, wanted);
  }

  /** All that can be seen of the state at once. */
  check(ids: readonly string[]): void {
    const { model, state } = this;
    expectSame(state.queue, model.queue);
    expectSame(state.inFlight, model.inFlight);
    expectSame(
      state.outcomes(),
      model.recorded.map(({ recorded }) => recorded.outcome),
    );
    expectSame(state.totals, model.totals());
    expectSame(state.session, model.session);
    expectSame(state.parameters, model.parameters);
    expectSame(state.uncarriedBy({ messageId: 'any', text: 'any' }), model.uncarried);
    const { isBusy, isClosing, lastActiveMs, runs } = model;
    expectSame(
      [state.isBusy, state.isClosing, state.lastActiveMs, state.runs],
      [isBusy, isClosing, lastActiveMs, runs],
    );
    for (const messageId of ids) {
      expectSame(state.stateOf(messageId), model.stateOf(messageId));
      expectSame(state.outcomeOf(messageId), model.outcomeOf(messageId));
      expectSame(state.isKnown(messageId), model.isKnown(messageId));
    }
    this.#checkPlaces();
    this.#checkLimits();
  }

  /** Every index that was given out is in exactly one place, and every message has one outcome at most. */
  #checkPlaces(): void {
    const { queue, inFlight } = this.state;
    const places = [...queue, ...(inFlight === undefined ? [] : [inFlight]), ...this.state.outcomes()];
    const indexes = places.map(({ index }) => index);
    const { ended, recorded } = this.model;
    const older = ended.slice(0, ended.length - recorded.length).map((one) => one.recorded.outcome.index);
    const all = [...indexes, ...older].sort((one, other) => one - other);
    expectSame(
      all,
      all.map((_, position) => position),
    );
    expect(all).toHaveLength(this.model.nextIndex);
    expect(new Set(places.map(({ messageId }) => messageId)).size).toBe(places.length);
  }

  #checkLimits(): void {
    const { queue } = this.state;
    expect(queue.length).toBeLessThanOrEqual(LIMITS.queuedMessages);
    // As handed in: index and time of acceptance come on top of the last one.
    const asHandedIn = queue.map(({ index: _index, acceptedAt: _acceptedAt, ...message }) => message);
    expect(sumOf(asHandedIn)).toBeLessThanOrEqual(LIMITS.queuedBytes);
    const recorded = this.model.recorded;
    expect(this.state.outcomes().length).toBeLessThanOrEqual(LIMITS.outcomes);
    const withText = recorded.filter(({ recorded: { text } }) => text !== undefined);
    const bytes = recorded.reduce((sum, one) => sum + one.bytes, 0);
    if (withText.length > 1) expect(bytes).toBeLessThanOrEqual(LIMITS.recordedBytes);
    // The oldest texts go first: what still has its text is the end of the record.
    expectSame(withText, withText.length === 0 ? [] : recorded.slice(-withText.length));
    expect(bytesOf(this.state.legacy())).toBeLessThan(LIMITS.snapshotBytes);
    if (this.model.inFlight !== undefined) return;
    const snapshot = this.state.snapshot();
    expect(bytesOf(snapshot)).toBeLessThan(LIMITS.snapshotBytes);
    expect(snapshot.forgotten.length).toBeLessThanOrEqual(LIMITS.forgottenOutcomes);
    expectSame(snapshot.rejected, this.model.rejected);
  }

  #record(message: QueuedMessage, ending: Ending): void {
    const nowMs = this.#tick();
    const { messageId, index, acceptedAt } = message;
    const { status, answer, updates, tokens, mayStillRun } = ending;
    const result: ExchangeResult = {
      agentMarkdownResponse: answer,
      parameterUpdates: updates,
      interruptedOutput: status === 'interrupted',
      ...(tokens !== undefined && { totalTokensUsed: tokens }),
    };
    const isInSession = status === 'answered' || status === 'interrupted';
    const outcome: ExchangeOutcome = {
      messageId,
      index,
      status,
      ...(isInSession ? { result } : status === 'failed' && { error: { errorName: 'Name', message: answer } }),
      sends: 1,
      acceptedAt,
      finishedAt: isoAt(nowMs),
      ...(!isInSession && mayStillRun !== undefined && { mayStillRun }),
    };
    const inputs = { ...this.model.parameters, ...message.parameterInputs };
    this.model.end(message, outcome, inputs, nowMs);
    this.state.record(message, copy(outcome), inputs, nowMs);
  }

  #tick(): number {
    this.#nowMs += 1_000;
    return this.#nowMs;
  }
}

/** JSON bytes of parameters, each with its id, a colon and braces. */
const bytesOfParameters = (parameters: ParameterInputs): number =>
  Object.entries(parameters).reduce(
    (sum, [id, value]) => sum + Buffer.byteLength(JSON.stringify(id)) + bytesOf(value) + 3,
    0,
  );

/** What of an agent's updates can be an input of the next exchange. */
function changed(inputs: ParameterInputs, updates: ParameterUpdates): ParameterInputs {
  const next: ParameterInputs = {};
  for (const [id, { type, value }] of Object.entries(updates)) {
    const input = inputs[id];
    if (type === 'string' && typeof value === 'string') next[id] = { type, value };
    else if (type === 'objectSet' && input?.type === 'objectSet') {
      next[id] = { ...input, objectSet: { type: 'reference', reference: value } };
    }
  }
  return next;
}

/** Like `toStrictEqual`, but quick where there is nothing to tell. */
function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected);
}

type Operation =
  | { do: 'handIn'; message: ConversationMessage; bySignal: boolean }
  | { do: 'handInMalformed'; message: ConversationMessage; bySignal: boolean }
  | { do: 'handInMany'; count: number; text: string }
  | { do: 'end'; ending: Ending }
  | { do: 'workOff'; count: number; ending: Ending }
  | { do: 'drop'; messageId: string }
  | { do: 'useSession'; lifetimeMs: number | undefined }
  | { do: 'readTranscript'; pageSize: number; from: number }
  | { do: Plain };

function apply(pair: Pair, operation: Operation): void {
  switch (operation.do) {
    case 'handIn':
      return pair.handIn(operation.message, operation.bySignal);
    case 'handInMalformed':
      return pair.handIn(operation.message, operation.bySignal, true);
    case 'handInMany':
      for (let n = 0; n < operation.count; n++) {
        pair.handIn({ messageId: pair.freshId(), text: operation.text }, n % 2 === 0);
      }
      return;
    case 'end':
      return pair.end(operation.ending);
    case 'workOff':
      for (let n = 0; n < operation.count; n++) {
        if (!pair.model.isBusy) pair.handIn({ messageId: pair.freshId(), text: 'one more' }, false);
        if (pair.model.inFlight === undefined) pair.begin();
        pair.end(operation.ending);
      }
      return;
    case 'drop':
      return pair.drop(operation.messageId);
    case 'useSession':
      return pair.useSession(operation.lifetimeMs);
    case 'readTranscript':
      return pair.readTranscript(operation.pageSize, operation.from);
    case 'begin':
    case 'dropAll':
    case 'close':
    case 'leaveSession':
    case 'roll':
      return pair[operation.do]();
  }
}

/** Few ids, so that they come again; one as long as may be, and one that is more bytes than characters. */
const IDS = [...'abcdefgh', 'x'.repeat(LIMITS.messageIdCharacters), '漢😀'];
const anyId = fc.constantFrom(...IDS);

/** Characters of one to four bytes, and one that JSON escapes. */
const textOf = (sizes: fc.Arbitrary<number>) =>
  fc
    .record({ character: fc.constantFrom('x', 'é', '漢', '😀', '"'), size: sizes })
    .map(({ character, size }) => character.repeat(size));
const shortText = textOf(fc.integer({ min: 1, max: 20 }));
const longText = textOf(fc.integer({ min: 10_000, max: 60_000 }));

const objectSet = (reference: string) => ({
  type: 'objectSet' as const,
  ontology: 'ontology',
  objectSet: { type: 'reference', reference },
});
/** Everything is as JSON gives it: plain objects, and no field that is there and undefined. */
const OPTIONAL: { requiredKeys: []; noNullPrototype: true } = { requiredKeys: [], noNullPrototype: true };
const parameterInputs = fc.record(
  { note: shortText.map((value) => ({ type: 'string' as const, value })), set: shortText.map(objectSet) },
  OPTIONAL,
);
const parameterUpdates: fc.Arbitrary<ParameterUpdates> = fc.record(
  {
    note: shortText.map((value) => ({ type: 'string', value })),
    set: shortText.map((value) => ({ type: 'objectSet', value })),
    newer: fc.constantFrom<ParameterUpdates[string]>(
      { type: 'somethingNew', value: { of: ['any'] } },
      { type: 'string' },
    ),
  },
  OPTIONAL,
);

/** A few of these are too many. */
const longUpdates: fc.Arbitrary<ParameterUpdates> = fc
  .subarray(['note', 'set', 'long', 'longer', 'longest'], { minLength: 1 })
  .chain((ids) => longText.map((value) => Object.fromEntries(ids.map((id) => [id, { type: 'string', value }]))));

const messageWith = (text: fc.Arbitrary<string>): fc.Arbitrary<ConversationMessage> =>
  fc.record(
    {
      messageId: anyId,
      text,
      whenBusy: fc.constantFrom('enqueue', 'reject', 'interrupt', 'rollback'),
      parameterInputs,
      mode: fc.constantFrom('streaming', 'blocking'),
    },
    { requiredKeys: ['messageId', 'text'], noNullPrototype: true },
  );

const TOO_MUCH_CONTEXT = [
  { type: 'objectContext' as const, objectRids: ['x'.repeat(LIMITS.queuedBytes)], propertyTypeRids: [] },
];
const malformedMessage = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, 7, 'text', {}, [], { text: 'no id' }),
  fc.constantFrom<unknown>('', 7, null, 'x'.repeat(LIMITS.messageIdCharacters + 1)).map((messageId) => ({
    messageId,
    text: 'x',
  })),
  fc.record({
    messageId: anyId,
    text: fc.constantFrom<unknown>('', ' \n\t', 7, null, undefined, 'é'.repeat(LIMITS.textBytes / 2 + 1)),
  }),
  anyId.map((messageId) => ({ messageId, text: 'x', contextsOverride: TOO_MUCH_CONTEXT })),
) as fc.Arbitrary<ConversationMessage>;

const endingWith = (answer: fc.Arbitrary<string>, updates = parameterUpdates): fc.Arbitrary<Ending> =>
  fc.record(
    {
      status: fc.constantFrom('answered', 'interrupted', 'cancelled', 'failed'),
      answer,
      updates,
      tokens: fc.nat(1_000),
      mayStillRun: fc.constant(true as const),
    },
    { requiredKeys: ['status', 'answer', 'updates'], noNullPrototype: true },
  );

type Plain = 'begin' | 'dropAll' | 'close' | 'leaveSession' | 'roll';
const plain = (what: Plain): fc.Arbitrary<Operation> => fc.constant({ do: what });
const operationsWith = (texts: fc.Arbitrary<string>): fc.Arbitrary<Operation>[] => [
  fc.record({ do: fc.constant('handIn'), message: messageWith(texts), bySignal: fc.boolean() }),
  fc.record({ do: fc.constant('end'), ending: endingWith(texts) }),
  plain('begin'),
  fc.record({ do: fc.constant('drop'), messageId: anyId }),
  plain('roll'),
  fc.record({ do: fc.constant('handInMalformed'), message: malformedMessage, bySignal: fc.boolean() }),
  fc.record({ do: fc.constant('useSession'), lifetimeMs: fc.option(fc.nat(10_000), { nil: undefined }) }),
  plain('leaveSession'),
  fc.record({ do: fc.constant('readTranscript'), pageSize: fc.integer({ min: -1, max: 250 }), from: fc.nat(30) }),
];

/** Runs the operations on a pair and compares after each. */
function agree(pair: Pair, operations: readonly Operation[]): void {
  for (const operation of operations) {
    apply(pair, operation);
    pair.check(IDS);
  }
  pair.readTranscript(3, 0);
  pair.readTranscript(200, 0);
}

const answered = (answer: string): Ending => ({ status: 'answered', answer, updates: {}, tokens: 1 });

describe('a conversation agrees with its model', () => {
  test('after every step, whatever comes in whatever order', () => {
    const operation = fc.oneof(
      ...operationsWith(shortText).map((arbitrary, position) => ({ arbitrary, weight: position < 3 ? 20 : 5 })),
      { arbitrary: fc.oneof(plain('dropAll'), plain('close')), weight: 1 },
    );
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 80, size: 'max' }), (operations) =>
        agree(new Pair(), operations),
      ),
      { numRuns: 150 },
    );
  });

  /** What to begin with, so that each limit is really reached, and how to tell that it was. */
  const LIMITS_REACHED: [name: string, first: Operation[], isReached: (pair: Pair) => boolean][] = [
    [
      'its queue holds as many messages as it may',
      [{ do: 'handInMany', count: LIMITS.queuedMessages, text: 'x' }],
      ({ model }) => model.queue.length === LIMITS.queuedMessages,
    ],
    [
      'its queue holds as many bytes as it may',
      [{ do: 'handInMany', count: 12, text: 'é'.repeat(20_000) }],
      ({ model }) => model.queue.length === 9 && model.rejected.length > 0,
    ],
    [
      'its record holds as many bytes as it may',
      [{ do: 'workOff', count: 12, ending: answered('😀'.repeat(12_000)) }],
      ({ model }) => model.recorded[0]?.recorded.outcome.textDropped === true,
    ],
    [
      'an answer alone is longer than the record may be',
      [{ do: 'workOff', count: 2, ending: answered('"'.repeat(LIMITS.recordedBytes)) }],
      ({ model }) => (model.recorded[1]?.bytes ?? 0) > LIMITS.recordedBytes,
    ],
    [
      'its record holds as many outcomes as it may',
      [{ do: 'workOff', count: LIMITS.outcomes + 20, ending: answered('yes') }],
      ({ model }) => model.forgotten.length === 20,
    ],
    [
      'its parameters take as many bytes as they may, and one found no room',
      ['a', 'b', 'c'].map((id): Operation => {
        const updates = { [id]: { type: 'string', value: '漢'.repeat(40_000) } };
        return { do: 'workOff', count: 1, ending: { status: 'answered', answer: 'yes', updates } };
      }),
      ({ model }) => Object.keys(model.parameters).length === 2 && model.uncarried.length === 1,
    ],
    [
      'its record, with long parameters beside it, holds so many bytes that the oldest were forgotten',
      [
        {
          do: 'workOff',
          count: 1,
          ending: { ...answered('yes'), updates: { long: { type: 'string', value: 'x'.repeat(200_000) } } },
        },
        { do: 'workOff', count: LIMITS.outcomes, ending: { status: 'failed', answer: 'x'.repeat(400), updates: {} } },
      ],
      ({ model }) => model.recorded.length < LIMITS.outcomes && model.forgotten.length > 0,
    ],
    [
      'its newest answer has no room beside the queue',
      [
        { do: 'workOff', count: 1, ending: answered('x'.repeat(900_000)) },
        { do: 'handInMany', count: 12, text: 'x'.repeat(30_000) },
        { do: 'roll' },
      ],
      ({ model }) => model.recorded[0]?.recorded.outcome.textDropped === true,
    ],
    [
      'outcomes were forgotten altogether, and their ids come again',
      [
        ...IDS.map((messageId): Operation => ({ do: 'handIn', message: { messageId, text: 'x' }, bySignal: false })),
        { do: 'workOff', count: LIMITS.outcomes + LIMITS.forgottenOutcomes + 5, ending: answered('yes') },
      ],
      ({ model }) => model.ended.length > LIMITS.outcomes + LIMITS.forgottenOutcomes && !model.isKnown('a'),
    ],
    [
      'as many refused ids are kept as may be',
      [{ do: 'close' }, { do: 'handInMany', count: 2 * LIMITS.forgottenOutcomes + 10, text: 'x' }],
      ({ model }) =>
        model.rejected.length === LIMITS.forgottenOutcomes && model.rejected[0] !== 'fresh-0'.padEnd(36, '.'),
    ],
  ];

  test.each(LIMITS_REACHED)('when %s', (_name, first, isReached) => {
    const bulk: fc.Arbitrary<Operation> = fc.oneof(
      fc.record({ do: fc.constant('handInMany' as const), count: fc.integer({ min: 1, max: 30 }), text: longText }),
      fc.record({
        do: fc.constant('workOff' as const),
        count: fc.integer({ min: 1, max: 100 }),
        ending: endingWith(fc.oneof(shortText, longText)),
      }),
      fc.record({
        do: fc.constant('workOff' as const),
        count: fc.integer({ min: 1, max: 3 }),
        ending: endingWith(shortText, longUpdates),
      }),
      plain('roll'),
    );
    const operation = fc.oneof(...operationsWith(fc.oneof(shortText, longText)), bulk, bulk);
    fc.assert(
      fc.property(fc.boolean(), fc.array(operation, { maxLength: 12, size: 'max' }), (rollsFirst, operations) => {
        const pair = new Pair();
        for (const one of first) apply(pair, one);
        expect(isReached(pair)).toBe(true);
        if (rollsFirst) pair.roll();
        agree(pair, operations);
      }),
      { numRuns: 6 },
    );
  });
});

describe('a conversation', () => {
  const message = (messageId: string, more: Partial<ConversationMessage> = {}) => ({ messageId, text: 'x', ...more });

  /** What the workflow does with a signal. */
  function submit(state: ConversationState, submitted: ConversationMessage): void {
    if ('refused' in state.accept(submitted, 0)) state.reject(submitted.messageId);
  }

  function end(state: ConversationState, begun: QueuedMessage, ending: Partial<ExchangeOutcome>): void {
    const { messageId, index, acceptedAt } = begun;
    const sessionRid = `ri.aip-agents..session.${'0'.repeat(36)}`;
    const outcome = { messageId, index, status: 'answered' as const, sends: 1, acceptedAt, finishedAt: acceptedAt };
    state.record(begun, { ...outcome, sessionRid, ...ending }, begun.parameterInputs ?? {}, 0);
  }

  const result = (more: Partial<ExchangeResult> = {}): ExchangeResult => ({
    agentMarkdownResponse: 'yes',
    parameterUpdates: {},
    interruptedOutput: false,
    ...more,
  });

  function fillQueue(state: ConversationState): void {
    for (let n = 0; n < 7; n++) submit(state, message(`queued ${n}`, { text: 'x'.repeat(50_000) }));
  }

  test('tells a queued message from a rejected one when something malformed comes under its id', () => {
    const state = new ConversationState(0);
    submit(state, message('a'));
    submit(state, message('a', { text: '' }));
    expect(state.stateOf('a')).toEqual({ state: 'queued' });
  });

  test('forgets an input of one exchange whose update by the agent cannot be carried over', () => {
    const state = new ConversationState(0);
    submit(state, message('a', { parameterInputs: { note: { type: 'string', value: 'for this one only' } } }));
    const parameterUpdates = { note: { type: 'somethingNew', value: {} } };
    end(state, state.begin()!, { result: result({ parameterUpdates }) });
    expect(state.parameters).toEqual({});
  });

  test('keeps its snapshot below 1 MiB when the ids of refused messages are long', () => {
    const state = new ConversationState(0);
    for (let n = 0; n < 20; n++) submit(state, message(`${n}`.padEnd(100_000, 'x')));
    expect(Buffer.byteLength(JSON.stringify(state.snapshot()))).toBeLessThan(1024 * 1024);
  });

  /** Every number of an outcome, each text and each id as long as they come. */
  const LONG_ID = '\u0001'.repeat(LIMITS.messageIdCharacters);
  const longIdOf = (n: number): string => `${n}${LONG_ID}`.slice(0, LIMITS.messageIdCharacters);

  function answerMany(state: ConversationState, count: number, idOf: (n: number) => string): void {
    for (let n = 0; n < count; n++) {
      submit(state, message(idOf(n)));
      end(state, state.begin()!, { result: result({ totalTokensUsed: 1_000, sessionTraceId: '0'.repeat(36) }) });
    }
  }

  function answerWithParameter(state: ConversationState, id: string, value: string): void {
    submit(state, message(`parameter ${id}`.slice(0, 50)));
    end(state, state.begin()!, { result: result({ parameterUpdates: { [id]: { type: 'string', value } } }) });
  }

  const REMEMBERED = LIMITS.outcomes + LIMITS.forgottenOutcomes;

  test.each<[name: string, fill: (state: ConversationState) => void]>([
    [
      'its messages have ids of the most characters',
      (state) => answerMany(state, REMEMBERED, (n) => `${n}`.padEnd(LIMITS.messageIdCharacters, '漢')),
    ],
    [
      'its ids are longer as JSON than as UTF-8',
      (state) => {
        answerMany(state, REMEMBERED, longIdOf);
        state.close();
        for (let n = 0; n < LIMITS.forgottenOutcomes; n++) submit(state, message(longIdOf(REMEMBERED + n)));
      },
    ],
    [
      'its failures have long parameters',
      (state) => {
        const parameters = { details: 'x'.repeat(500), more: 'x'.repeat(500) };
        for (let n = 0; n < REMEMBERED; n++) {
          submit(state, message(`${n}`.padStart(36, '0')));
          end(state, state.begin()!, {
            status: 'failed',
            error: { errorName: 'Name', message: 'message', parameters },
          });
        }
        fillQueue(state);
      },
    ],
    [
      'its failures have long messages, the last a very long one',
      (state) => {
        for (let n = 0; n < REMEMBERED; n++) {
          submit(state, message(`${n}`.padStart(36, '0')));
          const error = { errorName: 'Name', message: 'x'.repeat(n < REMEMBERED - 1 ? 4_000 : 1_000_000) };
          end(state, state.begin()!, { status: 'failed', error });
        }
        fillQueue(state);
      },
    ],
    [
      'its last answer is very long',
      (state) => {
        submit(state, message('a'));
        end(state, state.begin()!, { result: result({ agentMarkdownResponse: 'x'.repeat(750_000) }) });
        fillQueue(state);
      },
    ],
    [
      'the agent changes its parameters to long values',
      (state) => {
        for (let n = 0; n < 11; n++) answerWithParameter(state, `p${n}`, 'x'.repeat(100_000));
      },
    ],
    [
      'the agent changes more parameters than there is room for ids',
      (state) => {
        const ids = Array.from({ length: 2_000 }, (_, n) => `${n}`.padEnd(900, 'x'));
        const parameterUpdates = Object.fromEntries(ids.map((id) => [id, { type: 'string', value: '' }]));
        submit(state, message('a'));
        end(state, state.begin()!, { result: result({ parameterUpdates }) });
        fillQueue(state);
      },
    ],
    [
      'all of it is as much as may be',
      (state) => {
        state.title = 'x'.repeat(LIMITS.nameBytes - 2);
        const session = { sessionRid: '漢'.repeat(500), agentVersion: '漢'.repeat(500) };
        state.useSession({ ...session, estimatedExpiresTime: '漢'.repeat(500), exchangeCount: 1e6, mayBeBusy: true });
        answerMany(state, REMEMBERED + 200, (n) => `${n}`.padStart(36, '0'));
        for (let n = 0; n < 30; n++) answerWithParameter(state, `${n}`.padEnd(500, 'x'), 'x'.repeat(10_000));
        submit(state, message('last', { text: '"'.repeat(LIMITS.queuedBytes / 2 - 1_000) }));
        end(state, state.begin()!, { result: result({ agentMarkdownResponse: '\u0001'.repeat(300_000) }) });
        for (let n = 0; n < LIMITS.queuedMessages; n++) submit(state, message(`q${n}`, { text: 'x'.repeat(280) }));
        for (let n = 0; n < LIMITS.forgottenOutcomes; n++) {
          submit(state, message(`rejected ${n}`.padEnd(36, '.'), { whenBusy: 'reject' }));
        }
        expect(state.queue.length).toBe(LIMITS.queuedMessages);
      },
    ],
  ])('keeps its snapshot below 1 MiB when %s', (_name, fill) => {
    const state = new ConversationState(0);
    fill(state);
    const snapshot = state.snapshot();
    expect(bytesOf(snapshot)).toBeLessThan(1024 * 1024);
    expect(bytesOf(state.legacy())).toBeLessThan(1024 * 1024);
    const next = ConversationState.fromSnapshot(copy(snapshot));
    expect(bytesOf(next.snapshot())).toBeLessThan(1024 * 1024);
    next.begin();
    expect(bytesOf(next.legacy())).toBeLessThan(1024 * 1024);
  });

  test('hands a long last answer over as long as there is room, and keeps it until then', () => {
    const state = new ConversationState(0);
    answerMany(state, 100, (n) => `${n}`);
    submit(state, message('last'));
    const outcome: Partial<ExchangeOutcome> = { result: result({ agentMarkdownResponse: 'x'.repeat(700_000) }) };
    end(state, state.begin()!, outcome);
    expect(state.outcomes()).toHaveLength(101);
    expect(state.snapshot().outcomes.at(-1)?.outcome).toMatchObject(outcome);
    fillQueue(state);
    expect(state.outcomeOf('last')).toMatchObject(outcome);
    const next = ConversationState.fromSnapshot(copy(state.snapshot()));
    expect(next.outcomes()).toHaveLength(101);
    expect(next.outcomeOf('last')).toMatchObject({ status: 'answered', textDropped: true });
  });

  test('leaves an outcome that was handed to it as it is, when its text has to go', () => {
    const state = new ConversationState(0);
    submit(state, message('a'));
    const { index, acceptedAt } = state.begin()!;
    const times = { acceptedAt, finishedAt: acceptedAt };
    const long = result({ agentMarkdownResponse: 'x'.repeat(400_000) });
    const outcome: ExchangeOutcome = { messageId: 'a', index, status: 'answered', result: long, sends: 1, ...times };
    const before = copy(outcome);
    state.record({ ...message('a'), index, acceptedAt }, outcome, {}, 0);
    answerMany(state, 1, () => 'b');
    expect(state.outcomeOf('a')).toMatchObject({ textDropped: true });
    expect(outcome).toEqual(before);
  });

  test('carries no value that is too large, nor the one before it, until it is small again', () => {
    const state = new ConversationState(0);
    const tooLarge = 'x'.repeat(LIMITS.parameterBytes);
    answerWithParameter(state, 'a', 'small');
    submit(state, message('b'));
    const parameterUpdates = { a: { type: 'string', value: tooLarge }, b: { type: 'string', value: 'small, too' } };
    end(state, state.begin()!, { result: result({ parameterUpdates }) });
    const next = ConversationState.fromSnapshot(copy(state.snapshot()));
    expect(next.parameters).toEqual({ b: { type: 'string', value: 'small, too' } });
    expect(next.uncarriedBy(message('c'))).toEqual(['a']);
    const parameterInputs = { a: { type: 'string' as const, value: 'given' } };
    expect(next.uncarriedBy(message('c', { parameterInputs }))).toEqual([]);
    submit(next, message('c', { parameterInputs }));
    end(next, next.begin()!, { result: result({ parameterUpdates: { a: { type: 'string', value: 'small again' } } }) });
    expect(next.uncarriedBy(message('d'))).toEqual([]);
    expect(next.parameters).toMatchObject({ a: { value: 'small again' } });
  });
});
