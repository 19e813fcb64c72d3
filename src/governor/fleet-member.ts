import {
  type Ceilings,
  type FleetShares,
  type LearnedLimit,
  leastOf,
  type LimitSettings,
  type MemberReport,
} from '../protocol/limits.js';
import type { AgentGate } from './agent-gate.js';
import { followTokens, leadTokens } from './fleet-tokens.js';
import { type FleetMember, NO_SHARES, isUnsettled, shareCeilings, shareLearned } from './fleet-shares.js';

/** What a worker sees of its fleet. */
export interface FleetView {
  settings: LimitSettings;
  /** In the order of their joining, this worker among them. The first is the leader, who shares out. */
  members: readonly FleetMember[];
}

/** For how long what was wanted counts as wanted still (milliseconds). */
const WANTED_MS = 1_500;

/**
 * A worker's part in the fleet of one agent: reads what the others tell, sets its gate by it, and says what to tell them. Pure but
 * for the gate; how the words get there is the caller's.
 *
 * Every round is `look`, then telling the others, then `told`: more than before is used only after the others know of it.
 */
export class MemberOfFleet {
  #applied: Ceilings = {};
  #granted: Ceilings = {};
  #shares: FleetShares = NO_SHARES;
  #sharedAtMs = Number.NEGATIVE_INFINITY;
  #taken = { ceilings: 0, learned: 0 };
  #wanted = { most: 0, atMs: 0 };
  #isNew = true;
  #isUnsettled = true;
  /** Last reports of the others, by member id. */
  #others = new Map<string, MemberReport>();
  /** Last reports of those who have left since the last sharing of what was learned. */
  #departed: MemberReport[] = [];
  /** Those who have left since the last round. */
  #justLeft: MemberReport[] = [];
  /** The ceilings seen last. */
  #total: Ceilings = {};

  constructor(
    private readonly self: { id: string; identity: string; configured: Ceilings },
    private readonly gate: AgentGate,
    private readonly now: () => number,
  ) {}

  /** Takes in what the fleet tells. @returns What to tell it. */
  look({ settings, members }: FleetView): MemberReport {
    const nowMs = this.now();
    this.gate.close(closedUntilMs(settings));
    this.#noteOthers(members);
    const [leader] = members;
    const isLeader = leader?.id === this.self.id;
    const total = leastOf([settings, this.self.configured, ...[...this.#others.values()].map((of) => of.configured)]);
    this.#limitBeforeShares(total, members);
    const self: FleetMember = { id: this.self.id, report: this.#report() };
    const known = members.map((member) => (member.id === self.id ? self : member));
    if (isLeader) this.#shareOut(total, known, nowMs);
    else this.#follow(leader?.report, members, nowMs);
    this.#take(total, members);
    this.#isUnsettled = this.#isNew || isUnsettled(this.#shares, known);
    this.#isNew = false;
    return { ...this.#report(), ...(isLeader && { shares: this.#shares }) };
  }

  /** Work waits under a ceiling: what one does not need, another does. */
  get isScarce(): boolean {
    return Object.keys(this.#total).length > 0 && this.gate.report().waiting > 0;
  }

  /** Shares are changing hands: the next round should come soon. */
  get isUnsettled(): boolean {
    return this.#isUnsettled;
  }

  /** The others took this worker for dead, and share what it had: it begins anew, with nothing. */
  lostSeat(): void {
    this.#isNew = true;
    for (const name of Object.keys(this.#granted) as (keyof Ceilings)[]) this.#granted[name] = 0;
    this.#taken = { ceilings: 0, learned: 0 };
    this.#shrink();
  }

  /** The others know what `look` said: the share may be used. */
  told(): void {
    this.#applied = this.#granted;
    this.gate.setCeilings(this.#applied);
  }

  /** Remembers what the others tell; hears of their refusals. */
  #noteOthers(members: readonly FleetMember[]): void {
    const departed = new Map(this.#others);
    const others = new Map<string, MemberReport>();
    for (const { id, report } of members) {
      if (id === this.self.id) continue;
      const before = this.#others.get(id);
      departed.delete(id);
      const known = report ?? before;
      if (known === undefined) continue;
      others.set(id, known);
      const { askedUntilMs } = known;
      const isAsked = askedUntilMs !== undefined && askedUntilMs !== before?.askedUntilMs;
      const isRefused = before !== undefined && known.refusals > before.refusals;
      const isOfRate = before !== undefined && known.rateRefusals > before.rateRefusals;
      if (isAsked || isRefused) this.gate.refusedElsewhere({ isOfRate, askedUntilMs });
    }
    this.#others = others;
    this.#justLeft = [...departed.values()];
    // Where a ramp stood tells of no limit.
    for (const report of departed.values()) if (!report.isRamping) this.#departed.push(report);
  }

  /** Until shares come: nothing for a newcomer, an equal part for whom a new ceiling finds at work, less where one was lowered. */
  #limitBeforeShares(total: Ceilings, members: readonly FleetMember[]): void {
    const part = (name: keyof Ceilings): Ceilings => {
      const most = total[name];
      if (most === undefined) return {};
      const granted = this.#granted[name];
      const before = this.#total[name] ?? most;
      const isEqualPart = granted === undefined && !this.#isNew;
      const share = isEqualPart ? most / members.length : (granted ?? 0) * Math.min(1, most / before);
      return { [name]: name === 'maxConcurrency' ? Math.floor(share + 1e-9) : share };
    };
    this.#granted = { ...part('maxConcurrency'), ...part('maxPerMinute') };
    this.#total = total;
    this.#shrink();
  }

  #shareOut(total: Ceilings, members: readonly FleetMember[], nowMs: number): void {
    const ceilings = shareCeilings(total, members, this.#shares.ceilings, nowMs);
    const sinceMs = nowMs - this.#sharedAtMs;
    const learned = shareLearned(members, this.#departed, this.#shares.learned, sinceMs);
    if (learned !== this.#shares.learned) {
      this.#sharedAtMs = nowMs;
      this.#departed = [];
    }
    const before = this.#shares.tokens;
    const { tokens, shares } = leadTokens(this.gate.tokens, before, {
      ...{ self: this.self.id, members, departed: this.#justLeft, nowMs },
    });
    this.gate.takeTokens(tokens);
    this.#shares = { ceilings, learned, ...(shares !== undefined && { tokens: shares }) };
  }

  /** Goes by what the leader says, once it has said anything. */
  #follow(leader: MemberReport | undefined, members: readonly FleetMember[], nowMs: number): void {
    if (leader?.shares === undefined) return;
    this.#shares = leader.shares;
    const { tokens } = leader.shares;
    const own = this.#isNew ? { ...this.gate.tokens, share: null } : this.gate.tokens;
    this.gate.takeTokens(followTokens(own, tokens, { self: this.self.id, members, nowMs }));
  }

  #take(total: Ceilings, members: readonly FleetMember[]): void {
    const { ceilings, learned } = this.#shares;
    const share = ceilings.of[this.self.id];
    if (share !== undefined && ceilings.version > this.#taken.ceilings) {
      this.#granted = leastOf([share, total]);
      this.#taken.ceilings = ceilings.version;
      this.#shrink();
    }
    const mine = learned.of[this.self.id];
    if (mine !== undefined && learned.version > this.#taken.learned) {
      this.gate.takeShare(mine, members.length === 1);
      this.#taken.learned = learned.version;
      this.#departed = [];
    } else if (this.#isNew && members.length > 1) this.#startLow();
  }

  /** Others have met the limit: a newcomer that ramped up would take from them by refusals what it will be given soon. */
  #startLow(): void {
    if ([...this.#others.values()].every(({ isRamping }) => isRamping)) return;
    const start: LearnedLimit = { limit: 1 };
    this.gate.takeShare(start, false);
  }

  /** Less is used at once, more only when the others know. */
  #shrink(): void {
    this.#applied = leastOf([this.#applied, this.#granted]);
    for (const name of ['maxConcurrency', 'maxPerMinute'] as const)
      if (this.#granted[name] === undefined) delete this.#applied[name];
    this.gate.setCeilings(this.#applied);
  }

  #report(): MemberReport {
    const report = this.gate.report();
    const nowMs = this.now();
    const wanted = report.inFlight + report.waiting;
    if (wanted >= this.#wanted.most || nowMs - this.#wanted.atMs > WANTED_MS)
      this.#wanted = { most: wanted, atMs: nowMs };
    const { maxConcurrency, maxPerMinute } = this.#granted;
    const { self } = this;
    return {
      ...report,
      wanted: this.#wanted.most,
      identity: self.identity,
      configured: self.configured,
      held: {
        ...(maxConcurrency !== undefined && { maxConcurrency: Math.max(maxConcurrency, report.inFlight) }),
        ...(maxPerMinute !== undefined && { maxPerMinute }),
      },
      taken: { ...this.#taken },
    };
  }
}

function closedUntilMs({ closed }: LimitSettings): number | undefined {
  if (closed === undefined) return undefined;
  return closed.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(closed.until);
}
