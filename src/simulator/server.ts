import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { serveCall } from './api.js';
import { serveControl } from './control.js';
import { ApiError } from './errors.js';
import { applyFault } from './fault-effects.js';
import { issueToken, revokeToken } from './oauth.js';
import { Reply } from './reply.js';
import { findRoute } from './routes.js';
import type { SimulatorState } from './state.js';

const agentsPath = '/api/v2/aipAgents/agents/';
const controlPath = '/simulator/';
const oauthPath = '/multipass/api/oauth2/';
const maxBodyBytes = 10 * 1024 * 1024;

/** The HTTP server in front of a simulator's state. */
export function createSimulatorServer(state: SimulatorState): Server {
  const server = createServer((request, response) => {
    const url = request.url ?? '/';
    const queryAt = url.indexOf('?');
    const path = queryAt < 0 ? url : url.slice(0, queryAt);
    const queryText = queryAt < 0 ? '' : url.slice(queryAt + 1);
    if (request.method === 'GET') serve(state, path, { request, response, queryText, body: '' });
    else readBody(request, response, (body) => serve(state, path, { request, response, queryText, body }));
  });
  // A server that closes idle connections after Node's five seconds breaks calls that clients send at that moment.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  return server;
}

type Served = Parameters<typeof serveCall>[2];

function serve(state: SimulatorState, path: string, read: Served): void {
  const method = read.request.method ?? 'GET';
  if (path.startsWith(agentsPath)) {
    const route = findRoute(method, path.slice(agentsPath.length), state.serverKind);
    if (route !== undefined) {
      serveCall(state, route, read);
      return;
    }
  }
  if (path.startsWith(oauthPath)) return serveOauth(state, method, path.slice(oauthPath.length), read);
  const reply = new Reply(read.response, undefined, (errorName) => state.ledger.refused(errorName));
  if (path.startsWith(controlPath)) {
    serveControl(state, `${method} ${path.slice(controlPath.length)}`, read.queryText, read.body, reply);
    return;
  }
  // The name is Conjure's; no page says what the platform answers where it serves nothing.
  reply.error(new ApiError(404, 'NOT_FOUND', 'Default:NotFound', { method, path }));
}

function serveOauth(state: SimulatorState, method: string, name: string, { request, response, body }: Served): void {
  const { authorization } = request.headers;
  if (method === 'POST' && name === 'token') {
    state.ledger.call('oauthToken');
    const fault = state.faults.strike({ operation: 'oauthToken' });
    const reply = new Reply(response, fault, (errorName) => state.ledger.refused(errorName));
    applyFault(state, fault, reply, () => {
      if (fault?.kind === 'error') reply.json(fault.status ?? 400, { error: fault.errorName });
      else issueToken(state.credentials, authorization, body, reply);
    });
    return;
  }
  const reply = new Reply(response, undefined, (errorName) => state.ledger.refused(errorName));
  if (method === 'POST' && name === 'revoke_token') revokeToken(state.credentials, authorization, body, reply);
  else reply.json(404, { error: 'not_found' });
}

function readBody(request: IncomingMessage, response: ServerResponse, done: (body: string) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxBodyBytes) {
      response.writeHead(413).end();
      request.destroy();
    } else {
      chunks.push(chunk);
    }
  });
  request.on('end', () => {
    const [first] = chunks;
    done(chunks.length === 1 && first !== undefined ? first.toString() : Buffer.concat(chunks).toString());
  });
}
