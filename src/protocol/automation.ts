/** An automation: a run of a plan. What crosses between its workflow, its clients and its operators. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ExchangeError } from './exchange.js';
import type { JsonObject, JsonValue, Plan, StepKind, StepPath } from './plan.js';

/** Input of `automationWorkflow`. */
export interface AutomationInput {
  /** Read and checked (`readPlan`). */
  plan: Plan;
  /** By name, checked against the plan's, with its defaults filled in. */
  inputs: JsonObject;
  /** Agent of the conversations and batches that name none. */
  agentRid?: string;
  /** Roll over to a new run after this many steps. Default: when Temporal suggests it. */
  maxStepsPerRun?: number;
  /** Carried over from the run before; never set by callers. */
  snapshot?: JsonObject;
}

/** Result of an automation that came to its end. */
export interface AutomationResult {
  output?: JsonValue;
  totals: AutomationTotals;
}

export interface AutomationTotals {
  /** Steps that were begun, items of a `forEach` counted each. */
  steps: number;
  /** Exchanges by how they ended; of a batch, its rows: those that expired are cancelled. */
  answered: number;
  failed: number;
  cancelled: number;
  tokens: number;
}

/** Where a step stands. In a `forEach` it stands for all items: `running` while any runs. */
export type StepState = 'pending' | 'running' | 'waiting' | 'done' | 'failed' | 'skipped' | 'cancelled';

export interface StepStatus {
  /** `steps[2].do[0]`. */
  path: StepPath;
  id?: string;
  kind: StepKind;
  /** In a line: its title, or what it does. May hold text of the plan, never of an answer. */
  label: string;
  /** What the plan calls it, where it does. */
  title?: string;
  state: StepState;
  /** Times it was begun, and how these ended. */
  begun: number;
  done: number;
  failed: number;
  /** Times it was tried, the retries of its `onError` included. Absent: never again. */
  tries?: number;
  /** Of its exchanges and those of the steps in it. */
  tokens: number;
  /** ISO 8601, of the first begin and the last end. */
  startedAt?: string;
  finishedAt?: string;
  /** In words, while it waits: what for. */
  waitingFor?: string;
  /** ISO 8601: until when at most. */
  waitingUntil?: string;
  /** Of an approval with an end, in words: what happens then, as `ApprovalStatus.then`. */
  waitingThen?: string;
  /** Of a `forEach`: items in all, as far as it is known. */
  items?: number;
  /** Of these, how many have ended, and how many of those have failed. */
  itemsEnded?: number;
  itemsFailed?: number;
  /** Of the last failure. */
  error?: ExchangeError;
  /** The steps in it, in the order of the plan; `branch` names the block: `do`, `then`, `else`, or a branch of `parallel`. */
  children?: { branch: string; steps: StepStatus[] }[];
}

/** Somebody has to decide. */
export interface ApprovalStatus {
  /** Unique in the run: the step's id or path, in a `forEach` with the number of the item: `release`, `steps[1].do[0]#3`. */
  approvalId: string;
  message: string;
  /** ISO 8601. */
  askedAt: string;
  /** ISO 8601: the end of its `wait`, or of a `deadline` around it that comes first. */
  deadline?: string;
  /** What is decided at `deadline`. Absent: nothing is, the step, or what is around it, fails. */
  default?: Decision;
  /** What happens at `deadline`, in words: `it is approved`, `it is rejected`, `it fails`, `the plan fails`, `steps[2] fails`. */
  then?: string;
  reminders: number;
}

/** What happens at the end of an approval's own `wait`, in words. */
export function endOfWait(byDefault: Decision | undefined): string {
  if (byDefault === undefined) return 'it fails';
  return byDefault === 'approve' ? 'it is approved' : 'it is rejected';
}

export type Decision = 'approve' | 'reject';

/** What somebody has decided. */
export interface ApprovalAnswer {
  approvalId: string;
  decision: Decision;
  /** Who; as they say themselves. */
  by?: string;
  comment?: string;
  /** ISO 8601. */
  at: string;
  /** True when nobody had until the deadline. */
  byDefault?: boolean;
}

/** Argument of the messages that decide. Absent `approvalId`: the only one that waits. */
export interface DecideInput {
  approvalId?: string;
  by?: string;
  comment?: string;
}

/** Answer of `automationStatusQuery`. */
export interface AutomationStatus {
  plan: string;
  description?: string;
  state: 'running' | 'waiting' | 'cancelling' | 'finished';
  /** In words, while all that runs waits: what for. */
  waitingFor?: string;
  /** ISO 8601. */
  waitingUntil?: string;
  /** In words, while all that runs is one approval with an end: what happens then. */
  waitingThen?: string;
  /** ISO 8601, of the first run. */
  startedAt: string;
  /** ISO 8601, when the plan has a deadline. */
  deadline?: string;
  /** Runs so far, this one included. */
  runs: number;
  totals: AutomationTotals;
  steps: StepStatus[];
  /** Those that wait for somebody now. */
  approvals: ApprovalStatus[];
  /** Decided, newest last, at most 100. */
  decisions: ApprovalAnswer[];
}

/** What the worker's hook for approvals is told: when one begins to wait, and at each reminder. */
export interface ApprovalNotice {
  workflowId: string;
  runId: string;
  /** Name of the plan, or the workflow type of a user's own code. */
  plan: string;
  approval: ApprovalStatus;
  /** 0: it has just begun to wait. */
  reminder: number;
}

/** Operator → automation: yes, or no. In the Temporal UI: "Send a signal". */
export const approveSignal = defineSignal<[DecideInput?]>('approve');
export const rejectSignal = defineSignal<[DecideInput?]>('reject');
/** The same, told whether it counted: refused when nothing waits by that id; the first decision stays. */
export const decideUpdate = defineUpdate<ApprovalAnswer, [DecideInput & { decision: Decision }]>('decide');
/** All approvals that wait in a run, also in a user's own workflow. */
export const approvalsQuery = defineQuery<ApprovalStatus[]>('approvals');
export const automationStatusQuery = defineQuery<AutomationStatus>('automationStatus');

/** Workflow id of an automation. */
export const automationWorkflowId = (automationId: string): string => `automation/${automationId}`;

/** Memo of an automation, for lists. */
export interface AutomationMemo {
  plan: string;
  /** Name of the file that it was read from. */
  source?: string;
  /** ISO 8601: when it was started, whichever run it is in. Absent in the first run of what a schedule has started. */
  startedAt?: string;
}
