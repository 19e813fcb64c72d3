import type { ServerResponse } from 'node:http';
import type { Exchange } from './exchange.js';
import type { CheckedSettings } from './settings.js';

/** Pause between pieces of an answer that takes time but has no pace of its own. */
const defaultTickMs = 100;
/** Pieces of an answer that takes no time: enough for borders inside characters. */
const piecesAtOnce = 3;

/** A stream that does not show its whole answer. */
export interface StreamCut {
  afterBytes: number;
  /** How it goes on from there: nothing more comes, the connection breaks, or the stream ends as if all were well. */
  then: 'silence' | 'break' | 'end';
}

/**
 * Where the pieces of a text end, in bytes. A border that is near a character of several bytes falls inside it, as it may
 * with the real API, so that a client which decodes piece by piece is found out.
 */
export function pieceEnds(bytes: Buffer, pieces: number): number[] {
  const ends: number[] = [];
  for (let index = 1; index < pieces; index++) {
    ends.push(intoCharacter(bytes, Math.round((bytes.length * index) / pieces)));
  }
  ends.push(bytes.length);
  return ends;
}

function intoCharacter(bytes: Buffer, from: number): number {
  const until = Math.min(bytes.length, from + 16);
  for (let at = from; at < until; at++) {
    if (((bytes[at] ?? 0) & 0xc0) === 0x80) return at;
  }
  return from;
}

/** Writes an exchange's answer to its client while the exchange goes on. The exchange does not notice. */
export class AnswerStream {
  readonly #bytes: Buffer;
  readonly #ends: number[];
  readonly #tickMs: number;
  readonly #limit: number;
  #written = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly response: ServerResponse,
    private readonly exchange: Exchange,
    private readonly settings: CheckedSettings,
    private readonly cut: StreamCut | undefined,
  ) {
    this.#bytes = Buffer.from(exchange.answer);
    this.#limit = Math.min(this.#bytes.length, cut?.afterBytes ?? Infinity);
    this.#tickMs = settings.streamingPaceMs || defaultTickMs;
    const { durationMs } = exchange;
    const pieces =
      durationMs > 0
        ? durationMs / this.#tickMs
        : Math.min(piecesAtOnce, this.#bytes.length / settings.streamingChunkBytes);
    this.#ends = pieceEnds(this.#bytes, Math.max(1, Math.ceil(pieces)));
  }

  /** Begins to write: all at once for an exchange that is over, else piece by piece until it is. */
  start(): void {
    this.response.writeHead(200, { 'content-type': 'application/octet-stream' });
    if (this.exchange.status !== 'answering') {
      // One packet, but several chunks: corking the response itself would melt them into one.
      const { socket } = this.response;
      socket?.cork();
      this.#step();
      socket?.uncork();
      return;
    }
    this.response.flushHeaders();
    this.#timer = setInterval(() => this.#step(), this.#tickMs);
    this.exchange.onEnd(() => this.#step());
    this.response.once('close', () => clearInterval(this.#timer));
    if (this.#limit === 0) this.#stop();
  }

  #step(): void {
    if (this.response.destroyed || this.response.writableEnded) return;
    const { status, startedAt, durationMs } = this.exchange;
    if (status === 'failed') {
      this.response.destroy();
      return;
    }
    const share = durationMs > 0 ? (Date.now() - startedAt) / durationMs : 1;
    const isWhole = status === 'landed' || (share >= 1 && status !== 'answering');
    const speaks = status === 'landed' || status === 'answering' || this.settings.streamAfterCancel === 'goesOn';
    if (speaks) this.#write(isWhole ? this.#ends.length : Math.floor(share * this.#ends.length));
    if (this.#written >= this.#limit && this.cut !== undefined) this.#stop();
    else if (isWhole) this.#end();
  }

  /** Writes the pieces up to the given number; the last one waits for the exchange to land. */
  #write(pieces: number): void {
    for (let index = 0; index < pieces; index++) {
      const end = Math.min(this.#limit, this.#ends[index] ?? 0);
      if (end <= this.#written) continue;
      if (index === this.#ends.length - 1 && this.exchange.status === 'answering') return;
      this.response.write(this.#bytes.subarray(this.#written, end));
      this.#written = end;
    }
  }

  #stop(): void {
    clearInterval(this.#timer);
    if (this.cut?.then === 'end') this.#end();
    // The bytes before the break must have left, or the client would see an earlier one.
    else if (this.cut?.then === 'break') this.response.write('', () => this.response.destroy());
  }

  #end(): void {
    clearInterval(this.#timer);
    this.response.end();
  }
}
