import { ActivityCancellationType, proxyActivities, workflowInfo, type ActivityOptions } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import { DEFAULTS } from '../protocol/defaults.js';
import { interactiveTaskQueue } from '../protocol/task-queues.js';

/**
 * Time limits of the activities of conversations, in one place. Retries have no attempt limit: the activities decide per
 * failure class (`retryDecision`), and the overall time limit ends them (docs/design.md, "Errors → what happens").
 */
const RETRY = { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds' } as const;

function interactive(options: ActivityOptions): ActivityOptions {
  return {
    taskQueue: interactiveTaskQueue(workflowInfo().taskQueue),
    retry: RETRY,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    ...options,
  };
}

/** `streamingContinue` and `blockingContinue` of one exchange; `timeoutMs` bounds it with all its retries and waits. */
export function exchangeActivities(options: { activityId: string; summary: string; timeoutMs: number }) {
  return proxyActivities<Pick<Activities, 'streamingContinue' | 'blockingContinue'>>(
    interactive({
      activityId: options.activityId,
      summary: options.summary,
      scheduleToCloseTimeout: options.timeoutMs,
      heartbeatTimeout: DEFAULTS.heartbeatTimeoutMs.interactive,
    }),
  );
}

/** Calls that open or describe a session; short, and safe to repeat. */
export function sessionActivities(options: { summary: string; timeoutMs: number }) {
  return proxyActivities<Pick<Activities, 'createSession' | 'getContent' | 'updateTitle'>>(
    interactive({
      summary: options.summary,
      startToCloseTimeout: DEFAULTS.createSessionTimeoutMs,
      scheduleToCloseTimeout: options.timeoutMs,
      heartbeatTimeout: DEFAULTS.heartbeatTimeoutMs.interactive,
      cancellationType: ActivityCancellationType.TRY_CANCEL,
    }),
  );
}

/** The workflow's own clean-up of an exchange; bounded, because the run stays open until it has ended. */
export function cleanUpActivities(options: { summary: string }) {
  return proxyActivities<Pick<Activities, 'cancelExchange'>>(
    interactive({
      summary: options.summary,
      scheduleToCloseTimeout: DEFAULTS.cancelExchangeTimeoutMs,
      heartbeatTimeout: DEFAULTS.heartbeatTimeoutMs.interactive,
    }),
  );
}
