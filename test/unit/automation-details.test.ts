import { describe, expect, test } from '@jest/globals';
import type { ApprovalStatus, AutomationStatus } from '../../src/protocol/automation.js';
import { detailsOf } from '../../src/workflows/automation/details.js';
import { quotedText } from '../../src/workflows/details-text.js';

const approval = (approvalId: string, more: Partial<ApprovalStatus> = {}): ApprovalStatus => ({
  ...{ approvalId, message: 'Send it?', askedAt: '2026-03-01T12:00:00.000Z', reminders: 0 },
  ...more,
});

const status = (approvals: ApprovalStatus[]): AutomationStatus => ({
  ...{ plan: 'release', state: 'waiting', waitingFor: 'approval send', startedAt: '2026-03-01T12:00:00.000Z', runs: 1 },
  totals: { steps: 1, answered: 0, failed: 0, cancelled: 0, tokens: 0 },
  steps: [],
  approvals,
  decisions: [],
});

describe('detailsOf()', () => {
  test('tells what is to be decided, until when, what happens then, and how to answer', () => {
    const waiting = approval('send', { deadline: '2026-03-04T12:00:00.000Z', then: 'the plan fails' });
    const details = detailsOf({
      ...status([waiting]),
      ...{ waitingUntil: '2026-03-04T12:00:00.000Z', waitingThen: 'the plan fails' },
    });
    expect(details.split('\n').slice(0, 8)).toEqual([
      '**waiting** for approval send until 2026-03-04 12:00:00Z, then the plan fails',
      '',
      '- **approval `send`** waits until 2026-03-04 12:00:00Z, then the plan fails:',
      '',
      '  > “Send it?”',
      '',
      '  To answer, send the signal `approve` or `reject` with `{"approvalId": "send", "by": "your name", "comment": "why"}`',
      '',
    ]);
  });

  test('shows three approvals, and the beginning of a long message: all of it travels in a URL', () => {
    const long = Array.from({ length: 50 }, (_, n) => approval(`a${n}`, { message: '漢'.repeat(100_000) }));
    const details = detailsOf(status(long));
    expect(details).toContain(`> “${'漢'.repeat(300)}…”`);
    expect(details).toContain('To answer (the query `approvals` has all of the text), send');
    expect(details).toContain('- … and 47 more approvals: the query `approvals` has them all');
    expect(details.match(/^- \*\*approval/gm)).toHaveLength(3);
    expect(encodeURIComponent(details).length).toBeLessThan(12_000);
  });
});

test.each([
  ['lines become one', 'One\n\n# two\r\n- three\t', '“One \\# two - three”'],
  [
    'markdown and HTML stand as they are',
    '<b>*a*</b> [x](y) `c` ~d~ &lt; \\',
    '“\\<b\\>\\*a\\*\\</b\\> \\[x\\](y) \\`c\\` \\~d\\~ \\&lt; \\\\”',
  ],
  ['half a pair is left out', 'a\ud83d b', '“a b”'],
  ['pairs are not cut', '😀'.repeat(301), `“${'😀'.repeat(300)}…”`],
])('quotedText(): %s', (_, text, quoted) => {
  expect(quotedText(text).quoted).toBe(quoted);
  expect(() => encodeURIComponent(quotedText('a'.repeat(2_399) + '😀'.repeat(9)).quoted)).not.toThrow();
});
