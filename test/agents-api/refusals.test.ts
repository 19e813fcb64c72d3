import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { type AgentsApi, AgentsApiError, createAgentsApi, staticToken } from '../../src/agents-api/index.js';
import {
  type Answer,
  type ScriptedServer,
  cutWithoutAnswer,
  foundryError,
  hang,
  json,
  plain,
  startScriptedServer,
  stream,
} from './scripted-server.js';

const agentRid = 'ri.aip-agents..agent.a';
const sessionRid = 'ri.aip-agents..session.s';
const exchange = { agentRid, sessionRid, userInput: { text: 'a private question' } };
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

let server: ScriptedServer;
let api: AgentsApi;
beforeAll(async () => {
  server = await startScriptedServer();
});
beforeEach(() => {
  api = createAgentsApi({ foundryUrl: server.url, token: staticToken('secret-token') });
});
afterEach(async () => {
  await api.close();
  server.seen.length = 0;
});
afterAll(() => server.close());

async function failureOf(call: Promise<unknown>): Promise<AgentsApiError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof AgentsApiError)) throw new Error(`expected an AgentsApiError, got ${String(error)}`);
  return error;
}

describe('a refusal', () => {
  test('carries the name, code, status, parameters and errorInstanceId of the API', async () => {
    server.script(foundryError(400, 'CUSTOM_CLIENT', 'RateLimitExceeded', { agentRid, sessionRid, details: 'tpm' }));
    const error = await failureOf(api.blockingContinue(exchange));
    expect(error).toMatchObject({
      operation: 'blockingContinue',
      operationKind: 'continue',
      status: 400,
      errorName: 'RateLimitExceeded',
      errorCode: 'CUSTOM_CLIENT',
      errorInstanceId: '7f3c9a52-0f4e-4d6c-9d0f-3a3f3a1f0001',
      parameters: { agentRid, sessionRid, details: 'tpm' },
      noAnswer: false,
    });
    expect(error.message).toBe(
      `Cannot continue session ${sessionRid}: HTTP 400 RateLimitExceeded (errorInstanceId ` +
        "7f3c9a52-0f4e-4d6c-9d0f-3a3f3a1f0001): the model's limits are used up; wait and retry",
    );
  });

  test.each([429, 500, 502, 503, 504])('with status %d is sent once, blocking or streamed', async (status) => {
    server.script(plain(status, 'text/plain', 'busy'));
    expect(await failureOf(api.blockingContinue(exchange))).toMatchObject({ status, noAnswer: false });
    expect(await failureOf(api.streamingContinue(exchange))).toMatchObject({ status, noAnswer: false });
    expect(server.seen).toHaveLength(2);
  });

  test.each<[string, Answer]>([
    ['an HTML page', plain(502, 'text/html', '<html>Bad Gateway</html>')],
    ['an empty body', plain(502, 'application/json', '')],
    ['a JSON body that is no Foundry error', json(502, ['what'])],
    [
      'a body that is cut',
      (response) => response.writeHead(502, { 'content-length': '99' }).write('{', () => response.destroy()),
    ],
  ])('with %s has a status and no name', async (_, answer) => {
    server.script(answer);
    const error = await failureOf(api.getContent({ agentRid, sessionRid }));
    expect(error).toMatchObject({ status: 502, noAnswer: false });
    expect(error.errorName).toBeUndefined();
  });

  test('is no redirect to be followed', async () => {
    server.script(plain(302, 'text/html', '', { location: '/login' }));
    expect(await failureOf(api.getAgent({ agentRid }))).toMatchObject({ status: 302 });
    expect(server.seen).toHaveLength(1);
  });

  test('tells how long a Retry-After asks to wait', async () => {
    server.script(plain(503, 'text/plain', '', { 'retry-after': '7' }));
    expect(await failureOf(api.getAgent({ agentRid }))).toMatchObject({ retryAfterMs: 7_000 });
  });

  test('has its long parameters cut', async () => {
    server.script(foundryError(500, 'INTERNAL', 'SessionExecutionFailed', { message: 'x'.repeat(5_000), n: 1 }));
    const { parameters } = await failureOf(api.blockingContinue(exchange));
    expect(parameters).toEqual({ message: `${'x'.repeat(500)}…`, n: 1 });
  });
});

describe('no answer', () => {
  test.each<[string, Answer]>([
    ['the connection is cut before an answer', cutWithoutAnswer],
    [
      'the body is cut',
      (response) => response.writeHead(200, { 'content-length': '99' }).write('{"a', () => response.destroy()),
    ],
    ['the body is no JSON', plain(200, 'text/html', '<html>a private question</html>')],
    ['the body has another shape', json(200, { agentMarkdownResponse: { private: 'a private question' } })],
  ])('when %s: it may have landed, and the message holds no text of people', async (_, answer) => {
    server.script(answer);
    const error = await failureOf(api.blockingContinue(exchange));
    expect(error).toMatchObject({ noAnswer: true, neverSent: false });
    expect(error.status).toBeUndefined();
    expect(error.message).toContain('may have landed');
    expect(error.message).not.toContain('private');
    expect(server.seen).toHaveLength(1);
  });

  test('when nobody listens: surely never sent', async () => {
    const unused = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => unused.once('listening', resolve));
    const { port } = unused.address() as AddressInfo;
    await new Promise((resolve) => unused.close(resolve));
    const nowhere = createAgentsApi({ foundryUrl: `http://127.0.0.1:${port}`, token: staticToken('t') });
    const error = await failureOf(nowhere.blockingContinue(exchange));
    expect(error).toMatchObject({ noAnswer: true, neverSent: true, causeCode: 'ECONNREFUSED' });
    await nowhere.close();
  });

  test('when the whole call takes too long', async () => {
    server.script(hang);
    const error = await failureOf(api.blockingContinue({ ...exchange, timeoutMs: 30 }));
    expect(error).toMatchObject({ noAnswer: true, neverSent: false, causeCode: 'CALL_TIMEOUT' });
    expect(error.message).toContain('no complete answer within 30 ms');
  });

  test('when the first text of a stream takes too long, headers or not', async () => {
    server.script(stream([], 'hang'), hang);
    for (let call = 0; call < 2; call += 1) {
      const error = await failureOf(api.streamingContinue({ ...exchange, firstTextTimeoutMs: 30 }));
      expect(error).toMatchObject({ noAnswer: true, causeCode: 'FIRST_TEXT_TIMEOUT' });
    }
  });

  test('when a stream falls silent', async () => {
    server.script(stream([utf8('so far')], 'hang'));
    const pieces: string[] = [];
    const onText = (text: string): void => void pieces.push(text);
    const error = await failureOf(api.streamingContinue({ ...exchange, silenceTimeoutMs: 30, onText }));
    expect(error).toMatchObject({ noAnswer: true, causeCode: 'SILENCE_TIMEOUT' });
    expect(pieces).toEqual(['so far']);
  });

  test('when a stream is cut, after its text was handed on', async () => {
    server.script(stream([utf8('so '), utf8('far')], 'cut'));
    let text = '';
    const error = await failureOf(api.streamingContinue({ ...exchange, onText: (piece) => void (text += piece) }));
    expect(error).toMatchObject({ noAnswer: true, neverSent: false });
    expect(text).toBe('so far');
  });
});

describe("the caller's signal", () => {
  const reason = new Error('the activity was cancelled');

  test('ends a call that waits for its answer, with its own reason', async () => {
    const controller = new AbortController();
    server.script(() => controller.abort(reason));
    await expect(api.blockingContinue({ ...exchange, signal: controller.signal })).rejects.toBe(reason);
  });

  test('ends a stream between two pieces, with its own reason', async () => {
    const controller = new AbortController();
    server.script(stream([utf8('so far')], 'hang'));
    const onText = (): void => controller.abort(reason);
    await expect(api.streamingContinue({ ...exchange, signal: controller.signal, onText })).rejects.toBe(reason);
  });

  test('aborted beforehand: nothing is sent', async () => {
    const signal = AbortSignal.abort(reason);
    await expect(api.blockingContinue({ ...exchange, signal })).rejects.toBe(reason);
    expect(server.seen).toEqual([]);
  });

  test('serves many calls at once and keeps no listener afterwards', async () => {
    const { signal } = new AbortController();
    const added: unknown[] = [];
    const listen = signal.addEventListener.bind(signal);
    const unlisten = signal.removeEventListener.bind(signal);
    signal.addEventListener = (type: string, listener: EventListener, options?: AddEventListenerOptions) => {
      added.push(listener);
      listen(type, listener, options);
    };
    signal.removeEventListener = (type: string, listener: EventListener) => {
      added.splice(added.indexOf(listener), 1);
      unlisten(type, listener);
    };
    server.script(json(200, { rid: sessionRid }));
    await Promise.all(Array.from({ length: 40 }, () => api.getSession({ agentRid, sessionRid, signal })));
    expect(added).toEqual([]);
  });

  test('what onText throws passes through and closes the stream', async () => {
    server.script(stream([utf8('so far')], 'hang'));
    const onText = (): never => {
      throw reason;
    };
    await expect(api.streamingContinue({ ...exchange, onText })).rejects.toBe(reason);
  });
});

test('no error holds the token or the text that was sent, however deep one looks', async () => {
  server.script(
    cutWithoutAnswer,
    foundryError(401, 'UNAUTHORIZED', 'Default:Unauthorized'),
    plain(500, 'text/plain', 'x'),
  );
  for (let call = 0; call < 3; call += 1) {
    const error = await failureOf(api.blockingContinue(exchange));
    const { inspect } = await import('node:util');
    const everything = inspect(error, { depth: 10, showHidden: true });
    expect(everything).not.toContain('secret-token');
    expect(everything).not.toContain('private question');
  }
});
