import type { Flow } from '../protocol/limits.js';

interface FlowQueue<T> {
  weight: number;
  /** What it has had, in calls per weight: the least that is served next, of those who wait. */
  virtualTime: number;
  /** In the order of their coming, each with its number in it. */
  readonly waiting: Map<T, number>;
}

/** Of those that name no flow. */
const NO_FLOW: Flow = { key: '', weight: 1 };

/**
 * Who waits, by flow: weighted fair queueing by earliest eligible virtual deadline first (EEVDF), where each call counts as 1.
 *
 * While the same flows wait, each has at no time more than one call more or less than its weight gives it, first come first served
 * within it. A flow in which nobody waits leaves its part to the others and comes back at their virtual time, so that it saves
 * nothing up; what it had ahead of them still counts then.
 */
export class FairQueue<T extends { flow?: Flow | undefined }> implements Iterable<T> {
  readonly #flows = new Map<string, FlowQueue<T>>();
  #size = 0;
  #arrivals = 0;
  /** As of the last call taken. */
  #virtualTime = 0;

  get size(): number {
    return this.#size;
  }

  has(one: T): boolean {
    return this.#flows.get(flowOf(one).key)?.waiting.has(one) === true;
  }

  add(one: T): void {
    if (this.has(one)) return;
    const { key, weight } = flowOf(one);
    const virtualTime = this.#now();
    if (!this.#flows.has(key)) this.#forget(virtualTime);
    const flow = this.#flows.get(key) ?? { weight, virtualTime, waiting: new Map<T, number>() };
    if (flow.waiting.size === 0) flow.virtualTime = Math.max(flow.virtualTime, virtualTime);
    flow.weight = weight;
    flow.waiting.set(one, this.#arrivals++);
    this.#flows.set(key, flow);
    this.#size += 1;
  }

  /** Takes one out that was not served: its flow is charged nothing. */
  delete(one: T): void {
    if (this.#flows.get(flowOf(one).key)?.waiting.delete(one) === true) this.#size -= 1;
  }

  /** Who is served next. */
  first(): T | undefined {
    return headOf(this.#next())?.[0];
  }

  /** Serves the first: takes it out and charges its flow. */
  take(): T | undefined {
    const flow = this.#next();
    const [one] = headOf(flow) ?? [];
    if (flow === undefined || one === undefined) return undefined;
    this.#virtualTime = this.#now();
    flow.virtualTime += 1 / flow.weight;
    flow.waiting.delete(one);
    this.#size -= 1;
    return one;
  }

  /** All who wait, flow by flow. */
  *[Symbol.iterator](): Iterator<T> {
    for (const { waiting } of this.#flows.values()) yield* waiting.keys();
  }

  /** Of the flows that have had no more than their part, the one whose next call is due first; of equals, who came first. */
  #next(): FlowQueue<T> | undefined {
    const now = this.#now();
    let next: FlowQueue<T> | undefined;
    for (const flow of this.#flows.values()) {
      if (flow.waiting.size > 0 && flow.virtualTime <= now && (next === undefined || isBefore(flow, next))) next = flow;
    }
    return next;
  }

  /** The virtual time of the flows that wait: the mean by weight, and the last known where nobody waits. */
  #now(): number {
    let weights = 0;
    let sum = 0;
    let least = Number.POSITIVE_INFINITY;
    for (const { weight, virtualTime, waiting } of this.#flows.values()) {
      if (waiting.size === 0) continue;
      weights += weight;
      sum += weight * virtualTime;
      least = Math.min(least, virtualTime);
    }
    // Rounded, a mean can come out below all that it is of.
    return weights === 0 ? this.#virtualTime : Math.max(sum / weights, least);
  }

  /** Drops the flows that have nothing waiting and nothing ahead of the others. */
  #forget(virtualTime: number): void {
    for (const [key, flow] of this.#flows) {
      if (flow.waiting.size === 0 && flow.virtualTime <= virtualTime) this.#flows.delete(key);
    }
  }
}

/** A weight that is none would stop the whole queue; batches are inputs of workflows, which anybody may start. */
const flowOf = ({ flow: { key, weight } = NO_FLOW }: { flow?: Flow | undefined }): Flow => ({
  key,
  weight: Number.isFinite(weight) && weight > 0 ? weight : 1,
});

const headOf = <T>(flow: FlowQueue<T> | undefined): [T, number] | undefined => flow?.waiting.entries().next().value;

function isBefore<T>(one: FlowQueue<T>, other: FlowQueue<T>): boolean {
  const [due, dueOfOther] = [dueOf(one), dueOf(other)];
  return due === dueOfOther ? (headOf(one)?.[1] ?? 0) < (headOf(other)?.[1] ?? 0) : due < dueOfOther;
}

const dueOf = <T>({ virtualTime, weight }: FlowQueue<T>): number => virtualTime + 1 / weight;
