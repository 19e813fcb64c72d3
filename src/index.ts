/** Door for applications: the client side, and what a worker of one's own is made of. */
export * from './client/index.js';
export { createActivities } from './activities/index.js';
export type {
  Activities,
  ActivityDependencies,
  ApprovalHook,
  CancelOutcome,
  ExchangeObserver,
  TryOutcome,
} from './activities/index.js';
export { createAgentsApi, oauthToken, staticToken, tokenFile } from './agents-api/index.js';
export type { AgentsApi, AgentsApiOptions, TokenSource } from './agents-api/index.js';
export { BatchOutput, openBatchInput, OutputFileError, readBatchRows } from './batch-files/index.js';
export type {
  BatchFileFormat,
  BatchInputOptions,
  BatchOutputOptions,
  OpenedBatchInput,
  ReadBatchOptions,
} from './batch-files/index.js';
export { AipAgentsPlugin } from './plugin.js';
export { WorkflowBundleError } from './plugin-bundle.js';
export type { AipAgentsPluginOptions, FoundryOptions } from './plugin-config.js';
export { createGovernor } from './governor/index.js';
export type { Governor, GovernorObserver, GovernorOptions } from './governor/index.js';
export {
  checkInputs,
  parseInputAssignments,
  PlanError,
  PlanInputError,
  readPlan,
  type PlanFault,
  type PlanPlace,
  type PlanInputFault,
  type PlanWarning,
  type ReadPlan,
  type ReadPlanOptions,
} from './plans/index.js';
export { BatchInputError } from './protocol/batch.js';
export type * from './protocol/batch.js';
export type { ApprovalAnswer, ApprovalNotice, ApprovalStatus, Decision } from './protocol/automation.js';
export type * from './protocol/conversation.js';
export type * from './protocol/exchange.js';
export type * from './protocol/plan.js';
export { DEFAULTS, LIMITS } from './protocol/defaults.js';
export { FAILURE_TYPES } from './protocol/failures.js';
export type { FailureClass, FailureDetails, FailureType } from './protocol/failures.js';
export { SEARCH_ATTRIBUTE_TYPES, searchAttributeKeys } from './protocol/search-attributes.js';
export { DEFAULT_TASK_QUEUE } from './protocol/task-queues.js';
export { loadTemporalConfig, loadWorkerConfig } from './config.js';
export { ConfigError, environment } from './settings.js';
export type { FoundryConfig, FoundryCredentials, WorkerConfig, WorkerLimits } from './config.js';
