import type { Sessions } from '@osdk/foundry.aipagents';
import type { Dispatcher } from 'undici';
import type * as z from 'zod';
import { CallTimeLimit } from './call-time-limit.js';
import { AgentsApiError, type Operation } from './errors.js';
import { type CallFrame, noAnswer, readJson, sendOnce, unreadableAnswer } from './fetch-once.js';
import { withoutNulls } from './schemas.js';
import { decodeTextStream } from './text-stream.js';
import type { TokenSource } from './token.js';

/** What the vendor's operations take as their client. */
export type VendorContext = Extract<Parameters<typeof Sessions.get>[0], { baseUrl: string }>;

/** One call of an operation. */
export interface Call {
  operation: Operation;
  /** RID of the session or agent, for error messages. */
  target: string;
  signal: AbortSignal | undefined;
  /** Limit on the whole call, in milliseconds; absent: none. */
  timeoutMs: number | undefined;
}

/** What the caller is made of. `baseUrl` ends in a slash. */
export interface ApiCallerOptions {
  baseUrl: string;
  token: TokenSource;
  dispatcher: Dispatcher;
  userAgent: string;
  /** Called at the start of each call; what it returns, at its end. */
  onCall?: ((operation: Operation) => () => void) | undefined;
}

/**
 * Runs the vendor's operations over our own sending: once, under a signal and time limits, with one fresh token on a 401.
 *
 * Each call gets a client context of its own, an object of three fields that the vendor's functions accept in place of a
 * client. So the call's signal needs no detour, and the retries that `createPlatformClient` builds in (429 and 503, POSTs
 * too) are not there. Our fetch throws on every refusal, so that nothing is left for the vendor's error path, which returns
 * errors as values.
 */
export class ApiCaller {
  readonly #options: ApiCallerOptions;

  constructor(options: ApiCallerOptions) {
    this.#options = options;
  }

  /**
   * Makes a call and reads its JSON answer by the schema; an empty answer is read as `{}`.
   *
   * @throws AgentsApiError, TokenError, or the signal's own reason.
   */
  async json<T>(call: Call, schema: z.ZodType<T>, operation: (context: VendorContext) => Promise<unknown>): Promise<T> {
    return await this.#underLimit(call, async (frame) => {
      const answer = await this.#withToken(frame, (token) => operation(this.#jsonContext(token, frame)));
      const parsed = schema.safeParse(withoutNulls(answer ?? {}));
      if (parsed.success) return parsed.data;
      const issue = parsed.error.issues[0];
      throw unreadableAnswer(frame, `unexpected shape at ${issue?.path.join('.') || 'top'}: ${issue?.message ?? ''}`);
    });
  }

  /**
   * Makes a call whose answer is streamed text, and hands on the text as it comes.
   *
   * @param limits in milliseconds: from the start to the first byte, and between bytes.
   * @returns all of the text, once the stream has ended. That it ended proves nothing: the session's content decides.
   * @throws like `json`; what `onText` throws passes through and closes the stream.
   */
  async text(
    call: Call,
    limits: { firstTextTimeoutMs: number; silenceTimeoutMs: number },
    onText: ((text: string) => void) | undefined,
    operation: (context: VendorContext) => Promise<unknown>,
  ): Promise<string> {
    return await this.#underLimit(call, async (frame) => {
      frame.limit.start('FIRST_TEXT_TIMEOUT', limits.firstTextTimeoutMs);
      let body: AsyncIterable<Uint8Array> | undefined;
      await this.#withToken(frame, (token) =>
        operation(
          this.#context(token, frame, (answer) => {
            body = answer.body;
            return {};
          }),
        ),
      );
      if (body === undefined) return '';
      let all = '';
      for await (const text of decodeTextStream(watched(body, frame, limits.silenceTimeoutMs))) {
        all += text;
        onText?.(text);
      }
      return all;
    });
  }

  async #underLimit<T>(call: Call, run: (frame: CallFrame) => Promise<T>): Promise<T> {
    const limit = new CallTimeLimit(call.signal);
    const onEnd = this.#options.onCall?.(call.operation);
    try {
      if (call.timeoutMs !== undefined) limit.start('CALL_TIMEOUT', call.timeoutMs);
      return await run({ operation: call.operation, target: call.target, callerSignal: call.signal, limit });
    } finally {
      limit.end();
      onEnd?.();
    }
  }

  async #withToken<T>(frame: CallFrame, send: (token: string) => Promise<T>): Promise<T> {
    const token = await this.#options.token.get(frame.callerSignal);
    try {
      return await send(token);
    } catch (error) {
      if (!(error instanceof AgentsApiError) || error.status !== 401) throw error;
      const fresh = await this.#options.token.refresh(token, frame.callerSignal);
      if (fresh === token) throw error;
      return await send(fresh);
    }
  }

  #jsonContext(token: string, frame: CallFrame): VendorContext {
    return this.#context(token, frame, (answer) => ({ json: () => readJson(answer, frame) }));
  }

  #context(token: string, frame: CallFrame, read: (answer: Dispatcher.ResponseData) => object): VendorContext {
    const { baseUrl, dispatcher, userAgent } = this.#options;
    return {
      baseUrl,
      tokenProvider: () => Promise.resolve(token),
      fetch: async (url, init) => {
        const headers = Object.fromEntries(new Headers(init?.headers));
        headers['authorization'] = `Bearer ${token}`;
        headers['user-agent'] = userAgent;
        // A compressing proxy would hold streamed text back, and undici's request does not decompress.
        headers['accept-encoding'] = 'identity';
        const body = typeof init?.body === 'string' ? { body: init.body } : {};
        const request = { method: init?.method ?? 'GET', headers, ...body };
        const answer = await sendOnce(dispatcher, url as string, request, frame);
        if (answer.statusCode === 204) await answer.body.dump();
        // The vendor's function reads no more of a Response than this.
        return { ok: true, status: answer.statusCode, ...read(answer) } as Response;
      },
    };
  }
}

/** The body's bytes under the silence limit; a cut becomes the error that tells it. */
async function* watched(
  body: AsyncIterable<Uint8Array>,
  frame: CallFrame,
  silenceTimeoutMs: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let isFirst = true;
  try {
    for await (const chunk of body) {
      if (isFirst) frame.limit.stop('FIRST_TEXT_TIMEOUT');
      isFirst = false;
      frame.limit.start('SILENCE_TIMEOUT', silenceTimeoutMs);
      yield chunk;
    }
  } catch (error) {
    throw noAnswer(error, frame);
  }
}
