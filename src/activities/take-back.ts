import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import protobuf from '@temporalio/proto';
import { FAILURE_TYPES } from '../protocol/failures.js';
import { MEMBER_ACTIVITY } from '../protocol/limits.js';
import { releaseStickyQueues } from './release-sticky-queues.js';
import { sleep } from './sleep.js';

const { PendingActivityState } = protobuf.temporal.api.enums.v1;
type PendingActivity = protobuf.temporal.api.workflow.v1.IPendingActivityInfo;
type Timestamp = protobuf.google.protobuf.ITimestamp;

/** What a worker takes back, and from whom. */
export interface TakeBackOptions {
  /** Task queue of the workflows. */
  taskQueue: string;
  /** Identities whose activities are taken back, and how long without a heartbeat means that their process is dead (milliseconds). */
  silenceMs: ReadonlyMap<string, number>;
  /** Ends the search. */
  signal: AbortSignal;
}

/** Runs looked at at once. */
const LOOKS_AT_ONCE = 20;

/** A run that is open: where to look for activities. */
interface Run {
  workflowId: string;
  runId: string;
}

/**
 * Takes back at once what the predecessor of this worker held when it died, instead of waiting for its heartbeats to run out
 * (docs/design.md, "Coming back after a death"): its attempts are failed, so that Temporal starts the next ones, which adopt
 * what goes on at the agent.
 *
 * The predecessor is known by its identity, which is stable across restarts, and its death by its silence: an attempt that
 * beats is left alone, so that several workers may share an identity. An attempt taken from a living worker by mistake
 * would cost a look at the agent, nothing more: its worker is told that it no longer owns it.
 *
 * Where the predecessor held anything, the next workflow tasks do not wait for it either.
 *
 * @returns How many attempts were taken back.
 */
export async function takeBack(client: Client, options: TakeBackOptions): Promise<number> {
  const { taskQueue, signal } = options;
  const query = `ExecutionStatus = 'Running' AND TaskQueue = '${taskQueue.replaceAll("'", "''")}'`;
  const runs = client.workflow.list({ query })[Symbol.asyncIterator]();
  let taken = 0;
  let releasing: Promise<void> | undefined;
  const onHeld = () => void (releasing ??= releaseStickyQueues(client, taskQueue, signal));
  const lookOn = async () => {
    for (;;) {
      const next = await runs.next();
      if (next.done === true || signal.aborted) return;
      taken += await takeBackFrom(client, next.value, options, onHeld);
    }
  };
  await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, lookOn));
  await releasing;
  return taken;
}

/** Takes back what is held of one run; waits where the silence is not long enough yet. */
async function takeBackFrom(
  client: Client,
  { workflowId, runId }: Run,
  options: TakeBackOptions,
  onHeld: () => void,
): Promise<number> {
  const run = { workflowId, runId };
  const held = await heldActivities(client, run, options);
  if (held.length > 0) onHeld();
  const taken = await Promise.all(held.map((activity) => takeBackOne(client, run, activity, options)));
  return taken.filter(Boolean).length;
}

async function takeBackOne(
  client: Client,
  run: Run,
  activity: PendingActivity,
  options: TakeBackOptions,
): Promise<boolean> {
  const silenceMs = options.silenceMs.get(activity.lastWorkerIdentity ?? '') ?? Infinity;
  // The server's clock may be ahead or behind: never longer than this, and then the attempt must not have beaten meanwhile.
  const remainingMs = Math.min(silenceMs, signOfLifeMs(activity) + silenceMs - Date.now());
  if (remainingMs > 0) {
    await sleep(remainingMs, options.signal);
    const later = await heldActivities(client, run, options);
    if (!later.some((other) => isSameAttempt(other, activity) && signOfLifeMs(other) === signOfLifeMs(activity))) {
      return false;
    }
  }
  try {
    await client.activity.fail({ ...run, activityId: activity.activityId ?? '' }, workerDied());
    return true;
  } catch {
    // It has ended meanwhile, or its run has: nothing is left to take.
    return false;
  }
}

/** Activities of a run that a worker of one of the identities has begun and not ended. */
async function heldActivities(client: Client, run: Run, { silenceMs }: TakeBackOptions): Promise<PendingActivity[]> {
  try {
    const { raw } = await client.workflow.getHandle(run.workflowId, run.runId).describe();
    return (raw.pendingActivities ?? []).filter(
      // A member's activity stands for a worker, whichever one picked it up.
      ({ state, lastWorkerIdentity, activityType }) =>
        isStarted(state) && silenceMs.has(lastWorkerIdentity ?? '') && activityType?.name !== MEMBER_ACTIVITY,
    );
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw error;
  }
}

function isStarted(state: PendingActivity['state']): boolean {
  return (
    state === PendingActivityState.PENDING_ACTIVITY_STATE_STARTED ||
    state === PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
  );
}

function isSameAttempt(one: PendingActivity, other: PendingActivity): boolean {
  return one.activityId === other.activityId && one.attempt === other.attempt;
}

/** When the attempt was last heard of (milliseconds since the epoch, by the server's clock). */
function signOfLifeMs({ lastHeartbeatTime, lastStartedTime }: PendingActivity): number {
  return Math.max(milliseconds(lastHeartbeatTime), milliseconds(lastStartedTime));
}

function milliseconds(time: Timestamp | null | undefined): number {
  return Number(time?.seconds ?? 0) * 1000 + (time?.nanos ?? 0) / 1e6;
}

/** Retried at once: the shortest delay that Temporal takes. */
function workerDied(): ApplicationFailure {
  return ApplicationFailure.create({
    type: FAILURE_TYPES.workerDied,
    message:
      'The worker of this attempt has died; its successor takes the work back and adopts what goes on at the agent',
    nextRetryDelay: 1,
    category: ApplicationFailureCategory.BENIGN,
  });
}
