/** When a run that is about to roll over may do so: nothing is at work any more but what waits, and can wait on in the next run. */
export class Rest {
  #busy = 0;

  constructor(
    /** No step is begun any more. */
    readonly isRolling: () => boolean,
  ) {}

  /** Does what must come to its end in this run. */
  async busy<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await work();
    } finally {
      this.#busy--;
    }
  }

  /**
   * Inside `busy`: waits for something that the next run can wait on for. It is held when all else has come to rest, and not before:
   * until then it can still come, and a decision would find nobody waiting for it.
   */
  async wait<T>(wait: (isHeld: () => boolean) => Promise<T>): Promise<T> {
    this.#busy--;
    try {
      return await wait(() => this.#busy === 0 && this.isRolling());
    } finally {
      this.#busy++;
    }
  }
}
