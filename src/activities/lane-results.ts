import type { RowResult } from '../protocol/batch.js';
import { LIMITS } from '../protocol/defaults.js';

/** Most bytes of one row's result: the server takes no payload over 2 MiB. */
const ROW_BYTES = 1_500_000;

/** The results of a lane, kept within what one payload may hold. */
export class LaneResults {
  readonly #results: { result: RowResult; bytes: number }[] = [];
  #bytes = 0;

  /** Whether one more row can be begun beside those in flight, each taken to be as large as the average so far. */
  hasRoomFor(inFlight: number): boolean {
    const average = this.#results.length === 0 ? 0 : this.#bytes / this.#results.length;
    return this.#bytes + (inFlight + 1) * average <= LIMITS.laneResultCharacters;
  }

  add(result: RowResult): void {
    const bytes = Buffer.byteLength(JSON.stringify(result));
    const kept = bytes <= ROW_BYTES ? { result, bytes } : { result: tooLarge(result, bytes), bytes: 1_000 };
    this.#results.push(kept);
    this.#bytes += kept.bytes;
  }

  /**
   * The results that fit, and the indexes of rows whose results do not: the next lane reads those back from their sessions.
   * (Answers grew faster than the average told.)
   */
  fitting(): { results: RowResult[]; left: number[] } {
    const results: RowResult[] = [];
    const left: number[] = [];
    let bytes = 0;
    for (const kept of this.#results) {
      const fits = results.length === 0 || bytes + kept.bytes <= 2 * LIMITS.laneResultCharacters;
      if (fits) {
        bytes += kept.bytes;
        results.push(kept.result);
      } else {
        left.push(kept.result.index);
      }
    }
    return { results, left };
  }
}

function tooLarge(result: RowResult, bytes: number): RowResult {
  const message =
    `The row's answers take ${bytes} bytes, more than one result may hold (${ROW_BYTES}); ` +
    'read them from the session, or split the row';
  return { ...result, status: 'failed', exchanges: [], error: { errorName: 'AnswerTooLarge', message } };
}
