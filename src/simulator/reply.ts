import type { ServerResponse } from 'node:http';
import { ApiError } from './errors.js';
import type { Exchange } from './exchange.js';
import type { Fault } from './faults.js';
import type { CheckedSettings } from './settings.js';
import { AnswerStream } from './stream.js';
import type { StreamCut } from './stream.js';

/** The way back to the client, which a fault may have damaged: operations answer through it and need not know. */
export class Reply {
  constructor(
    readonly response: ServerResponse,
    private readonly fault: Fault | undefined,
    private readonly onRefused: (errorName: string) => void,
  ) {}

  json(status: number, body: unknown): void {
    this.#send(status, 'application/json', JSON.stringify(body));
  }

  empty(): void {
    this.#send(204, undefined, '');
  }

  /** Answers with an API error; anything else that was thrown is a defect of the simulator, and says so. */
  error(error: unknown): void {
    if (!(error instanceof ApiError)) {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.error(new ApiError(500, 'INTERNAL', 'SimulatorDefect', { reason }));
      return;
    }
    this.onRefused(error.errorName);
    this.json(error.status, error.toBody());
  }

  /** Streams an exchange that has begun. */
  stream(exchange: Exchange, settings: CheckedSettings): void {
    if (this.#isDeaf) return;
    const { fault } = this;
    if (fault?.kind === 'dropAfterLanding') {
      const drop = () => this.response.destroy();
      if (exchange.status === 'answering') exchange.onEnd(drop);
      else drop();
      return;
    }
    new AnswerStream(this.response, exchange, settings, streamCut(fault)).start();
  }

  /** The end of a stream on which nothing ever came. */
  emptyStream(): void {
    this.#send(200, 'application/octet-stream', '');
  }

  /** Breaks the connection. */
  drop(): void {
    this.response.destroy();
  }

  /** A page of a proxy in the place of the server's answer. What the server answers later is lost. */
  proxyPage(fault: Extract<Fault, { kind: 'status' }>): void {
    const page = `<html><head><title>${fault.status}</title></head><body><h1>Error ${fault.status}</h1></body></html>`;
    const body = fault.body ?? page;
    this.response.writeHead(fault.status, {
      'content-type': fault.contentType,
      'content-length': Buffer.byteLength(body),
      ...(fault.retryAfterSeconds === undefined ? {} : { 'retry-after': String(fault.retryAfterSeconds) }),
    });
    this.response.end(body);
  }

  /** Nothing more can reach the client, by a fault or because it left. */
  get #isDeaf(): boolean {
    if (this.response.destroyed || this.response.writableEnded) return true;
    return this.fault?.kind === 'hang' && this.fault.afterBytes === undefined;
  }

  #send(status: number, contentType: string | undefined, body: string): void {
    if (this.#isDeaf || this.fault?.kind === 'hang') return;
    if (this.fault?.kind === 'dropAfterLanding') {
      this.response.destroy();
      return;
    }
    const headers =
      contentType === undefined ? {} : { 'content-type': contentType, 'content-length': Buffer.byteLength(body) };
    this.response.writeHead(status, headers);
    if (this.fault?.kind === 'cutStream') this.#cut(Buffer.from(body).subarray(0, this.fault.afterBytes));
    else this.response.end(body);
  }

  #cut(bytes: Buffer): void {
    this.response.flushHeaders();
    this.response.write(bytes, () => this.response.destroy());
  }
}

function streamCut(fault: Fault | undefined): StreamCut | undefined {
  if (fault?.kind === 'cutStream') return { afterBytes: fault.afterBytes, then: fault.clean ? 'end' : 'break' };
  if (fault?.kind === 'hang') return { afterBytes: fault.afterBytes ?? 0, then: 'silence' };
  return undefined;
}
