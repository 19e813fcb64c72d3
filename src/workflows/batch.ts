import {
  CancellationScope,
  condition,
  continueAsNew,
  type ExternalWorkflowHandle,
  getExternalWorkflowHandle,
  isCancellation,
  patched,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  admitShardSignal,
  type BatchInput,
  type BatchResult,
  batchShardWorkflowId,
  type BatchStatus,
  batchStatusQuery,
  prepareShardSignal,
  shardFinishedSignal,
  shardWaitingSignal,
  signOfLifeSignal,
} from '../protocol/batch.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { BatchWindow } from './batch-window.js';
import { detailsText } from './details-text.js';

/** How long a cancelled batch waits for its shards to record what became of their rows. */
const CANCEL_PATIENCE = '60 seconds';
/** How often running shards are asked for a sign of life. One that ends tells so itself; one that is terminated cannot. */
const SIGN_OF_LIFE_INTERVAL = '10 minutes';
/** Requests to cancel that are under way at once; the server limits them per workflow. */
const CANCELS_AT_ONCE = 50;

/**
 * Runs a batch: admits its shards by a window and counts how their rows end. The shards hold the rows, and were started
 * before this (`submitBatch`).
 *
 * Cancelled, it cancels all its shards, waits up to 60 seconds for them, and ends as Canceled.
 */
export async function batchWorkflow(input: BatchInput): Promise<BatchResult> {
  const window = new BatchWindow(input);
  let state: BatchStatus['state'] = 'running';
  setHandler(shardFinishedSignal, ({ shard, counts }) => void window.finish(shard, counts), {
    description: 'A shard tells how its rows ended',
  });
  setHandler(shardWaitingSignal, () => undefined, {
    description: 'A waiting shard sees whether its batch still lives',
  });
  setHandler(batchStatusQuery, () => statusOf(input, window, state), {
    description: 'Rows by state, and which shards run. Takes no argument.',
  });
  try {
    void askForSignsOfLife(input, window);
    await runShards(input, window);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    state = 'cancelling';
    await cancelShards(input, window);
    state = 'finished';
    throw error;
  }
  state = 'finished';
  upsertSearchAttributes([{ key: searchAttributeKeys.state, value: 'closed' }]);
  setCurrentDetails(detailsOf(input, window, state));
  return { batchId: input.batchId, rowCount: input.rowCount, counts: window.counts };
}

async function runShards(input: BatchInput, window: BatchWindow): Promise<void> {
  for (;;) {
    const seen = window.finishedCount;
    const admitted = window.admitNext();
    const prepared = window.prepareNext();
    await Promise.all([
      ...admitted.map((share) => admit(input, window, share)),
      ...prepared.map(({ shard, concurrency }) =>
        reach(input, window, shard, (handle) => handle.signal(prepareShardSignal, { concurrency })),
      ),
    ]);
    setCurrentDetails(detailsOf(input, window, 'running'));
    if (window.isDone) return;
    // Nothing is under way between two steps: everything there is to know stands in the snapshot.
    if (workflowInfo().continueAsNewSuggested) {
      await continueAsNew<typeof batchWorkflow>({ ...input, snapshot: window.snapshot() });
    }
    await condition(() => window.finishedCount !== seen);
  }
}

const admit = (
  input: BatchInput,
  window: BatchWindow,
  { shard, concurrency }: { shard: number; concurrency: number },
): Promise<void> => reach(input, window, shard, (handle) => handle.signal(admitShardSignal, { concurrency }));

/** Does something to a shard; one that is gone counts as lost, so that the batch does not wait for it for ever. */
async function reach(
  input: BatchInput,
  window: BatchWindow,
  shard: number,
  act: (handle: ExternalWorkflowHandle) => Promise<void>,
): Promise<void> {
  try {
    await act(getExternalWorkflowHandle(batchShardWorkflowId(input.batchId, shard)));
  } catch (error) {
    if (isCancellation(error)) throw error;
    window.lose(shard);
  }
}

/** Finds shards that were terminated while no worker could tell. Ends with the workflow. */
async function askForSignsOfLife(input: BatchInput, window: BatchWindow): Promise<void> {
  try {
    while (!window.isDone) {
      const before = new Set(window.running.map(({ shard }) => shard));
      await sleep(SIGN_OF_LIFE_INTERVAL, { summary: 'until running shards are asked for a sign of life' });
      const quiet = window.running.filter(({ shard }) => before.has(shard));
      await Promise.all(quiet.map((share) => admit(input, window, share)));
    }
  } catch (error) {
    // The batch itself was cancelled, and sees to its shards.
    if (!isCancellation(error)) throw error;
  }
}

async function cancelShards(input: BatchInput, window: BatchWindow): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    upsertSearchAttributes([{ key: searchAttributeKeys.state, value: 'cancelling' }]);
    setCurrentDetails(detailsOf(input, window, 'cancelling'));
    const shards = window.unfinishedShards;
    for (let start = 0; start < shards.length; start += CANCELS_AT_ONCE) {
      const some = shards.slice(start, start + CANCELS_AT_ONCE);
      await Promise.all(some.map((shard) => reach(input, window, shard, cancelShard)));
    }
    await condition(() => window.isDone, CANCEL_PATIENCE);
    upsertSearchAttributes([{ key: searchAttributeKeys.state, value: 'cancelled' }]);
    setCurrentDetails(detailsOf(input, window, 'finished'));
  });
}

/** Temporal takes the cancel of a workflow that has ended without a word; a signal tells that it is gone. */
async function cancelShard(handle: ExternalWorkflowHandle): Promise<void> {
  if (patched('lost-shards-are-seen-in-a-cancel')) await handle.signal(signOfLifeSignal);
  await handle.cancel();
}

function statusOf(input: BatchInput, window: BatchWindow, state: BatchStatus['state']): BatchStatus {
  const { batchId, agentRid, rowCount, shardRows, concurrency, mode, source, submittedAt } = input;
  return {
    batchId,
    agentRid,
    state,
    rowCount,
    shardCount: shardRows.length,
    concurrency,
    mode,
    counts: window.counts,
    finishedShards: window.finishedShards,
    runningShards: window.running.map(({ shard }) => shard),
    ...(source !== undefined && { source }),
    submittedAt,
  };
}

/** Where the batch stands, for the Temporal UI. */
function detailsOf(input: BatchInput, window: BatchWindow, state: BatchStatus['state']): string {
  const { succeeded, failed, cancelled, expired, tokens } = window.counts;
  const ended = succeeded + failed + cancelled + expired;
  return detailsText([
    `**${state}**: ${ended} of ${input.rowCount} rows have ended (those of running shards count when their shard ends)`,
    '',
    '| succeeded | failed | cancelled | expired | tokens |',
    '| --- | --- | --- | --- | --- |',
    `| ${succeeded} | ${failed} | ${cancelled} | ${expired} | ${tokens} |`,
    '',
    `${window.finishedCount} of ${input.shardRows.length} shards have ended${runningText(window)}`,
  ]);
}

/** Which shards run, for whoever looks for their pages; the first few of many. */
function runningText({ running }: BatchWindow): string {
  if (running.length === 0) return '';
  const names = running.slice(0, 5).map(({ shard }) => shard);
  return `; running: shard ${names.join(', ')}${running.length > names.length ? ` and ${running.length - names.length} more` : ''}`;
}
