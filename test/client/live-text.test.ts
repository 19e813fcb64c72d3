import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { RestartEvent, TextEvent } from '../../src/client/live-text.js';
import { LiveText } from '../../src/client/live-text.js';

type Beat = { text: string; textOffset?: number; traceNumber?: number };

/** What a reader has in front of it who starts over at each restart. */
function read(events: (TextEvent | RestartEvent)[]): string {
  return events.reduce((shown, event) => (event.type === 'restart' ? '' : shown + event.text), '');
}

function play(beats: Beat[], answer: string): (TextEvent | RestartEvent)[] {
  const live = new LiveText();
  const events = beats.flatMap(({ text, textOffset = 0, traceNumber = 0 }) =>
    live.update({ text, textOffset, traceNumber }),
  );
  return [...events, ...live.finish(answer)];
}

describe('LiveText', () => {
  test('makes increments of cumulative text', () => {
    expect(play([{ text: 'Or' }, { text: 'Or' }, { text: 'Order' }], 'Order 7')).toEqual([
      { type: 'text', text: 'Or', offset: 0 },
      { type: 'text', text: 'der', offset: 2 },
      { type: 'text', text: ' 7', offset: 5 },
    ]);
  });

  test('begins anew when another send has another trace number', () => {
    const events = play([{ text: 'First' }, { text: '', traceNumber: 1 }, { text: 'Sec', traceNumber: 1 }], 'Second');
    expect(events.filter(({ type }) => type === 'restart')).toHaveLength(1);
    expect(read(events)).toBe('Second');
  });

  test('begins anew when the text is another one', () => {
    expect(play([{ text: 'First' }, { text: 'Fish' }], 'Fish')).toContainEqual({ type: 'restart' });
  });

  test('takes nothing back when an attempt that adopts the exchange has no text', () => {
    expect(play([{ text: 'Ord' }, { text: '' }], 'Order')).toEqual([
      { type: 'text', text: 'Ord', offset: 0 },
      { type: 'text', text: 'er', offset: 3 },
    ]);
  });

  test('joins a tail whose head was cut, and leaves a gap to the outcome', () => {
    expect(read(play([{ text: 'abcd' }, { text: 'cdef', textOffset: 2 }], 'abcdefgh'))).toBe('abcdefgh');
    const live = new LiveText();
    live.update({ text: 'ab', textOffset: 0, traceNumber: 0 });
    expect(live.update({ text: 'xyz', textOffset: 100, traceNumber: 0 })).toEqual([]);
  });

  test('shows a response given while cancelling in the place of what was shown', () => {
    expect(read(play([{ text: 'a long answ' }], 'stopped'))).toBe('stopped');
  });

  test('in the end shows the answer as stored, whatever the heartbeats were', () => {
    const beat = fc.record({
      text: fc.string({ maxLength: 8 }),
      textOffset: fc.nat(6),
      traceNumber: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.array(beat), fc.string(), (beats, answer) => {
        expect(read(play(beats, answer))).toBe(answer);
      }),
    );
  });
});
