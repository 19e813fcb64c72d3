import { AgentGate, type GateClock, type GateStatus } from '../../src/governor/agent-gate.js';
import { MemberOfFleet } from '../../src/governor/fleet-member.js';
import { type Ceilings, type LimitSettings, MEMBER_TIMEOUT_MS, type MemberReport } from '../../src/protocol/limits.js';

/** A limit as the server keeps it. `enter` decides at the door; an admitted call leaves later. */
export interface ServerLimit {
  enter(nowMs: number): boolean;
  leave(nowMs: number, tokens: number): void;
  /** Landings, or tokens of what landed, that this limit would have allowed from 0 to `nowMs`, for calls that take `callMs`. */
  capacity(nowMs: number, callMs: number): number;
  /** What `capacity` counts; absent: landings. */
  counts?: 'tokens';
}

/** So many calls at once. `change` gives the limit at a time. */
export function atOnce(change: (nowMs: number) => number): ServerLimit {
  let inFlight = 0;
  return {
    enter(nowMs) {
      if (inFlight >= change(nowMs)) return false;
      inFlight += 1;
      return true;
    },
    leave: () => void (inFlight -= 1),
    capacity: (nowMs, callMs) => integral(change, nowMs) / callMs,
  };
}

/** So many calls per second, with a bucket of `burst`. */
export function perSecond(change: (nowMs: number) => number, burst: number): ServerLimit {
  let tokens = burst;
  let atMs = 0;
  return {
    enter(nowMs) {
      tokens = Math.min(burst, tokens + ((nowMs - atMs) / 1000) * change(nowMs));
      atMs = nowMs;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
    leave: () => undefined,
    capacity: (nowMs) => burst + integral(change, nowMs) / 1000,
  };
}

/** So many tokens a minute, as the simulator keeps it: a call is let in while any are left, and takes its own off at its end. */
export function tokensPerMinute(change: (nowMs: number) => number, burstSeconds = 60): ServerLimit {
  const burst = (nowMs: number): number => (change(nowMs) * burstSeconds) / 60;
  let left = burst(0);
  let atMs = 0;
  const fill = (nowMs: number): void => {
    left = Math.min(burst(nowMs), left + ((nowMs - atMs) / 60_000) * change(nowMs));
    atMs = nowMs;
  };
  return {
    enter(nowMs) {
      fill(nowMs);
      return left > 0;
    },
    leave(nowMs, tokens) {
      fill(nowMs);
      left -= tokens;
    },
    capacity: (nowMs) => burst(0) + integral(change, nowMs) / 60_000,
    counts: 'tokens',
  };
}

/** Tokens of answers, `share` uniform in [0, 1): all alike, or most of them short and some fifty times as long. */
export const equalTokens = (): number => 1_000;
export const mixedTokens = (share: number): number => Math.round(80 * 50 ** share);

function integral(change: (nowMs: number) => number, untilMs: number): number {
  let sum = 0;
  for (let nowMs = 0; nowMs < untilMs; nowMs += 10) sum += change(nowMs) * Math.min(10, untilMs - nowMs);
  return sum;
}

export interface SimulationInput {
  limit: ServerLimit;
  /** Calls that are wanted at once, all the time. */
  wanted: number;
  /** Time of a call that lands; each takes between 0.7 and 1.3 of it. */
  callMs: number;
  /** Time until a refusal is back. Default 5. */
  refusalMs?: number;
  /** Tokens of an answer, of a number uniform in [0, 1). Default `equalTokens`. */
  tokensOf?: (share: number) => number;
  /** Time from the end of a call until its tokens are known. Default 10. */
  readMs?: number;
  durationMs: number;
  ceilings?: Ceilings;
  seed?: number;
}

export interface SimulationResult {
  landed: number;
  refused: number;
  /** Landed calls, or their tokens, as a share of what the limit allowed. */
  used: number;
  refusedPerLanding: number;
  /** Landings in each second. */
  perSecond: number[];
  peakInFlight: number;
  status: GateStatus;
}

/** Runs a gate against a server's limit on a clock of its own: no network, no waiting. */
export function simulate(input: SimulationInput): SimulationResult {
  const world = createWorld(input.seed ?? 1);
  const gate = new AgentGate(world.clock, input.ceilings ?? {});
  const { refusalMs = 5, durationMs, callMs, limit, tokensOf = equalTokens, readMs = 10 } = input;
  const tokenShare = uniform(input.seed ?? 1);
  let [landed, landedTokens, refused, inFlight, peakInFlight] = [0, 0, 0, 0, 0];
  const landings: number[] = Array<number>(Math.ceil(durationMs / 1000)).fill(0);
  const ask = (): void => {
    gate.enter({
      priority: 'batch',
      grant(permit) {
        inFlight += 1;
        peakInFlight = Math.max(peakInFlight, inFlight);
        const isLetIn = limit.enter(world.clock.now());
        const takesMs = isLetIn ? callMs * (0.7 + 0.6 * world.clock.random()) : refusalMs * (1 + world.clock.random());
        world.after(takesMs, () => {
          inFlight -= 1;
          const nowMs = world.clock.now();
          if (isLetIn) {
            const tokens = tokensOf(tokenShare());
            limit.leave(nowMs, tokens);
            landed += 1;
            landedTokens += tokens;
            world.after(readMs, () => permit.used(tokens));
            landings[Math.floor(nowMs / 1000)] = (landings[Math.floor(nowMs / 1000)] ?? 0) + 1;
          } else refused += 1;
          permit.release(isLetIn ? 'ok' : 'refused');
          ask();
        });
      },
    });
  };
  for (let index = 0; index < input.wanted; index += 1) ask();
  world.runUntil(durationMs);
  return {
    landed,
    refused,
    used: (limit.counts === 'tokens' ? landedTokens : landed) / limit.capacity(durationMs, callMs),
    refusedPerLanding: refused / landed,
    perSecond: landings,
    peakInFlight,
    status: gate.status(),
  };
}

export interface FleetSimulationInput extends Omit<SimulationInput, 'wanted' | 'ceilings'> {
  /**
   * When each worker begins, and when it is killed (its calls go on at the agent); how many calls each wants at once. One that is
   * older neither tells nor hears of tokens.
   */
  workers: readonly { fromMs: number; killedAtMs?: number; wanted: number; isOlder?: boolean }[];
  settings?: (nowMs: number) => LimitSettings;
  /** From when on a worker's time without a landing counts (milliseconds). Default 0. */
  starvedFromMs?: number;
}

export interface FleetSimulationResult {
  landed: number;
  refused: number;
  refusedPerLanding: number;
  /** Landings, or their tokens, as a share of what the limit allowed. */
  used: number;
  /** Landings, and refusals, in each second; landings of each worker, and the longest time it had none while it lived (milliseconds). */
  perSecond: number[];
  refusedPerSecond: number[];
  byWorker: number[];
  starvedMs: number[];
  /** Calls let in at once, at most, over all workers. */
  peakInFlight: number;
  /** When a worker was given its first permit. */
  firstGrantMs: number[];
  status: GateStatus[];
}

/** Rounds of a member: at this interval, sooner when it was refused; words are this long on their way (milliseconds). */
const ROUND = { everyMs: 1_000, leastMs: 250, wayMs: 15 };
/** Runs the gates of several workers that share what they learn, against one limit. */
export function simulateFleet(input: FleetSimulationInput): FleetSimulationResult {
  const world = createWorld(input.seed ?? 1);
  const { now, random } = world.clock;
  const { refusalMs = 5, durationMs, callMs, limit, tokensOf = equalTokens, readMs = 0, starvedFromMs = 0 } = input;
  const tokenShare = uniform(input.seed ?? 1);
  const counters = (): number[] => Array<number>(Math.ceil(durationMs / 1000)).fill(0);
  const result = { landed: 0, refused: 0, perSecond: counters(), refusedPerSecond: counters(), peakInFlight: 0 };
  const byWorker = input.workers.map(() => 0);
  const landedAtMs = input.workers.map(({ fromMs }) => Math.max(fromMs, starvedFromMs));
  const starvedMs = input.workers.map(() => 0);
  const gates: AgentGate[] = [];
  let landedTokens = 0;
  const noteLanding = (index: number, nowMs: number): void => {
    const sinceMs = landedAtMs[index] ?? 0;
    starvedMs[index] = Math.max(starvedMs[index] ?? 0, nowMs - sinceMs);
    landedAtMs[index] = Math.max(sinceMs, nowMs);
  };
  const firstGrantMs = input.workers.map(() => Number.POSITIVE_INFINITY);
  const told = new Map<string, MemberReport | undefined>();
  let inFlight = 0;

  const count = (counts: number[]): void => {
    const second = Math.floor(now() / 1000);
    counts[second] = (counts[second] ?? 0) + 1;
  };

  input.workers.forEach(({ fromMs, killedAtMs = Number.POSITIVE_INFINITY, wanted, isOlder = false }, index) => {
    const id = `worker-${index}`;
    const gate = new AgentGate(world.clock, {});
    gates.push(gate);
    const member = new MemberOfFleet({ id, identity: id, configured: {} }, gate, now);
    const isDead = (): boolean => now() >= killedAtMs;
    let [lookedAtMs, isPlanned] = [Number.NEGATIVE_INFINITY, false];

    const round = (): void => {
      if (isDead()) return;
      lookedAtMs = now();
      const heard = (report: MemberReport | undefined) => (isOlder && report ? withoutTokens(report) : report);
      const members = [...told].map(([memberId, report]) => ({ id: memberId, report: heard(report) }));
      const report = member.look({ settings: input.settings?.(now()) ?? {}, members });
      world.after(ROUND.wayMs, () => {
        if (isDead()) return;
        told.set(id, structuredClone(isOlder ? withoutTokens(report) : report));
        world.after(ROUND.wayMs, () => !isDead() && member.told());
      });
      if (member.isUnsettled) roundSoon();
    };
    const rounds = (): void => {
      if (isDead()) return;
      if (now() - lookedAtMs >= ROUND.everyMs - 1) round();
      world.after(Math.max(1, lookedAtMs + ROUND.everyMs - now()), rounds);
    };
    const roundSoon = (): void => {
      if (isPlanned) return;
      isPlanned = true;
      world.after(Math.max(0, lookedAtMs + ROUND.leastMs - now()), () => {
        isPlanned = false;
        round();
      });
    };

    const ask = (): void => {
      if (isDead()) return;
      gate.enter({
        priority: 'batch',
        grant(permit) {
          if (isDead()) return;
          firstGrantMs[index] = Math.min(firstGrantMs[index] ?? 0, now());
          const isLetIn = limit.enter(now());
          if (isLetIn) result.peakInFlight = Math.max(result.peakInFlight, (inFlight += 1));
          const takesMs = isLetIn ? callMs * (0.7 + 0.6 * random()) : refusalMs * (1 + random());
          world.after(takesMs, () => {
            const tokens = isLetIn ? tokensOf(tokenShare()) : 0;
            if (isLetIn) {
              limit.leave(now(), tokens);
              landedTokens += tokens;
              inFlight -= 1;
              result.landed += 1;
              byWorker[index] = (byWorker[index] ?? 0) + 1;
              count(result.perSecond);
            } else {
              result.refused += 1;
              count(result.refusedPerSecond);
              roundSoon();
            }
            if (isDead()) return;
            if (isLetIn) {
              noteLanding(index, now());
              world.after(readMs, () => permit.used(tokens));
            }
            permit.release(isLetIn ? 'ok' : 'refused');
            ask();
          });
        },
      });
    };

    world.after(fromMs, () => {
      told.set(id, undefined);
      rounds();
      for (let call = 0; call < wanted; call += 1) ask();
    });
    if (killedAtMs < Number.POSITIVE_INFINITY) world.after(killedAtMs + MEMBER_TIMEOUT_MS, () => told.delete(id));
  });
  world.runUntil(durationMs);
  input.workers.forEach(({ killedAtMs = durationMs }, index) => noteLanding(index, Math.min(killedAtMs, durationMs)));
  const used = (limit.counts === 'tokens' ? landedTokens : result.landed) / limit.capacity(durationMs, callMs);
  const status = gates.map((gate) => gate.status());
  return {
    ...{ ...result, refusedPerLanding: result.refused / result.landed, used },
    ...{ byWorker, starvedMs, firstGrantMs, status },
  };
}

function withoutTokens({ tokens: _, shares, ...report }: MemberReport): MemberReport {
  if (shares === undefined) return report;
  const { ceilings, learned } = shares;
  return { ...report, shares: { ceilings, learned } };
}

/** A clock whose time moves from event to event. Events of one moment happen in the order they were planned. */
export function createWorld(seed: number): {
  clock: GateClock;
  after: (ms: number, callback: () => void) => void;
  runUntil: (ms: number) => void;
} {
  let nowMs = 0;
  const random = uniform(seed);
  const events = new EventHeap();
  const after = (ms: number, callback: () => void): void => events.push({ atMs: nowMs + ms, callback });
  return {
    after,
    clock: {
      now: () => nowMs,
      random,
      setTimer(callback, ms) {
        let isLive = true;
        after(ms, () => {
          if (isLive) callback();
        });
        return () => void (isLive = false);
      },
    },
    runUntil(untilMs) {
      for (let event = events.pop(untilMs); event !== undefined; event = events.pop(untilMs)) {
        nowMs = event.atMs;
        event.callback();
      }
      nowMs = untilMs;
    },
  };
}

function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface PlannedEvent {
  atMs: number;
  callback: () => void;
}

class EventHeap {
  readonly #items: (PlannedEvent & { order: number })[] = [];
  #count = 0;

  push(event: PlannedEvent): void {
    const items = this.#items;
    let index = items.push({ ...event, order: (this.#count += 1) }) - 1;
    for (let parent = (index - 1) >> 1; index > 0 && this.#isBefore(index, parent); parent = (index - 1) >> 1) {
      this.#swap(index, parent);
      index = parent;
    }
  }

  /** The earliest event, unless it comes after `untilMs`. */
  pop(untilMs: number): PlannedEvent | undefined {
    const items = this.#items;
    const [first] = items;
    if (first === undefined || first.atMs > untilMs) return undefined;
    this.#swap(0, items.length - 1);
    items.pop();
    for (let index = 0; ;) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2])
        if (child < items.length && this.#isBefore(child, least)) least = child;
      if (least === index) return first;
      this.#swap(index, least);
      index = least;
    }
  }

  #isBefore(left: number, right: number): boolean {
    const [a, b] = [this.#items[left], this.#items[right]];
    if (a === undefined || b === undefined) return false;
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
  }

  #swap(left: number, right: number): void {
    const [a, b] = [this.#items[left], this.#items[right]];
    if (a === undefined || b === undefined) return;
    this.#items[left] = b;
    this.#items[right] = a;
  }
}
