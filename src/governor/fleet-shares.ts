/**
 * How the workers of a fleet share the limits of an agent: pure functions from what they tell to what each may use.
 *
 * - **Ceilings** are strict. What a worker holds is its own until it tells of less; a share grows only by what nobody holds. So
 *   the sum never passes the ceiling, however late anybody hears of anything.
 * - **What was learned** is shared out anew when the fleet changes, or when one starves while others have plenty. In between each
 *   worker learns on by itself, on its own calls: the law is made for that, and a refusal tells it at once.
 */
import type { Ceilings, FleetShares, LearnedLimit, LearnedRate, MemberReport } from '../protocol/limits.js';

/** A worker of the fleet; without a report, as it has only just joined. */
export interface FleetMember {
  id: string;
  report?: MemberReport | undefined;
}

/** Shares of a ceiling that fewer calls than workers go round by turns of this length (milliseconds). */
const TURN_MS = 5_000;
/** Learned shares are left alone unless one starves by more than this part of its share... */
const STARVING = 0.3;
/** ... and for so long after the last time (milliseconds). */
const LEARNED_AGAIN_MS = 2_500;

export const NO_SHARES: FleetShares = {
  ceilings: { version: 0, of: {} },
  learned: { version: 0, of: {}, targets: {}, isSettled: true },
};

/** Ceilings shared out anew; as before while somebody has not taken the last shares, or where nothing would change. */
export function shareCeilings(
  total: Ceilings,
  members: readonly FleetMember[],
  before: FleetShares['ceilings'],
  nowMs: number,
): FleetShares['ceilings'] {
  if (!members.every((member) => hasTakenCeilings(member, before))) return before;
  const concurrency = shareOne('maxConcurrency', total, members, (most) => {
    const floor = Math.min(1, most / members.length);
    return wholeNumbers(waterFill(most, members.map(wantedAtOnce), floor), Math.floor(nowMs / TURN_MS));
  });
  const perMinute = shareOne('maxPerMinute', total, members, (most) =>
    waterFill(most, members.map(wantedPerMinute), most / members.length / 10),
  );
  const of = Object.fromEntries(
    members.map(({ id }, index): [string, Ceilings] => [
      id,
      {
        ...(concurrency !== undefined && { maxConcurrency: concurrency[index] ?? 0 }),
        ...(perMinute !== undefined && { maxPerMinute: perMinute[index] ?? 0 }),
      },
    ]),
  );
  return JSON.stringify(of) === JSON.stringify(before.of) ? before : { version: before.version + 1, of };
}

/** One ceiling: towards the targets, but growing only into what nobody holds. */
function shareOne(
  name: keyof Ceilings,
  total: Ceilings,
  members: readonly FleetMember[],
  targetsOf: (most: number) => number[],
): number[] | undefined {
  const most = total[name];
  if (most === undefined) return undefined;
  const targets = targetsOf(most);
  // Who has told nothing yet, or has not heard of the ceiling, may hold anything.
  const held = members.map(({ report }) => report?.held[name] ?? Number.POSITIVE_INFINITY);
  let free = most - sum(held);
  return targets.map((target, index) => {
    if (members[index]?.report === undefined) return 0;
    const has = held[index] ?? 0;
    if (target <= has) return target;
    const more = Math.max(0, Math.min(target - has, free));
    free -= more;
    return has + more;
  });
}

const wantedAtOnce = ({ report }: FleetMember): number => report?.wanted ?? 0;

/** Whoever waits would use more than it does. */
function wantedPerMinute({ report }: FleetMember): number {
  if (report === undefined) return 0;
  return report.waiting > 0 ? Number.POSITIVE_INFINITY : report.perSecond * 60 * 1.25;
}

/** What was learned, shared out anew where that is due, or a step on; otherwise as before. */
export function shareLearned(
  members: readonly FleetMember[],
  /** Last reports of workers that have left since the last sharing. */
  departed: readonly MemberReport[],
  before: FleetShares['learned'],
  sinceMs: number,
): FleetShares['learned'] {
  const reports = [...members.flatMap(({ report }) => report ?? []), ...departed];
  if (members.length + departed.length < 2 || reports.every(({ isRamping }) => isRamping)) return before;
  if (!members.every((member) => hasTakenLearned(member, before))) return before;
  const isNewcomer = ({ id }: FleetMember): boolean => before.targets[id] === undefined;
  const isChanged = members.some(isNewcomer) || departed.length > 0;
  if (!isChanged && !before.isSettled) return stepOn(members, before.targets, before);
  const knowing = members.filter((member) => !isNewcomer(member) || member.report?.isRamping === false);
  // What has been taken from some and not yet been given to others is lost to none.
  const ofKnowing = [...knowing.flatMap(({ report }) => report ?? []), ...departed];
  const owed = before.isSettled ? 0 : owedPlaces(members, before);
  const targets = learnedTargets(members, ofKnowing, owed);
  const isDue = isChanged || (sinceMs >= LEARNED_AGAIN_MS && starves(members, targets));
  return isDue ? stepOn(members, targets, before) : before;
}

/** True while shares are on their way, or some wait until others have room for them. */
export function isUnsettled({ ceilings, learned }: FleetShares, members: readonly FleetMember[]): boolean {
  return (
    !learned.isSettled ||
    members.some((member) => !hasTakenCeilings(member, ceilings) || !hasTakenLearned(member, learned))
  );
}

const hasTakenCeilings = ({ id, report }: FleetMember, { of, version }: FleetShares['ceilings']): boolean =>
  of[id] === undefined || report === undefined || report.taken.ceilings >= version;

const hasTakenLearned = ({ id, report }: FleetMember, { of, version }: FleetShares['learned']): boolean =>
  of[id] === undefined || (report?.taken.learned ?? 0) >= version;

const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0);

/** Places that were taken from some for others, who have not been given them yet. */
function owedPlaces(members: readonly FleetMember[], { targets }: FleetShares['learned']): number {
  const owed = ({ id, report }: FleetMember): number => Math.max(0, (targets[id]?.limit ?? 0) - (report?.limit ?? 0));
  return sum(members.map(owed));
}

/** The next step towards the targets: less at once, more as far as the others no longer use it. */
function stepOn(
  members: readonly FleetMember[],
  targets: Record<string, LearnedLimit>,
  { version }: FleetShares['learned'],
): FleetShares['learned'] {
  const used = members.map(({ report }) => (report === undefined ? 0 : Math.max(report.limit, report.inFlight)));
  const isAbove = ({ id, report }: FleetMember, name: 'limit' | 'peak'): boolean => {
    const [has, should] =
      name === 'limit' ? [report?.limit, targets[id]?.limit] : [report?.rate?.peak, targets[id]?.rate?.peak];
    return (has ?? 0) > (should ?? 0) + 1e-9;
  };
  let free = sum(members.map(({ id }) => targets[id]?.limit ?? 0)) - sum(used);
  const isRateFree = !members.some((member) => isAbove(member, 'peak'));
  let isSettled = true;
  const of = members.map(({ id, report }): [string, LearnedLimit] => {
    const target = targets[id] ?? { limit: 1 };
    const has = report?.limit ?? 0;
    const more = Math.max(0, Math.min(target.limit - has, free));
    free -= more;
    const limit = Math.max(1, has <= target.limit ? has + more : target.limit);
    const rate = isRateFree || isAbove({ id, report }, 'peak') ? target.rate : (report?.rate ?? target.rate);
    if (limit < target.limit - 0.5 || rate !== target.rate) isSettled = false;
    return [id, { limit, ...(rate !== undefined && { rate }) }];
  });
  return { version: version + 1, of: Object.fromEntries(of), targets, isSettled };
}

function learnedTargets(
  members: readonly FleetMember[],
  knowing: readonly MemberReport[],
  owed: number,
): Record<string, LearnedLimit> {
  const totalLimit = sum(knowing.map(({ limit }) => limit)) + owed;
  const wanted = members.map(wantedAtOnce);
  const limits = wholeNumbers(waterFill(totalLimit, wanted, Math.min(1, totalLimit / members.length)), 0);
  const latest = latestRate(knowing);
  const totalPeak = sum(knowing.map(({ rate, perSecond }) => rate?.peak ?? perSecond));
  const peaks = waterFill(totalPeak, members.map(wantedPerMinute), totalPeak / members.length / 10);
  const targets = members.map(({ id }, index): [string, LearnedLimit] => [
    id,
    {
      limit: Math.max(1, limits[index] ?? 1),
      ...(latest !== undefined && { rate: { ...latest, peak: peaks[index] ?? 0 } }),
    },
  ]);
  return Object.fromEntries(targets);
}

/**
 * The rate where the last refusal has left it: all go on from there. Undefined when most calls are let in to workers that know of
 * none: then it was a refusal of calls at once that looked like one of a rate, as the probes of others make it look.
 */
function latestRate(knowing: readonly MemberReport[]): LearnedRate | undefined {
  const withRate = knowing.filter(({ rate }) => rate !== undefined);
  const perSecond = (reports: readonly MemberReport[]): number => sum(reports.map((report) => report.perSecond));
  if (perSecond(withRate) < perSecond(knowing) / 2) return undefined;
  return withRate
    .flatMap(({ rate }) => rate ?? [])
    .reduce<LearnedRate | undefined>(
      (least, rate) => (least === undefined || rate.climbedMs < least.climbedMs ? rate : least),
      undefined,
    );
}

/** True when somebody waits whose share should be much more than it is. */
function starves(members: readonly FleetMember[], targets: Record<string, LearnedLimit>): boolean {
  return members.some(({ id, report }) => {
    const target = targets[id];
    if (report === undefined || target === undefined || report.waiting === 0) return false;
    const isShortOf = (has: number, should: number, least: number): boolean =>
      should - has > Math.max(least, STARVING * should);
    if (isShortOf(report.limit, target.limit, 1)) return true;
    return target.rate !== undefined && report.rate !== undefined && isShortOf(report.rate.peak, target.rate.peak, 0);
  });
}

/**
 * Shares a total out: each gets what it wants if that is no more than its part of what there is; what is left then goes to all in
 * equal parts. Each gets `floor` at least.
 */
export function waterFill(total: number, wanted: readonly number[], floor = 0): number[] {
  const shares = wanted.map(() => floor);
  let left = total - floor * wanted.length;
  const open = new Set(wanted.keys());
  while (open.size > 0 && left > 1e-9) {
    const part = left / open.size;
    const sated = [...open].filter((index) => (wanted[index] ?? 0) - (shares[index] ?? 0) <= part);
    // Who wants no more gets what it wants, the others their part; when nobody does, that is it.
    for (const index of sated.length > 0 ? sated : open) {
      const more = sated.length > 0 ? Math.max(0, (wanted[index] ?? 0) - (shares[index] ?? 0)) : part;
      shares[index] = (shares[index] ?? 0) + more;
      left -= more;
      open.delete(index);
    }
  }
  return left > 1e-9 ? shares.map((share) => share + left / shares.length) : shares;
}

/** Whole numbers of the same sum, rounded down: the greatest parts lost come first, and equal ones go round by `turn`. */
function wholeNumbers(shares: readonly number[], turn: number): number[] {
  const whole = shares.map((share) => Math.floor(share + 1e-9));
  const left = Math.floor(sum(shares) + 1e-9) - sum(whole);
  const lost = shares.map((share, index) => share - (whole[index] ?? 0));
  const order = [...shares.keys()].toSorted((a, b) => {
    const byLoss = (lost[b] ?? 0) - (lost[a] ?? 0);
    if (Math.abs(byLoss) > 1e-9) return byLoss;
    return ((a + turn) % shares.length) - ((b + turn) % shares.length);
  });
  for (const index of order.slice(0, left)) whole[index] = (whole[index] ?? 0) + 1;
  return whole;
}
