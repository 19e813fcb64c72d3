import type { AipClient } from '../src/client/index.js';
import { searchAttributeKeys } from '../src/protocol/search-attributes.js';

/** What a batch has left in Temporal, over all its runs. */
export interface HistoryCost {
  runs: number;
  events: number;
  /** Of the run with the most. */
  mostEvents: number;
  /** Bytes of the histories, as Temporal counts them. */
  bytes: number;
  /** What Temporal Cloud bills as actions, by the histories: starts, signals, timers, attempts of activities, upserts. */
  actions: number;
  /** Seconds that activities ran: each of them beats once a second, and Temporal Cloud bills a beat as an action too. */
  activitySeconds: number;
}

/** Histories read at once. */
const READS_AT_ONCE = 5;
/** Events that stand for one action each. */
const ACTIONS = [
  'workflowExecutionStartedEventAttributes',
  'workflowExecutionSignaledEventAttributes',
  'timerStartedEventAttributes',
  'upsertWorkflowSearchAttributesEventAttributes',
] as const;

/** Reads the histories of all runs of a batch that has ended. */
export async function batchCost({ client }: AipClient, batchId: string): Promise<HistoryCost> {
  const cost: HistoryCost = { runs: 0, events: 0, mostEvents: 0, bytes: 0, actions: 0, activitySeconds: 0 };
  const runs = client.workflow.list({ query: `${searchAttributeKeys.batch.name} = '${batchId}'` });
  const left = runs[Symbol.asyncIterator]();
  const readNext = async () => {
    for (let next = await left.next(); next.done !== true; next = await left.next()) {
      const handle = client.workflow.getHandle(next.value.workflowId, next.value.runId);
      const { historyLength, historySize = 0 } = await handle.describe();
      cost.runs++;
      cost.events += historyLength;
      cost.mostEvents = Math.max(cost.mostEvents, historyLength);
      cost.bytes += historySize;
      countActions(cost, (await handle.fetchHistory()).events ?? []);
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, readNext));
  return cost;
}

type History = Awaited<ReturnType<ReturnType<AipClient['client']['workflow']['getHandle']>['fetchHistory']>>;
type Events = NonNullable<History['events']>;

function countActions(cost: HistoryCost, events: Events): void {
  const startedMs = new Map<string, number>();
  for (const event of events) {
    const atMs = Number(event.eventTime?.seconds ?? 0) * 1000 + (event.eventTime?.nanos ?? 0) / 1e6;
    if (ACTIONS.some((name) => event[name] != null)) cost.actions++;
    const started = event.activityTaskStartedEventAttributes;
    if (started != null) {
      cost.actions += started.attempt ?? 1;
      startedMs.set(String(started.scheduledEventId), atMs);
    }
    const completed = event.activityTaskCompletedEventAttributes;
    if (completed == null) continue;
    cost.activitySeconds += (atMs - (startedMs.get(String(completed.scheduledEventId)) ?? atMs)) / 1000;
  }
}
