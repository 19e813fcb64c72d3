/** Workflow types, as operators see them in the Temporal UI. */
export const WORKFLOW_TYPES = {
  conversation: 'conversationWorkflow',
  batch: 'batchWorkflow',
  batchShard: 'batchShardWorkflow',
  governor: 'governorWorkflow',
  automation: 'automationWorkflow',
} as const;
