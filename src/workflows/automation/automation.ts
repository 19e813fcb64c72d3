/**
 * A plan as a workflow: the engine does its steps, and this wires them to messages, search attributes and new runs.
 */
import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  isCancellation,
  makeContinueAsNewFunc,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  type ApprovalAnswer,
  type AutomationInput,
  type AutomationMemo,
  type AutomationResult,
  type AutomationStatus,
  automationStatusQuery,
  type AutomationTotals,
} from '../../protocol/automation.js';
import { FAILURE_TYPES } from '../../protocol/failures.js';
import { jsonBytes } from '../../protocol/json-size.js';
import type { JsonObject, JsonValue, StepPath } from '../../protocol/plan.js';
import { searchAttributeKeys } from '../../protocol/search-attributes.js';
import { ApprovalDesk } from '../approval.js';
import { withinDeadline } from './deadline.js';
import { detailsOf } from './details.js';
import { Engine } from './engine.js';
import { evaluate } from './expressions.js';
import { type BlockFrame, newBlock, newScope, type ScopeMemory } from './frames.js';
import { mentionedIn } from './mentions.js';
import { type ConversationMemory, PlanConversations } from './plan-conversations.js';
import { Rest } from './rest.js';
import { KeptBytes, KeptValues, Scope } from './scope.js';
import { Jump, PlanEnd, RollingOver, StepError } from './step-error.js';
import { type SavedRecord, StepTree } from './step-tree.js';

/** Everything that an automation takes along into its next run. JSON by type. */
interface AutomationSnapshot {
  frame: BlockFrame;
  scope: ScopeMemory;
  vars: JsonObject;
  conversations: Record<string, ConversationMemory>;
  steps: Record<StepPath, SavedRecord>;
  decisions: ApprovalAnswer[];
  totals: AutomationTotals;
  /** ISO 8601. */
  startedAt: string;
  runs: number;
}

/** JSON bytes of what a run is started with; Temporal takes 2 MiB, and a codec may make more of it. */
const MOST_INPUT_BYTES = 1_536 * 1024;

/** Past this a run rolls over although a batch of it runs, for which all else waits then. */
const MOST_HISTORY = { events: 20_000, bytes: 20 * 1024 * 1024 };

/** Runs a plan; see `protocol/automation.ts` for its messages. Its steps go on where they were, whatever dies. */
export async function automationWorkflow(input: AutomationInput): Promise<AutomationResult> {
  return new AutomationRun(input).run();
}

class AutomationRun {
  readonly #memory: AutomationSnapshot;
  readonly #tree: StepTree;
  readonly #desk: ApprovalDesk;
  readonly #conversations: PlanConversations;
  readonly #scope: Scope;
  readonly #engine: Engine;
  readonly #stepsBefore: number;
  #isDescribing = false;
  #endedAs: 'closed' | 'cancelled' | 'failed' | undefined;
  #state: 'running' | 'cancelling' | 'finished' = 'running';

  constructor(private readonly input: AutomationInput) {
    const { plan, inputs, agentRid } = input;
    const memory = (input.snapshot as AutomationSnapshot | undefined) ?? newMemory();
    this.#memory = memory;
    this.#stepsBefore = memory.totals.steps;
    this.#tree = new StepTree(plan, memory.steps);
    this.#desk = new ApprovalDesk(plan.name, () => this.#describe());
    this.#desk.remember(memory.decisions);
    this.#conversations = new PlanConversations(agentRid, memory.conversations);
    const kept = new KeptBytes();
    const { workflowId } = workflowInfo();
    const run = { id: workflowId, plan: plan.name, startedAt: memory.startedAt };
    this.#scope = new Scope(
      {
        memory: memory.scope,
        names: { inputs, vars: memory.vars, run },
        ...{ key: '', mark: '' },
        conversations: plan.conversations,
      },
      kept,
    );
    const mentioned = mentionedIn(plan);
    this.#engine = new Engine({
      agentRid,
      conversations: this.#conversations,
      desk: this.#desk,
      tree: this.#tree,
      vars: new KeptValues(memory.vars, kept),
      kept,
      totals: memory.totals,
      maxSteps: plan.maxSteps,
      rest: new Rest(() => this.#isDue(), isLongHistory),
      isMentioned: (id) => id !== undefined && mentioned(id),
      onChange: () => this.#describe(),
    });
    setHandler(automationStatusQuery, () => this.#status(), {
      description: 'Where the plan stands, step by step. No argument.',
    });
  }

  async run(): Promise<AutomationResult> {
    this.#nameMyself();
    try {
      const output = await this.#steps();
      this.#end('closed');
      return { ...(output !== undefined && { output }), totals: this.#memory.totals };
    } catch (error) {
      const isCancelled = CancellationScope.current().consideredCancelled;
      if (isCancelled && (isCancellation(error) || error instanceof RollingOver)) {
        this.#end('cancelled');
        throw new CancelledFailure('The automation was cancelled');
      }
      const failure = error instanceof RollingOver ? await this.#rollOver() : failureOf(error);
      if (failure === undefined) throw error;
      this.#end('failed');
      throw failure;
    }
  }

  async #steps(): Promise<JsonValue | undefined> {
    const { plan } = this.input;
    const { frame, startedAt } = this.#memory;
    await withinDeadline(plan.deadlineMs, Date.parse(startedAt), 'the plan', () =>
      this.#engine.block(plan.steps, frame, 'steps', this.#scope),
    );
    return plan.output === undefined ? undefined : evaluate(plan.output, this.#scope.context());
  }

  #isDue(): boolean {
    const { maxStepsPerRun = Infinity } = this.input;
    return workflowInfo().continueAsNewSuggested || this.#memory.totals.steps - this.#stepsBefore >= maxStepsPerRun;
  }

  /** Nothing is waited for here: what came meanwhile, a decision or a cancel, would be lost. @returns Why it cannot. */
  async #rollOver(): Promise<ApplicationFailure> {
    const snapshot: AutomationSnapshot = {
      ...this.#memory,
      conversations: this.#conversations.snapshot(),
      steps: this.#tree.snapshot(),
      decisions: this.#desk.decisions,
      runs: this.#memory.runs + 1,
    };
    const input: AutomationInput = { ...this.input, snapshot: snapshot as unknown as JsonObject };
    const bytes = jsonBytes(input);
    if (bytes <= MOST_INPUT_BYTES) {
      return makeContinueAsNewFunc<typeof automationWorkflow>({ memo: this.#memoOfNext() })(input);
    }
    const message =
      `The plan failed: it cannot go on in a new run, as that would begin with ${bytes} bytes of JSON, more than ${MOST_INPUT_BYTES}; ` +
      'give conversations smaller parameters, do fewer items at once, or make a shorter plan';
    return ApplicationFailure.nonRetryable(message, FAILURE_TYPES.planStateTooLarge);
  }

  /** Of a later run, lists know no other start than its own: the first one's stands in the memo. A schedule cannot write it there. */
  #memoOfNext(): Record<string, unknown> {
    const { memo } = workflowInfo();
    const { startedAt } = this.#memory;
    const ofAutomation: AutomationMemo = {
      ...{ plan: this.input.plan.name, startedAt },
      ...(memo?.['automation'] as AutomationMemo | undefined),
    };
    return { ...memo, automation: ofAutomation };
  }

  #end(state: 'closed' | 'cancelled' | 'failed'): void {
    this.#state = 'finished';
    this.#endedAs = state;
    this.#tree.close(Date.now());
    upsertSearchAttributes([{ key: searchAttributeKeys.state, value: state }]);
    this.#describe();
  }

  /** Search attributes that the starter left out, for runs started by hand in the UI. */
  #nameMyself(): void {
    if (workflowInfo().typedSearchAttributes.get(searchAttributeKeys.state) === undefined) {
      upsertSearchAttributes([{ key: searchAttributeKeys.state, value: 'open' }]);
    }
    CancellationScope.current().cancelRequested.catch(() => {
      if (this.#state === 'running') this.#state = 'cancelling';
      this.#describe();
    });
    this.#describe();
  }

  #status(): AutomationStatus {
    const { plan } = this.input;
    const { totals, startedAt, runs } = this.#memory;
    const wait = this.#state === 'running' ? this.#tree.waitOfAll : undefined;
    return {
      plan: plan.name,
      ...(plan.description !== undefined && { description: plan.description }),
      state: wait === undefined ? this.#state : 'waiting',
      ...(wait !== undefined && { waitingFor: wait.waitingFor }),
      ...(wait?.untilMs !== undefined && { waitingUntil: new Date(wait.untilMs).toISOString() }),
      ...(wait?.then !== undefined && { waitingThen: wait.then }),
      startedAt,
      ...(plan.deadlineMs !== undefined && {
        deadline: new Date(Date.parse(startedAt) + plan.deadlineMs).toISOString(),
      }),
      runs,
      totals: { ...totals },
      steps: this.#tree.status(),
      approvals: this.#desk.open,
      decisions: this.#desk.decisions,
    };
  }

  /** Once for all that changes in one go. */
  #describe(): void {
    if (this.#isDescribing) return;
    this.#isDescribing = true;
    void Promise.resolve().then(() => {
      this.#isDescribing = false;
      setCurrentDetails(detailsOf(this.#status(), this.#endedAs));
    });
  }
}

function newMemory(): AutomationSnapshot {
  return {
    frame: newBlock(),
    scope: newScope(),
    vars: {},
    conversations: {},
    steps: {},
    decisions: [],
    totals: { steps: 0, answered: 0, failed: 0, cancelled: 0, tokens: 0 },
    startedAt: new Date().toISOString(),
    runs: 1,
  };
}

/** Temporal ends a run at 51,200 events or 50 MB (https://docs.temporal.io/workflow-execution/limits). */
function isLongHistory(): boolean {
  const { historyLength, historySize } = workflowInfo();
  return historyLength >= MOST_HISTORY.events || historySize >= MOST_HISTORY.bytes;
}

/** As Temporal has it; undefined for a fault of this code. */
function failureOf(error: unknown): ApplicationFailure | undefined {
  if (error instanceof PlanEnd) {
    return ApplicationFailure.nonRetryable(`The plan failed: ${error.message}`, error.error.errorName);
  }
  if (error instanceof Jump) {
    const message = `The plan failed: it goes on with ${error.target} after an error, but no step there has this id`;
    return ApplicationFailure.nonRetryable(message, FAILURE_TYPES.invalidInput);
  }
  if (!(error instanceof StepError)) return undefined;
  const { place, message } = error;
  const what = place === undefined ? 'The plan failed' : `Step ${place} failed`;
  return ApplicationFailure.nonRetryable(`${what}: ${message}`, error.error.errorName, { ...error.error, step: place });
}
