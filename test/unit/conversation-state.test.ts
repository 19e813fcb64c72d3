import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ConversationMessage, ConversationSnapshot, QueuedMessage } from '../../src/protocol/conversation.js';
import { LIMITS } from '../../src/protocol/defaults.js';
import type { ExchangeOutcome } from '../../src/protocol/exchange.js';
import { ConversationState } from '../../src/workflows/conversation-state.js';

const message = (messageId: string, more: Partial<ConversationMessage> = {}): ConversationMessage => ({
  messageId,
  text: `question ${messageId}`,
  ...more,
});

function outcomeFor({ messageId, index, acceptedAt }: QueuedMessage, answer = 'yes'): ExchangeOutcome {
  const result = { agentMarkdownResponse: answer, parameterUpdates: {}, totalTokensUsed: 7, interruptedOutput: false };
  return { messageId, index, status: 'answered', result, sends: 1, acceptedAt, finishedAt: acceptedAt };
}

function answerNext(state: ConversationState, answer?: string): string | undefined {
  const begun = state.begin();
  if (begun !== undefined) state.record(begun, outcomeFor(begun, answer), {}, 0);
  return begun?.messageId;
}

/** What continue-as-new does to a snapshot. */
const throughJson = (state: ConversationState): ConversationState =>
  ConversationState.fromSnapshot(JSON.parse(JSON.stringify(state.snapshot())) as ConversationSnapshot);

describe('the order of messages', () => {
  test('is that of acceptance', () => {
    const state = new ConversationState(0);
    for (const id of ['a', 'b', 'c']) state.accept(message(id), 0);
    expect([answerNext(state), answerNext(state), answerNext(state), answerNext(state)]).toEqual([
      'a',
      'b',
      'c',
      undefined,
    ]);
  });

  test.each(['interrupt', 'rollback'] as const)('lets a message that comes with %s go first', (whenBusy) => {
    const state = new ConversationState(0);
    for (const id of ['a', 'b']) state.accept(message(id), 0);
    state.accept(message('urgent', { whenBusy }), 0);
    expect(answerNext(state)).toBe('urgent');
  });
});

describe('a message id', () => {
  test('is accepted once, wherever its message is', () => {
    const state = new ConversationState(0);
    state.accept(message('a'), 0);
    expect(state.accept(message('a'), 0)).toEqual({ known: 'a' });
    const begun = state.begin();
    expect(state.accept(message('a'), 0)).toEqual({ known: 'a' });
    state.record(begun!, outcomeFor(begun!), {}, 0);
    expect(state.accept(message('a', { text: 'another text' }), 0)).toEqual({ known: 'a' });
    expect(state.outcomeOf('a')).toMatchObject({ status: 'answered' });
  });

  test('is known after its outcome was dropped for room', () => {
    const state = new ConversationState(0);
    for (let n = 0; n < LIMITS.outcomes + 10; n++) {
      state.accept(message(`m${n}`), 0);
      answerNext(state);
    }
    const later = throughJson(state);
    expect(later.accept(message('m0'), 0)).toEqual({ known: 'm0' });
    expect(later.outcomeOf('m0')).toMatchObject({ status: 'answered', index: 0, textDropped: true });
  });
});

describe('a message is refused', () => {
  test.each([
    ['without an id', { messageId: '', text: 'x' }, 'InvalidInput'],
    ['with an id that is too long', { messageId: 'x'.repeat(201), text: 'x' }, 'InvalidInput'],
    ['without a text', { messageId: 'a', text: '  ' }, 'InvalidInput'],
    ['with a text that is no string', { messageId: 'a', text: 7 as unknown as string }, 'InvalidInput'],
    ['with a text over the limit', { messageId: 'a', text: 'é'.repeat(LIMITS.textBytes / 2 + 1) }, 'InvalidInput'],
  ])('%s', (_name, bad, type) => {
    expect(new ConversationState(0).accept(bad, 0)).toMatchObject({ refused: { type } });
  });

  test('with whenBusy reject while another one waits', () => {
    const state = new ConversationState(0);
    expect(state.accept(message('a', { whenBusy: 'reject' }), 0)).toHaveProperty('accepted');
    expect(state.accept(message('b', { whenBusy: 'reject' }), 0)).toMatchObject({
      refused: { type: 'ConversationBusy' },
    });
  });

  test('when the conversation is closing, unless its id is known', () => {
    const state = new ConversationState(0);
    state.accept(message('a'), 0);
    state.close();
    expect(state.accept(message('b'), 0)).toMatchObject({ refused: { type: 'ConversationClosed' } });
    expect(state.accept(message('a'), 0)).toEqual({ known: 'a' });
  });

  test('when its parameters are too much for a payload', () => {
    const parameterInputs = { notes: { type: 'string' as const, value: 'x'.repeat(LIMITS.queuedBytes) } };
    expect(new ConversationState(0).accept(message('a', { parameterInputs }), 0)).toMatchObject({
      refused: { type: 'InvalidInput' },
    });
  });

  test('when the queue holds as many bytes as it may, and no longer when they are gone', () => {
    const state = new ConversationState(0);
    const large = {
      contextsOverride: [{ type: 'objectContext' as const, objectRids: ['x'.repeat(150_000)], propertyTypeRids: [] }],
    };
    for (const id of ['a', 'b']) expect(state.accept(message(id, large), 0)).toHaveProperty('accepted');
    expect(state.accept(message('c', large), 0)).toMatchObject({ refused: { type: 'ConversationQueueFull' } });
    const restored = throughJson(state);
    expect(restored.accept(message('c', large), 0)).toMatchObject({ refused: { type: 'ConversationQueueFull' } });
    answerNext(restored);
    restored.dropQueued('b');
    for (const id of ['c', 'd']) expect(restored.accept(message(id, large), 0)).toHaveProperty('accepted');
  });

  test('is not known by that: it may come again', () => {
    const state = new ConversationState(0);
    state.reject('a');
    expect(state.stateOf('a')).toEqual({ state: 'rejected' });
    expect(state.accept(message('a'), 0)).toHaveProperty('accepted');
    expect(state.stateOf('a')).toEqual({ state: 'queued' });
  });

  test('when the queue is full', () => {
    const state = new ConversationState(0);
    for (let n = 0; n < LIMITS.queuedMessages; n++) state.accept(message(`m${n}`), 0);
    expect(state.accept(message('one more'), 0)).toMatchObject({ refused: { type: 'ConversationQueueFull' } });
  });
});

describe('a session in which an exchange may still run', () => {
  test('is so until another one landed in it', () => {
    const state = new ConversationState(0);
    state.useSession({ sessionRid: 'ri.session', exchangeCount: 0 });
    for (const id of ['a', 'b', 'c']) state.accept(message(id), 0);
    const begun = state.begin()!;
    const unstopped = { ...outcomeFor(begun), status: 'cancelled' as const, mayStillRun: true };
    delete (unstopped as Partial<ExchangeOutcome>).result;
    state.record(begun, unstopped, {}, 0);
    expect(state.session?.mayBeBusy).toBe(true);
    const dropped = state.dropQueued('b')!;
    state.record(dropped, { ...unstopped, messageId: 'b', mayStillRun: false }, {}, 0);
    expect(state.session?.mayBeBusy).toBe(true);
    answerNext(state);
    expect(state.session?.mayBeBusy).toBeUndefined();
  });
});

describe('the snapshot', () => {
  test('stays far below a payload of 1 MiB, whatever was said', () => {
    const state = new ConversationState(0);
    for (let n = 0; n < LIMITS.outcomes + LIMITS.forgottenOutcomes + 100; n++) {
      state.accept(message(`${n}`.padStart(36, '0'), { text: '漢'.repeat(50) }), 0);
      answerNext(state, '漢'.repeat(2_000));
    }
    for (let n = 0; n < 60; n++) state.accept(message(`queued ${n}`, { text: '漢'.repeat(2_000) }), 0);
    expect(Buffer.byteLength(JSON.stringify(state.snapshot()))).toBeLessThan(1_000_000);
  });

  test('is refused while an exchange is in flight', () => {
    const state = new ConversationState(0);
    state.accept(message('a'), 0);
    state.begin();
    expect(() => state.snapshot()).toThrow('in flight');
  });

  test('loses nothing and doubles nothing, wherever it is taken', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('accept' as const), id: fc.integer({ min: 0, max: 30 }) }),
      fc.record({ do: fc.constantFrom('answer' as const, 'restore' as const, 'drop' as const), id: fc.nat(30) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let state = new ConversationState(0);
        const queued: string[] = [];
        const ended = new Set<string>();
        for (const { do: what, id } of steps) {
          const messageId = `m${id}`;
          if (what === 'accept') {
            const isKnown = queued.includes(messageId) || ended.has(messageId);
            expect('known' in state.accept(message(messageId), 0)).toBe(isKnown);
            if (!isKnown) queued.push(messageId);
          } else if (what === 'answer') {
            const expected = queued.shift();
            expect(answerNext(state)).toBe(expected);
            if (expected !== undefined) ended.add(expected);
          } else if (what === 'drop') {
            const dropped = state.dropQueued(messageId);
            expect(dropped !== undefined).toBe(queued.includes(messageId));
            if (dropped === undefined) continue;
            queued.splice(queued.indexOf(messageId), 1);
            ended.add(messageId);
            state.record(dropped, { ...outcomeFor(dropped), status: 'cancelled' }, {}, 0);
          } else state = throughJson(state);
        }
        expect(state.queue.map((one) => one.messageId)).toEqual(queued);
        expect(new Set(state.outcomes().map((one) => one.messageId))).toEqual(ended);
      }),
    );
  });
});

describe('the transcript', () => {
  test('comes in pages, in the order of the conversation', () => {
    const state = new ConversationState(0);
    for (let n = 0; n < 7; n++) {
      state.accept(message(`m${n}`), 0);
      answerNext(state);
    }
    const first = state.transcript({ pageSize: 5 });
    expect(first.exchanges.map(({ outcome }) => outcome.index)).toEqual([0, 1, 2, 3, 4]);
    const second = state.transcript({ from: first.next!, pageSize: 5 });
    expect(second.exchanges.map(({ outcome }) => outcome.index)).toEqual([5, 6]);
    expect(second.next).toBeUndefined();
  });
});
