/**
 * The workflows of aip-temporal, and what workflows of one's own make use of: `aip-temporal/workflows`. A workflow file that says
 * `export * from 'aip-temporal/workflows'` brings them into its bundle; the worker's `AipAgentsPlugin` does so by itself.
 */
export { automationWorkflow } from './automation/automation.js';
export { conversationWorkflow } from './conversation.js';
export { batchWorkflow } from './batch.js';
export { batchShardWorkflow } from './batch-shard.js';
export { governorWorkflow } from './governor.js';
export { approval, type ApprovalOptions } from './approval.js';
export { askJson, type AskJsonOptions, type JsonAnswer, type JsonSchema, type StandardSchema } from './ask-json.js';
export { answerOf, Conversation, type ConversationSettings, type Message } from './conversation-in-code.js';
export { type BatchOptions, type BatchRowInput, type FinishedBatch, runBatch } from './run-batch.js';
export type { ApprovalAnswer, ApprovalStatus, Decision } from '../protocol/automation.js';
export type { RowOutcome } from '../protocol/batch.js';
export type { ConversationSnapshot } from '../protocol/conversation.js';
export type { ExchangeOutcome, ExchangeResult, ParameterInputs } from '../protocol/exchange.js';
