import type { ErrorBody, Simulator } from '../../src/simulator/index.js';

/** An answer of the API, its body read as whatever it may be. */
export interface ApiAnswer {
  status: number;
  body: ErrorBody & Record<string, unknown>;
}

interface CallOptions {
  /** Null sends none. Default: the simulator's. */
  token?: string | null;
  query?: string;
  agentRid?: string;
  signal?: AbortSignal;
}

/** Sends a call to an agent's path; a body that is a string goes as it is. */
export function sendCall(
  simulator: Simulator,
  method: string,
  path: string,
  body?: unknown,
  options: CallOptions = {},
): Promise<Response> {
  const { token = simulator.token, query = '?preview=true', agentRid = simulator.agentRid, signal } = options;
  const suffix = path === '' ? '' : `/${path}`;
  return fetch(`${simulator.url}/api/v2/aipAgents/agents/${agentRid}${suffix}${query}`, {
    method,
    headers: { 'content-type': 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Sends a call and reads its JSON answer. */
export async function callApi(
  simulator: Simulator,
  method: string,
  path: string,
  body?: unknown,
  options: CallOptions = {},
): Promise<ApiAnswer> {
  const response = await sendCall(simulator, method, path, body, options);
  const text = await response.text();
  return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as ApiAnswer['body'] };
}

/** Opens a session and returns its rid. */
export async function openSession(
  simulator: Simulator,
  body: unknown = {},
  agentRid = simulator.agentRid,
): Promise<string> {
  const answer = await callApi(simulator, 'POST', 'sessions', body, { agentRid });
  if (answer.status !== 200) throw new Error(`Cannot open a session: ${answer.body.errorName}`);
  return answer.body['rid'] as string;
}

/** Asks with blockingContinue. */
export function ask(simulator: Simulator, sessionRid: string, text: string, more: object = {}): Promise<ApiAnswer> {
  return callApi(simulator, 'POST', `sessions/${sessionRid}/blockingContinue`, { userInput: { text }, ...more });
}

/** Starts a streamed exchange; the promise resolves with the response's head. */
export function stream(
  simulator: Simulator,
  sessionRid: string,
  text: string,
  more: object = {},
  signal?: AbortSignal,
): Promise<Response> {
  const body = { userInput: { text }, ...more };
  return sendCall(simulator, 'POST', `sessions/${sessionRid}/streamingContinue`, body, signal ? { signal } : {});
}

/** An exchange as the content shows it. */
export interface ContentExchange {
  userInput: { text: string };
  contexts?: unknown;
  result: {
    agentMarkdownResponse: string;
    parameterUpdates?: Record<string, { type: string; value: string }>;
    totalTokensUsed: number;
    interruptedOutput: boolean;
    sessionTraceId?: string;
  };
}

/** The exchanges in a session's content. */
export async function readContent(simulator: Simulator, sessionRid: string): Promise<ContentExchange[]> {
  const answer = await callApi(simulator, 'GET', `sessions/${sessionRid}/content`);
  return answer.body['exchanges'] as ContentExchange[];
}

/** Waits until something holds, and says what was missing when it does not within 10 seconds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`Waited 10 s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
