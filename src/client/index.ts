import type { Client } from '@temporalio/client';
import type { ConversationMessage } from '../protocol/conversation.js';
import { DEFAULT_TASK_QUEUE } from '../protocol/task-queues.js';
import type { ClientContext, ConnectOptions } from './connection.js';
import { connectToTemporal } from './connection.js';
import type { ConversationSettings } from './conversation.js';
import { ConversationHandle, newConversationId } from './conversation.js';
import type { ConversationSummary } from './describe-conversation.js';
import { InvalidCallError } from './errors.js';
import type { ConversationFilter } from './list-conversations.js';
import { listConversations } from './list-conversations.js';
import { ensureSearchAttributes } from './search-attributes.js';
import { startConversation } from './start-conversation.js';
import { workersOf } from './task-queue-workers.js';

export type { AskOptions } from './ask.js';
export {
  AlreadyDecidedError,
  AutomationExistsError,
  AutomationFailedError,
  AutomationNotFoundError,
  automationResult,
  cancelAutomation,
  decide,
  decideInWorkflow,
  describeAutomation,
  listAutomations,
  newAutomationId,
  NothingToDecideError,
  SeveralApprovalsError,
  startAutomation,
  watchAutomation,
} from './automation.js';
export type {
  AutomationDecision,
  AutomationDescription,
  AutomationFilter,
  AutomationStart,
  AutomationSummary,
  LiveExchange,
  StartedAutomation,
  WatchAutomationOptions,
} from './automation.js';
export {
  AutomationScheduleExistsError,
  AutomationScheduleNotFoundError,
  backfillAutomationSchedule,
  createAutomationSchedule,
  deleteAutomationSchedule,
  describeAutomationSchedule,
  intervalWords,
  listAutomationSchedules,
  pauseAutomationSchedule,
  resumeAutomationSchedule,
  triggerAutomationSchedule,
  updateAutomationSchedule,
} from './automation-schedules.js';
export type {
  AutomationSchedule,
  AutomationScheduleDescription,
  AutomationScheduleSummary,
  AutomationTimes,
  ScheduledRun,
  ScheduleOverlap,
  TriggeredSchedule,
} from './automation-schedules.js';
export {
  BatchEndedError,
  BatchExistsError,
  BatchNotEndedError,
  BatchNotFoundError,
  batchProgress,
  cancelBatch,
  cancelRows,
  collectResults,
  describeBatch,
  listBatches,
  pauseBatch,
  rerunBatch,
  rerunSubmission,
  resumeBatch,
  runBatch,
  setBatchConcurrency,
  setBatchWeight,
  submitBatch,
  watchBatch,
} from './batch.js';
export type {
  BatchDescription,
  BatchFilter,
  BatchListing,
  BatchProgress,
  BatchRows,
  BatchSettings,
  BatchState,
  BatchSubmission,
  BatchSummary,
  CollectOptions,
  RerunOptions,
  ResultOrder,
  ResultSink,
  RowCancellation,
  RunBatchOptions,
  SubmittedBatch,
  VersionFigures,
  WatchOptions,
} from './batch.js';
export { addressOf, connectToTemporal } from './connection.js';
export type { ClientContext, ConnectOptions } from './connection.js';
export { ConversationHandle, newConversationId } from './conversation.js';
export type { ConversationSettings } from './conversation.js';
export type { ConversationDescription, ConversationSummary } from './describe-conversation.js';
export * from './errors.js';
export type { ExchangeEvent, FollowOptions } from './follow.js';
export { closeAgent, describeLimits, listLimits, openAgent, setLimits } from './limits.js';
export type { LimitedAgent, LimitsDescription, WorkerLimitsDescription } from './limits.js';
export type { ConversationFilter } from './list-conversations.js';
export { LiveText } from './live-text.js';
export type { RestartEvent, TextEvent } from './live-text.js';
export { checkedMessage } from './message-check.js';
export type { MessageInput } from './message-check.js';
export { exchangeProgress, waitOf } from './pending-activities.js';
export type { PendingActivity, Wait } from './pending-activities.js';
export { ensureSearchAttributes, searchAttributeCommand } from './search-attributes.js';
export { workersOf } from './task-queue-workers.js';

/** Settings of `AipClient`. */
export interface AipClientOptions {
  /** A client of Temporal's, with the data converter that the workers use. */
  client: Client;
  /** Task queue of the workers. Default `aip-temporal`. */
  taskQueue?: string;
  /** Agent of conversations that name none. */
  agentRid?: string;
}

/**
 * The application's side: conversations with agents that run as Temporal workflows.
 *
 * ```ts
 * const aip = await AipClient.connect({ agentRid });
 * const outcome = await aip.conversation('order-42').ask('Where is my order?');
 * ```
 */
export class AipClient implements ClientContext {
  readonly client: Client;
  readonly taskQueue: string;
  readonly agentRid: string | undefined;

  constructor(options: AipClientOptions) {
    this.client = options.client;
    this.taskQueue = options.taskQueue ?? DEFAULT_TASK_QUEUE;
    this.agentRid = options.agentRid;
  }

  /**
   * Connects to Temporal, and proves that it answers. Close with `close`.
   *
   * @throws TemporalUnreachableError
   */
  static async connect(options: ConnectOptions & Omit<AipClientOptions, 'client'> = {}): Promise<AipClient> {
    const { taskQueue, agentRid, ...connect } = options;
    return new AipClient({
      client: await connectToTemporal(connect),
      ...(taskQueue === undefined ? {} : { taskQueue }),
      ...(agentRid === undefined ? {} : { agentRid }),
    });
  }

  /**
   * A handle on a conversation; calls nobody. The first message starts the conversation when it does not run yet.
   *
   * @param id The workflow's id. Default: a new one, `conversation/<agent>/<uuid>`.
   * @param settings How it starts; of no effect on one that runs.
   */
  conversation(id?: string, settings: ConversationSettings = {}): ConversationHandle {
    const agentRid = settings.agentRid ?? this.agentRid;
    if (id === undefined && agentRid === undefined) {
      throw new InvalidCallError('Cannot begin a conversation without an agent: give its agentRid');
    }
    const start = agentRid === undefined ? settings : { ...settings, agentRid };
    return id === undefined
      ? new ConversationHandle(this, newConversationId(agentRid ?? ''), { ...start, isNew: true })
      : new ConversationHandle(this, id, start);
  }

  /**
   * Starts a conversation now: one that waits for messages, or, with `turns`, a one-shot that ends after the last of them.
   *
   * @throws ConversationExistsError when one of this id runs already.
   */
  async startConversation(
    settings: ConversationSettings & { id?: string; turns?: ConversationMessage[] } = {},
  ): Promise<ConversationHandle> {
    const { id, turns, ...rest } = settings;
    const agentRid = rest.agentRid ?? this.agentRid;
    if (agentRid === undefined) {
      throw new InvalidCallError('Cannot begin a conversation without an agent: give its agentRid');
    }
    const handle = this.conversation(id, rest);
    await startConversation(this, handle.id, {
      ...rest,
      agentRid,
      ...(turns === undefined ? {} : { turns }),
    });
    return handle;
  }

  /** Lists conversations, newest first. A list is a second or so behind. */
  listConversations(filter: ConversationFilter = {}): AsyncGenerator<ConversationSummary, void, void> {
    return listConversations(this, filter);
  }

  /** Adds our search attributes to the namespace where it lacks them. @returns The names added. */
  async ensureSearchAttributes(): Promise<string[]> {
    return ensureSearchAttributes(this.client);
  }

  /** Identities of the workers that poll for workflows, as seen within the last minute or so. */
  async workers(): Promise<string[]> {
    return workersOf(this);
  }

  /** Closes the connection. */
  async close(): Promise<void> {
    await this.client.connection.close();
  }
}
