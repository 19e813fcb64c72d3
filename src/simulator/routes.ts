/** The operations that the simulator serves, by their names in the vendor's client (`oauthToken` is Multipass's). */
export const operationNames = [
  'createSession',
  'getContent',
  'blockingContinue',
  'streamingContinue',
  'cancel',
  'getAgent',
  'listAgentVersions',
  'getAgentVersion',
  'listSessions',
  'allSessions',
  'getSession',
  'deleteSession',
  'ragContext',
  'updateTitle',
  'getSessionTrace',
  'oauthToken',
] as const;

/** Name of an operation. */
export type OperationName = (typeof operationNames)[number];

/** An operation and what its path named. */
export interface Route {
  operation: Exclude<OperationName, 'oauthToken'>;
  agentRid: string;
  sessionRid: string;
  /** Trace id or agent version, where the path ends in one. */
  last: string;
}

/** The operations of the five documented pages. */
const fivePages: ReadonlySet<OperationName> = new Set([
  'createSession',
  'getContent',
  'blockingContinue',
  'streamingContinue',
  'cancel',
]);

const sessionPosts = {
  blockingContinue: 'blockingContinue',
  streamingContinue: 'streamingContinue',
  cancel: 'cancel',
} as const;
const sessionPuts = { ragContext: 'ragContext', updateTitle: 'updateTitle' } as const;

/**
 * The operation behind a method and a path below `/api/v2/aipAgents/agents/`, or undefined when the server knows none.
 *
 * @param rest the path after that prefix, still encoded.
 */
export function findRoute(method: string, rest: string, serverKind: 'withTraces' | 'fivePages'): Route | undefined {
  let parts = rest.split('/');
  if (rest.includes('%')) {
    try {
      parts = parts.map(decodeURIComponent);
    } catch {
      return undefined; // A malformed escape names nothing.
    }
  }
  const operation = findOperation(method, parts);
  if (operation === undefined || (serverKind === 'fivePages' && !fivePages.has(operation))) return undefined;
  const last = parts[operation === 'getAgentVersion' ? 2 : 4] ?? '';
  return { operation, agentRid: parts[0] ?? '', sessionRid: parts[1] === 'sessions' ? (parts[2] ?? '') : '', last };
}

function findOperation(method: string, parts: readonly string[]): Route['operation'] | undefined {
  const [agentRid, collection, id, detail] = parts;
  if (!agentRid || parts.some((part) => part === '')) return undefined;
  switch (parts.length) {
    case 1:
      if (method !== 'GET') return undefined;
      return agentRid === 'allSessions' ? 'allSessions' : 'getAgent';
    case 2:
      if (collection === 'agentVersions') return method === 'GET' ? 'listAgentVersions' : undefined;
      if (collection !== 'sessions') return undefined;
      return method === 'POST' ? 'createSession' : method === 'GET' ? 'listSessions' : undefined;
    case 3:
      if (collection === 'agentVersions') return method === 'GET' ? 'getAgentVersion' : undefined;
      if (collection !== 'sessions' || id === undefined) return undefined;
      return method === 'GET' ? 'getSession' : method === 'DELETE' ? 'deleteSession' : undefined;
    case 4:
      return collection === 'sessions' && detail !== undefined ? sessionOperation(method, detail) : undefined;
    case 5:
      return collection === 'sessions' && detail === 'sessionTraces' && method === 'GET'
        ? 'getSessionTrace'
        : undefined;
    default:
      return undefined;
  }
}

function sessionOperation(method: string, detail: string): Route['operation'] | undefined {
  if (method === 'POST' && Object.hasOwn(sessionPosts, detail))
    return sessionPosts[detail as keyof typeof sessionPosts];
  if (method === 'PUT' && Object.hasOwn(sessionPuts, detail)) return sessionPuts[detail as keyof typeof sessionPuts];
  return method === 'GET' && detail === 'content' ? 'getContent' : undefined;
}
