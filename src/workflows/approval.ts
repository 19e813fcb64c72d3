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
  endOfWait,
  rejectSignal,
} from '../protocol/automation.js';
import { FAILURE_TYPES } from '../protocol/failures.js';
import { jsonBytes } from '../protocol/json-size.js';
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
  answer?: ApprovalAnswer;
}

/** JSON bytes of these. */
const MOST_DECISION_BYTES = 64 * 1024;

/** Characters of what a decision is told with: by hand in the UI, anything can come. */
const MOST_CHARACTERS = { by: 200, comment: 4_000 } as const;

/** What a run needs of an approval to wait on where the run before it stopped. */
export interface ApprovalMemory {
  /** ISO 8601. */
  askedAt: string;
  reminders: number;
  /** Milliseconds since the epoch. */
  nextReminderMs?: number;
  /** The newest reminder that the hook was told of; 0: that it waits. */
  told?: number;
}

export const newApproval = (): ApprovalMemory => ({ askedAt: new Date().toISOString(), reminders: 0 });

/** When an approval ends undecided, and what happens then. */
export interface ApprovalEnd {
  /** Milliseconds since the epoch. */
  atMs: number;
  /** What is decided; absent: it fails. */
  default?: Decision;
  /** The same in words. */
  then: string;
}

/** The end that an approval has of its own. Undefined: it waits for ever. */
export function ownEnd(
  { waitMs, default: byDefault }: Pick<ApprovalOptions, 'waitMs' | 'default'>,
  { askedAt }: ApprovalMemory,
): ApprovalEnd | undefined {
  if (waitMs === undefined) return undefined;
  const atMs = Date.parse(askedAt) + waitMs;
  return { atMs, ...(byDefault !== undefined && { default: byDefault }), then: endOfWait(byDefault) };
}

/** The approvals of this workflow. */
export class ApprovalDesk {
  readonly #waiting = new Map<string, Waiting>();
  readonly #decisions: ApprovalAnswer[] = [];
  #asked = 0;

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
      validator: (input?: DecideInput & { decision?: Decision }) => void this.#checked(input?.decision, input),
      description: 'Decides, and tells whether it counted. {"decision": "approve", "by": "Ann", "comment": "…"}',
    });
    setHandler(approvalsQuery, () => this.open, { description: 'What waits for somebody. No argument.' });
  }

  get open(): ApprovalStatus[] {
    return [...this.#waiting.values()].filter(({ answer }) => answer === undefined).map(({ status }) => status);
  }

  /** Newest last. */
  get decisions(): ApprovalAnswer[] {
    return [...this.#decisions];
  }

  /** Of the run before. */
  remember(decisions: readonly ApprovalAnswer[]): void {
    this.#decisions.push(...decisions);
  }

  /**
   * Waits for somebody.
   *
   * @param isHeld True when the wait shall end undecided, for the run to roll over; `memory` then holds what the next one needs.
   * @param end What people are told of its end: another than its own where something around it ends first.
   * @returns Undefined when it was held.
   * @throws ApplicationFailure `DeadlinePassed` when nobody has decided and there is no default.
   */
  async wait(
    options: ApprovalOptions,
    memory: ApprovalMemory = newApproval(),
    isHeld: () => boolean = () => false,
    end: ApprovalEnd | undefined = ownEnd(options, memory),
  ): Promise<ApprovalAnswer | undefined> {
    const { message, waitMs, remindEveryMs } = options;
    const approvalId = options.approvalId ?? `approval-${++this.#asked}`;
    if (this.#waiting.has(approvalId)) {
      const taken = `Cannot wait for approval ${approvalId}: one of that id waits already; give another approvalId`;
      throw ApplicationFailure.nonRetryable(taken, FAILURE_TYPES.invalidInput);
    }
    for (const [name, ms] of Object.entries({ waitMs, remindEveryMs })) {
      if (ms === undefined || ms > 0) continue;
      const malformed = `Cannot wait for approval ${approvalId}: ${name} is ${ms}, but must be a number of milliseconds above 0`;
      throw ApplicationFailure.nonRetryable(malformed, FAILURE_TYPES.invalidInput);
    }
    const askedMs = Date.parse(memory.askedAt);
    const deadlineMs = ownEnd(options, memory)?.atMs ?? Infinity;
    const status: ApprovalStatus = {
      approvalId,
      message,
      askedAt: memory.askedAt,
      ...(end !== undefined && {
        deadline: new Date(end.atMs).toISOString(),
        ...(end.default !== undefined && { default: end.default }),
        then: end.then,
      }),
      reminders: memory.reminders,
    };
    const waiting: Waiting = { status };
    this.#waiting.set(approvalId, waiting);
    this.#changed();
    try {
      if (remindEveryMs !== undefined) memory.nextReminderMs ??= askedMs + remindEveryMs;
      // Also where the run before ended while the hook was being told.
      if (memory.told !== memory.reminders) void this.#notify(status, memory);
      for (;;) {
        const untilMs = Math.min(deadlineMs, memory.nextReminderMs ?? Infinity);
        const what = untilMs === deadlineMs ? 'deadline' : 'reminder';
        const isOver = () => waiting.answer !== undefined || isHeld();
        await waitUntil(isOver, untilMs - Date.now(), `${what} of approval ${approvalId}`);
        if (waiting.answer !== undefined) return waiting.answer;
        if (isHeld()) return undefined;
        if (Date.now() >= deadlineMs) return this.#decideByDefault(approvalId, options.default, deadlineMs);
        status.reminders = ++memory.reminders;
        // From now on: those that nobody lived to give are not made up for.
        memory.nextReminderMs = Date.now() + (remindEveryMs ?? Infinity);
        void this.#notify(status, memory);
      }
    } finally {
      this.#waiting.delete(approvalId);
      this.#changed();
    }
  }

  #decideByDefault(approvalId: string, decision: Decision | undefined, deadlineMs: number): ApprovalAnswer {
    if (decision === undefined) {
      const message = `Nobody decided approval ${approvalId} until ${new Date(deadlineMs).toISOString()}`;
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
    if (waiting.answer !== undefined) return waiting.answer;
    const { by, comment } = input ?? {};
    waiting.answer = {
      approvalId: waiting.status.approvalId,
      decision,
      ...(by !== undefined && { by }),
      ...(comment !== undefined && { comment }),
      at: new Date().toISOString(),
    };
    this.#keep(waiting.answer);
    return waiting.answer;
  }

  /** What a decision is about. By hand in the UI, anything can come. @throws ApplicationFailure `InvalidInput` */
  #checked(decision: Decision | undefined, input: DecideInput | undefined): Waiting {
    const { approvalId, by, comment } = (input ?? {}) as Record<keyof DecideInput, unknown>;
    const isText = (value: unknown): value is string | undefined => value === undefined || typeof value === 'string';
    if (!isText(approvalId) || !isText(by) || !isText(comment)) {
      throw refused('approvalId, by and comment must be texts, as in {"by": "Ann", "comment": "…"}');
    }
    for (const [name, value] of Object.entries({ by, comment })) {
      const most = MOST_CHARACTERS[name as 'by' | 'comment'];
      if (value !== undefined && value.length > most) throw refused(`${name} has more than ${most} characters`);
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
    while (this.#decisions.length > MOST_DECISIONS || jsonBytes(this.#decisions) > MOST_DECISION_BYTES) {
      this.#decisions.shift();
    }
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
  async #notify(approval: ApprovalStatus, memory: ApprovalMemory): Promise<void> {
    const { workflowId, runId } = workflowInfo();
    const notice: ApprovalNotice = {
      workflowId,
      runId,
      plan: this.title,
      approval: { ...approval },
      reminder: approval.reminders,
    };
    try {
      await CancellationScope.nonCancellable(() => noticeActivities().notifyApproval(notice));
    } catch (error) {
      if (isCancellation(error)) return;
      log.warn('Nobody could be told of an approval', { approvalId: approval.approvalId });
    }
    memory.told = Math.max(memory.told ?? 0, notice.reminder);
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
