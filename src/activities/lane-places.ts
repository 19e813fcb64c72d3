/** A lane, as it shares places with the others of its batch in this worker. */
export interface PlaceTaker {
  /** Rows at once that the batch has given to it. */
  readonly share: number;
  /** Rows that it walks now. */
  readonly active: number;
  /** Rows that it has not begun. */
  readonly left: number;
  /** Begins one more row; false when there is none, or none may be begun. */
  beginOne(): boolean;
  /** Called when all places have been looked at: there may be nothing left for it to do. */
  endWhenIdle(): void;
}

/**
 * The rows at once that the lanes of one batch have in this worker, all together. A lane that has no more rows to begin lends its
 * places to the others, so that none is empty while it ends its last rows and the next shard takes over.
 *
 * 1. The lanes begin no row while they walk as many as their shares add up to.
 * 2. What was lent is given back before anything else is begun: as soon as a row ends.
 *
 * A lane that ends takes its share along, and not what it has lent: where the next shard runs in another worker, the batch has more
 * rows at once than it should until those rows have ended, by no more than that share.
 */
export class LanePlaces {
  readonly #lanes = new Set<PlaceTaker>();

  add(lane: PlaceTaker): void {
    this.#lanes.add(lane);
    this.fill();
  }

  remove(lane: PlaceTaker): void {
    this.#lanes.delete(lane);
    this.fill();
  }

  /** Begins rows in all places that are free. To be called whenever a row has ended, and when a share has changed. */
  fill(): void {
    const lanes = [...this.#lanes];
    let free = lanes.reduce((sum, { share, active }) => sum + share - active, 0);
    for (const lane of lanes) while (free > 0 && lane.active < lane.share && lane.beginOne()) free--;
    // To the one that is nearest its end: lanes that end one after the other leave no gap.
    if (free > 0) {
      const byEnd = lanes.toSorted((a, b) => a.left - b.left);
      for (const lane of byEnd) while (free > 0 && lane.beginOne()) free--;
    }
    for (const lane of lanes) lane.endWhenIdle();
  }
}
