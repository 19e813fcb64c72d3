import type { TypedSearchAttributes as SearchAttributes } from '@temporalio/common';
import { TypedSearchAttributes } from '@temporalio/common';
import {
  QueryNotRegisteredError,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowHandle,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { ConversationInput, ConversationSnapshot } from '../protocol/conversation.js';
import { legacyQuery, outcomeQuery } from '../protocol/conversation.js';
import type { ExchangeOutcome } from '../protocol/exchange.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import {
  type InternalWorkflowStartOptions,
  InternalWorkflowStartOptionsSymbol,
} from '@temporalio/client/lib/internal.js';
import { v5 as uuidV5 } from 'uuid';
import { optionsProblem } from '../protocol/conversation-options.js';
import { summaryLine } from '../protocol/summary-line.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import type { ClientContext } from './connection.js';
import { runStatus } from './describe-conversation.js';
import { ConversationExistsError, type EndStatus, InvalidCallError } from './errors.js';
import { GRPC, grpcStatus, translateError } from './translate-error.js';
import { queryWorker } from './worker-query.js';

/** Which conversation, and how it starts when it does not run yet. */
export interface ConversationTarget {
  conversationId: string;
  /** Absent: only a running conversation is asked, none is started. */
  start?: ConversationInput;
  /** True when the id was made just now, so that nothing can be running under it. */
  isNew: boolean;
}

/** Time that an ended conversation has to tell what it has answered (milliseconds). */
const QUERY_TIMEOUT_MS = 10_000;

/** What there was of a conversation before it is begun. */
export interface EarlierConversation {
  /** All that it has recorded, so that no message of it is asked again, and its session, when it ended of itself (closed or idle). */
  input?: { snapshot: ConversationSnapshot };
  /** Of the message asked for, which it had answered already. */
  outcome?: ExchangeOutcome;
  /** It had accepted the message asked for, and was ended before that had an outcome. */
  endedUnder?: EndStatus;
  /** Its last run; absent when there was none. */
  runId?: string;
}

/**
 * What a conversation that has ended leaves to the one that follows it under the same id; of one that was terminated also what it
 * had at the agent, which is settled before anything else is asked. `running`: somebody has begun it in this
 * moment, or it has just rolled over; it can be talked to.
 */
export async function beforeReopening(
  context: ClientContext,
  conversationId: string,
  messageId: string,
): Promise<EarlierConversation | 'running'> {
  const handle = context.client.workflow.getHandle(conversationId);
  try {
    const { status, type, runId } = await handle.describe();
    if (type !== WORKFLOW_TYPES.conversation) return { runId };
    const endStatus = runStatus({ status });
    if (endStatus === 'running') return 'running';
    const query = <T>(run: (asked: WorkflowHandle) => Promise<T>) =>
      queryWorker(context, conversationId, QUERY_TIMEOUT_MS, run);
    const known = await query((asked) => asked.query(outcomeQuery, { messageId })).catch(absentWhereNeverBegun);
    if (known === undefined) return { runId };
    if (known.state === 'finished') return { outcome: known.outcome, runId };
    const legacy = await query((asked) => asked.query(legacyQuery)).catch(absentOnOlderWorkers);
    if (legacy === undefined) return { runId };
    const { session, ...recorded } = legacy;
    const goesOn = status.name === 'COMPLETED' && session !== undefined;
    return {
      input: { snapshot: { ...recorded, ...(goesOn && { session }), lastActiveMs: Date.now() } },
      ...(known.state !== 'unknown' && known.state !== 'rejected' && { endedUnder: endStatus }),
      runId,
    };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return {};
    throw error;
  }
}

/** Namespace of the ids by which Temporal knows a start again; a value of our own. */
const START_IDS = '0b8d1d0e-5f7e-4c39-9a52-3c1c9a7f7a58';

/**
 * Begins a conversation once after the run that was seen last. Of several callers who have seen that run, the first begins it; the
 * others are led to what it has begun, even if that has ended again: what it has recorded, they have not seen.
 *
 * Temporal answers a start whose request id is that of the newest run with that run, as it would a start that is sent again. No
 * message can come along: Temporal has no request id for a start with a signal, and fails a start with an update for 20 s where
 * the run has ended.
 */
export async function beginOnce(
  { client }: ClientContext,
  conversationId: string,
  { runId = '' }: Pick<EarlierConversation, 'runId'>,
  options: ReturnType<typeof startOptions>,
): Promise<void> {
  const onceAfter: Partial<InternalWorkflowStartOptions> = {
    [InternalWorkflowStartOptionsSymbol]: { requestId: uuidV5(`${conversationId}/${runId}`, START_IDS) },
  };
  await client.workflow.start(WORKFLOW_TYPES.conversation, {
    ...options,
    ...onceAfter,
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
}

/** A worker that is older than this client does not know the query: the conversation then begins anew. */
function absentOnOlderWorkers(error: unknown): undefined {
  if (!(error instanceof QueryNotRegisteredError)) throw error;
}

/** Terminated before any worker had seen it: it has recorded nothing. */
function absentWhereNeverBegun(error: unknown): undefined {
  const status = grpcStatus(error);
  if (status?.code !== GRPC.failedPrecondition || !status.details.includes('closed before')) throw error;
}

/** How a conversation is started: its id, input, and what operators see of it. @throws InvalidCallError */
export function startOptions(
  context: ClientContext,
  conversationId: string,
  input: ConversationInput,
  firstText?: string,
): {
  workflowId: string;
  taskQueue: string;
  args: [ConversationInput];
  typedSearchAttributes: SearchAttributes;
  staticSummary: string;
} {
  const problem = optionsProblem(input);
  if (problem !== undefined) throw new InvalidCallError(problem);
  const first = firstText ?? input.turns?.[0]?.text ?? '';
  return {
    workflowId: conversationId,
    taskQueue: context.taskQueue,
    args: [input],
    typedSearchAttributes: new TypedSearchAttributes([
      { key: searchAttributeKeys.agent, value: input.agentRid },
      { key: searchAttributeKeys.state, value: 'open' },
      ...(input.batchId === undefined ? [] : [{ key: searchAttributeKeys.batch, value: input.batchId }]),
    ]),
    staticSummary: summaryLine(input.title ?? first),
  };
}

/** Starts a conversation without a first message, or as a one-shot with `turns`. @throws ConversationExistsError */
export async function startConversation(
  context: ClientContext,
  conversationId: string,
  input: ConversationInput,
): Promise<void> {
  try {
    await context.client.workflow.start(WORKFLOW_TYPES.conversation, startOptions(context, conversationId, input));
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) throw new ConversationExistsError(conversationId);
    throw translateError(error, context, conversationId);
  }
}
