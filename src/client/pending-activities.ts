import type { WorkflowExecutionDescription } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import {
  decodeArrayFromPayloads,
  decodeOptionalFailureToOptionalError,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import proto from '@temporalio/proto';
import type { ExchangeProgress } from '../protocol/activities.js';
import type { ClientContext } from './connection.js';

type RawPendingActivity = NonNullable<NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number]>;

/** An activity that runs, or waits for its next attempt: what is being done right now, and why nothing happens. */
export interface PendingActivity {
  activityId: string;
  /** Name of the activity: `streamingContinue`, `createSession`, … */
  activityType: string;
  /** `scheduled`: waiting for a worker, or for `nextAttemptAt`. */
  state: 'scheduled' | 'running' | 'cancelRequested' | 'paused';
  /** Attempt that runs or comes next, from 1. */
  attempt: number;
  /** When the next attempt is due, while one is waited for. */
  nextAttemptAt?: Date;
  scheduledAt?: Date;
  /** Why the attempt before this one ended; type is the API's error name. */
  lastFailure?: { type: string; message: string };
  /** The last heartbeat; of exchange activities an `ExchangeProgress`. */
  heartbeat?: unknown;
  heartbeatAt?: Date;
}

const STATES = proto.temporal.api.enums.v1.PendingActivityState;

/** The pending activities of a workflow's description, decoded with the client's data converter. No history event, no worker. */
export async function pendingActivities(
  context: ClientContext,
  description: WorkflowExecutionDescription,
): Promise<PendingActivity[]> {
  return Promise.all((description.raw.pendingActivities ?? []).map((raw) => decodePendingActivity(context, raw)));
}

async function decodePendingActivity(context: ClientContext, raw: RawPendingActivity): Promise<PendingActivity> {
  const converter = context.client.options.loadedDataConverter;
  const [heartbeat] = await decodeArrayFromPayloads(converter, raw.heartbeatDetails?.payloads);
  const failure = await decodeOptionalFailureToOptionalError(converter, raw.lastFailure);
  const state = stateOf(raw);
  const nextAttemptAt = dateOf(raw.nextAttemptScheduleTime);
  const scheduledAt = dateOf(raw.scheduledTime);
  const heartbeatAt = dateOf(raw.lastHeartbeatTime);
  return {
    activityId: raw.activityId ?? '',
    activityType: raw.activityType?.name ?? '',
    state,
    attempt: raw.attempt ?? 1,
    ...(state === 'scheduled' && nextAttemptAt !== undefined ? { nextAttemptAt } : {}),
    ...(scheduledAt === undefined ? {} : { scheduledAt }),
    ...(failure === undefined ? {} : { lastFailure: { type: failureType(failure), message: failure.message } }),
    ...(heartbeat === undefined ? {} : { heartbeat }),
    ...(heartbeatAt === undefined ? {} : { heartbeatAt }),
  };
}

function stateOf(raw: RawPendingActivity): PendingActivity['state'] {
  if (raw.paused === true || raw.state === STATES.PENDING_ACTIVITY_STATE_PAUSED) return 'paused';
  if (raw.state === STATES.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED) return 'cancelRequested';
  return raw.state === STATES.PENDING_ACTIVITY_STATE_SCHEDULED ? 'scheduled' : 'running';
}

const failureType = (failure: Error): string =>
  failure instanceof ApplicationFailure ? (failure.type ?? failure.name) : failure.name;

function dateOf(timestamp: RawPendingActivity['scheduledTime']): Date | undefined {
  const seconds = Number(timestamp?.seconds ?? 0);
  return seconds === 0 ? undefined : new Date(seconds * 1000 + Math.floor((timestamp?.nanos ?? 0) / 1e6));
}

/** The heartbeat as an exchange's progress; absent when it is none (no beat yet, another activity). */
export function exchangeProgress(activity: PendingActivity): ExchangeProgress | undefined {
  const { heartbeat } = activity;
  if (typeof heartbeat !== 'object' || heartbeat === null) return undefined;
  const { phase, text } = heartbeat as Partial<ExchangeProgress>;
  return typeof phase === 'string' && typeof text === 'string' ? (heartbeat as ExchangeProgress) : undefined;
}

/** An activity that waits for a worker for less than this is no news (milliseconds). */
const PICK_UP_MS = 3_000;

/** Why an activity does not get on, and until when at most. */
export interface Wait {
  reason: string;
  until?: Date;
}

/**
 * What a pending activity waits for, in words; absent while it works.
 *
 * @param activity Of an exchange: the limits that it waits for stand in its heartbeat.
 */
export function waitOf(activity: PendingActivity): Wait | undefined {
  const { nextAttemptAt, lastFailure, attempt, state } = activity;
  if (state === 'paused') return { reason: `${activity.activityType} is paused` };
  if (state === 'scheduled' && lastFailure !== undefined) {
    const reason = `${describeFailure(lastFailure)}; attempt ${attempt} comes next`;
    return nextAttemptAt === undefined ? { reason } : { reason, until: nextAttemptAt };
  }
  if (state === 'scheduled') {
    const isFresh = Date.now() - (activity.scheduledAt?.getTime() ?? 0) < PICK_UP_MS;
    return isFresh ? undefined : { reason: `${activity.activityType} waits for a worker` };
  }
  const progress = exchangeProgress(activity);
  if (progress?.waitingFor === undefined) return undefined;
  const until = progress.waitingUntil === undefined ? undefined : new Date(progress.waitingUntil);
  return until === undefined ? { reason: progress.waitingFor } : { reason: progress.waitingFor, until };
}

function describeFailure({ type, message }: { type: string; message: string }): string {
  if (type === 'RateLimitExceeded') return 'rate limited (RateLimitExceeded)';
  return message.includes(type) ? message : `${type}: ${message}`;
}
