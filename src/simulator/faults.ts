import { z } from 'zod';
import { operationNames } from './routes.js';
import type { OperationName } from './routes.js';

const count = z.int().min(1);
const milliseconds = z.number().min(0);

const faultSchema = z.discriminatedUnion('kind', [
  /** The connection breaks before anything happened. */
  z.strictObject({ kind: z.literal('dropBefore') }),
  /** The call does all it should; its connection breaks in place of the answer. */
  z.strictObject({ kind: z.literal('dropAfterLanding') }),
  /** No answer ever comes. With `lands` the call does its work all the same; a stream may show some bytes first. */
  z.strictObject({
    kind: z.literal('hang'),
    lands: z.boolean().default(false),
    afterBytes: z.int().min(0).optional(),
  }),
  /** A stream breaks after so many bytes; the exchange goes on. With `clean` the break looks like an ordinary end. */
  z.strictObject({ kind: z.literal('cutStream'), afterBytes: z.int().min(0), clean: z.boolean().default(false) }),
  /** A proxy answers in the server's place, with an HTML page unless told otherwise; with `lands` the call goes on behind it. */
  z.strictObject({
    kind: z.literal('status'),
    status: z.int().min(400).max(599),
    body: z.string().optional(),
    contentType: z.string().default('text/html'),
    retryAfterSeconds: z.number().min(0).optional(),
    lands: z.boolean().default(false),
  }),
  /** The API refuses, by the name of the error; the parameters of documented ones are filled in. After `afterMs` of work. */
  z.strictObject({
    kind: z.literal('error'),
    errorName: z.string().min(1),
    status: z.int().min(400).max(599).optional(),
    errorCode: z.string().optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
    afterMs: milliseconds.default(0),
  }),
  /** The call reaches the server late. */
  z.strictObject({ kind: z.literal('delay'), ms: milliseconds }),
]);

export const faultRuleSchema = z.strictObject({
  /** The operation or operations concerned. Default: all. */
  operation: z.union([z.enum(operationNames), z.array(z.enum(operationNames)).min(1)]).optional(),
  /** Which of these calls. All conditions must hold; the counts are of calls that meet the other conditions. */
  match: z
    .strictObject({
      textIncludes: z.string().optional(),
      sessionRid: z.string().optional(),
      agentRid: z.string().optional(),
      /** Only the nth call, from 1. */
      nth: count.optional(),
      everyNth: count.optional(),
      /** Share of calls, drawn from a generator with this seed: the same seed, the same calls. */
      probability: z.number().min(0).max(1).optional(),
      seed: z.int().default(1),
    })
    .optional(),
  fault: faultSchema,
  /** How often the rule strikes at most. Default: without end. */
  times: count.optional(),
});

/** A rule that makes calls go wrong: plain data. */
export type FaultRule = z.input<typeof faultRuleSchema>;
/** What goes wrong with a call. */
export type Fault = z.output<typeof faultSchema>;
type CheckedRule = z.output<typeof faultRuleSchema>;

/** What a rule looks at. */
export interface FaultSubject {
  operation: OperationName;
  agentRid?: string | undefined;
  sessionRid?: string | undefined;
  text?: string | undefined;
}

class ActiveRule {
  #seen = 0;
  #struck = 0;
  readonly #random: () => number;

  constructor(readonly rule: CheckedRule) {
    this.#random = seededRandom(rule.match?.seed ?? 1);
  }

  get struck(): number {
    return this.#struck;
  }

  strikes(subject: FaultSubject): boolean {
    const { match, times } = this.rule;
    if (!this.#concerns(subject)) return false;
    this.#seen++;
    if (times !== undefined && this.#struck >= times) return false;
    if (match?.nth !== undefined && this.#seen !== match.nth) return false;
    if (match?.everyNth !== undefined && this.#seen % match.everyNth !== 0) return false;
    if (match?.probability !== undefined && this.#random() >= match.probability) return false;
    this.#struck++;
    return true;
  }

  #concerns(subject: FaultSubject): boolean {
    const { operation, match } = this.rule;
    const operations = typeof operation === 'string' ? [operation] : operation;
    if (operations?.includes(subject.operation) === false) return false;
    if (match?.agentRid !== undefined && match.agentRid !== subject.agentRid) return false;
    if (match?.sessionRid !== undefined && match.sessionRid !== subject.sessionRid) return false;
    return match?.textIncludes === undefined || (subject.text?.includes(match.textIncludes) ?? false);
  }
}

/** The rules in force. The first one that strikes decides. */
export class Faults {
  #rules: ActiveRule[] = [];

  /** Replaces all rules; their counts start at zero. */
  set(rules: readonly CheckedRule[]): void {
    this.#rules = rules.map((rule) => new ActiveRule(rule));
  }

  /** The rules and how often each has struck. */
  list(): { rule: CheckedRule; struck: number }[] {
    return this.#rules.map(({ rule, struck }) => ({ rule, struck }));
  }

  /** The fault that hits this call, if any. Counts the call. */
  strike(subject: FaultSubject): Fault | undefined {
    return this.#rules.find((rule) => rule.strikes(subject))?.rule.fault;
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }
}

/** Mulberry32. */
function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
