import {
  decodeFromPayloadsAtIndex,
  decodeOptionalFailureToOptionalError,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { temporal } from '@temporalio/proto';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { CreateSessionsInput, CreateSessionsResult, LaneResult } from '../protocol/activities.js';
import {
  type BatchRow,
  type BatchShardInput,
  type BatchShardResult,
  batchShardWorkflowId,
  earlierDeadline,
  endOfLeftRows,
  indexOfRowWorkflow,
  type RowOutcome,
  type RowResult,
  type RowStatus,
  statusWithoutSession,
} from '../protocol/batch.js';
import { rowResultOf } from '../protocol/batch-row-result.js';
import type { ConversationResult } from '../protocol/conversation.js';
import type { ExchangeError } from '../protocol/exchange.js';
import { FAILURE_TYPES } from '../protocol/failures.js';
import { BatchNotEndedError, BatchNotFoundError } from './batch-errors.js';
import type { ClientContext } from './connection.js';
import { GRPC, grpcStatus } from './translate-error.js';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;
type Payloads = temporal.api.common.v1.IPayloads | null | undefined;

/** How long Temporal may be out of reach before following gives up, and the pause between tries (milliseconds). */
const UNREACHABLE_MS = 5 * 60_000;
const RETRY_PAUSE_MS = 1_000;

/** How a shard is read. */
export interface FollowShardOptions {
  /** Stops reading. */
  signal?: AbortSignal;
  /** What to do at the end of the history of a shard that goes on: wait for more, leave it, or throw. Default `wait`. */
  whenRunning?: 'wait' | 'leave' | 'refuse';
}

/**
 * The outcomes of a shard's rows, each once, as soon as they stand in its history: those of a lane when it hands them over,
 * and when the shard has ended those of all rows that are left. Needs no worker.
 *
 * Three things end a row, the same that the shard itself counts: a result of `runLane` or `cancelLane`, an error of `createSessions`, and
 * the end of the shard.
 *
 * @throws BatchNotFoundError when Temporal no longer has the shard; BatchNotEndedError, if so asked.
 */
export async function* followShard(
  context: ClientContext,
  batchId: string,
  shard: number,
  { signal, whenRunning = 'wait' }: FollowShardOptions = {},
): AsyncGenerator<RowOutcome[], void, void> {
  const reader = new ShardReader(context, batchShardWorkflowId(batchId, shard));
  const read = { shard, waitNewEvent: whenRunning === 'wait', signal: signal ?? new AbortController().signal };
  let nextPageToken: Uint8Array | null | undefined;
  do {
    const page = await readPage(context, batchId, { ...read, nextPageToken });
    const outcomes: RowOutcome[] = [];
    for (const event of page.history?.events ?? []) outcomes.push(...(await reader.read(event)));
    if (outcomes.length > 0) yield outcomes;
    nextPageToken = page.nextPageToken;
  } while (nextPageToken != null && nextPageToken.length > 0);
  if (whenRunning === 'refuse' && !reader.hasEnded) throw new BatchNotEndedError(batchId, shard);
}

/** One page; with `waitNewEvent` it blocks while nothing is new, for as long as the server holds a poll open. */
async function readPage(
  context: ClientContext,
  batchId: string,
  {
    shard,
    waitNewEvent,
    nextPageToken,
    signal,
  }: { shard: number; waitNewEvent: boolean; nextPageToken: Uint8Array | null | undefined; signal: AbortSignal },
) {
  const { client } = context;
  const workflowId = batchShardWorkflowId(batchId, shard);
  const request = {
    namespace: client.options.namespace,
    execution: { workflowId },
    waitNewEvent,
    ...(nextPageToken != null && { nextPageToken }),
  };
  for (const startedMs = Date.now(); ;) {
    signal.throwIfAborted();
    // A controller for each call: the connection never takes its listeners off a signal.
    const call = new AbortController();
    const abort = () => call.abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await client.withAbortSignal(call.signal, () =>
        client.workflowService.getWorkflowExecutionHistory(request),
      );
    } catch (error) {
      signal.throwIfAborted();
      const code = grpcStatus(error)?.code;
      if (error instanceof WorkflowNotFoundError || code === GRPC.notFound) {
        throw new BatchNotFoundError(
          batchId,
          client.options.namespace,
          `the results of shard ${shard} of batch ${batchId}`,
        );
      }
      const mayPass = code === GRPC.unavailable || code === GRPC.deadlineExceeded || code === GRPC.resourceExhausted;
      if (!mayPass || Date.now() - startedMs > UNREACHABLE_MS) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}

/** Reads a shard's history event by event. */
class ShardReader {
  readonly #rows = new Map<number, BatchRow>();
  /** Activities by the event that scheduled them. */
  readonly #scheduled = new Map<string, { type: string; activityId: string; input: Payloads }>();
  /** Of the batch; see `RowOutcome.agentVersion`. */
  #agentVersion: string | undefined;
  #deadline: string | undefined;
  /** Ids of rows that were cancelled without an event of their own. */
  #cancelledRows: ReadonlySet<string> = new Set();
  /** True when the end of the shard was read. */
  hasEnded = false;

  constructor(
    private readonly context: ClientContext,
    private readonly workflowId: string,
  ) {}

  /** The outcomes that an event tells of. */
  async read(event: HistoryEvent): Promise<RowOutcome[]> {
    const started = event.workflowExecutionStartedEventAttributes;
    if (started != null) {
      const input = await this.#decode<BatchShardInput>(started.input);
      this.#agentVersion = input.agentVersion;
      this.#deadline = input.bounds?.deadline;
      for (const [position, row] of input.rows.entries()) this.#rows.set(input.firstIndex + position, row);
      return [];
    }
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled != null) {
      const { activityType, activityId, input } = scheduled;
      this.#scheduled.set(String(event.eventId), {
        type: activityType?.name ?? '',
        activityId: activityId ?? '',
        input,
      });
      return [];
    }
    const child = await this.#readChild(event);
    if (child !== undefined) return child;
    const completed = event.activityTaskCompletedEventAttributes;
    if (completed != null) return this.#readActivity(String(completed.scheduledEventId), completed.result, event);
    return this.#readEnd(event);
  }

  async #readActivity(scheduledEventId: string, result: Payloads, event: HistoryEvent): Promise<RowOutcome[]> {
    const activity = this.#scheduled.get(scheduledEventId);
    this.#scheduled.delete(scheduledEventId);
    if (activity?.type === 'runLane' || activity?.type === 'cancelLane') {
      const { results } = await this.#decode<LaneResult>(result, activity.activityId);
      return results.flatMap((rowResult) => this.#take(rowResult.index, () => rowResult));
    }
    if (activity?.type !== 'createSessions') return [];
    const { rows } = await this.#decode<CreateSessionsInput>(activity.input, activity.activityId);
    const { sessions } = await this.#decode<CreateSessionsResult>(result, activity.activityId);
    return sessions.flatMap((opened, position) => {
      const index = rows[position]?.index;
      if (index === undefined || !('error' in opened)) return [];
      return this.#take(index, (row) => notRun(row, index, statusWithoutSession(opened.error), opened.error, event));
    });
  }

  /** A row that was a workflow of its own (isolation `workflow`). */
  async #readChild(event: HistoryEvent): Promise<RowOutcome[] | undefined> {
    const ended = event.childWorkflowExecutionCompletedEventAttributes;
    if (ended != null) {
      const conversation = await this.#decode<ConversationResult>(ended.result);
      const index = indexOfRowWorkflow(ended.workflowExecution?.workflowId ?? '');
      return this.#take(index, (row) =>
        rowResultOf(row, index, conversation, earlierDeadline(row.deadline, this.#deadline)),
      );
    }
    const terminated = event.childWorkflowExecutionTerminatedEventAttributes;
    const cancelled = terminated ?? event.childWorkflowExecutionCanceledEventAttributes;
    const failed =
      event.childWorkflowExecutionFailedEventAttributes ?? event.childWorkflowExecutionTimedOutEventAttributes;
    const notStarted = event.startChildWorkflowExecutionFailedEventAttributes;
    const workflowId = (cancelled ?? failed)?.workflowExecution?.workflowId ?? notStarted?.workflowId;
    if (workflowId == null) return undefined;
    const index = indexOfRowWorkflow(workflowId);
    if (cancelled != null) {
      const how = terminated == null ? 'cancelled' : 'terminated';
      const error = { errorName: FAILURE_TYPES.exchangeCancelled, message: `Its run (${workflowId}) was ${how}` };
      return this.#take(index, (row) => notRun(row, index, 'cancelled', error, event));
    }
    const failure = event.childWorkflowExecutionFailedEventAttributes?.failure;
    const why = await decodeOptionalFailureToOptionalError(
      this.context.client.options.loadedDataConverter,
      failure ?? undefined,
    );
    const message = notStarted == null ? rootMessage(why) : `A run of its id (${workflowId}) is there already`;
    return this.#take(index, (row) => notRun(row, index, 'failed', { errorName: 'RowFailed', message }, event));
  }

  async #readEnd(event: HistoryEvent): Promise<RowOutcome[]> {
    const end = await this.#endOf(event);
    if (end === undefined) return [];
    this.hasEnded = true;
    return [...this.#rows.keys()].flatMap((index) =>
      this.#take(index, (row) => {
        const { status, error } = this.#cancelledRows.has(row.id) ? CANCELLED : end;
        return notRun(row, index, status, error, event);
      }),
    );
  }

  /** What the end of the shard means for rows that have not ended. */
  async #endOf(event: HistoryEvent): Promise<{ status: RowStatus; error: ExchangeError } | undefined> {
    const cancelled = (message: string) => ({
      status: 'cancelled' as const,
      error: { errorName: FAILURE_TYPES.exchangeCancelled, message },
    });
    const failed = (errorName: string, message: string) => ({
      status: 'failed' as const,
      error: { errorName, message },
    });
    if (event.workflowExecutionCanceledEventAttributes != null) return cancelled('Cancelled before it was begun');
    if (event.workflowExecutionTerminatedEventAttributes != null) {
      return cancelled('Its shard was terminated; what it had answered was not handed over');
    }
    if (event.workflowExecutionTimedOutEventAttributes != null) {
      return failed('ShardTimedOut', 'Its shard timed out before the row had ended');
    }
    if (event.workflowExecutionFailedEventAttributes != null) {
      const { failure } = event.workflowExecutionFailedEventAttributes;
      const error = await decodeOptionalFailureToOptionalError(
        this.context.client.options.loadedDataConverter,
        failure,
      );
      return failed('ShardFailed', `Its shard failed before the row had ended: ${rootMessage(error)}`);
    }
    if (event.workflowExecutionCompletedEventAttributes != null) {
      const { result } = event.workflowExecutionCompletedEventAttributes;
      const { stopped, cancelledRows = [] } = await this.#decode<BatchShardResult>(result);
      this.#cancelledRows = new Set(cancelledRows);
      if (stopped !== undefined) return endOfLeftRows(stopped);
      return failed('ResultMissing', 'Its shard has ended without a result for it');
    }
    return undefined;
  }

  /** A row ends once: what comes later for it is passed over. */
  #take(index: number, result: (row: BatchRow) => RowResult): RowOutcome[] {
    const row = this.#rows.get(index);
    if (row === undefined) return [];
    this.#rows.delete(index);
    // As the shard has it: a row with an agent of its own does not inherit the batch's version.
    const agentVersion = row.agentVersion ?? (row.agentRid === undefined ? this.#agentVersion : undefined);
    return [{ row, result: result(row), ...(agentVersion !== undefined && { agentVersion }) }];
  }

  async #decode<T>(payloads: Payloads, activityId?: string): Promise<T> {
    const { loadedDataConverter, namespace } = this.context.client.options;
    const owner = { namespace, workflowId: this.workflowId };
    return decodeFromPayloadsAtIndex<T>(
      loadedDataConverter,
      0,
      payloads?.payloads,
      activityId === undefined
        ? { type: 'workflow', ...owner }
        : { type: 'activity', ...owner, activityId, isLocal: false },
    );
  }
}

const CANCELLED = {
  status: 'cancelled' as const,
  error: { errorName: FAILURE_TYPES.exchangeCancelled, message: 'Cancelled before it was begun' },
};

/** Temporal wraps what an activity threw. */
function rootMessage(error: Error | undefined): string {
  return error?.cause instanceof Error ? rootMessage(error.cause) : (error?.message ?? 'for no reason given');
}

function notRun(row: BatchRow, index: number, status: RowStatus, error: ExchangeError, event: HistoryEvent): RowResult {
  const seconds = Number(event.eventTime?.seconds ?? 0);
  const finishedAt = new Date(seconds * 1000 + Math.floor((event.eventTime?.nanos ?? 0) / 1e6)).toISOString();
  return { id: row.id, index, status, exchanges: [], tokens: 0, attempts: 0, finishedAt, error };
}
