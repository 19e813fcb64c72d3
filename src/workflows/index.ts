/** The workflows of aip-temporal: the entry of the workflow bundle. */
export { conversationWorkflow } from './conversation.js';
export { batchWorkflow } from './batch.js';
export { batchShardWorkflow } from './batch-shard.js';
export { governorWorkflow } from './governor.js';
