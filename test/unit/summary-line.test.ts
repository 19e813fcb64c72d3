import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { summaryLine } from '../../src/protocol/summary-line.js';

describe('summaryLine()', () => {
  test.each([
    ['a short text as it is', 'Where is order 4711?', 'Where is order 4711?'],
    ['line breaks and runs of blanks as one blank', ' Where\n\n is\tit? ', 'Where is it?'],
    ['control characters as a blank', 'a\u0000\u0007b', 'a b'],
    ['nothing of nothing', ' \n ', ''],
    ['79 characters and an ellipsis of a long text', 'x'.repeat(100), `${'x'.repeat(79)}…`],
    ['fewer characters of a text of long ones', '漢'.repeat(80), `${'漢'.repeat(65)}…`],
    ['no half of a pair', `${'x'.repeat(78)}🚢🚢`, `${'x'.repeat(78)}🚢…`],
    ['an ellipsis for words after a long gap', `Well${' '.repeat(400)}then`, 'Well…'],
  ])('keeps %s', (_name, text, line) => {
    expect(summaryLine(text)).toBe(line);
  });

  test('never passes 200 bytes of JSON nor 80 characters, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 500 }), (text) => {
        const line = summaryLine(text);
        expect(Buffer.byteLength(JSON.stringify(line)) - 2).toBeLessThanOrEqual(200);
        expect([...line].length).toBeLessThanOrEqual(80);
        expect(line).not.toMatch(/[\n\r\p{Cc}]/u);
      }),
    );
  });
});
