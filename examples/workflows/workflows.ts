/** All workflows of this folder: the `workflowsPath` of the worker. Those of aip-temporal need not be named: its plugin adds them. */
export * from './escalation.js';
export * from './fan-out-reduce.js';
export * from './human-approval.js';
export * from './long-conversation.js';
export * from './nightly-report.js';
