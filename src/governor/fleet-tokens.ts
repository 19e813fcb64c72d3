/**
 * How a fleet keeps a limit of tokens: pure functions from what its members tell to what each may use.
 *
 * Each worker notices a limit for itself. From then on the fleet has one: the leader's state is what all go by, and the law of
 * `token-rate.ts` runs there alone, on the calls of all. The others tell what they used, what was let in, and what was refused.
 *
 * - What is free, or to be paid, is everybody's, and so is the rate: each has its share of both, by what it wants.
 * - From a refusal on, until a call is known to be let in again, one member tries and all others wait.
 * - A leader that gives the limit up does so for all; then each notices for itself again.
 */
import type { MemberReport } from '../protocol/limits.js';
import type { TokenFinding, TokenReport, TokenShare, TokenShares } from '../protocol/token-limit.js';
import { type FleetMember, waterFill } from './fleet-shares.js';
import {
  type TokenUse,
  creditAt,
  findingOf,
  freeTokens,
  grownRate,
  limitAfterRefusal,
  meanAfter,
  tokensAfterLetIn,
  tokensAfterSharing,
  totalRate,
  withLanded,
} from './token-rate.js';

/** What one of the fleet sees of it. */
export interface TokenView {
  self: string;
  members: readonly FleetMember[];
  /** Last reports of workers that have left since the last look. */
  departed: readonly MemberReport[];
  nowMs: number;
}

/** A member that tells of its tokens: older workers do not. */
interface Teller {
  id: string;
  report: MemberReport & { tokens: TokenReport };
}

/** A suspicion that has lasted for so many probes is the fleet's. */
const SHARED_AFTER_PROBES = 3;
/** So much of what is free comes to be shared out evenly again each time; the rest stays where it is. */
const EVENED_OUT = 0.15;
/** Those who do not try wait for so long, unless they are told otherwise (milliseconds). */
const WAIT_MS = 10_000;
/** Of its part, what a newcomer may use until it is given that. */
const NEWCOMER_SHARE = 0.1;
const NOBODY = { inFlight: 0, callsPerSecond: 0 };

/** What the leader knows when it has heard the members, and what each may use; no shares where no limit is in sight. */
export function leadTokens(
  own: TokenUse,
  before: TokenShares | undefined,
  { self, members, departed, nowMs }: TokenView,
): { tokens: TokenUse; shares?: TokenShares } {
  const tellers = members.filter(isTeller);
  const others = tellers.filter(({ id }) => id !== self);
  // Who led before has told what is known.
  const led = { ...own, ...(own.isLed && before?.finding), isLed: false };
  const found = before === undefined ? findingOfAll(led, others) : led;
  if (found === undefined || !isInSight(found)) return { tokens: checked(withoutLimit(led), others) };
  const paid = departed.reduce((use, report) => leftBehind(use, report, nowMs), found);
  if (members.length === 1) {
    const tokens = { ...paid, share: null, others: NOBODY };
    return { tokens, shares: { finding: findingOf(tokens), isShut: isShut(tokens), of: {} } };
  }
  const heard = others.reduce((use, teller) => hear(use, teller, before?.of[teller.id], nowMs), {
    ...paid,
    others: callsOf(others),
  });
  const known = withNews(heard, others, before, nowMs);
  const use = climbed(known, tellers, before?.of[self]?.atMs ?? nowMs, nowMs);
  if (!isInSight(use)) return { tokens: withoutLimit(use) };
  const shares = shareTokens(use, tellers, before, nowMs);
  return { tokens: tokensAfterSharing(use, shares.of[self] ?? null), shares };
}

/** What a member knows when it has heard the leader. */
export function followTokens(
  own: TokenUse,
  leader: TokenShares | undefined,
  { self, members, nowMs }: Omit<TokenView, 'departed'>,
): TokenUse {
  if (leader === undefined) {
    const others = members.filter(isTeller).filter(({ id }) => id !== self);
    return checked(withoutLimit(own), others);
  }
  const { landedAtMs, letInStartedAtMs } = own;
  const use = { ...own, ...leader.finding, landedAtMs, letInStartedAtMs, isLed: true, others: NOBODY };
  const share = leader.of[self];
  if (share !== undefined) return tokensAfterSharing(use, share);
  return own.share === null ? { ...use, share: newcomerShare(use, leader.isShut, members.length, nowMs) } : use;
}

function newcomerShare(use: TokenUse, isToWait: boolean, memberCount: number, nowMs: number): TokenShare {
  const { used, known, refusedStartedAtMs } = use;
  const perSecond = (totalRate(use) / memberCount) * NEWCOMER_SHARE;
  const credit = used - (isToWait ? (perSecond * WAIT_MS) / 1000 : 0);
  return { credit, perSecond, atMs: nowMs, heard: { used, known, refusedStartedAtMs } };
}

const isTeller = (member: FleetMember): member is Teller => member.report?.tokens !== undefined;

const isInSight = ({ suspicion, rate }: TokenFinding): boolean => suspicion !== null || rate !== null;

const isShut = ({ empty, rate }: TokenFinding): boolean => rate === null || (empty !== null && empty.refusals > 0);

const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0);

const callsOf = (tellers: readonly Teller[]): TokenUse['others'] => ({
  inFlight: sum(tellers.map(({ report }) => report.inFlight)),
  callsPerSecond: sum(tellers.map(({ report }) => report.perSecond)),
});

/** By itself again: what the fleet knew holds no more. */
function withoutLimit(use: TokenUse): TokenUse {
  if (!use.isLed && use.share === null) return use;
  return { ...use, empty: null, suspicion: null, rate: null, share: null, isLed: false, others: NOBODY };
}

/** Where another was let in meanwhile, it was no limit of tokens that has refused. */
function checked(own: TokenUse, others: readonly Teller[]): TokenUse {
  const { empty, suspicion } = own;
  if (suspicion === null || empty === null || !isLetInSince(empty.startedAtMs, others)) return own;
  return { ...own, suspicion: null, empty: { ...empty, refusals: 0 } };
}

const isLetInSince = (atMs: number, tellers: readonly Teller[]): boolean =>
  tellers.some(({ report }) => report.tokens.letInStartedAtMs > atMs);

/**
 * A limit that the leader has learned by itself is the fleet's, as is one that a member has long suspected. What the others used until
 * then was of it, too.
 */
function findingOfAll(own: TokenUse, others: readonly Teller[]): TokenUse | undefined {
  if (own.rate !== null) return own;
  const findings = [findingOf(own), ...others.flatMap(({ report }) => report.tokens.finding ?? [])];
  const found = findings.find((one) => isOfFleet(one, others));
  if (found?.empty == null) return undefined;
  const beside = findings.flatMap((one) => (one === found ? [] : (one.empty ?? [])));
  const recent = others.map(({ report: { tokens } }) => (tokens.finding === undefined ? tokens.recent : 0));
  const landedBefore = found.empty.landedBefore + sum(beside.map((one) => one.landedBefore)) + sum(recent);
  const landed = found.empty.landed + sum(beside.map((one) => one.landed));
  return { ...own, ...found, empty: { ...found.empty, landedBefore, landed } };
}

const isOfFleet = ({ empty, suspicion }: TokenFinding, others: readonly Teller[]): boolean =>
  empty !== null && (suspicion?.probes ?? 0) >= SHARED_AFTER_PROBES && !isLetInSince(empty.startedAtMs, others);

/** Calls of a worker that is gone are taken to land. */
const leftBehind = (use: TokenUse, { inFlight }: MemberReport, nowMs: number): TokenUse =>
  withLanded(use, inFlight * use.mean, nowMs, nowMs);

/** What a member has used since it was heard last. */
function hear(use: TokenUse, { report }: Teller, before: TokenShare | undefined, nowMs: number): TokenUse {
  if (before === undefined) return use;
  const { used, known, mean, landedAtMs } = report.tokens;
  return {
    ...withLanded(use, used - before.heard.used, landedAtMs, nowMs),
    mean: meanAfter(use.mean, mean, known - before.heard.known),
    landedAtMs: Math.max(use.landedAtMs, landedAtMs),
  };
}

/** What was let in elsewhere, and refused, in the order of the starts. */
function withNews(use: TokenUse, others: readonly Teller[], before: TokenShares | undefined, nowMs: number): TokenUse {
  const callMs = Math.max(...others.map(({ report }) => report.tokens.callMs));
  const news = others.flatMap(({ id, report: { tokens } }) => {
    const { letInStartedAtMs, refusedStartedAtMs } = tokens;
    const isRefused = refusedStartedAtMs > (before?.of[id]?.heard.refusedStartedAtMs ?? refusedStartedAtMs);
    const letIn = { startedAtMs: letInStartedAtMs, isRefused: false };
    return isRefused ? [letIn, { startedAtMs: refusedStartedAtMs, isRefused }] : [letIn];
  });
  return news
    .toSorted((a, b) => a.startedAtMs - b.startedAtMs)
    .reduce(
      (next, { startedAtMs, isRefused }) =>
        isRefused ? refusedElsewhere(next, startedAtMs, nowMs) : tokensAfterLetIn(next, startedAtMs, callMs, nowMs),
      use,
    );
}

function refusedElsewhere(use: TokenUse, startedAtMs: number, nowMs: number): TokenUse {
  // One of several that were refused together is news.
  if (use.empty !== null && startedAtMs <= use.empty.lastStartedAtMs) return use;
  const { inFlight, callsPerSecond } = use.others;
  return limitAfterRefusal(use, { nowMs, startedAtMs, startedInFlight: inFlight + 1, inFlight, callsPerSecond });
}

/** The rate is raised while calls are let in, and it is tokens that hold others back. */
function climbed(use: TokenUse, tellers: readonly Teller[], lastAtMs: number, nowMs: number): TokenUse {
  const { rate, mean } = use;
  if (rate === null) return use;
  const { inFlight } = callsOf(tellers);
  const isWaiting = tellers.some(({ report }) => report.waiting > 0);
  const isScarce = freeTokens({ ...use, share: null }, inFlight, nowMs) <= mean * tellers.length;
  const climbedMs = isWaiting && isScarce && !isShut(use) ? nowMs - lastAtMs : 0;
  return { ...use, rate: grownRate(use, rate, inFlight, climbedMs, nowMs) };
}

/** What is free, or to be paid, by each one's part: at once after a time in which one tried alone, else little by little. */
function shareTokens(
  use: TokenUse,
  tellers: readonly Teller[],
  before: TokenShares | undefined,
  nowMs: number,
): TokenShares {
  const isOneToTry = isShut(use);
  const parts = partsOf(use, tellers);
  const prober = tellers.find(({ report }) => report.waiting > 0) ?? tellers[0];
  const free = freeTokens({ ...use, share: null }, callsOf(tellers).inFlight, nowMs);
  const had = tellers.map((teller) => freeOf(use, teller, before?.of[teller.id], nowMs));
  const evenedOut = before === undefined || before.isShut ? 1 : EVENED_OUT;
  const of = tellers.map((teller, index): [string, TokenShare] => {
    const part = parts[index] ?? 0;
    const perSecond = totalRate(use) * part;
    const share = (itsFree: number): TokenShare => shareOf(use, teller, itsFree, perSecond, nowMs);
    if (isOneToTry && teller !== prober) return [teller.id, share((-perSecond * WAIT_MS) / 1000)];
    if (isOneToTry) return [teller.id, { ...share(free), probeAtMs: (use.rate ?? use.suspicion)?.probeAtMs ?? nowMs }];
    const asBefore = (had[index] ?? 0) + (free - sum(had)) * part;
    return [teller.id, share(asBefore + (free * part - asBefore) * evenedOut)];
  });
  return { finding: findingOf(use), isShut: isOneToTry, of: Object.fromEntries(of) };
}

/** Each member's part of the whole: whoever waits would use more than it does. */
function partsOf(use: TokenUse, tellers: readonly Teller[]): number[] {
  const callsPerSecond = totalRate(use) / Math.max(1, use.mean);
  const wanted = tellers.map(({ report: { waiting, perSecond } }) =>
    waiting > 0 ? Number.POSITIVE_INFINITY : (perSecond * 1.25) / callsPerSecond,
  );
  return waterFill(1, wanted, 0.1 / tellers.length);
}

function freeOf({ mean }: TokenUse, { report }: Teller, share: TokenShare | undefined, nowMs: number): number {
  return share === undefined ? 0 : creditAt(share, nowMs) - report.tokens.used - report.inFlight * mean;
}

function shareOf({ mean }: TokenUse, { report }: Teller, free: number, perSecond: number, nowMs: number): TokenShare {
  const { used, known, refusedStartedAtMs } = report.tokens;
  const credit = used + report.inFlight * mean + free;
  return { credit, perSecond, atMs: nowMs, heard: { used, known, refusedStartedAtMs } };
}
