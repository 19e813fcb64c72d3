import { FAILURE_TYPES } from '../../protocol/failures.js';
import { jsonBytes } from '../../protocol/json-size.js';
import {
  type JsonObject,
  type JsonValue,
  PLAN_LIMITS,
  type PlanConversation,
  type StepPath,
} from '../../protocol/plan.js';
import type { ScopeMemory } from './frames.js';
import { StepError } from './step-error.js';

/** Bytes of all that is kept of a plan's steps, together. */
export class KeptBytes {
  #bytes = 0;

  /** @throws StepError `PlanStateTooLarge`; nothing is counted then. */
  add(value: unknown): void {
    const bytes = sizeOf(value);
    if (this.#bytes + bytes > PLAN_LIMITS.stateBytes) {
      throw StepError.of(
        FAILURE_TYPES.planStateTooLarge,
        `Cannot keep what the step resulted in: with it the plan would hold ${this.#bytes + bytes} bytes of JSON, more than ` +
          `${PLAN_LIMITS.stateBytes}; collect less of each item, or give no id to steps whose result nobody needs`,
      );
    }
    this.#bytes += bytes;
  }

  /** Of the run before: there is room for it. */
  count(value: unknown): void {
    this.#bytes += sizeOf(value);
  }

  remove(value: unknown): void {
    this.#bytes -= sizeOf(value);
  }
}

const sizeOf = (value: unknown): number => (value === undefined ? 0 : jsonBytes(value));

/** Named values (results of steps, variables), and the bytes of them. */
export class KeptValues {
  constructor(
    private readonly values: JsonObject,
    private readonly kept: KeptBytes,
  ) {
    for (const [name, value] of Object.entries(values)) kept.count({ [name]: value });
  }

  /** @throws StepError `PlanStateTooLarge`; the name has no value then. */
  keep(name: string, value: JsonValue): void {
    const before = this.values[name];
    if (before !== undefined) {
      this.kept.remove({ [name]: before });
      delete this.values[name];
    }
    this.kept.add({ [name]: value });
    this.values[name] = value;
  }

  drop(): void {
    for (const [name, value] of Object.entries(this.values)) this.kept.remove({ [name]: value });
  }
}

/** What makes a scope. */
export interface ScopeParts {
  memory: ScopeMemory;
  /** Names of its own: the item of a `forEach`, and its `index`. */
  names: JsonObject;
  /** Unique in the run, for names of conversations: `steps[2]#3/`; empty for the plan. */
  key: string;
  /** In ids of approvals: `#3` for item 3; empty for the plan. */
  mark: string;
  /** Those that it has of its own. */
  conversations: Readonly<Record<string, PlanConversation>>;
  outer?: Scope;
}

/** What steps see: the results of those before them, in their own scope and those around it. */
export class Scope {
  readonly #results: KeptValues;

  constructor(
    private readonly parts: ScopeParts,
    private readonly kept: KeptBytes,
  ) {
    this.#results = new KeptValues(parts.memory.steps, kept);
  }

  get key(): string {
    return this.parts.key;
  }

  get mark(): string {
    return this.parts.mark;
  }

  /** The scope of one item, inside this one. */
  ofItem(parts: Omit<ScopeParts, 'outer' | 'key' | 'mark'> & { path: StepPath; index: number }): Scope {
    const { path, index, ...rest } = parts;
    return new Scope(
      { ...rest, key: `${this.key}${path}#${index}/`, mark: `${this.mark}#${index}`, outer: this },
      this.kept,
    );
  }

  /** All names, for expressions; those of inner scopes hide those of outer ones. */
  context(): JsonObject {
    const { outer, memory, names } = this.parts;
    const around = outer?.context() ?? {};
    const steps = { ...(around['steps'] as JsonObject | undefined), ...memory.steps };
    return { ...around, ...names, steps, ...(memory.error !== undefined && { error: { ...memory.error } }) };
  }

  /** The conversation of that name that is seen here, and the scope that it belongs to. */
  conversation(name: string): { owner: Scope; declared: PlanConversation } | undefined {
    const { conversations, outer } = this.parts;
    if (!Object.hasOwn(conversations, name)) return outer?.conversation(name);
    return { owner: this, declared: conversations[name] ?? {} };
  }

  /** @throws StepError `PlanStateTooLarge` */
  keep(id: string, result: JsonValue): void {
    this.#results.keep(id, result);
  }

  /** The last failure that the plan went on after. */
  noteFailure(error: NonNullable<ScopeMemory['error']>): void {
    this.parts.memory.error = error;
  }

  /** It is over: what it kept is gone. */
  drop(): void {
    this.#results.drop();
  }
}
