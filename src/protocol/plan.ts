/**
 * A plan: an automation written down in YAML or JSON, as it is once it has been read and checked (`src/plans`). Everything is in
 * its longest form here: times are milliseconds, defaults are filled in.
 *
 * `Expression`: JSONata over what the plan knows. `Template`: a text in which `{{ expression }}` stands for its value; a value that
 * is nothing but one `{{ expression }}` has the value itself, not its text. Both see `inputs`, `steps` (by id), `vars`, `run`, and in
 * a `forEach` its item and `index`.
 */
import type { BatchIsolation } from './batch.js';
import type { ConversationOptions } from './conversation.js';
import type { ExchangeMode } from './exchange.js';

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };

/** JSONata 2. */
export type Expression = string;
/** A text with `{{ expression }}` in it. */
export type Template = string;
/** A JSON value in which every string is a template. */
export type JsonTemplate = JsonValue;

export interface Plan {
  /** Shown to people: letters, digits, `.`, `_` and `-`, at most 100. */
  name: string;
  description?: string;
  /** By name. */
  inputs: Record<string, PlanInput>;
  /** By name. A plan that declares none has one, `main`, with the agent that it is started with. */
  conversations: Record<string, PlanConversation>;
  /** How long the whole plan may take (milliseconds). */
  deadlineMs?: number;
  /** Steps that may be begun in all; a plan that jumps back for ever ends there. */
  maxSteps: number;
  steps: PlanStep[];
  /** What the plan results in. Default: nothing. */
  output?: Expression;
}

/** Something that whoever starts a plan gives it. */
export interface PlanInput {
  type: 'string' | 'number' | 'boolean' | 'object' | 'array' | 'any';
  description?: string;
  required: boolean;
  default?: JsonValue;
}

/** A conversation of a plan; its session is opened when it is first asked something. */
export interface PlanConversation extends Pick<
  ConversationOptions,
  'mode' | 'carryParameters' | 'onExpired' | 'onContextOverflow' | 'carryOver' | 'exchangeTimeoutMs' | 'callTimeoutMs'
> {
  /** The agent's RID. Default: the one that the plan is started with. */
  agent?: Template;
  agentVersion?: Template;
  title?: Template;
  /** Values of application variables by id; a string is a parameter of type `string`. */
  parameters?: { [id: string]: JsonTemplate };
}

/** What becomes of a step that failed, once its retries are used up. */
export type AfterError = 'stop' | 'skip' | { goto: string };

export interface OnError {
  retries: number;
  /** Before the first retry (milliseconds). */
  delayMs: number;
  /** Each delay is so many times the one before. */
  backoff: number;
  then: AfterError;
}

interface StepBase {
  /** By it `steps.<id>` is what the step resulted in, and `goto` finds it. */
  id?: string;
  /** Shown to people. */
  title?: string;
  /** Default: no retries, then `stop`. */
  onError?: OnError;
  /** How long the step may take, retries included (milliseconds); past it, it fails as `DeadlinePassed`. */
  deadlineMs?: number;
}

export type StepKind = PlanStep['kind'];

export type PlanStep =
  AskStep | AskJsonStep | ApproveStep | WaitStep | ForEachStep | IfStep | ParallelStep | BatchStep | SetStep | FailStep;

interface Asking {
  /** Name of the conversation. */
  conversation: string;
  text: Template;
  parameters?: { [id: string]: JsonTemplate };
  mode?: ExchangeMode;
}

/** Asks the agent. Results in `{ answer, parameters, tokens, sessionRid }`. */
export interface AskStep extends StepBase, Asking {
  kind: 'ask';
}

/** Asks for JSON that fits a schema, and again with the reasons where it does not. Results in `{ json, answer, … }`. */
export interface AskJsonStep extends StepBase, Asking {
  kind: 'askJson';
  /** JSON Schema, draft 2020-12. */
  schema: JsonObject;
  /** Answers that are looked at before the step fails as `AnswerDoesNotFit`. */
  maxAttempts: number;
}

/** Waits for a person. Results in `{ approved, decision, by, comment, at }`; a rejection fails the step as `Rejected`. */
export interface ApproveStep extends StepBase {
  kind: 'approve';
  message: Template;
  /** How long it waits (milliseconds); past it, `default` decides. */
  waitMs?: number;
  /** What is decided when nobody has. Without one the step fails as `DeadlinePassed`. */
  default?: 'approve' | 'reject';
  /** Reminds (calls the worker's hook) so often, until somebody has decided (milliseconds). */
  remindEveryMs?: number;
  /** True: a rejection is a result (`approved: false`), not a failure. */
  continueWhenRejected: boolean;
}

/** Waits a while, or until a time. */
export interface WaitStep extends StepBase {
  kind: 'wait';
  /** A duration (milliseconds), or a template of an ISO 8601 time or duration such as `{{ inputs.pause }}`. */
  wait: { forMs: number } | { until: Template } | { for: Template };
}

/** Does the same for each item. Results in `{ results, count, failed }`: `results` in the order of the items. */
export interface ForEachStep extends StepBase {
  kind: 'forEach';
  /** The items: an expression of an array, or the array. */
  items: Expression | JsonTemplate[];
  /** By what name the item is known in `do`. */
  as: string;
  /** Items at once. */
  concurrency: number;
  /** Conversations that each item has of its own. */
  conversations: Record<string, PlanConversation>;
  do: PlanStep[];
  /** What of each item is kept, as `steps.<id>.results`. Default: nothing. */
  collect?: Expression;
  /** `stop`: the first item that fails ends the step; `continue`: it is counted, its result is null. */
  onItemError: 'stop' | 'continue';
}

export interface IfStep extends StepBase {
  kind: 'if';
  if: Expression;
  then: PlanStep[];
  else: PlanStep[];
}

/** Does several things at once, and waits for all. */
export interface ParallelStep extends StepBase {
  kind: 'parallel';
  branches: { name: string; do: PlanStep[] }[];
}

/** Puts rows through an agent as a batch. Results in `{ batchId, counts, results }`. */
export interface BatchStep extends StepBase {
  kind: 'batch';
  /** An expression of an array, or the array: texts, or rows `{ id, text | turns, parameters }`. */
  rows: Expression | JsonTemplate[];
  agent?: Template;
  agentVersion?: Template;
  /** Rows at once. */
  concurrency: number;
  mode?: ExchangeMode;
  isolation?: BatchIsolation;
  /** Failed rows that the step puts up with. Default: any number. */
  maxFailures?: number;
}

/** Gives variables values: `vars.<name>`. */
export interface SetStep extends StepBase {
  kind: 'set';
  set: { [name: string]: JsonTemplate };
}

/** Ends the plan as failed. */
export interface FailStep extends StepBase {
  kind: 'fail';
  message: Template;
}

/** What a plan that declares no conversation calls its only one. */
export const MAIN_CONVERSATION = 'main';

/** Bounds of a plan. */
export const PLAN_LIMITS = {
  /** JSON bytes of a plan as it is started. */
  planBytes: 256 * 1024,
  /** JSON bytes of the inputs of a run. */
  inputBytes: 256 * 1024,
  /** Default of `maxSteps`. */
  maxSteps: 100_000,
  /** JSON bytes of all that steps resulted in and is still known. */
  stateBytes: 384 * 1024,
  /** Deepest nesting of steps. */
  depth: 10,
  nameCharacters: 100,
  concurrency: 100,
  retries: 100,
  jsonAttempts: 10,
} as const;

/** `steps[2].do[0]`: where a step stands in its plan, as its file and every error has it. */
export type StepPath = string;

/** The blocks of steps that a step holds, with the path of each below its own. */
export function blocksOf(step: PlanStep): { key: string; steps: PlanStep[] }[] {
  switch (step.kind) {
    case 'forEach':
      return [{ key: 'do', steps: step.do }];
    case 'if':
      return [
        { key: 'then', steps: step.then },
        { key: 'else', steps: step.else },
      ];
    case 'parallel':
      return step.branches.map(({ name, do: steps }) => ({ key: `parallel.${name}`, steps }));
    case 'ask':
    case 'askJson':
    case 'approve':
    case 'wait':
    case 'batch':
    case 'set':
    case 'fail':
      return [];
  }
}
