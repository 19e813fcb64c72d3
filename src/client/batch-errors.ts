import { AipClientError } from './errors.js';

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
