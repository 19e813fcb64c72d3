import type { ApiError } from './errors.js';
import type { Reply } from './reply.js';
import type { Route } from './routes.js';
import type { SimulatorState } from './state.js';

/** A call of the API that has passed the door: token, scope and preview flag are in order. */
export interface Call {
  state: SimulatorState;
  route: Route;
  query: URLSearchParams;
  /** The parsed body, undefined without one. */
  body: unknown;
  reply: Reply;
  /** A fault's error which the operation shall end with, and the work before it. */
  failure: { error: ApiError; afterMs: number } | undefined;
}
