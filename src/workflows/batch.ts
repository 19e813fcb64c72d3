import {
  CancellationScope,
  condition,
  type ExternalWorkflowHandle,
  getExternalWorkflowHandle,
  isCancellation,
  makeContinueAsNewFunc,
  patched,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  admitShardSignal,
  BATCH_CONTROL_MEMO,
  type BatchInput,
  type BatchResult,
  batchShardWorkflowId,
  batchStatusQuery,
  cancelRowsSignal,
  pauseBatchSignal,
  pauseShardSignal,
  prepareShardSignal,
  resumeBatchSignal,
  resumeShardSignal,
  setConcurrencySignal,
  setWeightSignal,
  shardFinishedSignal,
  shardProgressSignal,
  shardWaitingSignal,
  signOfLifeSignal,
  stopBatchSignal,
  stopShardSignal,
} from '../protocol/batch.js';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { BatchControls } from './batch-controls.js';
import { batchDetails, batchStatus, type Batch } from './batch-status.js';
import { BatchWindow, type ShardShare } from './batch-window.js';

/** How long a cancelled batch waits for its shards to record what became of their rows. */
const CANCEL_PATIENCE = '60 seconds';
/** How often running shards are asked for a sign of life. One that ends tells so itself; one that is terminated cannot. */
const SIGN_OF_LIFE_INTERVAL = '10 minutes';
/** Signals and cancels of shards that are under way at once; the server limits them per workflow. */
const SHARDS_AT_ONCE = 50;

/**
 * Runs a batch: admits its shards by a window, counts how their rows end, and does what operators and bounds ask for. The
 * shards hold the rows, and were started before this (`submitBatch`).
 *
 * Cancelled, it cancels all its shards, waits up to 60 seconds for them, and ends as Canceled.
 */
export async function batchWorkflow(input: BatchInput): Promise<BatchResult> {
  const controls = new BatchControls(input.bounds, input.snapshot?.control);
  const batch: Batch = {
    input,
    window: new BatchWindow(input),
    controls,
    told: {
      version: 0,
      isPaused: controls.isPaused,
      cancelledRows: controls.cancelledRows.length,
      ...(controls.stopped !== undefined && { stopped: controls.stopped }),
    },
  };
  const { window } = batch;
  handleMessages(batch);
  try {
    void askForSignsOfLife(batch);
    void stopAtDeadline(batch);
    await runShards(batch);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    batch.ending = 'cancelling';
    await cancelShards(batch);
    batch.ending = 'finished';
    throw error;
  }
  batch.ending = 'finished';
  upsertSearchAttributes([{ key: searchAttributeKeys.state, value: 'closed' }]);
  setCurrentDetails(batchDetails(batch));
  const { stopped } = controls;
  return {
    batchId: input.batchId,
    rowCount: input.rowCount,
    counts: window.counts,
    ...(stopped !== undefined && { stopped }),
  };
}

function handleMessages(batch: Batch): void {
  const { window, controls } = batch;
  setHandler(
    shardFinishedSignal,
    ({ shard, counts }) => {
      window.finish(shard, counts);
      controls.check(window.counts);
    },
    { description: 'A shard tells how its rows ended' },
  );
  setHandler(
    shardProgressSignal,
    ({ shard, counts }) => {
      window.noteProgress(shard, counts);
      controls.check(window.counts);
      setCurrentDetails(batchDetails(batch));
    },
    { description: 'A shard tells how far it is' },
  );
  setHandler(shardWaitingSignal, () => undefined, {
    description: 'A waiting shard sees whether its batch still lives',
  });
  setHandler(batchStatusQuery, () => batchStatus(batch), {
    description: 'Rows by state, and which shards run. Takes no argument.',
  });
  setHandler(pauseBatchSignal, (input) => controls.pause(input?.reason, Date.now()), {
    description: 'Begin no more rows; those in flight go on to their end. Argument: none, or {"reason": "…"}',
  });
  setHandler(resumeBatchSignal, () => controls.resume(), { description: 'Go on after a pause. Takes no argument.' });
  setHandler(setConcurrencySignal, (input) => controls.setConcurrency(input?.concurrency), {
    description: 'Change the rows at once. Argument: {"concurrency": 50}',
  });
  setHandler(setWeightSignal, (input) => controls.setWeight(input?.weight), {
    description: 'Change how much of the agent it gets beside other batches. Argument: {"weight": 3}',
  });
  setHandler(cancelRowsSignal, (input) => controls.cancelRows(input?.ids), {
    description: 'Cancel single rows, also at the agent. Argument: {"ids": ["…"]}',
  });
  setHandler(stopBatchSignal, (input) => controls.stop(input?.reason), {
    description: 'A lane tells that a bound of the batch is reached',
  });
}

async function runShards(batch: Batch): Promise<void> {
  const { input, window, controls } = batch;
  for (;;) {
    const seen = { finished: window.finishedCount, version: controls.version };
    await tellControls(batch);
    const isOpen = !controls.isPaused && controls.stopped === undefined;
    const admitted = isOpen ? window.admitNext() : [];
    const prepared = isOpen ? window.prepareNext() : [];
    await Promise.all([
      ...admitted.map((share) => admit(batch, share)),
      ...prepared.map(({ shard, concurrency }) =>
        reach(batch, shard, (handle) => handle.signal(prepareShardSignal, { concurrency })),
      ),
    ]);
    setCurrentDetails(batchDetails(batch));
    if (window.isDone) {
      controls.noteEnd(window.counts, Date.now());
      return tellControls(batch);
    }
    // Nothing is under way between two steps: everything there is to know stands in the snapshot.
    if (workflowInfo().continueAsNewSuggested && seen.version === controls.version) {
      const snapshot = { ...window.snapshot(), control: controls.control(window.changedShares) };
      const memo = workflowInfo().memo;
      await makeContinueAsNewFunc<typeof batchWorkflow>(memo === undefined ? {} : { memo })({ ...input, snapshot });
    }
    await condition(() => window.finishedCount !== seen.finished || controls.version !== seen.version);
  }
}

/** Writes what is asked for into the memo, where the lanes see it, and tells the shards what concerns them. */
async function tellControls(batch: Batch): Promise<void> {
  const { window, controls, told } = batch;
  const { isPaused, stopped, concurrency = window.concurrency } = controls;
  const areSet = concurrency !== window.concurrency;
  const shares = areSet ? window.setConcurrency(concurrency) : window.shareWithWaiting();
  const isShared = !areSet && window.isWorthSharing && patched('last-shards-share-all-places');
  const larger = isShared ? window.setConcurrency(concurrency) : [];
  if (controls.version === told.version && shares.length === 0 && larger.length === 0) return;
  told.version = controls.version;
  upsertMemo({ [BATCH_CONTROL_MEMO]: controls.control(window.changedShares) });
  const state = stopped !== undefined ? 'stopping' : isPaused ? 'paused' : 'open';
  upsertSearchAttributes([{ key: searchAttributeKeys.state, value: state }]);
  const running = window.running.map(({ shard }) => shard);
  // A lane sees its larger share in the memo; a signal that comes while its shard ends would only hold that up.
  if (batch.input.isolation === 'workflow') shares.push(...larger);
  await Promise.all(shares.map((share) => admit(batch, share)));
  if (isPaused !== told.isPaused) {
    told.isPaused = isPaused;
    const signal = isPaused ? pauseShardSignal : resumeShardSignal;
    await reachAll(batch, running, (handle) => handle.signal(signal));
  }
  const cancelledRows = controls.cancelledRows.slice(told.cancelledRows);
  told.cancelledRows += cancelledRows.length;
  // Lanes read them in the memo; rows that are runs of their own are in the hands of their shards.
  if (cancelledRows.length > 0 && batch.input.isolation === 'workflow') {
    await reachAll(batch, window.unfinishedShards, (handle) => handle.signal(cancelRowsSignal, { ids: cancelledRows }));
  }
  if (stopped !== undefined && told.stopped === undefined) {
    told.stopped = stopped;
    await reachAll(batch, window.unfinishedShards, (handle) => handle.signal(stopShardSignal, { reason: stopped }));
  }
}

const admit = (batch: Batch, { shard, concurrency }: ShardShare): Promise<void> =>
  reach(batch, shard, (handle) => handle.signal(admitShardSignal, { concurrency }));

/** Does something to a shard; one that is gone counts as lost, so that the batch does not wait for it for ever. */
async function reach(
  { input, window }: Batch,
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

async function reachAll(
  batch: Batch,
  shards: readonly number[],
  act: (handle: ExternalWorkflowHandle) => Promise<void>,
): Promise<void> {
  for (let start = 0; start < shards.length; start += SHARDS_AT_ONCE) {
    await Promise.all(shards.slice(start, start + SHARDS_AT_ONCE).map((shard) => reach(batch, shard, act)));
  }
}

/** Ends with the workflow. */
async function stopAtDeadline({ input, controls }: Batch): Promise<void> {
  const { deadline } = input.bounds ?? {};
  if (deadline === undefined) return;
  try {
    await sleep(Math.max(1, Date.parse(deadline) - Date.now()), { summary: 'until the deadline of the batch' });
    controls.stop('deadline');
  } catch (error) {
    if (!isCancellation(error)) throw error;
  }
}

/** Finds shards that were terminated while no worker could tell. Ends with the workflow. */
async function askForSignsOfLife(batch: Batch): Promise<void> {
  const { window } = batch;
  try {
    while (!window.isDone) {
      const before = new Set(window.running.map(({ shard }) => shard));
      await sleep(SIGN_OF_LIFE_INTERVAL, { summary: 'until running shards are asked for a sign of life' });
      const quiet = window.running.filter(({ shard }) => before.has(shard));
      await Promise.all(quiet.map((share) => admit(batch, share)));
    }
  } catch (error) {
    // The batch itself was cancelled, and sees to its shards.
    if (!isCancellation(error)) throw error;
  }
}

async function cancelShards(batch: Batch): Promise<void> {
  const { window } = batch;
  await CancellationScope.nonCancellable(async () => {
    upsertSearchAttributes([{ key: searchAttributeKeys.state, value: 'cancelling' }]);
    setCurrentDetails(batchDetails(batch));
    await reachAll(batch, window.unfinishedShards, cancelShard);
    await condition(() => window.isDone, CANCEL_PATIENCE);
    upsertSearchAttributes([{ key: searchAttributeKeys.state, value: 'cancelled' }]);
    batch.ending = 'finished';
    setCurrentDetails(batchDetails(batch));
  });
}

/** Temporal takes the cancel of a workflow that has ended without a word; a signal tells that it is gone. */
async function cancelShard(handle: ExternalWorkflowHandle): Promise<void> {
  if (patched('lost-shards-are-seen-in-a-cancel')) await handle.signal(signOfLifeSignal);
  await handle.cancel();
}
