export {
  type AgentsApi,
  type AgentsApiLimits,
  type AgentsApiOptions,
  type CallOptions,
  DEFAULT_LIMITS,
  type StreamOptions,
  type TraceLookup,
  createAgentsApi,
} from './client.js';
export { AgentsApiError, InvalidRequestError, type Operation, type OperationKind, TokenError } from './errors.js';
export { isLoopbackHost, parseFoundryUrl } from './foundry-url.js';
export { type InputContext, type ParameterValue, inputContextSchema, parameterValueSchema } from './request-schemas.js';
export type {
  Agent,
  CancelAnswer,
  Exchange,
  ExchangeResult,
  RagContext,
  Session,
  SessionPage,
  SessionTrace,
} from './schemas.js';
export { type TokenFileOptions, tokenFile } from './token-file.js';
export { AIP_AGENTS_SCOPES, type OauthTokenOptions, oauthToken } from './token-oauth.js';
export { type TokenSource, staticToken } from './token.js';
