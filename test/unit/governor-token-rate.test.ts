import { describe, expect, test } from '@jest/globals';
import {
  type TokenUse,
  allowedTokens,
  initialTokenUse,
  tokensAfterLanding,
  tokensAfterLetIn,
  tokensAfterRefusal,
  tokensAfterStart,
  tokensAfterUse,
  waitForTokens,
} from '../../src/governor/token-rate.js';

const CALL_MS = 2_000;

/** So many calls of 1,000 tokens land at one time. */
function landed(use: TokenUse, calls: number, nowMs: number): TokenUse {
  let next = use;
  for (let call = 0; call < calls; call += 1) {
    const taken = next.mean;
    next = tokensAfterUse(tokensAfterLanding(next, nowMs), { tokens: 1_000, taken, endedAtMs: nowMs, nowMs });
  }
  return next;
}

function refused(use: TokenUse, startedAtMs: number, inFlight: number): TokenUse {
  const nowMs = startedAtMs + 5;
  return tokensAfterRefusal(use, { nowMs, startedAtMs, startedInFlight: inFlight + 1, inFlight, callsPerSecond: 50 });
}

/** 61 calls landed within a second; then all was refused, while 20 more landed. */
function suspected(): TokenUse {
  let use = refused(landed(initialTokenUse(0), 61, 1_000), 995, 40);
  use = landed(use, 20, 1_010);
  return refused(refused(use, 1_020, 20), 1_040, 20);
}

/** The same, with a probe that was refused after 10 s, and another one let in when all was paid. */
function believed(): TokenUse {
  const use = refused(landed(suspected(), 20, 2_000), 11_000, 0);
  return tokensAfterLetIn(use, 42_500, CALL_MS, 44_500);
}

test('the state is JSON through and through', () => {
  const states = [initialTokenUse(0), suspected(), believed()];
  expect(JSON.parse(JSON.stringify(states))).toEqual(states);
});

describe('a limit of tokens is suspected', () => {
  test('when calls are refused again and again though others have ended', () => {
    expect(suspected().suspicion).not.toBeNull();
    expect(waitForTokens(suspected(), 20, 1_045)).toBe(1_095);
  });

  test('not before the third refusal, nor when nothing landed, nor when one is let in between', () => {
    const first = refused(landed(initialTokenUse(0), 61, 1_000), 995, 40);
    expect(refused(landed(first, 20, 1_010), 1_020, 20).suspicion).toBeNull();
    expect(refused(refused(first, 1_020, 20), 1_040, 20).suspicion).toBeNull();
    const opened = tokensAfterLetIn(refused(landed(first, 20, 1_010), 1_020, 20), 1_030, CALL_MS, 1_035);
    expect(refused(opened, 1_040, 20).suspicion).toBeNull();
  });

  test('and probed ever more seldom, or when what landed should be paid', () => {
    let use = suspected();
    const waits = [1_095, 1_295, 2_095, 5_295, 18_095].map((nowMs) => {
      use = refused(tokensAfterStart(use, 1, nowMs, 0), nowMs, 0);
      return (waitForTokens(use, 0, nowMs + 5) ?? 0) - nowMs - 5;
    });
    // A minute's worth in a full bucket: 61,000 tokens in 61 s, and those of 20 calls to be paid.
    expect(waits.map(Math.round)).toEqual([200, 800, 3_200, 12_800, 1_000 + 21_001 - 18_100]);
  });
});

describe('a limit of tokens is believed', () => {
  test('when it was shut for long, and as long as the first guess says', () => {
    expect(believed().rate).not.toBeNull();
    expect(allowedTokens(believed())).toBeCloseTo(1_000, 0);
  });

  test('not when it opens again soon', () => {
    const opened = tokensAfterLetIn(suspected(), 1_100, CALL_MS, 3_100);
    expect(opened).toMatchObject({ rate: null, suspicion: null });
    expect(allowedTokens(opened)).toBe(Number.POSITIVE_INFINITY);
  });

  test('not when it opens far sooner than tokens explain', () => {
    const use = refused(landed(suspected(), 400, 1_500), 4_500, 0);
    expect(tokensAfterLetIn(use, 4_600, CALL_MS, 6_600).rate).toBeNull();
  });
});

describe('a believed limit', () => {
  test('lets calls in while any tokens are left, counting those in flight by the mean', () => {
    const use = tokensAfterStart(believed(), 1, 44_500, 0);
    const left = (use.rate?.level ?? 0) / 1_000;
    expect(waitForTokens(use, Math.ceil(left) - 1, 44_500)).toBeUndefined();
    expect(waitForTokens(use, Math.ceil(left) + 1, 44_500)).toBeGreaterThan(44_500 + 1_000);
  });

  test('takes off what a call used, however late that is known', () => {
    const use = believed();
    const assumed = tokensAfterLanding(use, 45_000);
    const known = tokensAfterUse(assumed, { tokens: 4_000, taken: use.mean, endedAtMs: 45_000, nowMs: 46_000 });
    const levelBefore = (use.rate?.level ?? 0) + 1.5 * allowedTokens(use);
    expect(known.rate?.level).toBeCloseTo(levelBefore - 4_000, 5);
    expect(known.mean).toBeGreaterThan(use.mean);
  });

  test('is measured by what landed between two refusals', () => {
    // Since the first refusal 40 calls, and 50 more: 90,000 tokens in 100 s.
    const use = refused(landed(believed(), 50, 95_000), 101_000, 2);
    const measured = 90_000 / 100.005;
    const refusedPerSecond = allowedTokens(believed());
    const peak = measured + 0.25 * (refusedPerSecond - measured);
    expect(allowedTokens(use)).toBeCloseTo(0.9 * peak, 0);
    expect(waitForTokens(use, 2, 101_005)).toBeGreaterThan(101_005 + 2_000);
  });

  test('is given up when calls are refused although none has ended since one was let in', () => {
    let use = believed();
    for (const ms of [50_000, 51_000, 52_000]) {
      expect(use.rate).not.toBeNull();
      use = refused(tokensAfterLetIn(use, ms, CALL_MS, ms + 100), ms + 200, 5);
    }
    expect(use.rate).toBeNull();
  });
});
