/** The steps that hold no others. */
import { isCancellation, workflowInfo } from '@temporalio/workflow';
import type { ExchangeOutcome } from '../../protocol/exchange.js';
import type { AutomationTotals } from '../../protocol/automation.js';
import { batchWorkflowId, type RowCounts, type RowOutcome } from '../../protocol/batch.js';
import { durationMs, LONGEST_MS } from '../../protocol/duration.js';
import { FAILURE_TYPES } from '../../protocol/failures.js';
import { jsonBytes } from '../../protocol/json-size.js';
import {
  type ApproveStep,
  type AskJsonStep,
  type AskStep,
  type BatchStep,
  type FailStep,
  type JsonObject,
  type JsonValue,
  PLAN_LIMITS,
  type PlanStep,
  type SetStep,
  type StepPath,
  type WaitStep,
} from '../../protocol/plan.js';
import { type ApprovalDesk, type ApprovalEnd, type ApprovalMemory, newApproval, ownEnd } from '../approval.js';
import { askJson } from '../ask-json.js';
import { answerOf, type Message } from '../conversation-in-code.js';
import { type BatchOptions, type BatchRowInput, runBatch } from '../run-batch.js';
import { waitUntil } from '../wait-until.js';
import { firstDeadline } from './deadline.js';
import { evaluate, renderJson, renderText } from './expressions.js';
import type { StepFrame } from './frames.js';
import { type PlanConversations, renderParameters } from './plan-conversations.js';
import type { Rest } from './rest.js';
import type { KeptBytes, KeptValues, Scope } from './scope.js';
import { PlanEnd, RollingOver, StepError } from './step-error.js';
import type { StepTree } from './step-tree.js';

export type LeafStep = AskStep | AskJsonStep | ApproveStep | WaitStep | BatchStep | SetStep | FailStep;

/** A step at work: what it is, where it stands, what it sees. */
export interface Work<Step extends PlanStep = PlanStep> {
  step: Step;
  path: StepPath;
  frame: StepFrame;
  scope: Scope;
}

/** What leaf steps work with. */
export interface LeafTools {
  agentRid: string | undefined;
  conversations: PlanConversations;
  desk: ApprovalDesk;
  tree: StepTree;
  vars: KeptValues;
  kept: KeptBytes;
  totals: AutomationTotals;
  rest: Rest;
  /** Whether anything in the plan looks at what this step results in. */
  isMentioned(id: string | undefined): boolean;
  onChange(): void;
}

/** Bytes of a batch's outcomes that a plan looks at. */
const BATCH_RESULT_BYTES = PLAN_LIMITS.stateBytes / 2;

export class LeafSteps {
  /** The `set` steps that came before: of two at once, the second sees what the first has set. */
  #lastSet: Promise<unknown> = Promise.resolve();

  constructor(private readonly tools: LeafTools) {}

  /** Does the step. @returns What it results in; undefined where that is nothing. */
  run(work: Work<LeafStep>): Promise<JsonValue | undefined> {
    const { step, ...rest } = work;
    switch (step.kind) {
      case 'ask':
        return this.#ask({ step, ...rest });
      case 'askJson':
        return this.#askJson({ step, ...rest });
      case 'approve':
        return this.#approve({ step, ...rest });
      case 'wait':
        return this.#wait({ step, ...rest });
      case 'batch':
        return this.#batch({ step, ...rest });
      case 'set':
        return this.#set({ step, ...rest });
      case 'fail':
        return this.#fail({ step, ...rest });
    }
  }

  /** Waits until then. @throws RollingOver When the run rolls over meanwhile. */
  async pause(path: StepPath, untilMs: number, waitingFor: string): Promise<void> {
    const leftMs = untilMs - Date.now();
    if (leftMs <= 0) return;
    const shown = this.tools.tree.wait(path, { waitingFor, untilMs });
    this.tools.onChange();
    try {
      const isHeld = await this.tools.rest.wait((isHeld) => waitUntil(isHeld, leftMs, `${path}: ${waitingFor}`));
      if (isHeld) throw new RollingOver();
    } finally {
      shown();
    }
  }

  async #ask({ step, path, scope }: Work<AskStep>): Promise<JsonValue> {
    const { conversation, message } = await this.#asking(step, path, scope);
    const outcome = await conversation.ask(message);
    return { answer: answerOf(outcome), ...resultOf(outcome), tokens: outcome.result?.totalTokensUsed ?? 0 };
  }

  async #askJson({ step, path, scope }: Work<AskJsonStep>): Promise<JsonValue> {
    const { conversation, message } = await this.#asking(step, path, scope);
    const { schema, maxAttempts } = step;
    const { json, outcome, attempts, tokens } = await askJson<JsonValue>(conversation, {
      ...{ message, schema, maxAttempts },
    });
    return { json, answer: answerOf(outcome), ...resultOf(outcome), attempts, tokens };
  }

  /** What to ask, and how: each outcome is counted. */
  async #asking(step: AskStep | AskJsonStep, path: StepPath, scope: Scope) {
    const { conversations, tree, totals } = this.tools;
    const context = scope.context();
    const text = await renderText(step.text, context);
    if (text.trim() === '') {
      throw StepError.of(FAILURE_TYPES.expressionFailed, 'There is nothing to ask: the text comes to nothing');
    }
    const message: Exclude<Message, string> = {
      text,
      ...(step.parameters !== undefined && { parameterInputs: await renderParameters(step.parameters, context) }),
      ...(step.mode !== undefined && { mode: step.mode }),
    };
    const conversation = await conversations.of(step.conversation, scope);
    const ask = async (asked: Message): Promise<ExchangeOutcome> => {
      const outcome = await conversation.ask(asked).catch((error: unknown) => {
        if (isCancellation(error)) totals.cancelled++;
        throw error;
      });
      const tokens = outcome.result?.totalTokensUsed ?? 0;
      tree.addTokens(path, tokens);
      totals.tokens += tokens;
      if (outcome.status === 'failed') totals.failed++;
      else if (outcome.status === 'cancelled') totals.cancelled++;
      else totals.answered++;
      return outcome;
    };
    const counted = {
      ask,
      get isBusy() {
        return conversation.isBusy;
      },
    };
    return { conversation: counted, message };
  }

  async #approve({ step, path, frame, scope }: Work<ApproveStep>): Promise<JsonValue> {
    const { desk, tree, rest } = this.tools;
    const approvalId = `${step.id ?? path}${scope.mark}`;
    const message = await renderText(step.message, scope.context());
    const memory = (frame.approval ??= newApproval());
    const end = endOf(step, path, memory);
    const shown = tree.wait(path, {
      waitingFor: `approval ${approvalId}`,
      ...(end !== undefined && { untilMs: end.atMs, then: end.then }),
    });
    try {
      const options = {
        message,
        approvalId,
        ...(step.waitMs !== undefined && { waitMs: step.waitMs }),
        ...(step.default !== undefined && { default: step.default }),
        ...(step.remindEveryMs !== undefined && { remindEveryMs: step.remindEveryMs }),
      };
      const answer = await rest.wait((isHeld) => desk.wait(options, memory, isHeld, end));
      if (answer === undefined) throw new RollingOver();
      const approved = answer.decision === 'approve';
      if (approved || step.continueWhenRejected) return { ...answer, approved };
      const who = answer.byDefault === true ? 'by default, as nobody had decided' : `by ${answer.by ?? 'somebody'}`;
      const why = answer.comment === undefined ? '' : `: ${answer.comment}`;
      throw StepError.of(FAILURE_TYPES.rejected, `Rejected ${who}${why}`);
    } finally {
      shown();
    }
  }

  async #wait({ step, path, frame, scope }: Work<WaitStep>): Promise<undefined> {
    frame.untilMs ??= await untilOf(step, scope.context());
    await this.pause(path, frame.untilMs, 'its time');
  }

  async #batch({ step, path, frame, scope }: Work<BatchStep>): Promise<JsonValue> {
    const context = scope.context();
    const rows = await itemsOf(step.rows, context);
    const agentRid = step.agent === undefined ? this.tools.agentRid : await renderText(step.agent, context);
    if (agentRid === undefined || agentRid === '') {
      throw StepError.of(
        FAILURE_TYPES.invalidInput,
        'The batch has no agent: name one in the step, or start the plan with one',
      );
    }
    const tries = frame.retries === 0 ? '' : `-${frame.retries}`;
    const batchId = `${workflowInfo().workflowId}/${step.id ?? path}${scope.mark}/${this.tools.totals.steps}${tries}`;
    const shown = this.tools.tree.wait(path, { waitingFor: `batch ${batchWorkflowId(batchId)}` });
    this.tools.onChange();
    try {
      const options: BatchOptions = {
        batchId,
        agentRid,
        rows: rows.map(rowOf),
        concurrency: step.concurrency,
        ...(step.agentVersion !== undefined && { agentVersion: await renderText(step.agentVersion, context) }),
        ...(step.mode !== undefined && { mode: step.mode }),
        ...(step.isolation !== undefined && { isolation: step.isolation }),
        ...(step.maxFailures !== undefined && { bounds: { maxFailures: step.maxFailures + 1 } }),
      };
      const batch = await this.tools.rest.long(() => runBatch(options));
      const { rowCount, counts } = batch;
      this.tools.tree.addTokens(path, counts.tokens);
      this.#count(counts);
      if (counts.failed > (step.maxFailures ?? Infinity)) {
        const message = `${counts.failed} of ${rowCount} rows failed, more than ${step.maxFailures}; see batch show ${batchId}`;
        throw StepError.of(FAILURE_TYPES.tooManyFailedRows, message);
      }
      const result = { batchId, rowCount, counts: { ...counts } };
      if (!this.tools.isMentioned(step.id)) return result;
      return { ...result, ...(await resultsOf(batch.pages())) };
    } finally {
      shown();
    }
  }

  /** What a batch has done, as if it had been asked here. */
  #count({ succeeded, failed, cancelled, expired, tokens }: RowCounts): void {
    const { totals } = this.tools;
    totals.answered += succeeded;
    totals.failed += failed;
    totals.cancelled += cancelled + expired;
    totals.tokens += tokens;
  }

  #set(work: Work<SetStep>): Promise<undefined> {
    const next = this.#lastSet.then(() => this.#setNow(work));
    this.#lastSet = next.catch(() => undefined);
    return next;
  }

  async #setNow({ step, scope }: Work<SetStep>): Promise<undefined> {
    const { vars } = this.tools;
    const context = scope.context();
    const values: [string, JsonValue][] = [];
    for (const [name, template] of Object.entries(step.set)) values.push([name, await renderJson(template, context)]);
    for (const [name, value] of values) vars.keep(name, value);
  }

  async #fail({ step, scope }: Work<FailStep>): Promise<never> {
    const message = await renderText(step.message, scope.context());
    throw new PlanEnd({ errorName: FAILURE_TYPES.planFailed, message });
  }
}

/** When an approval ends undecided: by its `wait`, or by a deadline around it that comes first. */
function endOf(step: ApproveStep, path: StepPath, memory: ApprovalMemory): ApprovalEnd | undefined {
  const own = ownEnd(step, memory);
  const deadline = firstDeadline();
  if (deadline === undefined || (own !== undefined && own.atMs < deadline.atMs)) return own;
  return { atMs: deadline.atMs, then: deadline.of === path ? 'it fails' : `${deadline.of} fails` };
}

function resultOf({ status, result, sessionRid }: ExchangeOutcome): JsonObject {
  const updates = Object.entries(result?.parameterUpdates ?? {});
  return {
    status,
    parameters: Object.fromEntries(updates.map(([id, { value }]) => [id, (value ?? null) as JsonValue])),
    ...(sessionRid !== undefined && { sessionRid }),
  };
}

/** ISO 8601, a time with its zone: without one it would be another time on every worker. */
const TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d))?$/;

async function untilOf({ wait }: WaitStep, context: JsonObject): Promise<number> {
  if ('forMs' in wait) return Date.now() + wait.forMs;
  const text = (await renderText('for' in wait ? wait.for : wait.until, context)).trim();
  const untilMs = 'for' in wait ? Date.now() + (durationMs(text) ?? NaN) : TIME.test(text) ? Date.parse(text) : NaN;
  if (untilMs <= Date.now() + LONGEST_MS) return untilMs;
  const what = `Cannot wait ${'for' in wait ? 'for' : 'until'} "${text.slice(0, 60)}"`;
  const expected = 'for' in wait ? 'duration like 3d or PT10M' : 'ISO 8601 time with its zone, as 2026-12-01T08:00:00Z';
  const why = Number.isNaN(untilMs) ? `it is no ${expected}` : 'that is more than ten years from now';
  throw StepError.of(FAILURE_TYPES.expressionFailed, `${what}: ${why}`);
}

/** An expression's array (what is no array is one of its own, nothing is none), or a list with its templates rendered. */
export async function itemsOf(items: string | JsonValue[], context: JsonObject): Promise<JsonValue[]> {
  const value = typeof items === 'string' ? await evaluate(items, context) : await renderJson(items, context);
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

function rowOf(row: JsonValue, index: number): BatchRowInput {
  if (typeof row === 'string') return row;
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    const message = `Row ${index + 1} of the batch is neither a text nor { id, text } or { id, turns }`;
    throw StepError.of(FAILURE_TYPES.expressionFailed, message);
  }
  const { parameters, ...rest } = row;
  if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) return rest;
  const parameterInputs = Object.fromEntries(
    Object.entries(parameters).map(([id, value]) => [
      id,
      typeof value === 'string' ? { type: 'string', value } : value,
    ]),
  );
  return { ...rest, parameterInputs } as unknown as BatchRowInput;
}

/** The outcomes in the order of the rows, as far as there is room. */
async function resultsOf(pages: AsyncGenerator<RowOutcome[], void, void>): Promise<JsonObject> {
  const results: [index: number, JsonObject][] = [];
  let bytes = 0;
  let truncated = false;
  for await (const page of pages) {
    for (const { result } of page) {
      const { id, index, status, exchanges, tokens, error } = result;
      const kept: JsonObject = {
        id,
        status,
        answers: exchanges.map(({ agentMarkdownResponse }) => agentMarkdownResponse),
        tokens,
        ...(error !== undefined && { error: { errorName: error.errorName, message: error.message } }),
      };
      bytes += jsonBytes(kept);
      truncated ||= bytes > BATCH_RESULT_BYTES;
      if (!truncated) results.push([index, kept]);
    }
    if (truncated) break;
  }
  results.sort(([one], [other]) => one - other);
  return { results: results.map(([, kept]) => kept), truncated };
}
