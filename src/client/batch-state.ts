import type { WorkflowExecutionInfo } from '@temporalio/client';
import { searchAttributeKeys } from '../protocol/search-attributes.js';
import { batchControl } from './batch-memo.js';
import { runStatus } from './describe-conversation.js';
import type { EndStatus } from './errors.js';

/**
 * Where a batch stands: `paused` by an operator; `stopping` at one of its bounds, or `cancelling`, while rows in flight come to
 * their end; else how it ended.
 */
export type BatchState = 'running' | 'paused' | 'stopping' | 'cancelling' | EndStatus;

/** As a description or a list entry tells it, without a worker. */
export function batchState(info: Pick<WorkflowExecutionInfo, 'status' | 'memo' | 'typedSearchAttributes'>): BatchState {
  const status = runStatus(info);
  if (status !== 'running') return status;
  if (info.typedSearchAttributes.get(searchAttributeKeys.state) === 'cancelling') return 'cancelling';
  const { paused, stopped } = batchControl(info);
  if (stopped !== undefined) return 'stopping';
  return paused === undefined ? 'running' : 'paused';
}

/** True when nothing of the batch goes on. */
export const hasEnded = (state: BatchState): state is EndStatus =>
  !['running', 'paused', 'stopping', 'cancelling'].includes(state);
