import { type WorkflowExecutionDescription, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { type AutomationResult, type AutomationStatus, automationStatusQuery } from '../protocol/automation.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import { type AutomationSummary, automationSummary, describedAutomation } from './automation-memo.js';
import type { ClientContext } from './connection.js';
import { NoWorkerError, UnansweredError } from './errors.js';
import { exchangeProgress, type PendingActivity, pendingActivities, type Wait, waitOf } from './pending-activities.js';
import { translateError } from './translate-error.js';
import { queryWorker } from './worker-query.js';

/** How long to wait for a worker's answer before telling that none comes (milliseconds). */
const QUERY_PATIENCE_MS = 3_000;
/** Of an answer that is being written, so much of its end is shown. */
const LIVE_TEXT_CHARACTERS = 400;

/** An exchange that an automation has with an agent right now. */
export interface LiveExchange {
  activityId: string;
  /** Name of the activity: `streamingContinue`, `createSession`, … */
  activityType: string;
  attempt: number;
  /** What it is at, as it tells in its heartbeats; absent before the first. */
  phase?: string;
  /** The end of its text so far. */
  text?: string;
  /** Why it does not get on. */
  wait?: Wait;
}

/** An automation: what was started, where each step stands, how it ended. */
export interface AutomationDescription extends AutomationSummary {
  taskQueue: string;
  /** Events in this run's history. */
  historyLength: number;
  /** As its workflow tells; absent when no worker answers for it. */
  live?: AutomationStatus;
  /** Why `live` is absent, or old. */
  noWorker?: string;
  /** Why all that is shown is old: Temporal does not answer. */
  outage?: string;
  exchanges: LiveExchange[];
  /** Ids of the batches that it runs now. */
  batches: string[];
  /** Why its exchanges do not get on, each reason once. */
  waits: Wait[];
  /** Once it has completed. */
  result?: AutomationResult;
  /** Once it has failed: what the failure is called, and its words. */
  failure?: { type: string; message: string };
}

/**
 * How an automation stands now. Without a worker: what Temporal alone knows, and `noWorker` says so.
 *
 * @param automationId Its own, or its workflow's.
 * @throws AutomationNotFoundError, TemporalUnreachableError
 */
export async function describeAutomation(context: ClientContext, automationId: string): Promise<AutomationDescription> {
  return new AutomationLooker(context, automationId).look();
}

/** Looks at an automation, again and again; its state is asked for only when its history has grown. */
export class AutomationLooker {
  #last: AutomationDescription | undefined;

  constructor(
    private readonly context: ClientContext,
    readonly automationId: string,
  ) {}

  /** What was seen last. */
  get last(): AutomationDescription | undefined {
    return this.#last;
  }

  async look(): Promise<AutomationDescription> {
    const description = await describedAutomation(this.context, this.automationId);
    const { workflowId, taskQueue, historyLength } = description;
    try {
      const summary = automationSummary(description);
      const activities = summary.status === 'running' ? await pendingActivities(this.context, description) : [];
      const seen: AutomationDescription = {
        ...summary,
        taskQueue,
        historyLength,
        ...(await this.#status(summary, description)),
        exchanges: activities.map(liveExchange),
        batches: summary.status === 'running' ? batchesOf(description) : [],
        waits: distinct(activities.flatMap((activity) => waitOf(activity) ?? [])),
        ...(await this.#end(summary)),
      };
      this.#last = seen;
      return seen;
    } catch (error) {
      throw translateError(error, this.context, workflowId);
    }
  }

  /** Asks the automation itself; when no worker answers for it, tells why. */
  async #status(
    { runId, workflowId, status }: AutomationSummary,
    { taskQueue, historyLength }: WorkflowExecutionDescription,
  ): Promise<Pick<AutomationDescription, 'live' | 'noWorker'>> {
    const { last } = this;
    const isSame = last?.runId === runId && last.historyLength === historyLength && last.status === status;
    if (isSame && last.live !== undefined && last.noWorker === undefined) return { live: last.live };
    try {
      const live = await queryWorker(this.context, workflowId, QUERY_PATIENCE_MS, (handle) =>
        handle.query(automationStatusQuery),
      );
      return { live };
    } catch (error) {
      if (!(error instanceof UnansweredError)) throw error;
      const noWorker =
        error instanceof NoWorkerError
          ? `no worker answers on task queue ${taskQueue}; start one with \`aip-temporal worker\``
          : error.message;
      return { ...(last?.live !== undefined && { live: last.live }), noWorker };
    }
  }

  /** Stands in the history: that needs no worker. */
  async #end({ workflowId, status }: AutomationSummary): Promise<Pick<AutomationDescription, 'result' | 'failure'>> {
    if (status !== 'completed' && status !== 'failed') return {};
    try {
      return { result: await this.context.client.workflow.getHandle<Automation>(workflowId).result() };
    } catch (error) {
      const failure = failureOf(error);
      if (failure === undefined) throw error;
      return { failure };
    }
  }
}

export type Automation = (input: unknown) => Promise<AutomationResult>;

/** What an automation failed with, in its own words; absent when it ended otherwise. */
export function failureOf(error: unknown): { type: string; message: string } | undefined {
  if (!(error instanceof WorkflowFailedError)) return undefined;
  const { cause } = error;
  if (cause instanceof ApplicationFailure) return { type: cause.type ?? cause.name, message: cause.message };
  return cause === undefined ? undefined : { type: cause.name, message: cause.message };
}

function liveExchange(activity: PendingActivity): LiveExchange {
  const { activityId, activityType, attempt } = activity;
  const progress = exchangeProgress(activity);
  const wait = waitOf(activity);
  return {
    activityId,
    activityType,
    attempt,
    ...(progress !== undefined && { phase: progress.phase }),
    ...(progress?.text && { text: progress.text.slice(-LIVE_TEXT_CHARACTERS) }),
    ...(wait !== undefined && { wait }),
  };
}

const batchesOf = ({ raw }: WorkflowExecutionDescription): string[] =>
  (raw.pendingChildren ?? [])
    .filter(({ workflowTypeName }) => workflowTypeName === WORKFLOW_TYPES.batch)
    .map(({ workflowId }) => (workflowId ?? '').replace(/^batch\//, ''));

/** Each reason once, with the earliest end of it. */
function distinct(waits: readonly Wait[]): Wait[] {
  const byReason = new Map<string, Wait>();
  for (const wait of waits) {
    const known = byReason.get(wait.reason);
    const isEarlier = wait.until !== undefined && (known?.until === undefined || wait.until < known.until);
    if (known === undefined || isEarlier) byReason.set(wait.reason, wait);
  }
  return [...byReason.values()];
}
