import {
  type JsonTemplate,
  type JsonValue,
  MAIN_CONVERSATION,
  type OnError,
  type Plan,
  type PlanConversation,
  type PlanInput,
  PLAN_LIMITS,
  type PlanStep,
} from '../protocol/plan.js';
import { type AuthoredInput, type AuthoredPlan, PLAN_SCHEMA } from './authored-plan.js';
import { type AuthoredStep, STEP_SCHEMAS } from './authored-steps.js';
import type { conversation, onError } from './authored-values.js';
import { conversationOf } from './conversation-checks.js';
import { durationMs } from '../protocol/duration.js';
import { defined } from './plan-path.js';
import { kindsOf, type StepEntry } from './step-table.js';
import type * as z from 'zod';

/** What is not written in a step. */
export const STEP_DEFAULTS = {
  delayMs: 10_000,
  backoff: 2,
  jsonAttempts: 3,
  forEachConcurrency: 1,
  batchConcurrency: 20,
  itemName: 'item',
} as const;

/** Brings a plan without faults into its longest form. @param steps Its steps (`stepTable`). */
export function normalise(value: unknown, steps: readonly StepEntry[]): Plan {
  const plan = PLAN_SCHEMA.parse(value);
  const entries = new Map(steps.map((entry) => [entry.raw, entry]));
  const reader = new StepNormaliser(entries, plan.conversations);
  const conversations = conversationsOf(plan.conversations);
  return defined({
    name: plan.name,
    description: plan.description,
    inputs: Object.fromEntries(Object.entries(plan.inputs ?? {}).map(([name, input]) => [name, inputOf(input)])),
    conversations: Object.keys(conversations).length > 0 ? conversations : { [MAIN_CONVERSATION]: {} },
    deadlineMs: ms(plan.deadline),
    maxSteps: plan.maxSteps ?? PLAN_LIMITS.maxSteps,
    steps: reader.block(plan.steps),
    output: plan.output,
  });
}

function inputOf(input: AuthoredInput): PlanInput {
  if (typeof input === 'string') return { type: input, required: true };
  return defined({
    type: input.type,
    description: input.description,
    required: input.required ?? input.default === undefined,
    default: input.default as JsonValue | undefined,
  });
}

const conversationsOf = (conversations: AuthoredPlan['conversations']): Record<string, PlanConversation> =>
  Object.fromEntries(Object.entries(conversations ?? {}).map(([name, written]) => [name, conversationFrom(written)]));

function conversationFrom(written: z.infer<typeof conversation>): PlanConversation {
  const { exchangeTimeout, callTimeout, ...rest } = written;
  return defined({
    ...rest,
    exchangeTimeoutMs: ms(exchangeTimeout),
    callTimeoutMs: ms(callTimeout),
  }) as PlanConversation;
}

function onErrorOf(written: z.infer<typeof onError>): OnError {
  if (typeof written === 'string' || 'goto' in written) return { retries: 0, delayMs: 0, backoff: 1, then: written };
  return {
    retries: written.retry,
    delayMs: ms(written.delay) ?? STEP_DEFAULTS.delayMs,
    backoff: written.backoff ?? STEP_DEFAULTS.backoff,
    then: written.then ?? 'stop',
  };
}

function ms(duration: string): number;
function ms(duration: string | undefined): number | undefined;
function ms(duration: string | undefined): number | undefined {
  if (duration === undefined) return undefined;
  const found = durationMs(duration);
  if (found === undefined) throw new Error(`Unchecked duration ${duration}`);
  return found;
}

/** Brings steps into their longest form. */
class StepNormaliser {
  constructor(
    private readonly entries: ReadonlyMap<unknown, StepEntry>,
    private readonly conversations: unknown,
  ) {}

  block(steps: readonly unknown[]): PlanStep[] {
    return steps.map((raw) => this.#step(raw as Record<string, unknown>));
  }

  #step(raw: Record<string, unknown>): PlanStep {
    const [kind] = kindsOf(raw);
    if (kind === undefined) throw new Error('Unchecked step');
    switch (kind) {
      case 'ask': {
        const step = STEP_SCHEMAS.ask.parse(raw);
        const asking = typeof step.ask === 'string' ? { text: step.ask } : step.ask;
        return { kind, ...base(step), conversation: this.#conversation(raw), ...defined(asking) } as PlanStep;
      }
      case 'askJson': {
        const step = STEP_SCHEMAS.askJson.parse(raw);
        const maxAttempts = step.askJson.maxAttempts ?? STEP_DEFAULTS.jsonAttempts;
        const asking = defined({ ...step.askJson, maxAttempts });
        return { kind, ...base(step), conversation: this.#conversation(raw), ...asking } as PlanStep;
      }
      case 'forEach':
        return this.#forEach(STEP_SCHEMAS.forEach.parse(raw));
      case 'if': {
        const step = STEP_SCHEMAS.if.parse(raw);
        const blocks = { then: this.block(step.then), else: this.block(step.else ?? []) };
        return { kind, ...base(step), if: step.if, ...blocks };
      }
      case 'parallel': {
        const step = STEP_SCHEMAS.parallel.parse(raw);
        const branches = Array.isArray(step.parallel)
          ? step.parallel.map((steps, index) => [String(index + 1), steps] as const)
          : Object.entries(step.parallel);
        return {
          kind,
          ...base(step),
          branches: branches.map(([name, steps]) => ({ name, do: this.block(steps) })),
        };
      }
      default:
        return plainStep(kind, raw);
    }
  }

  #forEach(step: AuthoredStep['forEach']): PlanStep {
    return {
      kind: 'forEach',
      ...base(step),
      items: step.forEach as string | JsonTemplate[],
      as: step.as ?? STEP_DEFAULTS.itemName,
      concurrency: step.concurrency ?? STEP_DEFAULTS.forEachConcurrency,
      conversations: conversationsOf(step.conversations),
      do: this.block(step.do),
      ...(step.collect !== undefined && { collect: step.collect }),
      onItemError: step.onItemError ?? 'stop',
    };
  }

  #conversation(raw: Record<string, unknown>): string {
    const entry = this.entries.get(raw);
    const name = entry === undefined ? undefined : conversationOf(entry, this.conversations);
    if (name === undefined) throw new Error('Unchecked conversation');
    return name;
  }
}

/** Steps without steps in them, and without a conversation. */
function plainStep(kind: 'approve' | 'wait' | 'batch' | 'set' | 'fail', raw: unknown): PlanStep {
  switch (kind) {
    case 'approve': {
      const step = STEP_SCHEMAS.approve.parse(raw);
      const written = typeof step.approve === 'string' ? { message: step.approve } : step.approve;
      return {
        kind,
        ...base(step),
        ...defined({
          message: written.message,
          waitMs: ms(written.wait),
          default: written.default,
          remindEveryMs: ms(written.remindEvery),
        }),
        continueWhenRejected: written.onReject === 'continue',
      };
    }
    case 'wait': {
      const step = STEP_SCHEMAS.wait.parse(raw);
      return { kind, ...base(step), wait: waitOf(step.wait) };
    }
    case 'batch': {
      const step = STEP_SCHEMAS.batch.parse(raw);
      const concurrency = step.batch.concurrency ?? STEP_DEFAULTS.batchConcurrency;
      return { kind, ...base(step), ...defined({ ...step.batch, concurrency }) } as PlanStep;
    }
    case 'set': {
      const step = STEP_SCHEMAS.set.parse(raw);
      return { kind, ...base(step), set: step.set as Record<string, JsonTemplate> };
    }
    case 'fail': {
      const step = STEP_SCHEMAS.fail.parse(raw);
      return { kind, ...base(step), message: step.fail };
    }
  }
}

function waitOf(written: AuthoredStep['wait']['wait']) {
  if (typeof written === 'string') return { forMs: ms(written) };
  if ('until' in written) return { until: written.until };
  return written.for.includes('{{') ? { for: written.for } : { forMs: ms(written.for) };
}

/** What every step has. */
function base(step: {
  id?: string | undefined;
  title?: string | undefined;
  onError?: z.infer<typeof onError> | undefined;
  deadline?: string | undefined;
}) {
  return defined({
    id: step.id,
    title: step.title,
    onError: step.onError === undefined ? undefined : onErrorOf(step.onError),
    deadlineMs: ms(step.deadline),
  });
}
