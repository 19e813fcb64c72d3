import type { Client } from '@temporalio/client';
import { decodeFromPayloadsAtIndex } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { ExchangeInput, LaneInput } from '../protocol/activities.js';
import { batchWorkflowId } from '../protocol/batch.js';
import { WORKFLOW_TYPES } from '../protocol/workflow-names.js';
import type { ExchangeMode } from '../protocol/exchange.js';
import { newExchangeMemory } from './exchange-failure.js';
import type { ExchangeProtocol } from './exchange-protocol.js';
import { LanePool } from './lane-pool.js';

/** An activity of a run that has been closed over it: what it has at the agent is nobody's any more. */
type Orphan = { exchange: ExchangeInput; mode: ExchangeMode } | { lane: LaneInput };

/** What the search for orphans works with. */
export interface OrphanSearch {
  client: Client;
  protocol: ExchangeProtocol;
  /** Task queue of the workflows. */
  taskQueue: string;
}

/**
 * A run that was closed more recently than this may still have an attempt that will be told, and sees to it (milliseconds).
 * Longer than the heartbeat timeouts.
 */
const SETTLED_MS = 12_000;
/** How long ago a run may have been closed: no call lasts longer by default (milliseconds). */
const LOOK_BACK_MS = 15 * 60_000;

/** Runs that are seen to at once. */
const LOOKS_AT_ONCE = 20;

/** Where an activity with this name has its exchanges. */
const MODES: Readonly<Record<string, ExchangeMode>> = { streamingContinue: 'streaming', blockingContinue: 'blocking' };

/**
 * Ends at the agent what was left running by runs that were terminated, or timed out, while the worker of their activity was
 * dead: nobody else can. (Where it lives, the activity itself is told, and sees to it within a second or two.)
 */
export class Orphanage {
  /** Runs that have been seen to. */
  readonly #seen = new Set<string>();

  constructor(private readonly search: OrphanSearch) {}

  /** Looks once. @returns How many activities were ended at the agent. */
  async look(signal: AbortSignal, nowMs: number = Date.now()): Promise<number> {
    const { client, taskQueue } = this.search;
    const [from, to] = [nowMs - LOOK_BACK_MS, nowMs - SETTLED_MS].map((time) => new Date(time).toISOString());
    const query =
      `ExecutionStatus IN ('Terminated', 'TimedOut') AND TaskQueue = '${taskQueue.replaceAll("'", "''")}' ` +
      `AND CloseTime BETWEEN '${from}' AND '${to}'`;
    const runs = client.workflow.list({ query })[Symbol.asyncIterator]();
    let ended = 0;
    const lookOn = async () => {
      for (let next = await runs.next(); next.done !== true && !signal.aborted; next = await runs.next()) {
        const { workflowId, runId, type } = next.value;
        if (this.#seen.has(runId)) continue;
        if (type === WORKFLOW_TYPES.batch) await this.#cancelShards(workflowId);
        const orphans = await this.#orphansOf(workflowId, runId);
        await Promise.all(orphans.map((orphan) => this.#end(orphan)));
        this.#seen.add(runId);
        ended += orphans.length;
      }
    };
    // A worker that starts sees all those of the last minutes again, and must come to the newest soon.
    await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, lookOn));
    return ended;
  }

  /** A batch that was terminated can tell its shards nothing, and those that wait for their turn, or run no lane, see no end. */
  async #cancelShards(workflowId: string): Promise<void> {
    const { workflow } = this.search.client;
    const batchId = workflowId.slice(batchWorkflowId('').length).replaceAll("'", "''");
    const query = `AipBatch = '${batchId}' AND WorkflowType = '${WORKFLOW_TYPES.batchShard}' AND ExecutionStatus = 'Running'`;
    for await (const shard of workflow.list({ query })) await workflow.getHandle(shard.workflowId).cancel();
  }

  /** Activities that were scheduled and have no end in the history. */
  async #orphansOf(workflowId: string, runId: string): Promise<Orphan[]> {
    const { client } = this.search;
    const handle = client.workflow.getHandle(workflowId, runId);
    const { raw } = await handle.describe();
    // Reset, not ended: the run that follows may have the same exchange in hand.
    if ((raw.workflowExtendedInfo?.resetRunId ?? '') !== '') return [];
    const { events } = await handle.fetchHistory();
    const open = new Map<string, Promise<Orphan | undefined>>();
    for (const event of events ?? []) {
      const scheduled = event.activityTaskScheduledEventAttributes;
      if (scheduled != null) {
        const { activityType, activityId, input } = scheduled;
        const owner = { type: 'activity' as const, namespace: client.options.namespace, workflowId, isLocal: false };
        const decode = <T>() =>
          decodeFromPayloadsAtIndex<T>(client.options.loadedDataConverter, 0, input?.payloads, {
            ...owner,
            activityId: activityId ?? '',
          });
        const mode = MODES[activityType?.name ?? ''];
        if (mode !== undefined) {
          open.set(
            String(event.eventId),
            decode<ExchangeInput>().then((exchange) => ({ exchange, mode })),
          );
        } else if (activityType?.name === 'runLane') {
          open.set(
            String(event.eventId),
            decode<LaneInput>().then((lane) => ({ lane })),
          );
        }
      }
      const end =
        event.activityTaskCompletedEventAttributes ??
        event.activityTaskFailedEventAttributes ??
        event.activityTaskTimedOutEventAttributes ??
        event.activityTaskCanceledEventAttributes;
      if (end?.scheduledEventId != null) open.delete(String(end.scheduledEventId));
    }
    return (await Promise.all(open.values())).filter((orphan) => orphan !== undefined);
  }

  async #end(orphan: Orphan): Promise<void> {
    const { protocol } = this.search;
    if ('lane' in orphan) {
      await new LanePool(protocol, orphan.lane, { mayHaveRun: true, traceNumbers: {} }).cancelAtAgent();
      return;
    }
    const memory = { ...newExchangeMemory(), mayBeSent: true };
    await protocol.cancel({ ...orphan.exchange, mode: orphan.mode }, memory);
  }
}
