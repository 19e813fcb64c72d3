/** When a run that is about to roll over may do so: nothing is at work any more but what waits, and can wait on in the next run. */
export class Rest {
  #busy = 0;
  #long = 0;
  #rolling = false;

  /**
   * @param isDue Whether the run is to roll over.
   * @param isOverdue Whether that can be put off no longer.
   */
  constructor(
    private readonly isDue: () => boolean,
    private readonly isOverdue: () => boolean,
  ) {}

  /** Whether no step is begun any more. Once it is so, it stays so. */
  isRolling(): boolean {
    this.#rolling ||= this.isDue() && (this.#long === 0 || this.isOverdue());
    return this.#rolling;
  }

  /** Inside `busy`: does what may take days. Rolling over is put off meanwhile, as all others would have to wait for its end. */
  async long<T>(work: () => Promise<T>): Promise<T> {
    this.#long++;
    try {
      return await work();
    } finally {
      this.#long--;
    }
  }

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
