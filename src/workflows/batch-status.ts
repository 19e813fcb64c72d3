import type { BatchInput, BatchStatus, BatchStopReason } from '../protocol/batch.js';
import type { BatchControls } from './batch-controls.js';
import type { BatchWindow } from './batch-window.js';
import { detailsText } from './details-text.js';

/** What there is to know of a batch. */
export interface Batch {
  readonly input: BatchInput;
  readonly window: BatchWindow;
  readonly controls: BatchControls;
  /** What the shards were told last. */
  readonly told: { version: number; isPaused: boolean; cancelledRows: number; stopped?: BatchStopReason };
  ending?: 'cancelling' | 'finished';
}

function stateOf({ ending, controls }: Batch): BatchStatus['state'] {
  if (ending !== undefined) return ending;
  if (controls.stopped !== undefined) return 'stopping';
  return controls.isPaused ? 'paused' : 'running';
}

/** Answer of `batchStatusQuery`. */
export function batchStatus(batch: Batch): BatchStatus {
  const { input, window, controls } = batch;
  const { batchId, agentRid, rowCount, shardRows, mode, source, submittedAt, bounds, isolation } = input;
  return {
    batchId,
    agentRid,
    state: stateOf(batch),
    rowCount,
    shardCount: shardRows.length,
    concurrency: window.concurrency,
    mode,
    counts: window.counts,
    finishedShards: window.finishedShards,
    runningShards: window.running.map(({ shard }) => shard),
    ...(source !== undefined && { source }),
    submittedAt,
    ...(bounds !== undefined && { bounds }),
    ...(isolation !== undefined && { isolation }),
    control: controls.control(window.changedShares),
  };
}

/** Where the batch stands, for the Temporal UI. */
export function batchDetails(batch: Batch): string {
  const { input, window } = batch;
  const { succeeded, failed, cancelled, expired, tokens } = window.counts;
  const ended = succeeded + failed + cancelled + expired;
  const lag =
    input.isolation === 'workflow'
      ? 'running shards tell every few seconds'
      : 'those of running shards count when their shard ends';
  return detailsText([
    `**${stateOf(batch)}**${controlText(batch)}: ${ended} of ${input.rowCount} rows have ended (${lag})`,
    '',
    '| succeeded | failed | cancelled | expired | tokens |',
    '| --- | --- | --- | --- | --- |',
    `| ${succeeded} | ${failed} | ${cancelled} | ${expired} | ${tokens} |`,
    '',
    `${window.finishedCount} of ${input.shardRows.length} shards have ended${runningText(window)}`,
  ]);
}

/** What operators and bounds have asked for, in words. */
function controlText({ input, window, controls }: Batch): string {
  const { isPaused, stopped } = controls;
  const { deadline, maxTokens, maxFailures } = input.bounds ?? {};
  const stops: Record<BatchStopReason, string> = {
    deadline: `its deadline (${deadline}) has passed`,
    maxTokens: `it has used its ${maxTokens} tokens`,
    maxFailures: `${maxFailures} of its rows have failed`,
  };
  return [
    ...(stopped === undefined ? [] : [`, no more rows are begun: ${stops[stopped]}`]),
    ...(isPaused ? [', no rows are begun until it is resumed'] : []),
    ...(controls.concurrency === undefined ? [] : [`, ${window.concurrency} rows at once`]),
  ].join('');
}

/** Which shards run, for whoever looks for their pages; the first few of many. */
function runningText({ running }: BatchWindow): string {
  if (running.length === 0) return '';
  const names = running.slice(0, 5).map(({ shard }) => shard);
  return `; running: shard ${names.join(', ')}${running.length > names.length ? ` and ${running.length - names.length} more` : ''}`;
}
