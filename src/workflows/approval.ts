/** Waiting for people: approvals as signal, update and query, in any workflow. */
import {
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  log,
  proxyActivities,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import {
  type ApprovalAnswer,
  type ApprovalNotice,
  approvalsQuery,
  type ApprovalStatus,
  approveSignal,
  type DecideInput,
  decideUpdate,
  type Decision,
  rejectSignal,
} from '../protocol/automation.js';
import { FAILURE_TYPES } from '../protocol/failures.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { interactiveTaskQueue } from '../protocol/task-queues.js';
import { waitUntil } from './wait-until.js';

/** What is to be decided, and until when. */
export interface ApprovalOptions {
  /** What the person reads. */
  message: string;
  /** By it the decision is told; unique among those that wait. Default: `approval-<n>`. */
  approvalId?: string;
  /** How long it waits (milliseconds). Default: for ever. */
  waitMs?: number;
  /** What is decided when nobody has by then. Without one, it fails as `DeadlinePassed`. */
  default?: Decision;
  /** Calls the worker's hook (`onApproval`) again so often, until somebody has decided (milliseconds). Default: never. */
  remindEveryMs?: number;
}

/** Decisions that are kept for people to read. */
const MOST_DECISIONS = 100;

interface Waiting {
  status: ApprovalStatus;
  memory: Partial<ApprovalMemory>;
}

/** What a run needs of an approval to wait on where the run before it stopped. */
export interface ApprovalMemory {
  askedAt: string;
  reminders: number;
  /** Decided, also when the run was about to roll over already. */
  answer?: ApprovalAnswer;
}

/** The approvals of this workflow. */
export class ApprovalDesk {
  readonly #waiting = new Map<string, Waiting>();
  readonly #decisions: ApprovalAnswer[] = [];
  #asked = 0;
  #notifying = 0;

  constructor(
    private readonly title: string,
    /** Called when something begins or ceases to wait. */
    private readonly onChange: () => void = () => undefined,
  ) {
    setHandler(approveSignal, (input) => this.#decideBySignal('approve', input), {
      description: 'Yes. {"by": "Ann", "comment": "…"}; with "approvalId": "…" where several wait',
    });
    setHandler(rejectSignal, (input) => this.#decideBySignal('reject', input), {
      description: 'No. {"by": "Ann", "comment": "…"}; with "approvalId": "…" where several wait',
    });
    setHandler(decideUpdate, (input) => this.#decide(input.decision, input), {
      validator: (input: DecideInput & { decision: Decision }) => void this.#checked(input.decision, input),
      description: 'Decides, and tells whether it counted. {"decision": "approve", "by": "Ann", "comment": "…"}',
    });
    setHandler(approvalsQuery, () => this.open, { description: 'What waits for somebody. No argument.' });
  }

  get open(): ApprovalStatus[] {
    return [...this.#waiting.values()].filter(({ memory }) => memory.answer === undefined).map(({ status }) => status);
  }

  /** Newest last. */
  get decisions(): ApprovalAnswer[] {
    return [...this.#decisions];
  }

  /** Somebody is being told. */
  get isNotifying(): boolean {
    return this.#notifying > 0;
  }

  /** Of the run before. */
  remember(decisions: readonly ApprovalAnswer[]): void {
    this.#decisions.push(...decisions);
  }

  /**
   * Waits for somebody.
   *
   * @param isHeld True when the wait shall end undecided, for the run to roll over; `memory` then holds what the next one needs.
   * @returns Undefined when it was held.
   * @throws ApplicationFailure `DeadlinePassed` when nobody has decided and there is no default.
   */
  async wait(
    options: ApprovalOptions,
    memory: Partial<ApprovalMemory> = {},
    isHeld: () => boolean = () => false,
  ): Promise<ApprovalAnswer | undefined> {
    const { message, waitMs, remindEveryMs, default: byDefault } = options;
    const approvalId = options.approvalId ?? `approval-${++this.#asked}`;
    if (this.#waiting.has(approvalId)) {
      const taken = `Cannot wait for approval ${approvalId}: one of that id waits already; give another approvalId`;
      throw ApplicationFailure.nonRetryable(taken, FAILURE_TYPES.invalidInput);
    }
    const isNew = memory.askedAt === undefined;
    memory.askedAt ??= new Date().toISOString();
    memory.reminders ??= 0;
    const askedMs = Date.parse(memory.askedAt);
    const deadlineMs = waitMs === undefined ? Infinity : askedMs + waitMs;
    const status: ApprovalStatus = {
      approvalId,
      message,
      askedAt: memory.askedAt,
      ...(waitMs !== undefined && { deadline: new Date(deadlineMs).toISOString() }),
      ...(byDefault !== undefined && { default: byDefault }),
      reminders: memory.reminders,
    };
    const waiting: Waiting = { status, memory };
    this.#waiting.set(approvalId, waiting);
    this.#changed();
    let isAtRest = false;
    try {
      if (isNew) void this.#notify(status);
      for (;;) {
        const nextReminderMs =
          remindEveryMs === undefined ? Infinity : askedMs + (memory.reminders + 1) * remindEveryMs;
        const untilMs = Math.min(deadlineMs, nextReminderMs);
        const isOver = () => waiting.memory.answer !== undefined || isHeld();
        const what = untilMs === deadlineMs ? 'deadline' : 'reminder';
        await waitUntil(isOver, untilMs - Date.now(), `${what} of approval ${approvalId}`);
        if (waiting.memory.answer !== undefined) return waiting.memory.answer;
        if (isHeld()) {
          isAtRest = true;
          return undefined;
        }
        if (Date.now() >= deadlineMs) return this.#decideByDefault(waiting);
        // Of those that nobody was there for, one is enough.
        const due = Math.floor((Date.now() - askedMs) / (remindEveryMs ?? Infinity));
        status.reminders = memory.reminders = Math.max(memory.reminders + 1, due);
        void this.#notify(status);
      }
    } finally {
      // At rest it still takes a decision, which the next run finds in its memory.
      if (!isAtRest) this.#waiting.delete(approvalId);
      this.#changed();
    }
  }

  #decideByDefault({ status }: Waiting): ApprovalAnswer {
    const { approvalId, default: decision, deadline } = status;
    if (decision === undefined) {
      const message = `Nobody decided approval ${approvalId} until ${deadline}`;
      throw ApplicationFailure.nonRetryable(message, FAILURE_TYPES.deadlinePassed);
    }
    const answer: ApprovalAnswer = { approvalId, decision, at: new Date().toISOString(), byDefault: true };
    this.#keep(answer);
    return answer;
  }

  #decideBySignal(decision: Decision, input: DecideInput | undefined): void {
    try {
      this.#decide(decision, input);
    } catch (error) {
      log.warn('A decision was left aside', { reason: error instanceof Error ? error.message : '' });
    }
  }

  #decide(decision: Decision, input: DecideInput | undefined): ApprovalAnswer {
    const waiting = this.#checked(decision, input);
    // The first decision counts.
    if (waiting.memory.answer !== undefined) return waiting.memory.answer;
    const { by, comment } = input ?? {};
    waiting.memory.answer = {
      approvalId: waiting.status.approvalId,
      decision,
      ...(by !== undefined && { by }),
      ...(comment !== undefined && { comment }),
      at: new Date().toISOString(),
    };
    this.#keep(waiting.memory.answer);
    return waiting.memory.answer;
  }

  /** What a decision is about. By hand in the UI, anything can come. @throws ApplicationFailure `InvalidInput` */
  #checked(decision: Decision, input: DecideInput | undefined): Waiting {
    const { approvalId, by, comment } = (input ?? {}) as Record<keyof DecideInput, unknown>;
    const isText = (value: unknown) => value === undefined || typeof value === 'string';
    if (!isText(approvalId) || !isText(by) || !isText(comment)) {
      throw refused('approvalId, by and comment must be texts, as in {"by": "Ann", "comment": "…"}');
    }
    if (decision !== 'approve' && decision !== 'reject') throw refused('decision must be "approve" or "reject"');
    const open = [...this.#waiting.values()];
    const ids = open.map(({ status }) => status.approvalId);
    if (approvalId === undefined) {
      const [only] = open;
      if (only === undefined) throw refused(`nothing waits for it${this.#lastDecision()}`);
      if (open.length > 1)
        throw refused(`${open.length} approvals wait: give the approvalId of one of ${ids.join(', ')}`);
      return only;
    }
    const waiting = open.find(({ status }) => status.approvalId === approvalId);
    if (waiting !== undefined) return waiting;
    const which = ids.length === 0 ? 'nothing waits' : `what waits is ${ids.join(', ')}`;
    throw refused(`no approval ${String(approvalId)} waits (${which})${this.#lastDecision(String(approvalId))}`);
  }

  #lastDecision(approvalId?: string): string {
    const last = this.#decisions.filter((one) => approvalId === undefined || one.approvalId === approvalId).at(-1);
    if (last === undefined) return '';
    const who = last.byDefault === true ? 'by default, as nobody had' : `by ${last.by ?? 'somebody'}`;
    return `; ${last.approvalId} was decided at ${last.at} ${who}: ${last.decision}`;
  }

  #keep(answer: ApprovalAnswer): void {
    this.#decisions.push(answer);
    if (this.#decisions.length > MOST_DECISIONS) this.#decisions.shift();
    this.onChange();
  }

  #changed(): void {
    const needsAttention = this.#waiting.size > 0;
    const { typedSearchAttributes } = workflowInfo();
    if ((typedSearchAttributes.get(searchAttributeKeys.needsAttention) ?? false) !== needsAttention) {
      upsertSearchAttributes([{ key: searchAttributeKeys.needsAttention, value: needsAttention }]);
    }
    this.onChange();
  }

  /** Tells the worker's hook; that it cannot be told is no reason to fail. */
  async #notify(approval: ApprovalStatus): Promise<void> {
    const { workflowId, runId } = workflowInfo();
    const notice: ApprovalNotice = {
      workflowId,
      runId,
      plan: this.title,
      approval: { ...approval },
      reminder: approval.reminders,
    };
    this.#notifying++;
    try {
      await CancellationScope.nonCancellable(() => noticeActivities().notifyApproval(notice));
    } catch (error) {
      if (isCancellation(error)) return;
      log.warn('Nobody could be told of an approval', { approvalId: approval.approvalId });
    } finally {
      this.#notifying--;
    }
  }
}

function noticeActivities() {
  return proxyActivities<Pick<Activities, 'notifyApproval'>>({
    taskQueue: interactiveTaskQueue(workflowInfo().taskQueue),
    summary: 'tell somebody of an approval',
    startToCloseTimeout: '30 seconds',
    scheduleToCloseTimeout: '10 minutes',
    retry: { initialInterval: '2 seconds', backoffCoefficient: 2, maximumInterval: '1 minute', maximumAttempts: 8 },
  });
}

function refused(reason: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`Cannot decide: ${reason}`, FAILURE_TYPES.invalidInput);
}

let desk: ApprovalDesk | undefined;

/**
 * Waits for a person to decide: by the signals `approve` and `reject`, by the update `decide`, or by
 * `aip-temporal automation approve|reject <workflow id>`. While it waits the run is found by `AipNeedsAttention = true`.
 *
 * @throws ApplicationFailure `DeadlinePassed` when nobody has decided within `waitMs` and there is no default.
 * @throws CancelledFailure when the scope is cancelled.
 */
export async function approval(options: ApprovalOptions): Promise<ApprovalAnswer> {
  desk ??= new ApprovalDesk(workflowInfo().workflowType);
  const answer = await desk.wait(options);
  if (answer === undefined) throw new Error('An approval was given up');
  return answer;
}
