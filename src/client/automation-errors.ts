import type { ApprovalAnswer } from '../protocol/automation.js';
import { AipClientError, type EndStatus } from './errors.js';

const STATES: Record<EndStatus | 'running', string> = {
  running: 'runs',
  completed: 'has completed',
  cancelled: 'was cancelled',
  terminated: 'was terminated',
  timedOut: 'has timed out',
  failed: 'has failed',
};

/** An automation of this id runs, or ran. Nothing was started. */
export class AutomationExistsError extends AipClientError {
  override readonly name = 'AutomationExistsError';
  constructor(
    readonly automationId: string,
    readonly status: EndStatus | 'running' | undefined,
  ) {
    const there = status === undefined ? 'is there already' : STATES[status];
    const look = status === 'running' ? 'watch it' : 'see what it did';
    super(
      `Cannot start automation ${automationId}: one of this id ${there}; ${look} with \`aip-temporal automation ${status === 'running' ? 'watch' : 'show'} ${automationId}\`, or give another id`,
    );
  }
}

/** No automation of that id is known to this namespace. */
export class AutomationNotFoundError extends AipClientError {
  override readonly name = 'AutomationNotFoundError';
  constructor(
    readonly automationId: string,
    readonly namespace: string,
    what = `automation ${automationId}`,
  ) {
    const list = what.startsWith('automation ') ? '`aip-temporal automation list`' : '`temporal workflow list`';
    super(
      `Cannot find ${what} in namespace ${namespace}: it never ran, or its retention is over; ${list} shows those that are there`,
    );
  }
}

/** The automation has ended otherwise than with a result. */
export class AutomationFailedError extends AipClientError {
  override readonly name = 'AutomationFailedError';
  constructor(
    readonly automationId: string,
    readonly status: Exclude<EndStatus, 'completed'>,
    /** Of an automation that has failed: what the failure is called, such as `Rejected`, and its words. */
    readonly failure?: { type: string; message: string },
  ) {
    const why = failure === undefined ? '' : `: ${failureText(failure)}`;
    super(`Automation ${automationId} ${STATES[status]}${why}`);
  }
}

/** `Rejected: nobody wanted it` */
export const failureText = ({ type, message }: { type: string; message: string }): string =>
  message.includes(type) ? message : `${type}: ${message}`;

/** Nothing waits for a decision by that id, or nothing at all. Nothing was decided. */
export class NothingToDecideError extends AipClientError {
  override readonly name = 'NothingToDecideError';
  constructor(
    /** The automation, or the workflow. */
    readonly subject: string,
    readonly approvalId: string | undefined,
    /** Ids of the approvals that do wait. */
    readonly waiting: readonly string[],
    status: EndStatus | 'running' = 'running',
  ) {
    super(`Cannot decide in ${subject}: ${whyNothing(approvalId, waiting, status)}`);
  }
}

function whyNothing(approvalId: string | undefined, waiting: readonly string[], status: EndStatus | 'running'): string {
  if (status !== 'running') return `it ${STATES[status]}; nothing of it waits any more`;
  if (waiting.length === 0) return 'nothing in it waits for somebody now; look again when it does';
  return `no approval "${approvalId ?? ''}" waits in it; these do: ${waiting.join(', ')}`;
}

/** Several approvals wait, and none was named. Nothing was decided. */
export class SeveralApprovalsError extends AipClientError {
  override readonly name = 'SeveralApprovalsError';
  constructor(
    readonly subject: string,
    readonly waiting: readonly string[],
  ) {
    super(
      `Cannot decide in ${subject}: ${waiting.length} approvals wait in it; name one of them: ${waiting.join(', ')}`,
    );
  }
}

/** Somebody else was first: the first decision stays. */
export class AlreadyDecidedError extends AipClientError {
  override readonly name = 'AlreadyDecidedError';
  constructor(
    readonly subject: string,
    readonly answer: ApprovalAnswer,
  ) {
    const { approvalId, decision, by, at, byDefault } = answer;
    const who =
      byDefault === true ? 'by its default, as nobody had in time' : `by ${by ?? 'somebody who gave no name'}`;
    super(
      `Cannot decide ${approvalId} in ${subject}: it was ${decision === 'approve' ? 'approved' : 'rejected'} ${who} at ${at}; the first decision stays`,
    );
  }
}
