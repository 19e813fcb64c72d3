import { type Dispatcher, request } from 'undici';
import type { CallTimeLimit } from './call-time-limit.js';
import { type TimeLimit } from './call-time-limit.js';
import { AgentsApiError, type Operation, readConnectionError, readErrorBody, readRetryAfter } from './errors.js';

/** One call as this layer sees it: whose it is, for error messages, and what ends it early. */
export interface CallFrame {
  operation: Operation;
  /** RID of the session or agent, for error messages. */
  target: string;
  limit: CallTimeLimit;
  /** The caller's signal: when it is aborted, its reason is what the call throws. */
  callerSignal: AbortSignal | undefined;
}

/** What a call is sent with; the shape of the vendor's own `fetch` calls. */
export interface HttpRequest {
  method: string;
  headers: Record<string, string>;
  body?: string;
}

const LARGEST_ERROR_BODY = 64 * 1024;

/**
 * Sends one HTTP request, once, and resolves with its answer when the status is 2xx. Nothing is retried and no redirect is
 * followed (it would carry the token elsewhere).
 *
 * undici's `request` rather than `fetch`: measured on loopback, 35 µs of CPU per call against 165.
 *
 * @throws AgentsApiError for any other status, a lost connection or a time limit; the caller's own abort reason.
 */
export async function sendOnce(
  dispatcher: Dispatcher,
  url: string,
  init: HttpRequest,
  frame: CallFrame,
): Promise<Dispatcher.ResponseData> {
  let answer: Dispatcher.ResponseData;
  try {
    answer = await request(url, {
      dispatcher,
      method: init.method,
      headers: init.headers,
      body: init.body ?? null,
      signal: frame.limit.signal,
    });
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
  } catch (error) {
    throw noAnswer(error, frame);
  }
  const body = await readRefusal(answer, frame);
  const retryAfter = answer.headers['retry-after'];
  throw new AgentsApiError({
    operation: frame.operation,
    target: frame.target,
    status: answer.statusCode,
    ...readErrorBody(body),
    retryAfterMs: readRetryAfter(typeof retryAfter === 'string' ? retryAfter : undefined, Date.now()),
  });
}

/** The body of a refusal, as much as is of use. A refusal whose body is lost is still a refusal: its status is known. */
async function readRefusal(answer: Dispatcher.ResponseData, frame: CallFrame): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > LARGEST_ERROR_BODY) break;
    }
  } catch {
    frame.callerSignal?.throwIfAborted();
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Reads an answer's JSON; undefined when the body is empty.
 *
 * @throws AgentsApiError with `noAnswer` when the body is cut or no JSON; the caller's own abort reason.
 */
export async function readJson(answer: Dispatcher.ResponseData, frame: CallFrame): Promise<unknown> {
  let text: string;
  try {
    text = await answer.body.text();
  } catch (error) {
    throw noAnswer(error, frame);
  }
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's own message quotes the text, which is a person's.
    throw unreadableAnswer(frame, 'the answer is no JSON');
  }
}

/** The error for an answer that came but cannot be used; on a continue, the exchange has probably landed. */
export function unreadableAnswer(frame: Pick<CallFrame, 'operation' | 'target'>, reason: string): AgentsApiError {
  return new AgentsApiError({
    operation: frame.operation,
    target: frame.target,
    noAnswer: { causeCode: 'UNREADABLE_ANSWER', neverSent: false, reason },
  });
}

const WAITED_FOR: Readonly<Record<TimeLimit, string>> = {
  CALL_TIMEOUT: 'no complete answer',
  FIRST_TEXT_TIMEOUT: 'no text',
  SILENCE_TIMEOUT: 'no further text',
};

/** What to throw when a call broke: the caller's abort reason, untouched, or an `AgentsApiError` with `noAnswer`. */
export function noAnswer(error: unknown, frame: CallFrame): unknown {
  const { callerSignal, limit, operation, target } = frame;
  if (callerSignal?.aborted === true) return callerSignal.reason;
  const expired = limit.expired;
  if (expired !== undefined) {
    const reason = `${WAITED_FOR[expired.limit]} within ${expired.limitMs} ms`;
    return new AgentsApiError({
      operation,
      target,
      noAnswer: { causeCode: expired.limit, neverSent: false, reason },
    });
  }
  const connection = readConnectionError(error);
  const reason = connection.neverSent ? 'no connection' : 'the connection was lost';
  return new AgentsApiError({ operation, target, noAnswer: { ...connection, reason }, cause: error });
}
