import { AipClientError, type EndStatus } from './errors.js';

/** A batch of this id exists, with another input. */
export class BatchExistsError extends AipClientError {
  override readonly name = 'BatchExistsError';
  constructor(
    readonly batchId: string,
    difference: string,
  ) {
    super(
      `Cannot submit batch ${batchId}: one of this id exists, with ${difference}; give the same input to go on with it, or another id to start anew`,
    );
  }
}

/** No batch of that id is known to this namespace. */
export class BatchNotFoundError extends AipClientError {
  override readonly name = 'BatchNotFoundError';
  constructor(
    readonly batchId: string,
    readonly namespace: string,
    what = `batch ${batchId}`,
  ) {
    super(
      `Cannot find ${what} in namespace ${namespace}: it was never submitted whole, or its retention is over; submit it again, or check the id`,
    );
  }
}

const ENDS: Record<EndStatus | 'cancelling', string> = {
  completed: 'it has completed',
  cancelled: 'it was cancelled',
  cancelling: 'it is being cancelled',
  terminated: 'it was terminated',
  timedOut: 'it has timed out',
  failed: 'it has failed',
};

/** The batch has ended, or is about to: nothing of it is left to be steered. */
export class BatchEndedError extends AipClientError {
  override readonly name = 'BatchEndedError';
  constructor(
    readonly batchId: string,
    /** What was asked, as in `pause`. */
    what: string,
    readonly status: EndStatus | 'cancelling',
  ) {
    super(
      `Cannot ${what} batch ${batchId}: ${ENDS[status]}; collect its results, or run the rows that did not succeed again`,
    );
  }
}

/** The batch, or one of its shards, goes on: only of one that has ended is it known which rows did not succeed. */
export class BatchNotEndedError extends AipClientError {
  override readonly name = 'BatchNotEndedError';
  constructor(
    readonly batchId: string,
    /** The shard that goes on after its batch. */
    readonly shard?: number,
  ) {
    const what = shard === undefined ? 'it goes on' : `its shard ${shard} goes on`;
    super(`Cannot run rows of batch ${batchId} again: ${what}; wait for its end, or cancel it`);
  }
}
