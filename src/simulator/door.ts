import type { AgentScope } from './credentials.js';
import { ApiError, documentedError } from './errors.js';
import type { DocumentedErrorName } from './errors.js';
import type { Route } from './routes.js';
import type { SimulatorState } from './state.js';

const read = 'api:aip-agents-read';
const write = 'api:aip-agents-write';

/** The scope that an operation asks for, and the documented refusal without it where there is one. */
const access: Record<Route['operation'], [AgentScope, DocumentedErrorName?]> = {
  createSession: [write, 'CreateSessionPermissionDenied'],
  getContent: [read],
  blockingContinue: [write, 'BlockingContinueSessionPermissionDenied'],
  streamingContinue: [write, 'StreamingContinueSessionPermissionDenied'],
  cancel: [write, 'CancelSessionPermissionDenied'],
  getAgent: [read],
  listAgentVersions: [read],
  getAgentVersion: [read],
  listSessions: [read],
  allSessions: [write, 'GetAllSessionsAgentsPermissionDenied'],
  getSession: [read],
  deleteSession: [write, 'DeleteSessionPermissionDenied'],
  ragContext: [write, 'GetRagContextForSessionPermissionDenied'],
  updateTitle: [write, 'UpdateSessionTitlePermissionDenied'],
  getSessionTrace: [read],
};

/**
 * Checks token, preview flag and scope, in this order.
 *
 * @throws ApiError 401; `ApiFeaturePreviewUsageOnly` (400); the operation's own `…PermissionDenied` (403), or the
 *   platform's `ApiUsageDenied` (403) for the reading operations, which document none.
 */
export function checkAccess(
  state: SimulatorState,
  route: Route,
  authorization: string | undefined,
  isPreview: boolean,
) {
  const scopes = state.credentials.scopes(authorization);
  if (!isPreview) {
    const description =
      'This feature is only supported in preview mode. Please use preview=true in the query parameters.';
    throw new ApiError(400, 'INVALID_ARGUMENT', 'ApiFeaturePreviewUsageOnly', {}, description);
  }
  const [scope, errorName] = access[route.operation];
  if (scopes.has(scope)) return;
  if (errorName === undefined) throw new ApiError(403, 'PERMISSION_DENIED', 'ApiUsageDenied', { missingScope: scope });
  throw documentedError(errorName, { agentRid: route.agentRid, sessionRid: route.sessionRid });
}
